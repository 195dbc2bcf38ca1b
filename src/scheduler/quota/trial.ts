import type { Account } from './account.ts'
import type { Candidate, Chosen, Request, Stage } from './candidates.ts'
import type { QuotaTree } from './tree.ts'

export interface Pick {
  candidate: Candidate
  reason: Chosen['reason']
}

/** Of more victims than these, room is not looked for anew for each. */
const lookedAgainMax = 64

/**
 * Candidates that are away while it is tried whether the request fits without them. At first only on paper, in the tree:
 * devices are touched once the quota is known to suffice, so that a request which its quota keeps out costs the nodes
 * nothing. `clear` leaves tree and stage as they were.
 */
export class Trial {
  readonly tree: QuotaTree
  readonly request: Request
  readonly own: Account
  /** In the order in which they were taken. */
  readonly taken: Pick[] = []
  readonly #stage: Stage
  readonly #mayBorrow: boolean
  #isOnStage = false
  #isCharged = false
  #hasQuota: boolean | undefined

  constructor(tree: QuotaTree, request: Request, stage: Stage, mayBorrow: boolean) {
    this.tree = tree
    this.request = request
    this.own = tree.accountOf(request.queue)
    this.#stage = stage
    this.#mayBorrow = mayBorrow
  }

  /** Counts the request as if it held what it wants, for shares, until `clear`. */
  charge(): void {
    this.#isCharged = true
    this.#countRequest(1)
  }

  take(pick: Pick): void {
    this.taken.push(pick)
    this.#lift(pick)
  }

  /** Brings back what was taken last, down to so many; what it returns can be taken again. */
  backTo(count: number): Pick[] {
    const back = this.taken.splice(count)
    for (const pick of back.toReversed()) this.#putBack(pick)
    return back
  }

  /** Brings all back at once that sit where the request will not, if its quota allows it without them, and `isFine`. */
  giveBackSpare(isFine: () => boolean): void {
    if (!this.#isOnStage) return
    const all = [...this.taken]
    const last = all.at(-1)
    const isSpare = (pick: Pick) => pick !== last && this.#stage.isSpare(pick.candidate.key)
    const spare = all.filter(isSpare)
    if (spare.length === 0) return
    const spared = new Set(spare)
    for (const pick of spare) this.#putBack(pick)
    this.#setTaken(all.filter((pick) => !spared.has(pick)))
    if (this.hasQuota() && isFine()) return
    for (const pick of spare) this.#lift(pick)
    this.#setTaken(all)
  }

  #setTaken(picks: readonly Pick[]): void {
    this.taken.length = 0
    for (const pick of picks) this.taken.push(pick)
  }

  /** Brings one back if the request still fits then, and `isFine`. */
  giveBack(index: number, isFine: () => boolean): void {
    const pick = this.taken[index]
    if (pick === undefined) return
    this.taken.splice(index, 1)
    this.#putBack(pick)
    if (this.hasQuota() && isFine() && this.#stillFits(pick)) return
    this.taken.splice(index, 0, pick)
    this.#lift(pick)
  }

  /** Of many victims, each for a few devices of a large gang, it is not looked for other room without one of them. */
  #stillFits({ candidate }: Pick): boolean {
    if (this.#isOnStage && this.#stage.roomStays(candidate.key)) return true
    return this.taken.length <= lookedAgainMax && this.fits()
  }

  hasQuota(): boolean {
    this.#hasQuota ??= this.#uncharged(() => {
      if (!this.#mayBorrow && this.own.isOver(this.request.wants.keys(), this.request.wants)) return false
      return this.tree.fits(this.request.queue, this.request.wants)
    })
    return this.#hasQuota
  }

  /** Ask only when there is quota. */
  fits(): boolean {
    this.#enterStage()
    return this.#uncharged(() => this.#stage.fits())
  }

