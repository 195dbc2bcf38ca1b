import type { Gang } from '../../model/kinds/gang.ts'
import type { Victim } from '../contract.ts'
import { type GangState, type Kept, movesTo, victimsOf } from '../gangs.ts'
import { queueBlock } from '../line/admission.ts'
import { type Blocked, isPreempting, preemptingReason } from '../line/line.ts'
import type { State } from '../state.ts'
import { preemptingMessage } from '../why/reasons.ts'

/**
 * Who leaves for whom. A gang leaves as soon as somebody displaces it, as decided or as committed, and stays after all when
 * that is given up before it was asked; it moves where seats are kept for its next attempt. This is read off what is known
 * of both, whichever came last, so that whoever starts anew from the same gangs comes to the same.
 */
export class Departures {
  readonly #state: State
  /** By gang, those who displace it. */
  readonly #by = new Map<string, Map<string, Victim>>()
  /** What was counted of each gang. */
  readonly #counted = new Map<string, readonly Victim[]>()

  constructor(state: State) {
    this.#state = state
  }

  /** Something changed about the gang: whom it displaces, or whether it leaves itself. */
  follow(state: GangState): void {
    this.#count(state.key, victimsOf(state))
    this.#weigh(state)
  }

  /**
   * Who displaced whom is remembered with the hold. Whoever was asked for another already does not leave for this one; nor does,
   * where another holds its seats too and is about to ask, whoever this one has to spare.
   */
  remember({ key, object }: GangState, before: Gang | undefined): void {
    const { hold } = object.status ?? {}
    if (hold === undefined || hold.at === before?.status?.hold?.at) return
    const { gangs, displaced, fleet } = this.#state
    const displacing = hold.victims.filter(({ movesTo }) => movesTo === undefined)
    const spares = displaced.displacersOf(key)
    const own = displacing.filter(({ gang }) => {
      const by = gangs.get(gang)?.object.status?.eviction?.by
      if (by !== undefined) return by === key
      const leavesAnyway = (this.#by.get(gang)?.size ?? 0) > 1
      return !(leavesAnyway && spares.has(displaced.sideOf(gang)))
    })
    const spared = displaced.record(
      key,
      own.map(({ gang }) => gang),
    )
    if (spared === 'fewer') fleet.generation++
  }

  /** It is gone, and displaces nobody. */
  forget(gang: string): void {
    this.#count(gang, none)
  }

  #count(gang: string, victims: readonly Victim[]): void {
    const before = this.#counted.get(gang) ?? none
    if (before === victims) return
    if (victims.length === 0) this.#counted.delete(gang)
    else this.#counted.set(gang, victims)
    for (const one of before) this.#remove(one.gang, gang)
    for (const one of victims) this.#by.set(one.gang, (this.#by.get(one.gang) ?? new Map()).set(gang, one))
    for (const one of [...before, ...victims]) {
      const state = this.#state.gangs.get(one.gang)
      if (state !== undefined) this.#weigh(state)
    }
  }

