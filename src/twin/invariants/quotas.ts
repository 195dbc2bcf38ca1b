import { evictionNow, holdNow } from '../../control/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease } from '../../model/kinds/kubernetes.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { milliHeld, seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'
import { Terms } from './terms.ts'

/**
 * Whoever is given seats, or is held some, leaves its queue and those above it within what they own and may borrow; what is
 * not preemptible, within what its queue owns. Of what others hold, what surely counts: not what they are asked to leave,
 * were once to leave, or do not want. What is decided together is written in any order: so it is looked at once who decided has
 * led on for long enough to write all of it.
 */
export class Quotas implements Invariant {
  readonly name = 'quotas'
  readonly #queues = new Map<string, Queue['spec']>()
  readonly #gangs = new Map<string, Gang>()
  readonly #charges = new Map<string, Charge>()
  /** By queue and model. */
  readonly #used = new Map<string, number>()
  /** By gang, the last attempt that was to leave for somebody. */
  readonly #named = new Map<string, number>()
  readonly #terms = new Terms()
  /** By gang: more than it may have, unless what comes at once explains it. */
  readonly #doubted = new Map<string, { atMs: number; isOver: () => string | undefined }>()
  #changedMs = 0

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    const late = this.#doubted.size === 0 ? undefined : this.#confirmed(nowMs)
    if (late !== undefined) return late
    if (kind === 'Lease') this.#seeLease(object as Lease, nowMs)
    if (kind === 'Queue') this.#seeQueue(object as Queue, type === 'DELETED', nowMs)
    if (kind !== 'Gang') return undefined
    const gang = object as Gang
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    if (type === 'DELETED') {
      this.#gangs.delete(key)
      this.#named.delete(key)
      this.#doubted.delete(key)
      this.#charge(key)
      return undefined
    }
    this.#gangs.set(key, gang)
    for (const { gang: victim, attempt } of holdNow(gang)?.victims ?? []) {
      this.#named.set(victim, attempt)
      this.#charge(victim)
    }
    this.#charge(key)
    if (!isDecided(gang, before) || gang.spec.replaces !== undefined || !this.#charges.has(key)) return undefined
    if (!this.#terms.knew(by, this.#changedMs, nowMs)) return undefined
    const isOver = () => this.#firmOver(gang) ?? this.#grown(gang, before)
    if (isOver() !== undefined) this.#doubted.set(key, { atMs: nowMs, isOver })
    return undefined
  }

  #confirmed(nowMs: number): string | undefined {
    for (const [key, { atMs, isOver }] of this.#doubted) {
      if (!this.#terms.couldAct(atMs, nowMs)) continue
      this.#doubted.delete(key)
      const over = isOver()
      if (over !== undefined) return over
    }
    return undefined
  }

  #seeLease(lease: Lease, nowMs: number): void {
    const { epoch } = this.#terms
    this.#terms.see(lease, nowMs)
    if (this.#terms.epoch !== epoch) this.#doubted.clear()
  }

  #seeQueue({ metadata, spec }: Queue, isGone: boolean, nowMs: number): void {
    if (!isGone && JSON.stringify(spec) === JSON.stringify(this.#queues.get(metadata.name))) return
    if (isGone) this.#queues.delete(metadata.name)
    else this.#queues.set(metadata.name, spec)
    this.#changedMs = nowMs
    this.#doubted.clear()
  }

  #charge(key: string): void {
    this.#count(this.#charges.get(key), -1)
    this.#charges.delete(key)
    const gang = this.#gangs.get(key)
    if (gang === undefined || gang.spec.suspend || evictionNow(gang) !== undefined) return
    // Who steps in for another has what that one gives back.
    if (gang.spec.replaces !== undefined || this.#named.get(key) === gang.spec.attempt) return
    const charge = { queue: gang.spec.queue, amounts: amountsOf(gang) }
    if (charge.amounts.size === 0) return
    this.#charges.set(key, charge)
    this.#count(charge, 1)
  }

  #count(charge: Charge | undefined, sign: 1 | -1): void {
    for (const [model, milli] of charge?.amounts ?? []) {
      const key = `${charge?.queue} ${model}`
      const used = (this.#used.get(key) ?? 0) + sign * milli
      if (used === 0) this.#used.delete(key)
      else this.#used.set(key, used)
    }
  }

  #firmOver(gang: Gang): string | undefined {
    const { queue, preemptible } = gang.spec
    if (preemptible) return undefined
    for (const model of amountsOf(gang).keys()) {
      const owns = this.#queues.get(queue)?.nominalQuota?.[model]
      if (owns === undefined) continue
      let firm = 0
      for (const [other, charge] of this.#charges)
        if (charge.queue === queue && this.#gangs.get(other)?.spec.preemptible === false)
          firm += charge.amounts.get(model) ?? 0
      if (firm > 1000 * owns)
        return `gang ${keyOf(gang)} is not preemptible, and with it such work holds ${firm / 1000} ${model} of queue ${queue}, which owns ${owns}`
    }
    return undefined
  }

  #grown(gang: Gang, before: Gang | undefined): string | undefined {
    const had = before === undefined ? undefined : amountsOf(before)
    for (const [model, milli] of amountsOf(gang)) {
      const over = this.#over(gang.spec.queue, model, milli - (had?.get(model) ?? 0))
      if (over !== undefined) return `gang ${keyOf(gang)} is given seats, and ${over}`
    }
    return undefined
  }

  /** The first queue, from this one up, that holds more than it may, since this one holds more by `grown`. */
  #over(queue: string, model: string, grown: number): string | undefined {
    let [name, added] = [queue, grown]
    for (let depth = 0; depth < depthMax && added > 0; depth++) {
      const { nominalQuota, borrowingLimit, parent } = this.#queues.get(name) ?? {}
      const { owns, holds, keeps } = this.#sum(name, model, 0)
      const isTop = parent === undefined || !this.#queues.has(parent)
      const standsAlone = isTop && nominalQuota?.[model] !== undefined
      const mayBorrow = standsAlone ? 0 : 1000 * (borrowingLimit?.[model] ?? Number.POSITIVE_INFINITY)
      if (holds > owns + mayBorrow)
        return `queue ${name} holds ${holds / 1000} ${model}, and may hold ${(owns + mayBorrow) / 1000}`
      if (isTop) return undefined
      added = Math.max(0, holds - keeps) - Math.max(0, holds - added - keeps)
      name = parent
    }
    return undefined
  }

  /** With those below it: what they lend it, and have of it. `keeps`: what it does not lend itself. */
  #sum(name: string, model: string, depth: number): { owns: number; holds: number; keeps: number } {
    const { nominalQuota, lendingLimit } = this.#queues.get(name) ?? {}
    let owns = 1000 * (nominalQuota?.[model] ?? 0)
    let holds = this.#used.get(`${name} ${model}`) ?? 0
    if (depth < depthMax) {
      for (const [child, { parent }] of this.#queues) {
        if (parent !== name) continue
        const below = this.#sum(child, model, depth + 1)
        owns += below.owns - below.keeps
        holds += Math.max(0, below.holds - below.keeps)
      }
    }
    const lends = Math.min(owns, 1000 * (lendingLimit?.[model] ?? Number.POSITIVE_INFINITY))
    return { owns, holds, keeps: owns - lends }
  }
}

/** Milli-accelerators by model. */
type Amounts = ReadonlyMap<string, number>

interface Charge {
  queue: string
  amounts: Amounts
}

/** Queues nested deeper than this have no parent. */
const depthMax = 64

/** What it sits on, or is held. */
export function amountsOf(gang: Gang): Amounts {
  const models = new Map(gang.spec.groups.map(({ name, accelerators }) => [name, accelerators[0]?.model]))
  const amounts = new Map<string, number>()
  for (const seat of (seatsNow(gang) ?? holdNow(gang))?.members ?? []) {
    const model = seat.model ?? models.get(seat.group)
    const milli = milliHeld([seat])
    if (model !== undefined && milli > 0) amounts.set(model, (amounts.get(model) ?? 0) + milli)
  }
  return amounts
}

/** Whether this write gives it seats, or holds some for it. */
function isDecided({ status }: Gang, before: Gang | undefined): boolean {
  const { seats, hold } = before?.status ?? {}
  const isSeated = status?.seats !== undefined && status.seats.at !== seats?.at
  const isJoined = (status?.seats?.members.length ?? 0) > (seats?.members.length ?? 0)
  return isSeated || isJoined || (status?.hold !== undefined && status.hold.at !== hold?.at)
}
