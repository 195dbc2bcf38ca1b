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
  inPlaceOf({ object: { metadata, spec } }: GangState): GangState | undefined {
    const { name, uid } = spec.replaces ?? {}
    const state = name === undefined ? undefined : this.#gangs.get(`${metadata.namespace ?? 'default'}/${name}`)
    return state?.object.metadata.uid === uid ? state : undefined
  }

  /** The gang that comes in the place of this one, which moves. */
  replacementOf(gang: string): string | undefined {
    return this.#gangs.get(gang)?.moving === undefined ? undefined : this.#replacements.get(gang)
  }

  /** Something changed about the gang: it comes in another's place, and sits or does not. */
  follow(state: GangState): void {
    const moving = this.inPlaceOf(state)
    if (moving?.moving === undefined) return
    this.#replacements.set(moving.key, state.key)
    this.keep(moving)
  }

  keep(state: GangState): void {
    const isTaken = this.#gangs.get(this.#replacements.get(state.key) ?? '')?.seats !== undefined
    const claims = state.moving === undefined || isTaken ? [] : this.#newOf(state, state.moving)
    for (const pod of state.movingPods) this.#fleet.setClaim(pod, 'seat', undefined)
    for (const [pod, claim] of claims) this.#fleet.setClaim(pod, 'seat', claim)
    state.movingPods = claims.map(([pod]) => pod)
  }

  /** It is gone, and so is who comes in its place to whoever moves. */
  forget(state: GangState): void {
    this.#replacements.delete(state.key)
    this.follow(state)
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
