import { Heap } from '../../base/heap.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { compare } from '../compare.ts'
import type { Victim } from '../contract.ts'
import type { Shortage } from '../fit/shortage.ts'
import type { NodeState } from '../fleet/nodes.ts'
import { standingOf } from '../gangs.ts'

/**
 * Gangs that wait for seats, by priority, then age, then name. Gangs of one shape (queue, namespace, groups) stand in
 * one lane: if the first of a lane does not fit, none of the lane does, until something is freed, but for those that end
 * soon enough to use what is kept for others (`sooner.ts`). A thousand alike jobs cost one try.
 */
export class Line {
  readonly #lanes = new Map<string, Lane>()
  readonly #laneOf = new Map<string, Lane>()

  /** Puts the gang where it belongs, also when its shape or priority changed. */
  put(key: string, gang: Gang, laneKey: string): void {
    const before = this.#laneOf.get(key)
    if (before?.key === laneKey && before.replace(key, gang)) return
    if (before !== undefined) this.remove(key)
    const lane = this.#lanes.get(laneKey) ?? new Lane(laneKey)
    this.#lanes.set(laneKey, lane)
    this.#laneOf.set(key, lane)
    lane.insert({ key, gang })
  }

  /** Whether the gang was in line. */
  remove(key: string): boolean {
    const lane = this.#laneOf.get(key)
    if (lane === undefined) return false
    this.#laneOf.delete(key)
    lane.remove(key)
    if (lane.waiting.length === 0) this.#lanes.delete(lane.key)
    return true
  }

  laneOf(key: string): Lane | undefined {
    return this.#laneOf.get(key)
  }

  lanes(): IterableIterator<Lane> {
    return this.#lanes.values()
  }

  /** The gangs of each lane, without this one. */
  *lanesBeside(key: string): Iterable<readonly Waiting[]> {
    const own = this.#laneOf.get(key)
    for (const lane of this.lanes()) {
      yield lane === own ? lane.waiting.filter((one) => one.key !== key) : lane.waiting
    }
  }

  /** How many go before the gang, itself included: 1 is next. */
  placeOf(key: string): number | undefined {
    const own = this.#laneOf.get(key)?.waiting.find((one) => one.key === key)
    if (own === undefined) return undefined
    let place = 1
    for (const lane of this.lanes()) for (const one of lane.waiting) if (goesBefore(one, own)) place++
    return place
  }
}

export interface Waiting {
  key: string
  gang: Gang
}

/** What a decision was made from. */
export interface Seen {
  /** Of the fleet: what was freed, and what was taken. */
  generation: number
  taken: number
  /** The nodes that there are. */
  layout: number
  /** The nodes that are kept for those ahead. */
  reserved: string
  arrivals: number
}

/** Why a gang did not fit, and what was seen then. */
export interface Tried {
  head: string
  verdict: Blocked
  seen: Seen
}

export class Lane {
  readonly key: string
  /** In order. */
  readonly waiting: Waiting[] = []
  readonly #byKey = new Map<string, Waiting>()
  readonly #durations = new Durations()
  /** Gangs that were not told yet why they wait. */
  readonly untold = new Set<string>()
  /** Of the first one. */
  blocked: Tried | undefined
  /** Of those behind it that end sooner, and did not fit either. */
  readonly sooner = new Map<string, Tried>()

  constructor(key: string) {
    this.key = key
  }

  /** The shortest time that one of them says it runs; infinite when none says so. */
  get shortestSeconds(): number {
    return this.#durations.shortest
  }

  triedOf(key: string): Tried | undefined {
    return this.blocked?.head === key ? this.blocked : this.sooner.get(key)
  }