  #remove(victim: string, gang: string): void {
    const by = this.#by.get(victim)
    if (by?.delete(gang) === true && by.size === 0) this.#by.delete(victim)
  }

  #weigh(state: GangState): void {
    this.#state.setMoving(state, movesTo(state.object) ?? this.#moveOf(state))
    this.#state.setLeaving(state, this.#state.holdsAny(state) && (isAsked(state) || this.#isDisplaced(state)))
  }

  #isDisplaced(state: GangState): boolean {
    for (const { uid, attempt, movesTo } of this.#by.get(state.key)?.values() ?? []) {
      if (movesTo === undefined && uid === state.object.metadata.uid && isOf(state, attempt)) return true
    }
    return false
  }

  /** Where its next attempt will sit, as decided; it was not asked yet. */
  #moveOf({ key, object: { metadata, spec, status } }: GangState): Kept | undefined {
    for (const { uid, attempt, movesTo: members } of this.#by.get(key)?.values() ?? []) {
      const isOfIt = uid === metadata.uid && attempt === spec.attempt && attempt === status?.seats?.attempt
      if (members !== undefined && isOfIt && !spec.suspend) return { attempt: attempt + 1, members }
    }
    return undefined
  }

  /** Why the gang still waits, if those who leave for it have not all left. */
  awaitedBy(state: GangState): Blocked | undefined {
    return preempting(this.#awaited(state), state.object.status?.hold?.gainSeconds)
  }

  /**
   * Why the gang still waits, if not all have been asked who are to leave for it. If it sat elsewhere before that, they
   * would stay, and others may count on their leaving by now.
   */
  unaskedBy(state: GangState): Blocked | undefined {
    const { gangs } = this.#state
    const unasked = this.#awaited(state).filter(({ gang }) => {
      const { spec, status } = gangs.get(gang)?.object ?? {}
      return status?.seats?.attempt === spec?.attempt && spec?.suspend === false && status?.eviction === undefined
    })
    return preempting(unasked, state.object.status?.hold?.gainSeconds)
  }

  /** Those who are still to leave for the gang, as decided or as committed. */
  leaversFor(gang: string): string[] {
    const state = this.#state.gangs.get(gang)
    const victims = state === undefined ? none : victimsOf(state)
    return victims.filter((victim) => this.#isAwaited(victim)).map((victim) => victim.gang)
  }

  /**
   * What those hold who are still to leave for the gang is charged to nobody, for it will be the gang's: where it could sit
   * before they have left, it is charged to them.
   */
  whileTheyStay<T>(state: GangState, work: () => T): T {
    const staying = this.#awaited(state).flatMap(({ gang }) => this.#state.gangs.get(gang) ?? [])
    const leaving = staying.filter((one) => one.leaving)
    for (const one of leaving) this.#state.charge(one, 1)
    try {
      return work()
    } finally {
      for (const one of leaving) this.#state.charge(one, -1)
    }
  }

  #awaited({ object: { spec, status } }: GangState): readonly Victim[] {
    const { hold } = status ?? {}
    return hold?.attempt === spec.attempt ? hold.victims.filter((victim) => this.#isAwaited(victim)) : none
  }

  /**
   * Not one that stays for good: what was kept elsewhere is lost and there is no room for whoever was to come in its place, or
   * its queue lets nobody in.
   */
  #isAwaited(victim: Victim): boolean {
    const { line, gangs, queues, nextSeats } = this.#state
    const moving = gangs.get(victim.gang)
    const replacement = moving?.moving === undefined ? undefined : nextSeats.replacementOf(moving)
    const isStuck =
      replacement !== undefined &&
      (line.laneOf(replacement.key)?.blocked?.verdict.kind === 'shortage' ||
        queueBlock(queues, replacement.object) !== undefined)
    return !isStuck && this.#state.holdsStill(victim)
  }

  /** Some pods of these have ended: what they gave back is kept for those who wait for the others, too. */
  keepEnded(ending: Set<string>): void {
    for (const victim of ending) for (const waiting of this.#by.get(victim)?.keys() ?? []) this.#countAnew(waiting)
    ending.clear()
  }

  #countAnew(waiting: string): void {
    const state = this.#state.gangs.get(waiting)
    if (state !== undefined) this.#state.countSeatsAnew(state)
  }

  /** Something changed about the gang: those who wait for it to leave look again. */
  tell(victim: string): void {
    const { line } = this.#state
    for (const waiting of this.#by.get(victim)?.keys() ?? []) {
      this.#countAnew(waiting)
      const lane = line.laneOf(waiting)
      if (lane !== undefined && isPreempting(lane.blocked?.verdict)) lane.blocked = undefined
    }
  }
}

const none: readonly Victim[] = []

function preempting(victims: readonly Victim[], gainSeconds?: number): Blocked | undefined {
  return victims.length === 0
    ? undefined
    : { kind: 'queue', reason: preemptingReason, message: preemptingMessage(victims, gainSeconds) }
}

/** Whether its seats are those of the attempt; of one that gave them up and has not ended yet, that was known before. */
function isOf({ seats, leaving }: GangState, attempt: number): boolean {
  return seats === undefined ? leaving : seats.attempt === attempt
}

/** It leaves even if nobody needs that any more, and others may count on it. */
function isAsked(state: GangState): boolean {
  const { eviction } = state.object.status ?? {}
  return state.leaving && eviction !== undefined && isOf(state, eviction.attempt)
}