  /**
   * While quota is missing whoever frees some helps; after that, only who frees room that the request can use. Of those
   * that share a disruption budget, no more than it lets go.
   */
  helps(candidate: Candidate): boolean {
    if (!this.#isAllowed(candidate)) return false
    return !this.hasQuota() || this.#stage.helps(candidate.key)
  }

  #isAllowed({ allowance, isReady }: Candidate): boolean {
    if (allowance === undefined) return true
    const shared = this.taken.filter(({ candidate }) => candidate.allowance === allowance)
    const ready = shared.filter(({ candidate }) => candidate.isReady === true).length
    if (ready + (isReady === true ? 1 : 0) <= allowance.left) return true
    allowance.isUsedUp = true
    for (const { candidate } of shared) allowance.usedBy.add(candidate.key)
    return false
  }

  clear(): void {
    this.backTo(0)
    if (this.#isCharged) this.#countRequest(-1)
    this.#isCharged = false
  }

  #enterStage(): void {
    if (this.#isOnStage) return
    for (const { candidate } of this.taken.toReversed()) this.#count(candidate, 1)
    this.#isOnStage = true
    for (const { candidate } of this.taken) this.#stage.lift(candidate.key)
  }

  #lift({ candidate }: Pick): void {
    this.#hasQuota = undefined
    if (this.#isOnStage) this.#stage.lift(candidate.key)
    else this.#count(candidate, -1)
  }

  #putBack({ candidate }: Pick): void {
    this.#hasQuota = undefined
    if (this.#isOnStage) this.#stage.putBack(candidate.key)
    else this.#count(candidate, 1)
  }

  #count({ queue, holds, uncharged }: Candidate, sign: 1 | -1): void {
    if (uncharged === true) return
    for (const [model, milli] of holds) this.tree.add(queue, model, sign * milli)
  }

  #countRequest(sign: 1 | -1): void {
    for (const [model, milli] of this.request.wants) this.tree.add(this.request.queue, model, sign * milli)
  }

  #uncharged<T>(ask: () => T): T {
    if (!this.#isCharged) return ask()
    this.#countRequest(-1)
    const answer = ask()
    this.#countRequest(1)
    return answer
  }
}

/**
 * Takes picks until the request fits. Where only room on the nodes is missing, it asks after 1, 2, 4, … more picks and
 * then bisects: looking for room is dear.
 */
export function takeUntilFits(trial: Trial, picks: Iterator<Pick>): boolean {
  let [asked, gap] = [0, 1]
  for (let next = picks.next(); next.done !== true; next = picks.next()) {
    trial.take(next.value)
    const count = trial.taken.length
    if (!trial.hasQuota()) asked = count
    else if (count - asked >= gap) {
      if (trial.fits()) return bisect(trial, asked, count)
      asked = count
      gap *= 2
    }
  }
  const count = trial.taken.length
  return count > asked && trial.fits() && bisect(trial, asked, count)
}

/** With the first `low` taken it does not fit, with the first `high` it does: keeps the fewest with which it does. */
function bisect(trial: Trial, low: number, high: number): true {
  let [short, enough] = [low, high]
  const all = [...trial.taken]
  const goTo = (count: number) => {
    trial.backTo(count)
    for (const pick of all.slice(trial.taken.length, count)) trial.take(pick)
  }
  while (enough - short > 1) {
    const middle = (short + enough) >> 1
    goTo(middle)
    if (trial.fits()) enough = middle
    else short = middle
  }
  goTo(enough)
  return true
}

/** Gives back whom the request does not need after all, the latest first. The very last is what made it fit. */
export function giveBackUnneeded(
  trial: Trial,
  isFine: (back: Pick) => boolean = () => true,
  areFine: () => boolean = () => true,
): void {
  trial.giveBackSpare(areFine)
  for (let index = trial.taken.length - 2; index >= 0; index--) {
    const pick = trial.taken[index]
    if (pick !== undefined) trial.giveBack(index, () => isFine(pick))
  }
}
