import { assert } from '../base/errors.ts'
import { anyGpu, cpuModel } from '../model/accelerators.ts'
import type { Gang } from '../model/kinds/gang.ts'
import { requiredTerms } from './affinity.ts'
import { type Domain, levelNamed } from './fabric.ts'
import type { Fleet } from './fleet.ts'
import type { Claim, DeviceState, NodeState } from './nodes.ts'
import { bankFor, type Demand, type Rooms, roomFor } from './rooms.ts'
import { type OpenRoom, openRoom, spread } from './spread.ts'

/** Nodes that a gang further up the line waits for, by accelerator model. */
export interface Reserved {
  of(model: string): Reservation | undefined
}

export interface Reservation {
  gang: string
  nodes: ReadonlySet<NodeState>
}

export interface FitRequest {
  gang: string
  object: Gang
  /** Milli-accelerators of each model that its queue's quota still leaves; absent means unlimited. */
  quotaLeft: ReadonlyMap<string, number>
  reserved: Reserved
}

export type Fit = { fits: true; placed: Placed[] } | { fits: false; shortage: Shortage }

/** One member's place, before it has a rank. */
export interface Placed {
  group: number
  node: NodeState
  claim: Claim
}

export type Group = Gang['spec']['groups'][number]
export type Alternative = Group['accelerators'][number]

/** What kept a group out, by the last thing that would have had to be different. */
export interface Shortage {
  kind: 'accelerators' | 'cpu' | 'memory' | 'ports' | 'topology' | 'nodes' | 'quota' | 'behind' | 'never'
  group: Group
  alternative: Alternative
  demand: Demand
  /** Members of the group that would fit now; with a required topology, in its best domain. */
  membersFit: number
  /** The domain that all members must share, by what it is called. */
  within?: string | undefined
  /** For 'behind': the gang further up the line. */
  ahead?: string | undefined
}

/**
 * Seats every member or none: half a gang burns accelerators waiting for its other half. Groups are placed in order,
 * each on the first of its alternatives that holds at least `min` members, as close together as the fabric allows. Leaves
 * the fleet as it was; the caller claims what it takes.
 */
export function fitGang(fleet: Fleet, request: FitRequest): Fit {
  const topology = topologyOf(request.object)
  if (topology.required === undefined && topology.preferred === undefined) return fitWithin(fleet, request, undefined)
  const tried: Fit[] = []
  for (const within of domainsFor(fleet, request, topology)) {
    const fit = fitWithin(fleet, request, within)
    if (fit.fits) return fit
    tried.push(fit)
  }
  return tooFarApart(fleet, request, topology, tried)
}

/** Where all members sit together: a domain of the fabric, or the nodes that share a label's value. */
export type Within = { domain: Domain } | { label: string; value: string; nodes: ReadonlySet<NodeState> }

function fitWithin(fleet: Fleet, request: FitRequest, within: Within | undefined): Fit {
  const quotaLeft = new Map(request.quotaLeft)
  return fleet.attempt((): Fit => {
    const placed: Placed[] = []
    for (const [index, group] of request.object.spec.groups.entries()) {
      const choice = chooseNodes(fleet, request.reserved, group, quotaLeft, within)
      if ('shortage' in choice) return { fits: false, shortage: choice.shortage }
      for (const node of choice.nodes) {
        const claim = claimOn(fleet, node, request, group, choice.alternative, choice.demand)
        fleet.try(claim)
        placed.push({ group: index, node, claim })
      }
    }
    return { fits: true, placed }
  })
}

export function demandOf(group: Group, { model, count }: Alternative): Demand {
  const whole = Math.floor(count)
  const milli = Math.ceil((count - whole) * 1000 - 1e-9)
  const { cpuMilli, memoryBytes, ports, nodeSelector, tolerations, affinity } = group
  const isPlain = tolerations.length === 0 && affinity === undefined && Object.keys(nodeSelector).length === 0
  const where = isPlain ? '' : JSON.stringify([nodeSelector, tolerations, affinity])
  const terms = requiredTerms(affinity)
  const key = `${model} ${whole} ${milli} ${cpuMilli} ${memoryBytes} ${ports} ${where}`
  return { key, model, whole, milli, cpuMilli, memoryBytes, ports, nodeSelector, tolerations, terms }
}

type Choice = { nodes: NodeState[]; alternative: Alternative; demand: Demand } | { shortage: Shortage }

