import type { Gang } from '../../model/kinds/gang.ts'
import { alternativesOf } from '../fit/demand.ts'
import type { Placed } from '../fit/search.ts'
import { nodesToWaitFor, type Reservation, type Reserved, type Shortage, waitsForNodes } from '../fit/shortage.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { modelsOf } from './admission.ts'
import { type Ending, Ends } from './ends.ts'
import type { Blocked, Start } from './line.ts'

/** When a gang is expected to end, between which times that is, and how it is known. What is declared has no spread. */
export interface ExpectedEnd {
  atMs: number
  earliestMs: number
  latestMs: number
  basis: 'pace' | 'declared'
}

/** Of a gang that sits: by its pace, else as declared. */
export function endOf({ spec, status }: Gang): ExpectedEnd | undefined {
  const { seats, expectedEnd, expectedEndRange: range } = status ?? {}
  if (seats === undefined || seats.attempt !== spec.attempt) return undefined
  if (expectedEnd === undefined && spec.expectedSeconds === undefined) return undefined
  const sinceMs = Date.parse(seats.at)
  const atMs = timeOf(expectedEnd) ?? Number.NaN
  // One before it sat down is of an attempt before.
  if (atMs > sinceMs) {
    const [earliestMs, latestMs] = [timeOf(range?.earliest) ?? atMs, timeOf(range?.latest) ?? atMs]
    return { atMs, earliestMs, latestMs, basis: 'pace' }
  }
  return endIfStarted({ spec }, sinceMs, seats.speed ?? 1)
}

function timeOf(timestamp: string | undefined): number | undefined {
  const ms = timestamp === undefined ? Number.NaN : Date.parse(timestamp)
  return Number.isNaN(ms) ? undefined : ms
}

/** If it started then, at a speed or, not knowing what it gets, at its slowest; undefined when nobody said. */
export function endIfStarted(
  { spec }: Pick<Gang, 'spec'>,
  startMs: number,
  speed = slowest(spec),
): ExpectedEnd | undefined {
  if (spec.expectedSeconds === undefined) return undefined
  const atMs = startMs + (spec.expectedSeconds * 1000) / speed
  return { atMs, earliestMs: atMs, latestMs: atMs, basis: 'declared' }
}

export function slowest({ groups }: Gang['spec']): number {
  return Math.min(...groups.flatMap(({ accelerators }) => accelerators.map(({ speed = 1 }) => speed)))
}

/**
 * The earliest of the ends at which `place` succeeds, all up to it having taken place. A gang that has overrun its
 * expectation may end any time: now.
 */
export function earliestStart(
  fleet: Fleet,
  endings: readonly Ending[],
  nowMs: number,
  place: () => readonly Placed[] | undefined,
): Start | undefined {
  return fleet.attempt(() => {
    const ends = new Ends(fleet, endings)
    const placed = ends.until(place, 1)
    if (placed === undefined) return undefined
    return { atMs: Math.max(nowMs, ends.atMs ?? nowMs), nodes: new Set(placed.map(({ node }) => node)) }
  })
}

/** What was kept last for a model; another `version` whenever that changed. */
interface Kept extends Reservation {
  gang: string
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

/** Whether what is kept of a model for the one who waits is not kept from the gang (`entitled.ts`). */
export type Yields = (keeper: string, gang: Gang, model: string) => boolean

/**
 * The first in line for a model keeps nodes for itself: those on which it can start first, by the ends that are known,
 * else those that are nearest to being free. Whoever ends before it can start may use them meanwhile. What waits only for
 * the fleet's size or its queue keeps none. Which nodes is worked out only when somebody behind it asks, and anew only when
 * something on the nodes has changed.
 */
export class Reservations {
  readonly #fleet: Fleet
  readonly #startOf: (gang: string) => Start | undefined
  readonly #yields: Yields
  readonly #waiting = new Map<string, { gang: string; shortage: Shortage; kept?: Kept }>()
  readonly #last: LastKept

