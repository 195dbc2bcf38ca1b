import type { Gang } from '../../model/kinds/gang.ts'
import { keyOf } from '../../model/refs.ts'
import type { Victim } from '../contract.ts'
import { isHeld } from '../fit/held.ts'
import { type GangState, hasLeft } from '../gangs.ts'
import { type Blocked, isPreempting, preemptingReason } from '../line/line.ts'
import type { State } from '../state.ts'
import { preemptingMessage } from '../why/reasons.ts'

/** Who leaves for whom: told by what is decided and by the holds that are committed, and over when they have left. */
export class Departures {
  readonly #state: State
  /** Gangs that wait for a gang to leave. */
  readonly #waitingFor = new Map<string, Set<string>>()

  constructor(state: State) {
    this.#state = state
  }

  /** Whoever is asked to leave for a hold leaves, and stays after all when it is given up before he was asked. */
  follow(object: Gang, before: Gang | undefined): void {
    const { metadata, spec, status } = object
    const hold = status?.hold
    if (hold?.at === before?.status?.hold?.at) return
    if (hold === undefined) {
      const isGivenUp = spec.suspend || status?.seats?.attempt !== spec.attempt
      if (isGivenUp) this.stay(before?.status?.hold?.victims ?? [])
      return
    }
    this.leave(hold.victims)
    const by = keyOf({ metadata })
    const victims = hold.victims.map(({ gang }) => gang)
    // Whoever had been leaving already does not leave for this one.
    const own = victims.filter((gang) => (this.#state.gangs.get(gang)?.object.status?.eviction?.by ?? by) === by)
    this.#state.displaced.record(by, own)
  }

  leave(victims: readonly Victim[]): void {
    for (const { gang, uid, attempt } of victims) {
      const state = this.#state.gangs.get(gang)
      const isStillIt = state?.object.metadata.uid === uid && state.seats?.attempt === attempt
      if (isStillIt) this.#state.setLeaving(state, true)
    }
  }

  /** Who was to leave stays after all, unless it was asked already, or somebody else waits for it too. */
  stay(victims: readonly Victim[]): void {
    const wanted = victims.length === 0 ? new Set<string>() : this.#wanted()
    for (const { gang } of victims) {
      const state = this.#state.gangs.get(gang)
      const isAsked = state?.object.status?.eviction !== undefined || wanted.has(gang)
      if (state !== undefined && !isAsked) this.#state.setLeaving(state, false)
    }
  }

  /** Those who leave for somebody, as decided or as committed. */
  #wanted(): Set<string> {
    const wanted = new Set<string>()
    for (const { object, inFlight } of this.#state.gangs.values()) {
      const { verdict, outcome } = inFlight ?? {}
      if (verdict?.kind === 'preempt' && outcome !== 'stale') for (const { gang } of verdict.victims) wanted.add(gang)
      if (isHeld(object)) for (const { gang } of object.status?.hold?.victims ?? []) wanted.add(gang)
    }
    return wanted
  }

  /** Why the gang still waits, if those who were asked to leave for it have not all left. */
  awaitedBy({ key, object: { spec, status } }: GangState): Blocked | undefined {
    const { hold } = status ?? {}
    if (hold?.attempt !== spec.attempt) return undefined
    const leaving = hold.victims.filter((victim) => this.#isThere(victim))
    if (leaving.length === 0) return undefined
    this.leave(leaving)
    for (const { gang } of leaving) {
      const waiting = this.#waitingFor.get(gang) ?? new Set()
      this.#waitingFor.set(gang, waiting.add(key))
    }
    return { kind: 'queue', reason: preemptingReason, message: preemptingMessage(leaving) }
  }

  #isThere({ gang, uid, attempt }: Victim): boolean {
    const victim = this.#state.gangs.get(gang)
    if (victim?.object.metadata.uid !== uid) return false
    const sits = victim.seats?.attempt === attempt && !hasLeft(victim.object)
    return sits || this.#state.livePodsOf(gang).size > 0
  }

  /** Something changed about the gang: those who wait for it to leave look again. */
  tell(victim: string): void {
    const { gangs, line } = this.#state
    for (const waiting of this.#waitingFor.get(victim) ?? []) {
      const state = gangs.get(waiting)
      if (state !== undefined) this.#state.countSeatsAnew(state)
      const lane = line.laneOf(waiting)
      if (lane !== undefined && isPreempting(lane.blocked?.verdict)) lane.blocked = undefined
    }
    this.#waitingFor.delete(victim)
  }
}