/** The node of each member and the alternative taken, or why the most preferred alternative that could ever fit does not. */
function chooseNodes(
  fleet: Fleet,
  reserved: Reserved,
  group: Group,
  quotaLeft: Map<string, number>,
  within: Within | undefined,
): Choice {
  const shortages: Shortage[] = []
  for (const alternative of alternativesOf(fleet, group)) {
    const demand = demandOf(group, alternative)
    const perMember = demand.whole * 1000 + demand.milli
    const quota = quotaLeft.get(alternative.model)
    const byQuota = quota === undefined || perMember === 0 ? group.max : Math.max(0, Math.floor(quota / perMember))
    const kept = reserved.of(alternative.model)
    const room = roomWithin(fleet, demand, kept, within)
    const members = Math.min(group.max, room.total, byQuota)
    if (members >= group.min) {
      if (quota !== undefined) quotaLeft.set(alternative.model, quota - members * perMember)
      return { nodes: nodesFor(fleet, demand, room, members, kept, within), alternative, demand }
    }
    shortages.push(shortageOf(fleet, group, alternative, demand, Math.min(room.total, byQuota), byQuota, kept))
  }
  const shortage = shortages.find((one) => one.kind !== 'never') ?? shortages[0]
  assert(shortage !== undefined, 'a group names at least one accelerator')
  return { shortage }
}

type Kept = Reservation | undefined

function roomWithin(fleet: Fleet, demand: Demand, kept: Kept, within: Within | undefined): OpenRoom {
  const open = openRoom(fleet, fleet.rooms(demand), kept?.nodes)
  if (within === undefined) return open
  if ('domain' in within) return { ...open, total: open.in(within.domain) }
  let total = 0
  for (const node of within.nodes) total += open.on(node)
  return { ...open, total }
}

function nodesFor(
  fleet: Fleet,
  demand: Demand,
  room: OpenRoom,
  members: number,
  kept: Kept,
  within: Within | undefined,
): NodeState[] {
  if (members === 1) {
    const isOpen = (node: NodeState) => kept?.nodes.has(node) !== true && isWithin(node, within)
    const best = fleet.best(demand, kept === undefined && within === undefined ? undefined : isOpen)
    assert(best !== undefined, 'a node has the room that was counted')
    return [best]
  }
  if (within === undefined) return spread(fleet, room, members)
  if ('domain' in within) return spread(fleet, room, members, within.domain)
  const inside = (node: NodeState) => (within.nodes.has(node) ? room.on(node) : 0)
  const sums = new Map<Domain, number>()
  const sumOf = (domain: Domain): number => {
    const known = sums.get(domain)
    if (known !== undefined) return known
    let sum = 0
    for (let at = domain.from; at < domain.to; at++) {
      const node = fleet.order[at]
      if (node !== undefined) sum += inside(node)
    }
    sums.set(domain, sum)
    return sum
  }
  return spread(fleet, { total: room.total, on: inside, in: sumOf }, members)
}

function isWithin(node: NodeState, within: Within | undefined): boolean {
  if (within === undefined) return true
  if ('nodes' in within) return within.nodes.has(node)
  return node.index >= within.domain.from && node.index < within.domain.to
}

/** "Any GPU" means one model for all members of the group, whichever has room; a single member takes the best there is. */
function alternativesOf(fleet: Fleet, group: Group): Alternative[] {
  return group.accelerators.flatMap((alternative) => {
    if (alternative.model !== anyGpu || group.max === 1) return [alternative]
    const models = fleet.models().filter((model) => model !== cpuModel)
    return models.length === 0 ? [alternative] : models.map((model) => ({ ...alternative, model }))
  })
}

// ---- together ----

export interface Topology {
  required: string | undefined
  preferred: string | undefined
}

export function topologyOf({ spec }: Gang): Topology {
  const { required, preferred } = spec.topology ?? {}
  return {
    required: typeof required === 'string' ? required : undefined,
    preferred: typeof preferred === 'string' ? preferred : undefined,
  }
}

/**
 * Domains to try, in order: of the preferred level inside the required one, then of each wider level up to the required
 * one, then, where nothing is required, anywhere. Of a level, only those whose counters leave it possible; the one that
 * takes most members first, then the tightest.
 */
function* domainsFor(fleet: Fleet, request: FitRequest, topology: Topology): Iterable<Within | undefined> {
  const { required, preferred } = topology
  const widest = required === undefined ? undefined : levelNamed(required)
  const narrowest = preferred === undefined ? undefined : levelNamed(preferred)
  if (preferred !== undefined && narrowest === undefined) yield* possible(request, fleet, valuesOf(fleet, preferred))
  if (narrowest !== undefined) {
    for (let level = narrowest; level > (widest ?? -1); level--) yield* possible(request, fleet, atLevel(fleet, level))
  }
  if (widest !== undefined) yield* possible(request, fleet, atLevel(fleet, widest))
  else if (required !== undefined) yield* possible(request, fleet, valuesOf(fleet, required))
  else yield undefined
}

