import { type Account, compareShares, type Share } from './account.ts'
import { type Candidate, candidateOrder } from './candidates.ts'
import { allowed, type Contest, isOverBelow, justBelow, lowestCommon } from './pool.ts'
import { Sequence } from './sequence.ts'
import { giveBackUnneeded, type Pick, type Trial, takeUntilFits } from './trial.ts'

type CandidatesOf = (queue: string) => Iterable<Candidate>

/**
 * Victims where what is borrowed is shared by weight: Kueue's fair sharing. Takes from whoever has the largest share,
 * level by level. Within its own nominal quota the request takes what others borrowed without a comparison. Beyond it,
 * it takes what leaves the other's share no smaller than its own would be (`LessThanOrEqualToFinalShare`); if that does
 * not suffice, one gang each of whoever has a larger share than its own would be (`LessThanInitialShare`).
 *
 * Every set that it settles on is legal as a whole, after needless victims were given back: for each victim that a share
 * decided about, the request's share is smaller than the victim's queue would have with that victim alone back. Kueue
 * compares step by step only; giving back a victim of the request's own queue then raises the request's share behind the
 * comparisons' back, and the two displace each other for ever (kueue#14543).
 */
export function takeByShare(trial: Trial, contest: Contest, candidatesOf: CandidatesOf): boolean {
  trial.charge()
  if (!takeUntilFits(trial, picksByShare(trial, contest, candidatesOf)) || !isLegal(trial)) return false
  const isFine = () => isLegal(trial)
  giveBackUnneeded(trial, ({ candidate }) => candidate.queue !== trial.request.queue || isFine(), isFine)
  return true
}

function* picksByShare(trial: Trial, contest: Contest, candidatesOf: CandidatesOf): Generator<Pick> {
  const { tree, own } = trial
  // The request is charged already.
  const isEntitled = !own.isOver(contest.models)
  const spared = new Map<string, Spared>()
  const first = new Tournament(trial, contest, candidatesOf)
  for (let target = first.next(); target !== undefined; target = first.next()) {
    if (target === own || isEntitled) {
      const candidate = first.pop(target)
      if (candidate !== undefined) yield { candidate, reason: target === own ? 'InQueue' : 'InCohortReclamation' }
      continue
    }
    const [mine, theirs] = comparedOf(own, target)
    // Nobody's leaving makes a share larger.
    if (compareShares(mine.share(), theirs.share()) > 0) sparedOf(spared, target).rest = first.drain(target)
    for (let candidate = first.pop(target); candidate !== undefined; candidate = first.pop(target)) {
      if (compareShares(mine.share(), shareWithout(trial, theirs, candidate)) <= 0) {
        yield { candidate, reason: 'InCohortFairSharing' }
        break
      }
      sparedOf(spared, target).some.push(candidate)
    }
  }
  const second = new Tournament(trial, contest, (queue) => allSpared(spared.get(queue)))
  for (let target = second.next(); target !== undefined; target = second.next()) {
    const [mine, theirs] = comparedOf(own, target)
    const candidate = second.pop(target)
    second.drop(target)
    if (candidate === undefined || tree.accountOf(candidate.queue) === own) continue
    if (compareShares(mine.share(), theirs.share()) < 0) yield { candidate, reason: 'InCohortFairSharing' }
  }
}

/** Candidates of one queue that the first comparison spared, in their order. */
interface Spared {
  some: Candidate[]
  /** Those after them. */
  rest: Iterable<Candidate>
}

function sparedOf(spared: Map<string, Spared>, { queue }: Account): Spared {
  const known = spared.get(queue) ?? { some: [], rest: [] }
  spared.set(queue, known)
  return known
}

function* allSpared(spared: Spared | undefined): Iterable<Candidate> {
  if (spared === undefined) return
  yield* spared.some
  yield* spared.rest
}

/**
 * Whether none of the victims could answer in kind: its queue, with it alone back, would hold more than its own and have
 * the larger share.
 */
function isLegal(trial: Trial): boolean {
  return trial.taken.every(({ candidate, reason }) => {
    if (reason !== 'InCohortFairSharing' || candidate.uncharged === true) return true
    const account = trial.tree.accountOf(candidate.queue)
    const [mine, theirs] = comparedOf(trial.own, account)
    return (
      account.isOver(candidate.holds.keys(), candidate.holds) &&
      compareShares(mine.share(), shareWith(trial, theirs, candidate, 1)) < 0
    )
  })
}

