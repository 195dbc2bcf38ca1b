import type { Gang } from '../../model/kinds/gang.ts'
import { claimsOf } from '../fit/seats.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { Claim } from '../fleet/nodes.ts'
import { type GangState, isReplica, type Kept, placeOf } from '../gangs.ts'

/**
 * Where those who move will sit next. It is kept for them, or for the one that comes in their place, until that one sits;
 * they stay charged for what they have.
 */
export class NextSeats {
  readonly #fleet: Fleet
  readonly #gangs: ReadonlyMap<string, GangState>
  /** Which gang comes in the place of one that moves. */
  readonly #replacements = new Map<string, string>()

  constructor(fleet: Fleet, gangs: ReadonlyMap<string, GangState>) {
    this.#fleet = fleet
    this.#gangs = gangs
  }

  /** The gang in whose place this one comes. */
  inPlaceOf({ object }: GangState): GangState | undefined {
    const key = replacedBy(object)
    const state = key === undefined ? undefined : this.#gangs.get(key)
    return state?.object.metadata.uid === object.spec.replaces?.uid ? state : undefined
  }

  /** It comes in the place of one that is still to leave: what it has was kept for that. */
  stepsIn(state: GangState): boolean {
    return this.inPlaceOf(state)?.moving !== undefined
  }

  /** The gang that comes in the place of this one. */
  replacementOf(state: GangState): GangState | undefined {
    const other = this.#gangs.get(this.#replacements.get(state.key) ?? '')
    return other !== undefined && this.inPlaceOf(other) === state ? other : undefined
  }

  /** Something changed about the gang: it comes in another's place, and sits or does not. */
  follow(state: GangState): void {
    const replaced = replacedBy(state.object)
    if (replaced === undefined) return
    // Of two, the one that still wants to.
    if (!state.object.spec.suspend) this.#replacements.set(replaced, state.key)
    this.#keepFor(state)
  }

  keep(state: GangState): void {
    const isTaken = this.replacementOf(state)?.seats !== undefined
    const claims = state.moving === undefined || isTaken ? [] : this.#newOf(state, state.moving)
    for (const pod of state.movingPods) this.#fleet.setClaim(pod, 'seat', undefined)
    for (const [pod, claim] of claims) this.#fleet.setClaim(pod, 'seat', claim)
    state.movingPods = claims.map(([pod]) => pod)
  }

  /** It is gone, and so is who comes in its place to whoever moves. */
  forget(state: GangState): void {
    this.#replacements.delete(state.key)
    this.#keepFor(state)
  }

  #keepFor(replacement: GangState): void {
    const moving = this.inPlaceOf(replacement)
    if (moving?.moving !== undefined) this.keep(moving)
  }

  /** What it does not hold yet. Only one that another comes in place of first is charged for both for a while. */
  #newOf({ object, seats }: GangState, moving: Kept): [string, Claim][] {
    const had = new Set(seats?.members.map(placeOf))
    const members = moving.members.filter((seat) => !had.has(placeOf(seat)))
    const claims = claimsOf(object, { ...moving, members }, this.#fleet.modelOf)
    if (isReplica(object)) return claims
    return claims.map(([pod, claim]) => [pod, { ...claim, queue: undefined }])
  }
}

/** The gang in whose place this one comes, whichever has its name. */
function replacedBy({ metadata, spec }: Gang): string | undefined {
  return spec.replaces === undefined ? undefined : `${metadata.namespace ?? 'default'}/${spec.replaces.name}`
}
