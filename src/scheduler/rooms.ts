import { anyGpu, cpuModel } from '../model/accelerators.ts'
import { matches, type NodeTerms } from './affinity.ts'
import { levels } from './fabric.ts'
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
  nodeSelector: Readonly<Record<string, string>>
  tolerations: readonly Readonly<Record<string, unknown>>[]
  terms: NodeTerms | undefined
}

/**
 * How many members of one demand each node has room for, and each domain of the fabric: whether they fit is a lookup. Kept
 * current by looking again at the nodes that were touched since it was last asked.
 */
export class Rooms {
  readonly demand: Demand
  readonly #fleet: LaidOut
  #layout = -1
  readonly #follower = new Follower()
  #rooms = new Uint16Array(0)
  /** Per level and domain. */
  #sums: Int32Array[] = []
  #total = 0
  /** In the fleet, were it empty; computed when asked. */
  #empty: { layout: number; total: number; rooms: Uint16Array } | undefined

  constructor(fleet: LaidOut, demand: Demand) {
    this.#fleet = fleet
    this.demand = demand
  }

  /** In the whole fleet. */
  get total(): number {
    this.refresh()
    return this.#total
  }

  on(node: NodeState): number {
    this.refresh()
    return this.#rooms[node.index] ?? 0
  }

  in(level: number, domain: number): number {
    this.refresh()
    return this.#sums[level]?.[domain] ?? 0
  }

  /** In the whole fleet, were it empty. */
  get emptyTotal(): number {
    return this.#whenEmpty().total
  }

  emptyOn(node: NodeState): number {
    return this.#whenEmpty().rooms[node.index] ?? 0
  }

  #whenEmpty() {
    const { order, layout } = this.#fleet
    if (this.#empty?.layout === layout) return this.#empty
    const rooms = new Uint16Array(order.length)
    let total = 0
    for (const node of order) {
      const room = roomFor(node, this.demand, 'empty')
      rooms[node.index] = room
      total += room
    }
    this.#empty = { layout, total, rooms }
    return this.#empty
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
    const { fabric } = this.#fleet
    this.#layout = this.#fleet.layout
    this.#follower.start(this.#fleet.touched, order.length)
    this.#rooms = new Uint16Array(order.length)
    this.#sums = fabric.domains.map((domains) => new Int32Array(domains.length))
    this.#total = 0
    for (const node of order) this.#set(node)
  }

  #set(node: NodeState): void {
    const room = roomFor(node, this.demand)
    const change = room - (this.#rooms[node.index] ?? 0)
    if (change === 0) return
    this.#rooms[node.index] = room
    this.#total += change
    for (let level = 0; level < levels.length; level++) {
      const domain = this.#fleet.fabric.domainOf[level]?.[node.index] ?? 0
      const sums = this.#sums[level]
      if (sums !== undefined) sums[domain] = (sums[domain] ?? 0) + change
    }
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
  return Math.max(0, room)
}

/** Where members ask for nothing that a node has little of. */
const roomMax = 10_000

function atMost(room: number, free: number, each: number): number {
  return each > 0 ? Math.min(room, Math.floor(free / each)) : room
}

function devicesRoom(node: NodeState, { model, whole, milli }: Demand, isEmpty: boolean): number {
  if (whole === 0 && milli === 0) return roomMax
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
  if (terms !== undefined && !matches(node.labels, terms)) return false
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
