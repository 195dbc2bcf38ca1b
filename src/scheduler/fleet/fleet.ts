import { assert } from '../../base/errors.ts'
import { anyGpu } from '../../model/accelerators.ts'
import { levels } from '../../model/fabric.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { Packing } from '../packing/packing.ts'
import { pricesOf } from '../packing/prices.ts'
import type { Shape } from '../packing/typical.ts'
import { type Domain, type Fabric, fabricOf, inFabricOrder } from './fabric.ts'
import { Free } from './free.ts'
import { Journal } from './journal.ts'
import type { Packed } from './laid-out.ts'
import { softTaints } from './liking.ts'
import { Neighbours } from './neighbours.ts'
import { bankFor, type Claim, heldMilli, type NodeState } from './nodes.ts'
import { type Asked, type Large, Places } from './places.ts'
import { Ranking, shapeOf } from './ranking.ts'
import { nodeFrom, sameNode } from './read-node.ts'
import { type Demand, isWanted, Rooms } from './rooms.ts'
import { Spares } from './spares.ts'
import { States } from './states.ts'

/**
 * What the nodes have and who holds it. A claim is counted once per pod, whether it is known from committed seats, from
 * the live pod, or from both. Built once and then changed; what is computed from it (`Rooms`) follows `journal`.
 */
export class Fleet implements Packed {
  readonly nodes = new Map<string, NodeState>()
  /** The model that a device of a node is of, as far as the node is known. */
  readonly modelOf = (node: string, device: string): string | undefined =>
    this.nodes.get(node)?.devices.get(device)?.model
  readonly neighbours = new Neighbours(this)
  readonly spares = new Spares(this)
  /** Rises whenever something that did not fit before might fit now. */
  generation = 0
  /** Rises whenever somebody takes something. */
  taken = 0
  /** Nodes by their `index`, in the order of the fabric; anew when nodes come, go or move. */
  #order: readonly NodeState[] = []
  #fabric: Fabric = fabricOf([])
  #isLaidOut = true
  #layout = 0
  #journal = new Journal(0)
  #free = new Free([], 'now')
  #capacity = new Free([], 'empty')
  #isTainted = new Uint8Array(0)
  #hasSoftTaints = false
  #hasCapacityTypes = false
  /** By node, 0 to 3: how little of the fabric is broken open by using it: 1 for its block, 2 for its rack being in use. */
  inUse = new Uint8Array(0)
  /** Devices held, by level and domain. */
  #used: Int32Array[] = []
  /** What `attempt` has to take back. */
  #attempted: Attempted | undefined
  #tries = 0
  /** Until something changes. */
  readonly #counts = new Map<string, Count>()
  readonly #claims = new Map<string, Sources>()
  #models: readonly string[] | undefined
  /** How members are packed; replaced when what they mostly ask for changes. */
  packing: Packing = new Packing([], pricesOf([], 0))
  /** Members that room is kept for, largest first. */
  large: readonly Large[] = []
  /** How many of each there are among all who ask, and what all ask for. */
  #expected: readonly { demand: Demand; members: number }[] = []
  #asked: Asked = { accelerators: 0, cpuMilli: 0 }
  #accelerators = 0
  readonly #rooms = new Map<string, Rooms>()
  readonly #rankings = new Map<string, Ranking>()
  readonly #states = new Map<string, States>()
  readonly #places = new Map<string, Places>()
  /** Where what a queue's gangs hold is charged. */
  readonly #accounts: Accounts

  constructor(accounts: Accounts = { add: () => {} }) {
    this.#accounts = accounts
  }

