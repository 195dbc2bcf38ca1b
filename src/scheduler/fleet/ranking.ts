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
  #shelves: Shelves[] = []
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
    const { order } = this.#fleet
    for (const shelves of this.#shelves) {
      const scarce = shelves.loseNothing ? 0 : this.#fleet.scarce()
      const best = shelves.best(scarce, false, order, isOpen)
      if (best !== undefined) return best
      const other = scarce === 0 ? undefined : shelves.best(scarce, true, order, isOpen)
      if (other !== undefined) return other
    }
    return undefined
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
      this.#setAll(rooms, states, places)
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
    this.#shelves = Array.from({ length: Math.max(1, Math.min(values.length, classesMax)) }, () => {
      return new Shelves(order.length)
    })
    if (values.length < 2) return undefined
    const classes = new Map(values.map((value, at) => [value, Math.min(at, classesMax - 1)]))
    return Uint8Array.from(likings, (value) => classes.get(value) ?? 0)
  }

  /** Most are like the one before them. */
  #setAll(rooms: Uint16Array, states: Int32Array, places: Places): void {
    const { inUse } = this.#fleet
    let state = -1
    let placeOf = -1
    for (let index = 0; index < rooms.length; index++) {
      if (rooms[index] === 0) continue
      if (states[index] !== state) {
        state = states[index] ?? 0
        placeOf = places.of(state)
      }
      const place = placeOf + (inUse[index] ?? 0)
      this.#placeOf[index] = place
      this.#shelves[this.#classOf?.[index] ?? 0]?.add(place, index)
    }
  }

  #set(index: number, rooms: Uint16Array, states: Int32Array, places: Places): void {
    const inUse = this.#fleet.inUse[index] ?? 0
    const place = rooms[index] === 0 ? -1 : places.of(states[index] ?? 0) + inUse
    const before = this.#placeOf[index] ?? -1
    if (place === before) return
    this.#placeOf[index] = place
    const shelves = this.#shelves[this.#classOf?.[index] ?? 0]
    if (before >= 0) shelves?.remove(before, index)
    if (place >= 0) shelves?.add(place, index)
  }
}

/** Of more degrees of liking the least are taken together. */
const classesMax = 256

/**
 * Nodes by place: which large members lose room on them (bits) and, in the lowest nine bits, their rank. Of those that
 * lose the same, the first of the highest rank is found at once.
 */
class Shelves {
  readonly #length: number
  readonly #shelves: Shelf[] = []
  readonly #byBits = new Map<number, Shelf>()

  constructor(length: number) {
    this.#length = length
  }

  /** Whichever node is chosen. */
  get loseNothing(): boolean {
    return this.#shelves.every(({ bits }) => bits === 0)
  }

  add(place: number, index: number): void {
    const shelf = this.#byBits.get(place >> 9) ?? this.#open(place >> 9)
    const rank = place & 511
    const nodes = shelf.ranks[rank] ?? new Bits(this.#length)
    shelf.ranks[rank] = nodes
    nodes.add(index)
    if (rank > shelf.highest) shelf.highest = rank
  }

  remove(place: number, index: number): void {
    this.#byBits.get(place >> 9)?.ranks[place & 511]?.remove(index)
  }

  #open(bits: number): Shelf {
    const shelf: Shelf = { bits, ranks: [], highest: -1 }
    this.#byBits.set(bits, shelf)
    this.#shelves.push(shelf)
    return shelf
  }

  /** Of those on which some of the scarce are lost, or none; of the same rank the first in the order. */
  best(
    scarce: number,
    isLost: boolean,
    order: readonly NodeState[],
    isOpen: ((node: NodeState) => boolean) | undefined,
  ): NodeState | undefined {
    let best: NodeState | undefined
    let least = 0
    for (const shelf of this.#shelves) {
      if (((shelf.bits & scarce) !== 0) !== isLost) continue
      for (let rank = shelf.highest; rank >= least; rank--) {
        const nodes = shelf.ranks[rank]
        if (nodes === undefined || nodes.size === 0) {
          if (rank === shelf.highest) shelf.highest--
          continue
        }
        const found = firstOf(nodes, this.#length, order, isOpen)
        if (found === undefined) continue
        if (best === undefined || rank > least || found.index < best.index) best = found
        least = rank
        break
      }
    }
    return best
  }
}

interface Shelf {
  readonly bits: number
  /** Nodes by rank, a number below 512. */
  readonly ranks: (Bits | undefined)[]
  /** No node has a higher one. */
  highest: number
}

function firstOf(
  nodes: Bits,
  length: number,
  order: readonly NodeState[],
  isOpen: ((node: NodeState) => boolean) | undefined,
): NodeState | undefined {
  for (let at = nodes.next(0, length); at >= 0; at = nodes.next(at + 1, length)) {
    const node = order[at]
    if (node !== undefined && (isOpen === undefined || isOpen(node))) return node
  }
  return undefined
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
