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

/** What was kept last for a model; another `version` whenever that changed. */
interface Kept extends Reservation {
  fromMs: number
  version: number
  /** What it was worked out from. */
  basis: Basis
}

interface Basis extends Pick<Fleet, 'generation' | 'taken' | 'packing' | 'large'> {
  shortage: Shortage
}

/** By model, from one decision to the next. */
export type LastKept = Map<string, Kept>

/**
 * The first in line for a model keeps nodes for itself: those on which it can start first, by the ends that are known,
 * else those that are nearest to being free. Whoever ends before it can start may use them meanwhile. What waits only for
 * the fleet's size or its queue keeps none. Which nodes is worked out only when somebody behind it asks, and anew only when
 * something on the nodes has changed.
 */
export class Reservations {
  readonly #fleet: Fleet
  readonly #startOf: (gang: string) => Start | undefined
  readonly #waiting = new Map<string, { gang: string; shortage: Shortage; kept?: Kept }>()
  readonly #last: LastKept

  /** `startOf`: when and where a gang that waits is expected to start. */
  constructor(fleet: Fleet, startOf: (gang: string) => Start | undefined, last: LastKept = new Map()) {
    this.#fleet = fleet
    this.#startOf = startOf
    this.#last = last
  }

  add(blocked: Blocked, gang: string): void {
    if (blocked.kind === 'queue' || !this.keepsFor(blocked)) return
    const { shortage } = blocked
    this.#waiting.set(shortage.alternative.model, { gang, shortage })
  }

  /** Whether a gang that waits for this is the first of those seen so far for whom that helps. */
  keepsFor({ shortage: { kind, alternative } }: Blocked & { kind: 'shortage' }): boolean {
    return kind !== 'quota' && kind !== 'never' && kind !== 'nodes' && !this.#waiting.has(alternative.model)
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

  /** Which they are, for somebody of these models: while it is the same word, the same nodes are kept by the same gangs. */
  versionFor(gang: Gang): string {
    let versions = ''
    for (const model of modelsOf(gang, this.#fleet)) versions += ` ${this.#keptFor(model)?.version ?? ''}`
    return versions
  }

  #keptFor(model: string): Kept | undefined {
    const waiting = this.#waiting.get(model)
    if (waiting === undefined) return undefined
    waiting.kept ??= this.#keep(model, waiting.gang, waiting.shortage)
    return waiting.kept
  }

  #keep(model: string, gang: string, shortage: Shortage): Kept {
    const { generation, taken, packing, large } = this.#fleet
    const basis = { shortage, generation, taken, packing, large }
    const last = this.#last.get(model)
    if (last?.gang === gang && isSameBasis(last.basis, basis)) return last
    const reserved = this.#reserve(gang, shortage)
    const isSame = last !== undefined && isSameReservation(last, reserved)
    const version = (last?.version ?? 0) + (isSame ? 0 : 1)
    const kept = { ...reserved, version, basis }
    this.#last.set(model, kept)
    return kept
  }

  #reserve(gang: string, shortage: Shortage): Reservation & { fromMs: number } {
    const start = this.#startOf(gang)
    if (start !== undefined) return { gang, nodes: start.nodes, fromMs: start.atMs }
    return { gang, nodes: nodesToWaitFor(this.#fleet, shortage), fromMs: Number.NEGATIVE_INFINITY }
  }
}

function isSameBasis(a: Basis, b: Basis): boolean {
  return (
    a.shortage === b.shortage &&
    a.generation === b.generation &&
    a.taken === b.taken &&
    a.packing === b.packing &&
    a.large === b.large
  )
}

/** One that begins later lets more end before it; one that begins sooner, fewer. */
function isSameReservation(a: Kept, b: Reservation & { fromMs: number }): boolean {
  if (a.gang !== b.gang || a.fromMs !== b.fromMs || a.nodes.size !== b.nodes.size) return false
  for (const node of a.nodes) if (!b.nodes.has(node)) return false
  return true
}

export const nothingReserved: Reserved = { of: () => undefined }
