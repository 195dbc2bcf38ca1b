import type { Gang } from '../../model/kinds/gang.ts'
import { demandsOf } from '../fit/demand.ts'
import { placeGang } from '../fit/fit.ts'
import type { Placed } from '../fit/search.ts'
import type { Reserved } from '../fit/shortage.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import type { Demand } from '../fleet/rooms.ts'
import { type GangState, podsOf } from '../gangs.ts'
import { unlimited } from '../line/admission.ts'
import type { Stage } from '../quota/candidates.ts'

/** What a gang could be given room in. */
export interface Seating {
  fleet: Fleet
  gangs: ReadonlyMap<string, GangState>
  livePodsOf(gang: string): ReadonlySet<string>
}

/** The nodes, on which a gang is tried while others are lifted off them. Used inside `Fleet.attempt`, which puts all back. */
export class Nodes implements Stage {
  readonly #seating: Seating
  readonly #gang: { key: string; object: Gang; reserved: Reserved }
  readonly #demands: readonly Demand[]
  readonly #looksAgain: boolean
  /** Where it was found to fit last: how many of its members on each node, if they are of one demand. */
  #found = new Map<NodeState, { demand: Demand; members: number } | 'mixed'>()

  /** @param looksAgain Whether room is looked for anew whenever somebody is put back. */
  constructor(seating: Seating, gang: { key: string; object: Gang; reserved: Reserved }, looksAgain = false) {
    this.#seating = seating
    this.#looksAgain = looksAgain
    this.#gang = gang
    this.#demands = demandsOf(seating.fleet, gang.object)
  }

  lift(victim: string): void {
    for (const pod of this.#podsOf(victim)) this.#seating.fleet.lift(pod)
  }

  putBack(victim: string): void {
    for (const pod of this.#podsOf(victim)) this.#seating.fleet.putBack(pod)
  }

  fits(): boolean {
    const placed = this.place()
    if (placed === undefined) return false
    this.#found = new Map()
    for (const { group, node } of placed) this.#findOn(node, this.#demands[group])
    return true
  }

  place(): readonly Placed[] | undefined {
    const { key, object, reserved } = this.#gang
    return placeGang(this.#seating.fleet, { gang: key, object, quotaLeft: unlimited, reserved })
  }

  isSpare(victim: string): boolean {
    if (this.#looksAgain) return false
    for (const node of this.#nodesOf(victim)) if (this.#found.has(node)) return false
    return true
  }

  roomStays(victim: string): boolean {
    if (this.#looksAgain) return false
    const { fleet } = this.#seating
    for (const node of this.#nodesOf(victim)) {
      const found = this.#found.get(node)
      if (found === undefined) continue
      if (found === 'mixed' || fleet.rooms(found.demand).on(node) < found.members) return false
    }
    return true
  }

  helps(victim: string): boolean {
    const { fleet } = this.#seating
    for (const node of this.#nodesOf(victim)) {
      if (this.#demands.some((demand) => fleet.rooms(demand).emptyOn(node) > 0)) return true
    }
    return false
  }

  #findOn(node: NodeState, demand: Demand | undefined): void {
    const before = this.#found.get(node)
    if (demand === undefined || before === 'mixed' || (before !== undefined && before.demand !== demand)) {
      this.#found.set(node, 'mixed')
    } else this.#found.set(node, { demand, members: (before?.members ?? 0) + 1 })
  }

  *#nodesOf(gang: string): Iterable<NodeState> {
    const { fleet } = this.#seating
    for (const pod of this.#podsOf(gang)) {
      const node = fleet.nodes.get(fleet.claimOf(pod)?.node ?? '')
      if (node !== undefined) yield node
    }
  }

  #podsOf(gang: string): Iterable<string> {
    const state = this.#seating.gangs.get(gang)
    return state === undefined ? [] : podsOf(state, this.#seating.livePodsOf(gang))
  }
}
