import { anyGpu } from '../model/accelerators.ts'
import { label } from '../model/names.ts'
import { type NodeTerms, valuesAllowed } from './affinity.ts'
import { Bits } from './bits.ts'
import { Follower } from './follower.ts'
import type { Large, NodeState, Packed } from './nodes.ts'
import type { Packing } from './packing/packing.ts'
import type { Shape } from './packing/typical.ts'
import { bankFor, type Demand, type Rooms } from './rooms.ts'

/**
 * The nodes that have room for one member of a demand, best first: by what placing it there wastes, then in a domain that
 * is in use rather than one that is whole, then in the order of the fabric. Kept current like `Rooms`; the best one is
 * found without looking at the others, so that a decision costs the same in a small fleet and a large one.
 */
export class Ranking {
  readonly #fleet: Packed
  readonly #rooms: Rooms
  readonly #demand: Demand
  readonly #shape: Shape
  #packing: Packing | undefined
  #shapeId = 0
  #layout = -1
  readonly #follower = new Follower()
  #large: readonly Large[] = []
  /**
   * Nodes by which sizes of large members lose room on them (bits as in `Fleet.scarce`), and by rank.
   */
  #shelves: (Shelf | undefined)[] = []
  /** Shelf and rank of each node; -1 where it is on none. */
  #placeOf = new Int32Array(0)

  constructor(fleet: Packed, rooms: Rooms) {
    this.#fleet = fleet
    this.#rooms = rooms
    this.#demand = rooms.demand
    this.#shape = shapeOf(rooms.demand)
  }

  /** The best node that `isOpen` lets in; one that scarce room for large members is lost on only where there is no other. */
  best(isOpen?: (node: NodeState) => boolean): NodeState | undefined {
    this.#refresh()
    const scarce = this.#shelves.length > 1 ? this.#fleet.scarce() : 0
    return (
      this.#bestOf((bits) => (bits & scarce) === 0, isOpen) ?? this.#bestOf((bits) => (bits & scarce) !== 0, isOpen)
    )
  }

  #bestOf(isWanted: (bits: number) => boolean, isOpen?: (node: NodeState) => boolean): NodeState | undefined {
    let [best, rank] = [undefined as NodeState | undefined, -1]
    for (const [bits, shelf] of this.#shelves.entries()) {
      if (shelf === undefined || !isWanted(bits)) continue
      const found = shelf.best(this.#fleet.order, isOpen)
      if (found === undefined || found.rank < rank) continue
      if (found.rank === rank && best !== undefined && best.index < found.node.index) continue
      ;[best, rank] = [found.node, found.rank]
    }
    return best
  }

  #refresh(): void {
    const { order, packing, large } = this.#fleet
    if (this.#layout !== this.#fleet.layout || this.#packing !== packing || this.#large !== large) {
      this.#layout = this.#fleet.layout
      this.#packing = packing
      this.#large = large
      this.#shapeId = packing.shapeId(this.#shape)
      this.#follower.start(this.#fleet.touched, order.length)
      this.#shelves = []
      this.#placeOf = new Int32Array(order.length).fill(-1)
      for (const node of order) this.#set(node, packing)
      return
    }
    this.#follower.read(this.#fleet.touched, (index) => {
      const node = order[index]
      if (node !== undefined) this.#set(node, packing)
    })
  }

  #set(node: NodeState, packing: Packing): void {
    const place = this.#placeFor(node, packing)
    const before = this.#placeOf[node.index] ?? -1
    if (place === before) return
    this.#placeOf[node.index] = place
    if (before >= 0) this.#shelves[before >> 9]?.remove(before & 511, node.index)
    if (place < 0) return
    const shelf = this.#shelves[place >> 9] ?? new Shelf(this.#placeOf.length)
    this.#shelves[place >> 9] = shelf
    shelf.add(place & 511, node.index)
  }

  #placeFor(node: NodeState, packing: Packing): number {
    if (this.#rooms.on(node) === 0) return -1
    const state = packedState(node, this.#demand.model, packing)
    const { score, devices } = packing.outcome(state, this.#shapeId, this.#shape)
    const rank = Math.max(0, score) * 4 + this.#fleet.inUse(node)
    return (this.#lostBy(state.free, devices) << 9) | rank
  }

  /** Which sizes lose room when the member sits there. */
  #lostBy(free: readonly number[], devices: readonly number[]): number {
    const { count, milli } = this.#shape
    const breaksOne = milli < 1000 && count > 0 && devices.length === 1 && devices[0] === 1000
    const taken = milli >= 1000 ? count : breaksOne ? 1 : 0
    if (taken === 0 || this.#large.length === 0) return 0
    let idle = 0
    for (let at = free.length - 1; at >= 0 && (free[at] ?? 0) >= 1000; at--) idle++
    let bits = 0
    for (const [bit, { size }] of this.#large.entries()) {
      if (size > count && Math.floor(idle / size) > Math.floor((idle - taken) / size)) bits |= 1 << bit
    }
    return bits
  }
}

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

/** Packing's view of the node; kept until it changes. */
export function packedState(node: NodeState, model: string, packing: Packing) {
  if (node.packed?.model === model && node.packed.by === packing) return node.packed.state
  const bank = bankFor(node, model)
  const free: number[] = []
  for (const device of bank) if (device.healthy) free.push(Math.max(0, 1000 - device.usedMilli))
  const state = packing.state(bank[0]?.model ?? model, node.cpuMilliFree, free)
  node.packed = { model, by: packing, state }
  return state
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