function atLevel(fleet: Fleet, level: number): Within[] {
  return (fleet.fabric.domains[level] ?? []).filter(({ isReal }) => isReal).map((domain) => ({ domain }))
}

/** A label that is no level of the fabric: nodes that share a value of it, wherever they are. */
function valuesOf(fleet: Fleet, label: string): Within[] {
  const byValue = new Map<string, Set<NodeState>>()
  for (const node of fleet.order) {
    const value = node.labels[label]
    if (value === undefined) continue
    const nodes = byValue.get(value)
    if (nodes === undefined) byValue.set(value, new Set([node]))
    else nodes.add(node)
  }
  return [...byValue].map(([value, nodes]) => ({ label, value, nodes }))
}

/** Each group alone must fit, by the counters; whether all do together only trying tells. */
function possible(request: FitRequest, fleet: Fleet, domains: readonly Within[]): Within[] {
  const { groups } = request.object.spec
  const rooms = groups.map((group) =>
    alternativesOf(fleet, group).map((alternative) => {
      const demand = demandOf(group, alternative)
      const open = openRoom(fleet, fleet.rooms(demand), request.reserved.of(alternative.model)?.nodes)
      return (within: Within) => {
        if ('domain' in within) return open.in(within.domain)
        let total = 0
        for (const node of within.nodes) total += open.on(node)
        return total
      }
    }),
  )
  return domains
    .flatMap((within) => {
      let [members, room] = [0, 0]
      for (const [index, group] of groups.entries()) {
        const most = (rooms[index] ?? []).reduce((best, roomIn) => Math.max(best, roomIn(within)), 0)
        if (most < group.min) return []
        members += Math.min(group.max, most)
        room += most
      }
      return [{ within, members, room }]
    })
    .sort((a, b) => b.members - a.members || a.room - b.room)
    .map(({ within }) => within)
}

/** No domain holds it: either it would fit nowhere, or only because it must stay together. */
function tooFarApart(fleet: Fleet, request: FitRequest, { required }: Topology, tried: readonly Fit[]): Fit {
  const anywhere = fitWithin(fleet, request, undefined)
  if (!anywhere.fits || required === undefined) return anywhere.fits ? (tried[0] ?? anywhere) : anywhere
  const [group] = request.object.spec.groups
  const [alternative] = group === undefined ? [] : alternativesOf(fleet, group)
  assert(group !== undefined && alternative !== undefined, 'a gang has groups and they name accelerators')
  const demand = demandOf(group, alternative)
  const level = levelNamed(required)
  const domains = level === undefined ? valuesOf(fleet, required) : atLevel(fleet, level)
  const kept = request.reserved.of(alternative.model)
  const membersFit = domains.reduce((most, within) => Math.max(most, roomWithin(fleet, demand, kept, within).total), 0)
  return { fits: false, shortage: { kind: 'topology', group, alternative, demand, membersFit, within: required } }
}

// ---- claims ----

function claimOn(
  fleet: Fleet,
  node: NodeState,
  request: FitRequest,
  group: Group,
  alternative: Alternative,
  demand: Demand,
): Claim {
  return {
    node: node.name,
    model: bankFor(node, alternative.model)[0]?.model ?? alternative.model,
    devices: pickDevices(fleet, node, demand),
    cpuMilli: group.cpuMilli,
    memoryBytes: group.memoryBytes,
    ports: pickPorts(node, group.ports),
    gang: request.gang,
    queue: request.object.spec.queue,
  }
}

/** Whole devices in the node's order; a share goes where packing wants it, the first of those. */
function pickDevices(fleet: Fleet, node: NodeState, demand: Demand): Claim['devices'] {
  const { whole, milli, model } = demand
  const devices = bankFor(node, model).filter(({ healthy }) => healthy)
  const picked: { id: string; milli: number }[] = []
  for (const one of devices) {
    if (picked.length === whole) break
    if (one.usedMilli <= 0) picked.push({ id: one.id, milli: 1000 })
  }
  assert(picked.length === whole, `node ${node.name} has fewer free devices than were counted`)
  if (milli === 0) return picked
  const isOpen = (one: DeviceState) => one.usedMilli + milli <= 1000 && !picked.some((taken) => taken.id === one.id)
  const holes = whole > 0 ? undefined : fleet.holesFor(node, demand)
  const share =
    devices.find((one) => isOpen(one) && holes?.includes(1000 - Math.max(0, one.usedMilli))) ?? devices.find(isOpen)
  assert(share !== undefined, `node ${node.name} has no device left for a share that was counted`)
  return [...picked, { id: share.id, milli }]
}