/** The two accounts just below the lowest that both are part of. */
function comparedOf(own: Account, target: Account): [Account, Account] {
  const common = lowestCommon(own, target)
  return [justBelow(own, common), justBelow(target, common)]
}

function shareWithout(trial: Trial, account: Account, candidate: Candidate): Share {
  return shareWith(trial, account, candidate, -1)
}

function shareWith(trial: Trial, account: Account, { queue, holds, uncharged }: Candidate, sign: 1 | -1): Share {
  if (uncharged === true) return account.share()
  for (const [model, milli] of holds) trial.tree.add(queue, model, sign * milli)
  const share = account.share()
  for (const [model, milli] of holds) trial.tree.add(queue, model, -sign * milli)
  return share
}

/** Finds, again and again, whose turn it is to lose something: level by level the one with the largest share. */
class Tournament {
  readonly #trial: Trial
  readonly #contest: Contest
  readonly #candidatesOf: CandidatesOf
  readonly #lists = new Map<Account, Sequence<Candidate>>()
  readonly #out = new Set<Account>()
  readonly #path = new Set<Account>()
  readonly #order: (a: Candidate, b: Candidate) => number

  constructor(trial: Trial, contest: Contest, candidatesOf: CandidatesOf) {
    this.#trial = trial
    this.#contest = contest
    this.#candidatesOf = candidatesOf
    this.#order = candidateOrder(trial.request.queue)
    for (let account: Account | undefined = trial.own; account !== undefined; account = account.parent) {
      this.#path.add(account)
    }
  }

  next(): Account | undefined {
    const { scope } = this.#contest
    if (scope === this.#trial.own) return this.#listOf(scope).isEmpty ? undefined : scope
    while (!this.#out.has(scope)) {
      let account: Account | undefined = scope
      while (account !== undefined && account.children.length > 0) account = this.#largestOf(account)
      if (account !== undefined) return account
    }
    return undefined
  }

  drop(target: Account): void {
    this.#out.add(target)
  }

  /** The first of the target's candidates that can still be taken. */
  pop(target: Account): Candidate | undefined {
    const list = this.#listOf(target)
    for (let first = list.pop(); first !== undefined; first = list.pop()) {
      if (this.#isFine(target, first)) return first
    }
    return undefined
  }

  /** All that are left. */
  drain(target: Account): Iterable<Candidate> {
    const list = this.#listOf(target)
    this.#lists.set(target, new Sequence([]))
    return list
  }

  #isFine(target: Account, candidate: Candidate): boolean {
    const { own } = this.#trial
    const isOver = target === own || isOverBelow(target, lowestCommon(own, target), candidate, this.#contest.models)
    return isOver && this.#trial.helps(candidate)
  }

  #listOf(target: Account): Sequence<Candidate> {
    const known = this.#lists.get(target)
    if (known !== undefined) return known
    const list = new Sequence(this.#candidatesIn(target))
    this.#lists.set(target, list)
    return list
  }

  #candidatesIn(target: Account): Iterable<Candidate> {
    const { request, own, tree } = this.#trial
    const { models } = this.#contest
    const isOwn = target === own
    if (!isOwn && !target.isOver(models)) return []
    return allowed(tree.policyOf(request.queue), request, isOwn, models, this.#candidatesOf(target.queue))
  }

  /** Who has nothing to lose, or borrows nothing, is out, and with the last of its children the account itself. */
  #largestOf(account: Account): Account | undefined {
    let largest: Account | undefined
    for (const child of account.children) {
      if (this.#out.has(child)) continue
      const borrows = child.share().ratio > 0
      const stays = child.children.length > 0 ? borrows || this.#path.has(child) : this.#hasCandidates(child, borrows)
      if (!stays) this.#out.add(child)
      else if (largest === undefined || this.#goesBefore(child, largest)) largest = child
    }
    if (largest === undefined) this.#out.add(account)
    return largest
  }

  #hasCandidates(leaf: Account, borrows: boolean): boolean {
    return (borrows || leaf === this.#trial.own) && !this.#listOf(leaf).isEmpty
  }

  #goesBefore(a: Account, b: Account): boolean {
    const byShare = compareShares(a.share(), b.share())
    if (byShare !== 0) return byShare > 0
    const [aIsLeaf, bIsLeaf] = [a.children.length === 0, b.children.length === 0]
    if (!aIsLeaf || !bIsLeaf) return !aIsLeaf && bIsLeaf
    const [first, second] = [this.#listOf(a).peek(), this.#listOf(b).peek()]
    return first !== undefined && second !== undefined && this.#order(first, second) < 0
  }
}
