import type { Gang } from '../../model/kinds/gang.ts'
import type { Placed } from '../fit/search.ts'
import { nodesToWaitFor, type Reservation, type Reserved, type Shortage } from '../fit/shortage.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { modelsOf } from './admission.ts'
import type { Blocked, Start } from './line.ts'

/** What ends at a time that is known. */
export interface Ending {
  atMs: number
  pods: Iterable<string>
}

/** When a gang that sits is expected to end: by its rate, or as declared. */
export function endOfGang({ spec, status }: Gang): number | undefined {
  const { seats, expectedEnd } = status ?? {}
  if (seats === undefined || seats.attempt !== spec.attempt) return undefined
  const atMs = expectedEnd === undefined ? Number.NaN : Date.parse(expectedEnd)
  if (!Number.isNaN(atMs)) return atMs
  return endIfStarted({ spec }, Date.parse(seats.at), seats.speed ?? 1)
}

/** When it would end if it started now, at a speed or, not knowing what it gets, at its slowest; undefined when nobody said. */
export function endIfStarted({ spec }: Pick<Gang, 'spec'>, nowMs: number, speed = slowest(spec)): number | undefined {
  return spec.expectedSeconds === undefined ? undefined : nowMs + (spec.expectedSeconds * 1000) / speed
}

function slowest({ groups }: Gang['spec']): number {
  return Math.min(...groups.flatMap(({ accelerators }) => accelerators.map(({ speed = 1 }) => speed)))
}

/**
 * The earliest of the ends at which `place` succeeds, all up to it having taken place. A gang that has overrun its
 * expectation may end any time: now. Ends are tried by doubling, then bisection: O(log ends) placements.
 */
export function earliestStart(
  fleet: Fleet,
  endings: readonly Ending[],
  nowMs: number,
  place: () => readonly Placed[] | undefined,
): Start | undefined {
  const inOrder = endings.toSorted((a, b) => a.atMs - b.atMs)
  return fleet.attempt(() => {
    let ended = 0
    const endFirst = (count: number) => {
      for (; ended < count; ended++) for (const pod of inOrder[ended]?.pods ?? []) fleet.lift(pod)
      for (; ended > count; ended--) for (const pod of inOrder[ended - 1]?.pods ?? []) fleet.putBack(pod)
    }
    let [fits, tooFew]: [number, number] = [0, 0]
    let placed: readonly Placed[] | undefined
    for (let count = 1; placed === undefined && tooFew < inOrder.length; count *= 2) {
      fits = Math.min(count, inOrder.length)
      endFirst(fits)
      placed = place()
      if (placed === undefined) tooFew = fits
    }
    if (placed === undefined) return undefined
    while (fits - tooFew > 1) {
      const middle = (fits + tooFew) >> 1
      endFirst(middle)
      const sooner = place()
      if (sooner === undefined) tooFew = middle
      else [fits, placed] = [middle, sooner]
    }
    const atMs = Math.max(nowMs, inOrder[fits - 1]?.atMs ?? nowMs)
    return { atMs, nodes: new Set(placed.map(({ node }) => node)) }
  })
}

/**
 * The first in line for a model keeps nodes for itself: those on which it can start first, by the ends that are known,
 * else those that are nearest to being free. Whoever ends before it can start may use them meanwhile. What waits only for
 * the fleet's size or its queue keeps none. Which nodes is worked out only when somebody behind it asks.
 */
export class Reservations {
  readonly #fleet: Fleet
  readonly #startOf: (gang: string) => Start | undefined
  readonly #waiting = new Map<string, { gang: string; shortage: Shortage; kept?: Reservation & { fromMs: number } }>()

  /** `startOf`: when and where a gang that waits is expected to start. */
  constructor(fleet: Fleet, startOf: (gang: string) => Start | undefined) {
    this.#fleet = fleet
    this.#startOf = startOf
  }

  add(blocked: Blocked, gang: string): void {
    if (blocked.kind === 'queue') return
    const { kind, alternative } = blocked.shortage
    if (kind === 'quota' || kind === 'never' || kind === 'nodes' || this.#waiting.has(alternative.model)) return
    this.#waiting.set(alternative.model, { gang, shortage: blocked.shortage })
  }

  /** As they are for the gang, if it started now. Worked out before room is tried for it, while the fleet is as it is. */
  for(gang: Gang, nowMs: number): Reserved {
    for (const model of modelsOf(gang, this.#fleet)) this.#keptFor(model)
    const endsAtMs = endIfStarted(gang, nowMs)
    return {
      of: (model) => {
        const kept = this.#keptFor(model)
        return kept !== undefined && endsAtMs !== undefined && endsAtMs <= kept.fromMs ? undefined : kept
      },
    }
  }

  #keptFor(model: string): (Reservation & { fromMs: number }) | undefined {
    const waiting = this.#waiting.get(model)
    if (waiting === undefined) return undefined
    waiting.kept ??= this.#reserve(waiting.gang, waiting.shortage)
    return waiting.kept
  }

  #reserve(gang: string, shortage: Shortage): Reservation & { fromMs: number } {
    const start = this.#startOf(gang)
    if (start !== undefined) return { gang, nodes: start.nodes, fromMs: start.atMs }
    return { gang, nodes: nodesToWaitFor(this.#fleet, shortage), fromMs: Number.NEGATIVE_INFINITY }
  }
}

export const nothingReserved: Reserved = { of: () => undefined }