function pickPorts(node: NodeState, count: number): number[] {
  const range = node.ports
  if (range === undefined) return []
  const size = range.to - range.from + 1
  const ports: number[] = []
  let port = node.nextPort
  for (let tried = 0; tried < size && ports.length < count; tried++) {
    if (!node.portsUsed.has(port)) ports.push(port)
    port = port === range.to ? range.from : port + 1
  }
  assert(ports.length === count, `node ${node.name} has fewer free ports than were counted`)
  return ports
}

// ---- why not ----

function shortageOf(
  fleet: Fleet,
  group: Group,
  alternative: Alternative,
  demand: Demand,
  membersFit: number,
  byQuota: number,
  kept: Kept,
): Shortage {
  const shortage = { group, alternative, demand, membersFit }
  if (fleet.emptyRoom(demand) < group.min) return { ...shortage, kind: neverOrClosed(fleet, group, demand) }
  if (byQuota < group.min) return { ...shortage, kind: 'quota' }
  if (fleet.rooms(demand).total >= group.min && kept !== undefined) {
    return { ...shortage, kind: 'behind', ahead: kept.gang }
  }
  return { ...shortage, kind: scarce(fleet, group, demand) }
}

/** What is scarce: the first thing without which the members would fit. */
function scarce(fleet: Fleet, group: Group, demand: Demand): Shortage['kind'] {
  const fits = (without: Partial<Demand>) => {
    const name = Object.keys(without).join()
    return fleet.rooms({ ...demand, ...without, key: `${demand.key} -${name}` }).total >= group.min
  }
  if (!fits({ cpuMilli: 0, memoryBytes: 0, ports: 0 })) return 'accelerators'
  if (fits({ cpuMilli: 0 })) return 'cpu'
  if (fits({ memoryBytes: 0 })) return 'memory'
  if (fits({ ports: 0 })) return 'ports'
  return 'cpu'
}

/** Not even an empty fleet holds it: either the machines are not there, or they are closed, tainted or not selected. */
function neverOrClosed(fleet: Fleet, group: Group, demand: Demand): 'never' | 'nodes' {
  let members = 0
  for (const node of fleet.order) members += roomFor(node, demand, 'empty and open')
  return members >= group.min ? 'nodes' : 'never'
}

/**
 * Nodes for a gang to wait for: enough of them that it fits when they are empty, most of whose room is free already. They
 * are kept for it; on all others those behind it go on.
 */
export function nodesToWaitFor(fleet: Fleet, { demand, group, within }: Shortage): Set<NodeState> {
  const rooms = fleet.rooms(demand)
  const inside = within === undefined ? fleet.order : roomiestDomain(fleet, rooms, group.min, within)
  // By tenths of their room that are free, most first.
  const byShare: NodeState[][] = Array.from({ length: 11 }, () => [])
  for (const node of inside) {
    const room = rooms.emptyOn(node)
    if (room > 0) byShare[10 - Math.floor((10 * rooms.on(node)) / room)]?.push(node)
  }
  const kept = new Set<NodeState>()
  let room = 0
  for (const nodes of byShare) {
    for (const node of nodes) {
      if (room >= group.min) return kept
      kept.add(node)
      room += rooms.emptyOn(node)
    }
  }
  return kept
}

/** Of the domains that could hold the gang, the one with most room free now. */
function roomiestDomain(fleet: Fleet, rooms: Rooms, members: number, within: string): NodeState[] {
  const domainOf = domainNames(fleet, within)
  const domains = new Map<string, { nodes: NodeState[]; room: number; free: number }>()
  for (const node of fleet.order) {
    const name = domainOf(node)
    if (name === undefined) continue
    const domain = domains.get(name) ?? { nodes: [], room: 0, free: 0 }
    domains.set(name, domain)
    domain.nodes.push(node)
    domain.room += rooms.emptyOn(node)
    domain.free += rooms.on(node)
  }
  const able = [...domains.values()].filter(({ room }) => room >= members)
  return able.sort((a, b) => b.free - a.free)[0]?.nodes ?? []
}

function domainNames(fleet: Fleet, within: string): (node: NodeState) => string | undefined {
  const level = levelNamed(within)
  if (level === undefined) return (node) => node.labels[within]
  return (node) => {
    const domain = fleet.fabric.domains[level]?.[fleet.fabric.domainOf[level]?.[node.index] ?? -1]
    return domain?.isReal === true ? String(domain.index) : undefined
  }
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