  /** `startOf`: when and where a gang that waits is expected to start. */
  constructor(fleet: Fleet, startOf: (gang: string) => Start | undefined, yields: Yields, last: LastKept = new Map()) {
    this.#fleet = fleet
    this.#startOf = startOf
    this.#yields = yields
    this.#last = last
  }

  add(blocked: Blocked, gang: string): void {
    if (blocked.kind === 'queue' || !this.keepsFor(blocked)) return
    const { shortage } = blocked
    this.#waiting.set(shortage.alternative.model, { gang, shortage })
  }

  /** Whether a gang that waits for this is the first of those seen so far for whom that helps. */
  keepsFor({ shortage }: Blocked & { kind: 'shortage' }): boolean {
    return waitsForNodes(shortage) && !this.#waiting.has(shortage.alternative.model)
  }

  /**
   * Whether a gang of several models may be the first for one of them, whatever it waited for when it was tried: once more
   * is taken, another of its groups may be short first.
   */
  mayKeepFor(gang: Gang): boolean {
    const alternatives = gang.spec.groups.flatMap((group) => alternativesOf(this.#fleet, group))
    const models = new Set(alternatives.map(({ model }) => model))
    return models.size > 1 && [...models].some((model) => !this.#waiting.has(model))
  }

  /** Those who keep something for themselves: each is the first in line for a model. */
  heads(): Iterable<{ gang: string; shortage: Shortage }> {
    return this.#waiting.values()
  }

  /** What all but the gang keep, whoever asks. Worked out before room is tried, while the fleet is as it is. */
  ofOthersThan(gang: string): Reserved {
    const kept = new Map([...this.#waiting.keys()].map((model) => [model, this.#keptFor(model)]))
    return { of: (model) => (kept.get(model)?.gang === gang ? undefined : kept.get(model)) }
  }

  /** As they are for the gang, if it started now. Worked out before room is tried for it, while the fleet is as it is. */
  for(gang: Gang, nowMs: number): Reserved {
    if (this.#waiting.size === 0) return nothingReserved
    const yielded = new Set<string>()
    for (const model of modelsOf(gang, this.#fleet)) if (this.#isYielded(model, gang)) yielded.add(model)
    const endsAtMs = endIfStarted(gang, nowMs)?.atMs
    return {
      of: (model) => {
        const kept = yielded.has(model) ? undefined : this.#keptFor(model)
        return kept !== undefined && endsAtMs !== undefined && endsAtMs <= kept.fromMs ? undefined : kept
      },
    }
  }

  /** The latest time, before the gang would end, from which on nodes of its models are kept. */
  keptFromBefore(gang: Gang, endsAtMs: number): number {
    let latestMs = Number.NEGATIVE_INFINITY
    for (const model of modelsOf(gang, this.#fleet)) {
      const { fromMs = latestMs } = this.#keptFor(model) ?? {}
      if (fromMs < endsAtMs && !this.#isYielded(model, gang)) latestMs = Math.max(latestMs, fromMs)
    }
    return latestMs
  }

  /** Which they are, for somebody of these models: while it is the same word, the same nodes are kept by the same gangs. */
  versionFor(gang: Gang): string {
    if (this.#waiting.size === 0) return ''
    let versions = ''
    for (const model of modelsOf(gang, this.#fleet)) {
      const kept = this.#keptFor(model)
      if (kept !== undefined) versions += ` ${model} ${this.#isYielded(model, gang) ? '-' : kept.version}`
    }
    return versions
  }

  #isYielded(model: string, gang: Gang): boolean {
    const kept = this.#keptFor(model)
    return kept !== undefined && this.#yields(kept.gang, gang, model)
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

  #reserve(gang: string, shortage: Shortage): Pick<Kept, 'gang' | 'nodes' | 'fromMs'> {
    const start = this.#startOf(gang)
    if (start !== undefined) {
      const spares = this.#fleet.spares.beside(new Set([...start.nodes].map(({ name }) => name)))
      return { gang, nodes: new Set([...start.nodes, ...spares]), fromMs: start.atMs }
    }
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
