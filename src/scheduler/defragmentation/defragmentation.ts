import type { Verdict } from '../contract.ts'
import { seatsOf } from '../fit/seats.ts'
import { besideSparesFor, taken } from '../fit/shortage.ts'
import { wantsOf } from '../gangs.ts'
import type { Start } from '../line/line.ts'
import type { Reservations } from '../line/reservations.ts'
import { displacesNobody } from '../preemption/preemption.ts'
import type { Scene as Moving } from './movable.ts'
import { findMoves, type Moves } from './moves.ts'

/** What defragmentation needs of a scheduler. */
export interface Scene extends Moving {
  /** When and where a gang that waits would start, by the ends that are known. */
  startOf(gang: string, nowMs: number): Start | undefined
}

/**
 * It must have been first in line for so long: what starts again, or ends in a moment, makes room by itself. So often it is
 * looked for moves anew: prices fall with each checkpoint.
 */
const patienceSeconds = 30
/** It is not counted on to wait longer than that without them. */
const horizonSeconds = 3600

/**
 * Moves for whoever is first in line for a model and does not fit, though what it lacks is free in pieces: others move
 * together until it fits. Off unless the topmost Queue of its tree sets `defragmentation`, and only where it pays: where what
 * the moves lose is within `maxPrice` of what the gang gains by starting sooner.
 *
 * It comes to an end, since a move seats one gang and unseats none: who moves has its next seats kept for it, free from the
 * start, and displaces nobody for them. So who sits still rises with every move, as a word (`quota/displacements.ts`).
 */
export class Defragmentation {
  /** When it is looked for moves next, for those who are first in line. */
  #dueMs: ReadonlyMap<string, number>

  constructor() {
    this.#dueMs = new Map()
  }

  /** One after the other: what is kept for one is taken when it is looked for the next. */
  *look(scene: Scene, heads: Reservations, nowMs: number): Generator<Verdict & { kind: 'preempt' }> {
    const dueMs = new Map<string, number>()
    for (const { gang: key, shortage } of heads.heads()) {
      const state = scene.gangs.get(key)
      const policy = state && scene.quota.defragmentationOf(state.object.spec.queue)
      if (state === undefined || policy === undefined || !taken.has(shortage.kind)) continue
      if (displacesNobody(state.object)) continue
      const due = this.#dueMs.get(key) ?? nowMs + patienceSeconds * 1000
      const isDue = due <= nowMs && state.inFlight === undefined && state.seats === undefined
      dueMs.set(key, isDue ? nowMs + patienceSeconds * 1000 : due)
      if (!isDue) continue
      const { object } = state
      const reserved = besideSparesFor(scene.fleet, object, heads.ofOthersThan(key))
      const found = findMoves(scene, { key, object, reserved }, nowMs)
      const gainSeconds = gainOf(scene, key, nowMs)
      if (found === undefined || found.price > policy.maxPrice * gainSeconds) continue
      yield verdictOn(state, found, gainSeconds)
    }
    this.#dueMs = dueMs
  }
}

/** Accelerator-seconds: what its fewest members would work until it started without any moves. */
export function gainOf(scene: Scene, key: string, nowMs: number): number {
  const state = scene.gangs.get(key)
  if (state === undefined) return 0
  const start = scene.startOf(key, nowMs)
  const waits = start === undefined ? horizonSeconds : Math.min(horizonSeconds, (start.atMs - nowMs) / 1000)
  const milli = [...wantsOf(state.object).values()].reduce((sum, one) => sum + one, 0)
  return (waits * milli) / 1000
}

function verdictOn(
  { key, object }: { key: string; object: Parameters<typeof seatsOf>[0] },
  { placed, moves }: Moves,
  gainSeconds: number,
): Verdict & { kind: 'preempt' } {
  return {
    kind: 'preempt',
    gang: key,
    resourceVersion: object.metadata.resourceVersion ?? '',
    attempt: object.spec.attempt,
    seats: seatsOf(object, placed),
    victims: moves,
    gainSeconds,
  }
}
