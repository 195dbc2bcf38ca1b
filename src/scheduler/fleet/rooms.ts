import type { CapacityType } from '../../model/capacity.ts'
import { levels, nodeLevel } from '../../model/fabric.ts'
import { matches, type NodeTerms, type Preference } from './affinity.ts'
import type { Bank, Free } from './free.ts'
import { Follower, type Journal } from './journal.ts'
import type { LaidOut } from './laid-out.ts'
import { bankFor, type Claim, type NodeState } from './nodes.ts'

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
  /** How nodes may be paid for, in order of preference; any where left out. */
  capacityTypes?: readonly CapacityType[] | undefined
  /** Nodes that it would rather have. */
  preferences?: readonly Preference[] | undefined
  /** Where it may sit for the sake of who sits there; undefined when nobody cares. */
  company?: Neighbourhood | undefined
  /** Members come in slices, each inside one domain; the widest first, and the sizes divide each other. */
  slices?: readonly Slice[] | undefined
}

/** What who sits there says to a member of the demand: inter-pod affinity. */
export interface Neighbourhood {
  /** Equal for those that say the same. */
  readonly key: string
  /** No two members share a node. */
  readonly isAlone: boolean
  /** Whether one member changes where the next may go, or would rather be. */
  readonly isInTurn: boolean
  /** Takes in who came and left, and notes in the journal the nodes that it bars or opens for it. */
  look(): void
  /** Whether the node is out of question, as things are. */
  bars(index: number): boolean
  /** Whether it is so whoever sits there. */
  excludes(index: number): boolean
  /** How much a member would like the node, more the better; undefined when it has no wishes. */
  readonly liking: ((index: number) => number) | undefined
  /** Sets of nodes of which one must take all members; undefined when they need not gather. */
  gathering(): readonly (readonly number[])[] | undefined
  /** What it asks for, in words. */
  readonly said: string
  /** Whether a pod keeps it out of the domain that it sits in. */
  isInTheWay(claim: Claim): boolean
  /** How many members together find places that their own rules allow, by the room on each node, if nobody sat anywhere. */
  mostMembers(roomOn: (index: number) => number): number
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
  readonly #follower = new Follower()
  /** Leaving aside whether the node is closed, which may change. */
  #isAdmitted: Uint8Array = new Uint8Array(0)
  #counts: Counts = { rooms: new Uint16Array(0), sums: undefined }
  #total = 0
  /** In the fleet, were it empty; computed when asked. */
  #empty: (Counts & { journal: Journal; openings: number; total: number }) | undefined

  constructor(fleet: LaidOut, demand: Demand) {
    this.#fleet = fleet
    this.demand = demand
    const { slices } = demand
    if (slices === undefined || slices.length === 0) return
    this.#sizes = levels.map((_, level) => slices.find((slice) => slice.level === level)?.size ?? 1)
  }

  /** In the whole fleet. */
  get total(): number {
    this.#refresh()
    return this.#total
  }

  on(node: NodeState): number {
    return this.in(nodeLevel, node.index)
  }

  in(level: number, domain: number): number {
    this.#refresh()
    return this.#in(this.#counts, level, domain)
  }

  /** Without regard to slices. */
  raw(node: NodeState): number {
    return this.all()[node.index] ?? 0
  }

  /** The same by node, as of now. */
  all(): Uint16Array {
    this.#refresh()
    return this.#counts.rooms
  }

  /** In the whole fleet, were it empty. */
  get emptyTotal(): number {
    return this.#whenEmpty().total
  }

  emptyOn(node: NodeState): number {
    return this.emptyIn(nodeLevel, node.index)
  }

  emptyIn(level: number, domain: number): number {
    return this.#in(this.#whenEmpty(), level, domain)
  }

