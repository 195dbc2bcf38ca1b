import { anyGpu, cpuModel } from '../model/accelerators.ts'
import { levels, nodeLevel } from '../model/fabric.ts'
import { matches, type NodeTerms, type Preference } from './affinity.ts'
import { Follower } from './follower.ts'
import type { DeviceState, LaidOut, NodeState } from './nodes.ts'

/** What one member asks of a node, with one of its accelerator alternatives chosen. */
export interface Demand {
  /** Equal for demands that are the same. */
  key: string
  model: string
  /** Whole accelerators, and thousandths of one more. */
  whole: number
  milli: number
  cpuMilli: number
  memoryBytes: number
  ports: number
  /** Of those that the node may run: one for a member. */
  pods: number
  nodeSelector: Readonly<Record<string, string>>
  tolerations: readonly Readonly<Record<string, unknown>>[]
  terms: NodeTerms | undefined
  /** Nodes that it would rather have. */
  preferences?: readonly Preference[] | undefined
  /** Members come in slices, each inside one domain; the widest first, and the sizes divide each other. */
  slices?: readonly Slice[] | undefined
}

export interface Slice {
  /** Of the fabric; no domain is of a level that is not there. */
  level: number
  size: number
}

/** Members that a domain of the level can only take together: those of the largest slice that may not leave it. */
export function unitAt(slices: readonly Slice[] | undefined, level: number): number {
  return slices?.find((slice) => slice.level >= level)?.size ?? 1
}

/**
 * How many members of one demand each node has room for, and each domain of the fabric: whether they fit is a lookup. Of
 * slices, only whole ones count. Kept current by looking again at the nodes that were touched since it was last asked.
 */
export class Rooms {
  readonly demand: Demand
  readonly #fleet: LaidOut
  /** Size of the slices that share a domain, by level; undefined where there are none. */
  readonly #sizes: readonly number[] | undefined
  #layout = -1
  readonly #follower = new Follower()
  #rooms: Uint16Array = new Uint16Array(0)
  /** Per level above the node, and domain. */
  #sums: Int32Array[] = []
  #total = 0
  /** In the fleet, were it empty; computed when asked. */
  #empty: { layout: number; rooms: Uint16Array; sums: Int32Array[]; total: number } | undefined

  constructor(fleet: LaidOut, demand: Demand) {
    this.#fleet = fleet
    this.demand = demand
    const { slices } = demand
    if (slices === undefined || slices.length === 0) return
    this.#sizes = levels.map((_, level) => slices.find((slice) => slice.level === level)?.size ?? 1)
  }

  /** In the whole fleet. */
  get total(): number {
    this.refresh()
    return this.#total
  }

  on(node: NodeState): number {
    return this.in(nodeLevel, node.index)
  }

  in(level: number, domain: number): number {
    this.refresh()
    const sum = level === nodeLevel ? this.#rooms[domain] : this.#sums[level]?.[domain]
    return this.#sizes === undefined ? (sum ?? 0) : this.whole(level, domain, sum ?? 0)
  }

  /** Without regard to slices. */
  raw(node: NodeState): number {
    this.refresh()
    return this.#rooms[node.index] ?? 0
  }

  /** In the whole fleet, were it empty. */
  get emptyTotal(): number {
    return this.#whenEmpty().total
  }

  emptyOn(node: NodeState): number {
    return this.emptyIn(nodeLevel, node.index)
  }

  emptyIn(level: number, domain: number): number {
    const { rooms, sums } = this.#whenEmpty()
    const sum = level === nodeLevel ? rooms[domain] : sums[level]?.[domain]
    return this.whole(level, domain, sum ?? 0)
  }

  #whenEmpty() {
    const { order, layout } = this.#fleet
    if (this.#empty?.layout === layout) return this.#empty
    const empty = { layout, ...this.#nothing(), total: 0 }
    for (const node of order) empty.total += this.#add(empty, node.index, roomFor(node, this.demand, 'empty'))
    this.#empty = empty
    return empty
  }

  refresh(): void {
    const { order } = this.#fleet // lays the fleet out
    if (this.#layout !== this.#fleet.layout) this.#build(order)
    this.#follower.read(this.#fleet.touched, (index) => {
      const node = order[index]
      if (node !== undefined) this.#set(node)
    })
  }

