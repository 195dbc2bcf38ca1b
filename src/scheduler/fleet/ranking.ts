import { anyGpu } from '../../model/accelerators.ts'
import { label } from '../../model/names.ts'
import { nameOf, type Shape } from '../packing/typical.ts'
import { type NodeTerms, valuesAllowed } from './affinity.ts'
import { Bits } from './bits.ts'
import { Follower } from './journal.ts'
import type { Packed } from './laid-out.ts'
import { likingOfNode } from './liking.ts'
import type { NodeState } from './nodes.ts'
import type { Places } from './places.ts'
import type { Demand, Rooms } from './rooms.ts'

/**
 * The nodes that have room for one member of a demand, best first: as it likes them, then by what placing it there wastes, then in a domain that
 * is in use rather than one that is whole, then in the order of the fabric. Kept current like `Rooms`; the best one is
 * found without looking at the others, so that a decision costs the same in a small fleet and a large one.
 */
export class Ranking {
  readonly #fleet: Packed
  readonly #rooms: Rooms
  readonly #demand: Demand
  readonly #shape: Shape
  readonly #shapeName: string
  #places: Places | undefined
  readonly #follower = new Follower()
  /**
   * Nodes by how much they are liked, most first; by which large members lose room on them (bits as in
   * `Fleet.scarce`); and by rank.
   */
  #shelves: Map<number, Shelf>[] = []
  /** Which of `#shelves` each node is on; undefined where all nodes are alike. */
  #classOf: Uint8Array | undefined
  /** Shelf and rank of each node; -1 where it is on none. */
  #placeOf = new Int32Array(0)

  constructor(fleet: Packed, rooms: Rooms) {
    this.#fleet = fleet
    this.#rooms = rooms
    this.#demand = rooms.demand
    this.#shape = shapeOf(rooms.demand)
    this.#shapeName = nameOf(this.#shape)
  }

  /** The best node that `isOpen` lets in; one that scarce room for large members is lost on only where there is no other. */
  best(isOpen?: (node: NodeState) => boolean): NodeState | undefined {
    this.#refresh()
    for (const shelves of this.#shelves) {
      const scarce = shelves.size > 1 || !shelves.has(0) ? this.#fleet.scarce() : 0
      const best = this.#bestOf(shelves, (bits) => (bits & scarce) === 0, isOpen)
      if (best !== undefined) return best
      const other = scarce === 0 ? undefined : this.#bestOf(shelves, (bits) => (bits & scarce) !== 0, isOpen)
      if (other !== undefined) return other
    }
    return undefined
  }

  #bestOf(
    shelves: ReadonlyMap<number, Shelf>,
    isWanted: (bits: number) => boolean,
    isOpen?: (node: NodeState) => boolean,
  ): NodeState | undefined {
    let [best, rank] = [undefined as NodeState | undefined, -1]
    for (const [bits, shelf] of shelves) {
      if (!isWanted(bits)) continue
      const found = shelf.best(this.#fleet.order, isOpen)
      if (found === undefined || found.rank < rank) continue
      if (found.rank === rank && best !== undefined && best.index < found.node.index) continue
      ;[best, rank] = [found.node, found.rank]
    }
    return best
  }

  #refresh(): void {
    const { order, journal } = this.#fleet
    const rooms = this.#rooms.all()
    const states = this.#fleet.states(this.#demand.model)
    const places = this.#fleet.places(this.#shapeName, this.#shape)
    if (this.#places !== places || this.#follower.isLost(journal)) {
      this.#places = places
      this.#follower.start(journal, order.length)
      this.#classOf = this.#classes(order)
      this.#placeOf = new Int32Array(order.length).fill(-1)
      for (let index = 0; index < order.length; index++) this.#set(index, rooms, states, places)
      return
    }
    for (let index = this.#follower.next(); index >= 0; index = this.#follower.next()) {
      this.#set(index, rooms, states, places)
    }
  }

  /** Nodes that are liked as much are of one class, the best is 0. */
  #classes(order: readonly NodeState[]): Uint8Array | undefined {
    const liked = likingOfNode(this.#fleet, this.#demand)
    const likings = liked === undefined ? [] : order.map(liked)
    const values = [...new Set(likings)].sort((a, b) => b - a)
    this.#shelves = [new Map(), ...values.slice(1, classesMax).map(() => new Map())]
    if (values.length < 2) return undefined
    const classes = new Map(values.map((value, at) => [value, Math.min(at, classesMax - 1)]))
    return Uint8Array.from(likings, (value) => classes.get(value) ?? 0)
  }

  #set(index: number, rooms: Uint16Array, states: Int32Array, places: Places): void {
    const inUse = this.#fleet.inUse[index] ?? 0
    const place = rooms[index] === 0 ? -1 : places.of(states[index] ?? 0) + inUse
    const before = this.#placeOf[index] ?? -1
    if (place === before) return
    this.#placeOf[index] = place
    const shelves = this.#shelves[this.#classOf?.[index] ?? 0]
    if (shelves === undefined) return
    if (before >= 0) shelves.get(before >> 9)?.remove(before & 511, index)
    if (place < 0) return
    const shelf = shelves.get(place >> 9) ?? new Shelf(this.#placeOf.length)
    shelves.set(place >> 9, shelf)
    shelf.add(place & 511, index)
  }
}

/** Of more degrees of liking the least are taken together. */
const classesMax = 256

/** Nodes by rank, a number below 512; the first of the highest is found at once. */
class Shelf {
  readonly #length: number
  readonly #ranks: (Bits | undefined)[] = []
  #highest = -1

  constructor(length: number) {
    this.#length = length
  }

  add(rank: number, index: number): void {
    const nodes = this.#ranks[rank] ?? new Bits(this.#length)
    this.#ranks[rank] = nodes
    nodes.add(index)
    if (rank > this.#highest) this.#highest = rank
  }

  remove(rank: number, index: number): void {
    this.#ranks[rank]?.remove(index)
  }

  best(order: readonly NodeState[], isOpen?: (node: NodeState) => boolean) {
    for (let rank = this.#highest; rank >= 0; rank--) {
      const nodes = this.#ranks[rank]
      if (nodes === undefined || nodes.size === 0) {
        if (rank === this.#highest) this.#highest--
        continue
      }
      for (let at = nodes.next(0, this.#length); at >= 0; at = nodes.next(at + 1, this.#length)) {
        const node = order[at]
        if (node !== undefined && (isOpen === undefined || isOpen(node))) return { node, rank }
      }
    }
    return undefined
  }
}

export function shapeOf({ model, whole, milli, cpuMilli, terms }: Demand): Shape {
  const models = modelsAllowed(whole + milli === 0 ? anyGpu : model, terms)
  if (whole > 0) return { cpuMilli, count: whole + (milli > 0 ? 1 : 0), milli: 1000, models }
  return { cpuMilli, count: milli > 0 ? 1 : 0, milli, models }
}

/** Models that a member may sit on; undefined for any. */
export function modelsAllowed(model: string, terms: NodeTerms | undefined): string[] | undefined {
  return model === anyGpu ? valuesAllowed(terms, label.accelerator) : [model]
}