  setNode(object: Node): void {
    this.#counts.clear()
    const before = this.nodes.get(object.metadata.name)
    if (before !== undefined && sameNode(before.object, object)) {
      before.object = object
      return
    }
    this.#isLaidOut = false
    const node = nodeFrom(object)
    for (const [key, claim] of before?.claims ?? this.#claimsOn(object.metadata.name)) take(node, key, claim)
    if (before !== undefined) node.nextPort = before.nextPort
    this.nodes.set(node.name, node)
    this.#models = undefined
    this.generation++
  }

  removeNode(name: string): void {
    this.#counts.clear()
    this.nodes.delete(name)
    this.#models = undefined
    this.#isLaidOut = false
    this.generation++ // what was kept for a gang that fits no more is free, and shares are of less than before
  }

  /** Nodes near each other are near each other. */
  get order(): readonly NodeState[] {
    this.#layOut()
    return this.#order
  }

  /** Rises with every new order. */
  get layout(): number {
    this.#layOut()
    return this.#layout
  }

  get fabric(): Fabric {
    this.#layOut()
    return this.#fabric
  }

  /** Every node whose free room changed; a new one with every new order. */
  get journal(): Journal {
    this.#layOut()
    return this.#journal
  }

  get free(): Free {
    this.#layOut()
    return this.#free
  }

  /** The same, were all nodes empty. */
  get capacity(): Free {
    this.#layOut()
    return this.#capacity
  }

  /** By node: 1 where it takes only members that tolerate something. */
  get isTainted(): Uint8Array {
    this.#layOut()
    return this.#isTainted
  }

  get hasSoftTaints(): boolean {
    this.#layOut()
    return this.#hasSoftTaints
  }

  get hasCapacityTypes(): boolean {
    this.#layOut()
    return this.#hasCapacityTypes
  }

  #layOut(): void {
    if (this.#isLaidOut) return
    this.#isLaidOut = true
    this.#layout++
    this.#order = inFabricOrder(this.nodes.values())
    for (const [index, node] of this.#order.entries()) node.index = index
    this.#fabric = fabricOf(this.#order)
    this.#used = this.#fabric.domains.map((domains) => new Int32Array(domains.length))
    this.#accelerators = 0
    for (const node of this.#order) {
      this.#accelerators += bankFor(node, anyGpu).length
      let devices = 0
      for (const claim of node.claims.values()) {
        devices += claim.devices.length
      }
      for (const level of levelsKeptWhole) {
        const used = this.#used[level]
        const domain = this.#fabric.domainOf[level]?.[node.index] ?? 0
        if (used !== undefined) used[domain] = (used[domain] ?? 0) + devices
      }
    }
    this.#journal = new Journal(this.#order.length)
    this.#free = new Free(this.#order, 'now')
    this.#capacity = new Free(this.#order, 'empty')
    this.#isTainted = Uint8Array.from(this.#order, (node) => (isWanted(node, ofAnyNode) ? 0 : 1))
    this.#hasCapacityTypes = this.#order.some(({ capacityType }) => capacityType !== this.#order[0]?.capacityType)
    this.#hasSoftTaints = this.#order.some((node) => softTaints(node).length > 0)
    this.inUse = new Uint8Array(this.#order.length)
    for (const [bit, level] of levelsKeptWhole.entries()) {
      for (const domain of this.#fabric.domains[level] ?? []) {
        if (!domain.isReal || (this.#used[level]?.[domain.index] ?? 0) > 0) this.#mark(domain, bit, true)
      }
    }
  }

  /** Runs `work` and takes back everything that it `tries`: a what-if costs what it changed, not a copy of the fleet. */
  attempt<T>(work: () => T): T {
    const outer = this.#attempted
    const { generation } = this
    const tried: Attempted['tried'] = []
    const attempted: Attempted = { outer, tried, lifted: undefined, opened: undefined }
    this.#attempted = attempted
    try {
      return work()
    } finally {
      this.untry(tried.length)
      for (const pod of attempted.lifted?.keys() ?? []) this.putBack(pod)
      for (const [node, closed] of attempted.opened ?? []) {
        node.closed = closed
        this.#touch(node, 0)
      }
      this.generation = generation
      this.#attempted = outer
    }
  }

  /** Inside `attempt`: holds what the claim names, until it ends or `untry` takes it back. */
  try(claim: Claim): void {
    assert(this.#attempted !== undefined, 'what is tried is taken back')
    const pod = `${scratch}${++this.#tries}`
    const nextPort = this.nodes.get(claim.node)?.nextPort ?? 0
    this.#hold(pod, claim)
    this.#rest(claim)
    this.#attempted.tried.push({ pod, claim, nextPort })
  }

  /** Takes the last tries of the attempt back before it ends. */
  untry(count: number): void {
    if (count === 0) return
    const { tried } = this.#attempted ?? {}
    for (const { pod, claim, nextPort } of tried?.splice(tried.length - count).toReversed() ?? []) {
      this.#giveBack(pod, claim)
      const node = this.nodes.get(claim.node)
      if (node !== undefined) node.nextPort = nextPort
    }
  }

  /** Inside `attempt`: as if the pod held nothing, also of its queue's share. */
  lift(pod: string): void {
    const claim = this.claimOf(pod)
    assert(this.#attempted !== undefined, 'what is tried is taken back')
    this.#attempted.lifted ??= new Map()
    if (claim === undefined || this.#isLifted(pod)) return
    this.#attempted.lifted.set(pod, claim)
    this.#giveBack(pod, claim)
    this.#count(claim, -1)
  }

  /** By this attempt or one around it. */
  #isLifted(pod: string): boolean {
    let attempted = this.#attempted
    while (attempted !== undefined && attempted.lifted?.has(pod) !== true) attempted = attempted.outer
    return attempted !== undefined
  }

  /** Inside `attempt`: as if the node took new work. */
  open(node: NodeState): void {
    assert(this.#attempted !== undefined, 'what is tried is taken back')
    if (node.closed === undefined) return
    this.#attempted.opened ??= new Map()
    this.#attempted.opened.set(node, node.closed)
    node.closed = undefined
    this.#touch(node, 0)
  }

  /** Takes one `lift` back before the attempt ends. */
  putBack(pod: string): void {
    const claim = this.#attempted?.lifted?.get(pod)
    if (claim === undefined) return
    this.#attempted?.lifted?.delete(pod)
    this.#hold(pod, claim)
    this.#count(claim, 1)
  }

  /** Sets or clears what `pod` holds according to one source; seats win where both are known. */
  setClaim(pod: string, source: 'seat' | 'pod', claim: Claim | undefined): void {
    const known = this.#claims.get(pod)
    const before = effective(known)
    if (known === undefined && claim === undefined) return
    const sources = known ?? { seat: undefined, pod: undefined }
    sources[source] = claim
    const after = effective(sources)
    if (after === undefined) this.#claims.delete(pod)
    else if (known === undefined) this.#claims.set(pod, sources)
    if (before === after) return
    if (before !== undefined) this.#drop(pod, before)
    if (after !== undefined) this.#add(pod, after)
  }

  /** Accelerator models that the nodes have, sorted. */
  models(): readonly string[] {
    if (this.#models !== undefined) return this.#models
    const models = new Set<string>()
    for (const { banks } of this.nodes.values()) for (const model of banks.keys()) models.add(model)
    this.#models = [...models].toSorted()
    return this.#models
  }

  /** How many members of the demand have room where. */
  rooms(demand: Demand): Rooms {
    return known(this.#rooms, demand.key) ?? keep(this.#rooms, demand.key, new Rooms(this, demand))
  }

  /** How many members would have room in the whole fleet, were it empty. */
  emptyRoom(demand: Demand): number {
    return this.rooms(demand).emptyTotal
  }

  /** The best node for one member of the demand that `isOpen` lets in. */
  best(demand: Demand, isOpen?: (node: NodeState) => boolean): NodeState | undefined {
    const rankings = this.#rankings
    const ranking = known(rankings, demand.key) ?? keep(rankings, demand.key, new Ranking(this, this.rooms(demand)))
    return ranking.best(isOpen)
  }

  /** The state of each node, as packing sees its accelerators of the model. */
  states(model: string): Int32Array {
    const states = known(this.#states, model) ?? keep(this.#states, model, new States(this, model))
    return states.all(this.packing)
  }

  /** What the states are worth to members of the shape, as long as packing and the large sizes stay the same. */
  places(name: string, shape: Shape): Places {
    const { packing, large } = this
    const places = known(this.#places, name)
    if (places?.isOf(packing, large) === true) return places
    return keep(this.#places, name, new Places(packing, large, shape))
  }

  /** Nodes are ranked anew only when others are looked after; how many of each to expect is looked up when one is chosen. */
  expectLarge(large: readonly Large[], asked: Asked): void {
    const isSame =
      large.length === this.large.length &&
      large.every(({ count, cpuMilli }, at) => count === this.large[at]?.count && cpuMilli === this.large[at]?.cpuMilli)
    if (!isSame) this.large = large
    this.#asked = asked
    this.#expected = large.map(({ count, cpuMilli, members }) => ({
      demand: anyGpuDemand(count, 0, cpuMilli),
      members,
    }))
  }

  /** Packs as the other does, and expects the same. */
  packAs(other: Fleet): void {
    this.packing = other.packing
    // How many of each there are is kept up to date there only, so that nodes are not ranked anew for it.
    const large = other.large.map((one, at) => ({ ...one, members: other.#expected[at]?.members ?? one.members }))
    this.expectLarge(large, other.#asked)
  }

  /** Bits of those in `large` of which no more fit than will come until what is free is used up, if all ask as they do now. */
  scarce(): number {
    if (this.#expected.length === 0) return 0
    const { accelerators, cpuMilli } = this.#asked
    const coresFree = this.rooms(anyTenthCore).total * anyTenthCore.cpuMilli
    const more = Math.min(this.acceleratorsFree() / accelerators, (coresOfUse * coresFree) / cpuMilli)
    let bits = 0
    for (let bit = 0; bit < this.#expected.length; bit++) {
      const one = this.#expected[bit]
      if (one !== undefined && this.rooms(one.demand).total <= one.members * more) bits |= 1 << bit
    }
    return bits
  }

  /** What must be free of a device for it to be the best one of the node for a share. */
  holesFor(node: NodeState, demand: Demand): readonly number[] {
    const state = this.packing.at(this.states(demand.model)[node.index] ?? 0)
    return this.packing.outcome(state, shapeOf(demand)).devices
  }

  /** How many accelerators there are, slots aside. */
  accelerators(): number {
    this.#layOut()
    return this.#accelerators
  }

  /** How many are free on nodes that take new work, parts of them included, in hundredths rounded down. */
  acceleratorsFree(): number {
    return this.rooms(anyHundredth).total / 100
  }

  /** How many of a model there are, and how many of them are free: healthy, not held, on nodes that take new work. */
  countOf(model: string): Count {
    const known = this.#counts.get(model)
    if (known !== undefined) return known
    const { free } = this
    const count = { free: free.milliFree(model) / 1000, total: free.bank(model).total }
    this.#counts.set(model, count)
    return count
  }

  claimOf(pod: string): Claim | undefined {
    return effective(this.#claims.get(pod))
  }

  /** Every claim, by pod. */
  *claims(): IterableIterator<[string, Claim]> {
    for (const [pod, sources] of this.#claims) {
      const claim = effective(sources)
      if (claim !== undefined) yield [pod, claim]
    }
  }

  #add(pod: string, claim: Claim): void {
    this.taken++
    this.#hold(pod, claim)
    this.#rest(claim)
    this.#count(claim, 1)
    if (this.neighbours.letsIn(claim)) this.generation++
  }

  /** Ports that were given rest until those after them had their turn. */
  #rest({ node: name, ports }: Claim): void {
    const last = ports.at(-1)
    const node = last === undefined ? undefined : this.nodes.get(name)
    if (last === undefined || node?.ports === undefined) return
    node.nextPort = last >= node.ports.to ? node.ports.from : last + 1
  }

  #drop(pod: string, claim: Claim): void {
    this.#giveBack(pod, claim)
    this.#count(claim, -1)
    this.generation++
  }

  #hold(pod: string, claim: Claim): void {
    this.neighbours.count(claim, 1)
    const node = this.nodes.get(claim.node)
    if (node === undefined) return
    take(node, pod, claim)
    this.#touch(node, claim.devices.length)
  }

  #giveBack(pod: string, claim: Claim): void {
    this.neighbours.count(claim, -1)
    const node = this.nodes.get(claim.node)
    if (node === undefined) return
    give(node, pod, claim)
    this.#touch(node, -claim.devices.length)
  }

  /** Also tells everybody in a domain that goes into use, or is whole again. */
  #touch(node: NodeState, devices: number): void {
    if (this.#counts.size > 0) this.#counts.clear()
    if (!this.#isLaidOut) return
    this.#free.look(node)
    this.#journal.note(node.index)
    if (devices === 0) return
    for (let bit = 0; bit < levelsKeptWhole.length; bit++) {
      const level = levelsKeptWhole[bit] ?? 0
      const domain = this.#fabric.domains[level]?.[this.#fabric.domainOf[level]?.[node.index] ?? -1]
      const used = this.#used[level]
      if (domain === undefined || used === undefined || !domain.isReal) continue
      const before = used[domain.index] ?? 0
      used[domain.index] = before + devices
      if (before !== 0 && before + devices !== 0) continue
      this.#mark(domain, bit, before + devices > 0)
      for (let at = domain.from; at < domain.to; at++) this.#journal.note(at)
    }
  }

  #mark({ from, to }: Domain, bit: number, isInUse: boolean): void {
    for (let at = from; at < to; at++) {
      this.inUse[at] = isInUse ? (this.inUse[at] ?? 0) | (1 << bit) : (this.inUse[at] ?? 0) & ~(1 << bit)
    }
  }

  #count(claim: Claim, sign: 1 | -1): void {
    if (claim.queue === undefined) return
    const milli = heldMilli(claim)
    if (milli > 0) this.#accounts.add(claim.queue, claim.model, sign * milli, claim.gang)
  }

  *#claimsOn(node: string): IterableIterator<[string, Claim]> {
    for (const [pod, claim] of this.claims()) if (claim.node === node) yield [pod, claim]
  }
}

export interface Count {
  free: number
  total: number
}

/** Milli-accelerators that a queue's gangs come to hold, or give back. */
export interface Accounts {
  add(queue: string, model: string, milli: number, gang: string | undefined): void
}

/** No pod's name begins like that: what is held under it is being tried. */
const scratch = '\u0000'

interface Attempted {
  outer: Attempted | undefined
  tried: { pod: string; claim: Claim; nextPort: number }[]
  lifted: Map<string, Claim> | undefined
  opened: Map<NodeState, string> | undefined
}

/** As many demands are followed at once; the one not asked about for longest goes first. */
const followedMax = 256

function known<V>(map: Map<string, V>, key: string): V | undefined {
  const value = map.get(key)
  return value === undefined || map.size < followedMax ? value : keep(map, key, value)
}

function keep<V>(map: Map<string, V>, key: string, value: V): V {
  map.delete(key)
  map.set(key, value)
  if (map.size <= followedMax) return value
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
  return value
}

const levelsKeptWhole = [levels.indexOf('block'), levels.indexOf('rack')]

/** What members want that tolerate nothing and select nothing. */
const ofAnyNode = { nodeSelector: {}, tolerations: [], terms: undefined }

/** Of whatever model: so many whole accelerators of a node, or such a share of one, with so many cores. */
function anyGpuDemand(whole: number, milli: number, cpuMilli: number): Demand {
  const nothing = {
    memoryBytes: 0,
    ports: 0,
    pods: 0,
    nodeSelector: {},
    tolerations: [],
    terms: undefined,
  }
  return { key: `any ${whole} ${milli} ${cpuMilli}`, model: anyGpu, whole, milli, cpuMilli, ...nothing }
}

const anyHundredth = anyGpuDemand(0, 10, 0)
/** The other free cores lie beside accelerators that are taken, or in rests: about so it is on Alibaba's published lists. */
const coresOfUse = 0.6
const anyTenthCore = anyGpuDemand(0, 0, 100)

interface Sources {
  seat: Claim | undefined
  pod: Claim | undefined
}

/** Seats win: they are the decision, and the pod's annotations repeat them. */
function effective(sources: Sources | undefined): Claim | undefined {
  return sources?.seat ?? sources?.pod
}

/** Takes what the claim names. Not limited to what is free: what others already hold is a fact, whatever it sums to. */
export function take(node: NodeState, pod: string, claim: Claim): void {
  assert(!node.claims.has(pod), `pod ${pod} claims on node ${node.name} twice`)
  node.claims.set(pod, claim)
  shift(node, claim, 1)
}

export function give(node: NodeState, pod: string, claim: Claim): void {
  assert(node.claims.delete(pod), `pod ${pod} gives back what it never held on node ${node.name}`)
  shift(node, claim, -1)
}

function shift(node: NodeState, claim: Claim, sign: 1 | -1): void {
  for (const held of claim.devices) {
    const device = node.devices.get(held.id)
    if (device !== undefined) device.usedMilli += sign * held.milli
  }
  node.cpuMilliFree -= sign * claim.cpuMilli
  node.memoryBytesFree -= sign * claim.memoryBytes
  for (const port of claim.ports) {
    const uses = (node.portsUsed.get(port) ?? 0) + sign
    if (uses > 0) node.portsUsed.set(port, uses)
    else node.portsUsed.delete(port)
  }
}