  #build(order: readonly NodeState[]): void {
    this.#layout = this.#fleet.layout
    this.#follower.start(this.#fleet.touched, order.length)
    const { rooms, sums } = this.#nothing()
    this.#rooms = rooms
    this.#sums = sums
    this.#total = 0
    for (const node of order) this.#set(node)
  }

  #nothing(): { rooms: Uint16Array; sums: Int32Array[] } {
    const { fabric, order } = this.#fleet
    const sums = fabric.domains.slice(0, nodeLevel).map((domains) => new Int32Array(domains.length))
    return { rooms: new Uint16Array(order.length), sums }
  }

  #set(node: NodeState): void {
    const room = roomFor(node, this.demand)
    if (room === this.#rooms[node.index]) return
    this.#total += this.#add({ rooms: this.#rooms, sums: this.#sums }, node.index, room)
  }

  /** Enters what a node has room for; by how much the total changes. */
  #add({ rooms, sums }: { rooms: Uint16Array; sums: Int32Array[] }, index: number, room: number): number {
    const before = rooms[index] ?? 0
    rooms[index] = room
    let change = this.whole(nodeLevel, index, room) - this.whole(nodeLevel, index, before)
    for (let level = nodeLevel - 1; level >= 0 && change !== 0; level--) {
      const domain = this.#fleet.fabric.domainOf[level]?.[index] ?? 0
      const here = sums[level]
      if (here === undefined) continue
      const sum = here[domain] ?? 0
      here[domain] = sum + change
      if (this.#sizes !== undefined) {
        change = this.whole(level, domain, sum + change) - this.whole(level, domain, sum)
      }
    }
    return change
  }

  /** What of the sum over its parts whole slices can use; where labels do not say, nothing is known to be together. */
  whole(level: number, domain: number, sum: number): number {
    const size = this.#sizes?.[level] ?? 1
    if (size === 1) return sum
    return this.#fleet.fabric.domains[level]?.[domain]?.isReal === true ? sum - (sum % size) : 0
  }
}

/** How many members the node has room for, now, were it empty, or were it also open to them. */
export function roomFor(node: NodeState, demand: Demand, when: 'now' | 'empty' | 'empty and open' = 'now'): number {
  if (when !== 'empty and open' && !admits(node, demand)) return 0
  const isEmpty = when !== 'now'
  let room = devicesRoom(node, demand, isEmpty)
  room = atMost(room, isEmpty ? node.cpuMilli : node.cpuMilliFree, demand.cpuMilli)
  room = atMost(room, isEmpty ? node.memoryBytes : node.memoryBytesFree, demand.memoryBytes)
  if (node.ports !== undefined) {
    const ports = node.ports.to - node.ports.from + 1
    room = atMost(room, ports - (isEmpty ? 0 : node.portsUsed.size), demand.ports)
  }
  if (node.podsMax !== undefined) room = atMost(room, node.podsMax - (isEmpty ? 0 : node.claims.size), demand.pods)
  return Math.max(0, room)
}

/** Where members ask for nothing that a node has little of. */
const roomMax = 10_000

function atMost(room: number, free: number, each: number): number {
  return each > 0 ? Math.min(room, Math.floor(free / each)) : room
}

function devicesRoom(node: NodeState, { model, whole, milli }: Demand, isEmpty: boolean): number {
  if (whole === 0 && milli === 0) return roomMax
  if (milli > 0 && node.isSliced) return 0
  let free = 0
  let pieces = 0
  for (const device of bankFor(node, model)) {
    if (!device.healthy) continue
    const used = isEmpty ? 0 : device.usedMilli
    if (used <= 0) free++
    if (milli > 0) pieces += Math.floor((1000 - Math.min(1000, used)) / milli)
  }
  if (whole === 0) return pieces
  if (milli === 0) return Math.floor(free / whole)
  return Math.floor(free / (whole + 1)) // the fraction beside whole ones gets a device of its own
}

/** What members require of a node, apart from room. */
export type Wanted = Pick<Demand, 'nodeSelector' | 'tolerations' | 'terms'>

/** Whether new members may go to the node at all, however full it is. */
export function admits(node: NodeState, { nodeSelector, tolerations, terms }: Wanted): boolean {
  if (node.closed !== undefined) return false
  for (const key in nodeSelector) if (node.labels[key] !== nodeSelector[key]) return false
  if (terms !== undefined && !matches(node, terms)) return false
  const taints = node.object.spec?.taints
  return (
    taints === undefined ||
    taints.every((taint) => taint.effect === 'PreferNoSchedule' || tolerations.some((one) => tolerates(one, taint)))
  )
}

function tolerates(
  { key, operator, value, effect }: Readonly<Record<string, unknown>>,
  taint: { key: string; value?: string | undefined; effect: string },
): boolean {
  if (effect !== undefined && effect !== '' && effect !== taint.effect) return false
  if (key === undefined || key === '') return operator === 'Exists'
  if (key !== taint.key) return false
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '')
}

/** The node's accelerators of a model. Of any GPU: nodes have one model of them, or the first of several is meant. */
export function bankFor(node: NodeState, model: string): readonly DeviceState[] {
  const bank = node.banks.get(model)
  if (bank !== undefined || model !== anyGpu) return bank ?? []
  for (const [name, devices] of node.banks) if (name !== cpuModel) return devices
  return []
}