  insert(waiting: Waiting): void {
    this.#durations.add(waiting.gang.spec.expectedSeconds)
    this.waiting.splice(this.#position(waiting), 0, waiting)
    this.#byKey.set(waiting.key, waiting)
    this.untold.add(waiting.key)
  }

  /** Takes a newer object in place; false when its place in the lane changed. */
  replace(key: string, gang: Gang): boolean {
    const before = this.#byKey.get(key)
    if (before === undefined || goesBefore(before, { key, gang }) || goesBefore({ key, gang }, before)) return false
    const after = { key, gang }
    const { expectedSeconds } = gang.spec
    if (expectedSeconds !== before.gang.spec.expectedSeconds) {
      this.#durations.remove(before.gang.spec.expectedSeconds)
      this.#durations.add(expectedSeconds)
      this.#forgetTried(key)
    }
    this.waiting[this.#position(before)] = after
    this.#byKey.set(key, after)
    return true
  }

  remove(key: string): void {
    const own = this.#byKey.get(key)
    if (own !== undefined && own === this.waiting[0]) this.waiting.shift()
    else if (own !== undefined) this.waiting.splice(this.#position(own), 1)
    this.#byKey.delete(key)
    this.#durations.remove(own?.gang.spec.expectedSeconds)
    this.untold.delete(key)
    this.#forgetTried(key)
  }

  /** Why the gang waits. Whom the first could displace says nothing about those behind it. */
  verdictOn(key: string): Blocked | undefined {
    const { verdict } = this.triedOf(key) ?? this.blocked ?? {}
    return verdict?.kind === 'queue' || this.triedOf(key) !== undefined ? verdict : withoutLimits(verdict)
  }

  #forgetTried(key: string): void {
    this.sooner.delete(key)
    if (this.blocked?.head === key) this.blocked = undefined
  }

  #position(waiting: Waiting): number {
    let [low, high] = [0, this.waiting.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.waiting[middle]
      if (other !== undefined && goesBefore(other, waiting)) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** How often each time is declared, and the shortest of them. */
class Durations {
  readonly #counts = new Map<number, number>()
  readonly #shortest = new Heap<number>((a, b) => a - b)

  get shortest(): number {
    for (let least = this.#shortest.peek(); least !== undefined; least = this.#shortest.peek()) {
      if (this.#counts.has(least)) return least
      this.#shortest.pop()
    }
    return Number.POSITIVE_INFINITY
  }

  add(seconds: number | undefined): void {
    if (seconds === undefined) return
    const before = this.#counts.get(seconds) ?? 0
    this.#counts.set(seconds, before + 1)
    if (before === 0) this.#shortest.push(seconds)
  }

  remove(seconds: number | undefined): void {
    if (seconds === undefined) return
    const left = (this.#counts.get(seconds) ?? 0) - 1
    if (left > 0) this.#counts.set(seconds, left)
    else this.#counts.delete(seconds)
  }
}

/** Why a gang waits: a reason of the queue, or a shortage of the fleet. */
export type Blocked =
  | { kind: 'queue'; reason: string; message: string; lookAtMs?: number }
  | ({ kind: 'shortage'; shortage: Shortage } & Limits)

/** What alone keeps a gang that waits from displacing somebody. */
export interface Limits {
  /** It may displace somebody then, if nothing else comes before. */
  later?: Start
  /** The first minimum run time ends of those whom it may not displace yet for that: it is looked again. */
  lookAtMs?: number
  /** It could displace somebody, were it not for the disruption budgets of these. */
  budgets?: readonly string[]
  /** These would have to leave for it, but it displaces nobody (`preemptionPolicy`). */
  wouldLeave?: readonly Victim[]
}

/** When and where a gang that waits would start. */
export interface Start {
  atMs: number
  nodes: ReadonlySet<NodeState>
  /** Who would leave for it then. */
  victims?: readonly Victim[] | undefined
}

function withoutLimits(blocked: Blocked | undefined): Blocked | undefined {
  return blocked?.kind === 'shortage' ? { kind: 'shortage', shortage: blocked.shortage } : blocked
}

/** The reason of those who wait for others to leave. */
export const preemptingReason = 'Preempting'

export function isPreempting(blocked: Blocked | undefined): boolean {
  return blocked?.kind === 'queue' && blocked.reason === preemptingReason
}

export function goesBefore(a: Waiting, b: Waiting): boolean {
  const byPriority = standingOf(b.gang.spec) - standingOf(a.gang.spec)
  if (byPriority !== 0) return byPriority < 0
  return (
    compare(a.gang.metadata.creationTimestamp ?? '', b.gang.metadata.creationTimestamp ?? '') < 0 ||
    ((a.gang.metadata.creationTimestamp ?? '') === (b.gang.metadata.creationTimestamp ?? '') &&
      compare(a.key, b.key) < 0)
  )
}