  #in(counts: Counts, level: number, domain: number): number {
    if (level === nodeLevel) return this.whole(level, domain, counts.rooms[domain] ?? 0)
    counts.sums ??= this.#summed(counts.rooms)
    return this.whole(level, domain, counts.sums[level]?.[domain] ?? 0)
  }

  #whenEmpty() {
    const { order, capacity, journal, free } = this.#fleet
    const { openings } = free
    if (this.#empty?.journal === journal && this.#empty.openings === openings) return this.#empty
    this.#refresh()
    const bank = capacity.bank(this.demand.model)
    const empty = { journal, openings, ...this.#nothing(), total: 0 }
    for (let index = 0; index < order.length; index++) {
      if (this.#isAdmitted[index] === 0 || free.isClosed[index] === 1) continue
      empty.total += this.#add(empty, index, roomAt(index, this.demand, capacity, bank))
    }
    this.#empty = empty
    return empty
  }

  #refresh(): void {
    this.demand.company?.look()
    const { journal } = this.#fleet
    if (this.#follower.isCurrent(journal)) return
    const { order, free } = this.#fleet
    const bank = free.bank(this.demand.model)
    if (this.#follower.isLost(journal)) {
      this.#follower.start(journal, order.length)
      this.#isAdmitted = this.#admitted(order)
      this.#counts = this.#nothing()
      this.#total = 0
      for (let index = 0; index < order.length; index++) this.#set(index, free, bank)
      return
    }
    for (let index = this.#follower.next(); index >= 0; index = this.#follower.next()) this.#set(index, free, bank)
  }

  #admitted(order: readonly NodeState[]): Uint8Array {
    const { nodeSelector, terms, company, capacityTypes } = this.demand
    const isPlain = terms === undefined && capacityTypes === undefined && Object.keys(nodeSelector).length === 0
    const { isTainted } = this.#fleet
    const isAdmitted = new Uint8Array(order.length)
    for (const node of order) {
      const { index } = node
      isAdmitted[index] = (isPlain && isTainted[index] === 0) || isWanted(node, this.demand) ? 1 : 0
      if (company?.excludes(index) === true) isAdmitted[index] = 0
    }
    return isAdmitted
  }

  #set(index: number, free: Free, bank: Bank): void {
    const isOut = this.#isAdmitted[index] === 0 || free.isClosed[index] === 1
    const room = isOut || this.demand.company?.bars(index) === true ? 0 : roomAt(index, this.demand, free, bank)
    if (room === this.#counts.rooms[index]) return
    this.#total += this.#add(this.#counts, index, room)
  }

  #nothing(): Counts {
    const rooms = new Uint16Array(this.#fleet.order.length)
    return { rooms, sums: this.#sizes === undefined ? undefined : this.#summed(rooms) }
  }

  #summed(rooms: Uint16Array): Int32Array[] {
    const sums: Int32Array[] = []
    let below: Uint16Array | Int32Array = rooms
    for (let level = nodeLevel - 1; level >= 0; level--) {
      const domains = this.#fleet.fabric.domains[level] ?? []
      const here = new Int32Array(domains.length)
      for (const { index, children } of domains) {
        let sum = 0
        for (const child of children) sum += below[child.index] ?? 0
        here[index] = sum
      }
      sums[level] = here
      below = here
    }
    return sums
  }

  /** Enters what a node has room for; by how much the total changes. */
  #add({ rooms, sums }: Counts, index: number, room: number): number {
    const before = rooms[index] ?? 0
    rooms[index] = room
    if (sums === undefined) return room - before
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

interface Counts {
  /** By node. */
  rooms: Uint16Array
  /** Per level above the node, and domain; without slices, counted from when they are first asked about. */
  sums: Int32Array[] | undefined
}

/** How many members the node has room for, as it is; it need not be one of a fleet. */
export function roomFor(node: NodeState, demand: Demand): number {
  if (!admits(node, demand) || demand.company?.bars(node.index) === true) return 0
  const bank = bankFor(node, demand.model).filter(({ healthy }) => healthy)
  const free = Float64Array.from(bank, ({ usedMilli }) => Math.max(0, 1000 - usedMilli))
  let room = devicesRoom(free, 0, free.length, node.isSliced, demand)
  room = atMost(room, node.cpuMilliFree, demand.cpuMilli)
  room = atMost(room, node.memoryBytesFree, demand.memoryBytes)
  if (node.ports !== undefined) {
    room = atMost(room, node.ports.to - node.ports.from + 1 - node.portsUsed.size, demand.ports)
  }
  if (node.podsMax !== undefined) room = atMost(room, node.podsMax - node.claims.size, demand.pods)
  if (demand.company?.isAlone === true) room = Math.min(room, 1)
  return Math.max(0, room)
}

/** How many members the node would have room for, were it empty and open to them. */
export function roomIfOpen({ capacity }: LaidOut, node: NodeState, demand: Demand): number {
  return roomAt(node.index, demand, capacity, capacity.bank(demand.model))
}

/** How many members the node of that index has room for, whether or not it admits them. */
function roomAt(index: number, demand: Demand, free: Free, bank: Bank): number {
  const isSliced = free.isSliced[index] === 1
  let room = devicesRoom(bank.free, bank.from[index] ?? 0, bank.from[index + 1] ?? 0, isSliced, demand)
  if (room === 0) return 0
  room = atMost(room, free.cpuMilli[index] ?? 0, demand.cpuMilli)
  room = atMost(room, free.memoryBytes[index] ?? 0, demand.memoryBytes)
  room = atMost(room, free.ports[index] ?? 0, demand.ports)
  room = atMost(room, free.pods[index] ?? 0, demand.pods)
  if (demand.company?.isAlone === true) room = Math.min(room, 1)
  return Math.max(0, room)
}

/** Where members ask for nothing that a node has little of. */
const roomMax = 10_000

function atMost(room: number, free: number, each: number): number {
  return each > 0 ? Math.min(room, Math.floor(free / each)) : room
}

function devicesRoom(free: Float64Array, from: number, to: number, isSliced: boolean, demand: Demand): number {
  const { whole, milli } = demand
  if (whole === 0 && milli === 0) return roomMax
  if (milli > 0 && isSliced) return 0
  let idle = 0
  let pieces = 0
  for (let at = from; at < to; at++) {
    const hole = free[at] ?? 0
    if (hole >= 1000) idle++
    if (milli > 0) pieces += Math.floor(hole / milli)
  }
  if (whole === 0) return pieces
  if (milli === 0) return Math.floor(idle / whole)
  return Math.floor(idle / (whole + 1)) // the fraction beside whole ones gets a device of its own
}

/** What members require of a node, apart from room. */
export type Wanted = Pick<Demand, 'nodeSelector' | 'tolerations' | 'terms' | 'capacityTypes'>

/** Whether new members may go to the node at all, however full it is. */
export function admits(node: NodeState, wanted: Wanted): boolean {
  return node.closed === undefined && isWanted(node, wanted)
}

/** Whether its labels and taints are such as the members want, or tolerate. */
export function isWanted(node: NodeState, { nodeSelector, tolerations, terms, capacityTypes }: Wanted): boolean {
  if (capacityTypes?.includes(node.capacityType) === false) return false
  for (const key in nodeSelector) if (node.labels[key] !== nodeSelector[key]) return false
  if (terms !== undefined && !matches(node, terms)) return false
  const taints = node.object.spec?.taints
  return (
    taints === undefined ||
    taints.every((taint) => taint.effect === 'PreferNoSchedule' || tolerations.some((one) => tolerates(one, taint)))
  )
}

export function tolerates(
  { key, operator, value, effect }: Readonly<Record<string, unknown>>,
  taint: { key: string; value?: string | undefined; effect: string },
): boolean {
  if (effect !== undefined && effect !== '' && effect !== taint.effect) return false
  if (key === undefined || key === '') return operator === 'Exists'
  if (key !== taint.key) return false
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '')
}
