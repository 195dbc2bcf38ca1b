import { levelNamed, nodeLevel } from '../../model/fabric.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { mayUseSpares } from '../../model/spares.ts'
import type { Domain } from '../fleet/fabric.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import { type Demand, type Rooms, roomIfOpen } from '../fleet/rooms.ts'
import { type Alternative, type Group, withoutCompany } from './demand.ts'

/** Nodes that the gang may not sit on, by accelerator model: a gang further up the line waits for them, or they are spares. */
export interface Reserved {
  of(model: string): Reservation | undefined
}

export interface Reservation {
  /** Who waits for them; undefined where all are spares. */
  gang: string | undefined
  nodes: ReadonlySet<NodeState>
}

/** The same, and the spares too. `own`: nodes that are no spares, since the gang comes from there. */
export function besideSpares({ spares }: Fleet, reserved: Reserved, own: ReadonlySet<string> = nobodys): Reserved {
  const closed = spares.beside(own)
  if (closed.size === 0) return reserved
  return {
    of: (model) => {
      const kept = reserved.of(model)
      return { gang: kept?.gang, nodes: kept === undefined ? closed : new Set([...kept.nodes, ...closed]) }
    },
  }
}

const nobodys: ReadonlySet<string> = new Set()

/** Whom others leave or move for may not sit on spares either, unless it has lost a node itself. */
export function besideSparesFor(fleet: Fleet, gang: Gang, reserved: Reserved): Reserved {
  return mayUseSpares(gang) ? reserved : besideSpares(fleet, reserved)
}

/** What kept a group out, by the last thing that would have had to be different. */
export interface Shortage {
  kind:
    | 'accelerators'
    | 'cpu'
    | 'memory'
    | 'ports'
    | 'pods'
    | 'topology'
    | 'company'
    | 'nodes'
    | 'quota'
    | 'behind'
    | 'spares'
    | 'never'
  group: Group
  alternative: Alternative
  demand: Demand
  /** Members of the group that would fit now; with a required topology, in its best domain. */
  membersFit: number
  /** The domain that all members must share, by what it is called. */
  within?: string | undefined
  /** The domain that each slice of so many members must share. */
  slice?: { size: number; within: string } | undefined
  /** For 'behind': the gang further up the line. */
  ahead?: string | undefined
  /** For 'spares': it would not fit beside them were the fleet empty. */
  isForGood?: boolean
}

/** Whether it helps that nodes become free. */
export function waitsForNodes({ kind, isForGood }: Shortage): boolean {
  return kind !== 'quota' && kind !== 'never' && kind !== 'nodes' && isForGood !== true
}

/** What nodes have, and others hold, or too much of it elsewhere. */
export const taken: ReadonlySet<Shortage['kind']> = new Set([
  'accelerators',
  'cpu',
  'memory',
  'ports',
  'pods',
  'topology',
])

/** What kept a group out, by the counters. */
export function shortageOf(
  fleet: Fleet,
  group: Group,
  alternative: Alternative,
  demand: Demand,
  membersFit: number,
  byQuota: number,
  kept: Reservation | undefined,
): Shortage {
  const shortage = { group, alternative, demand, membersFit }
  const { company } = demand
  if (fleet.emptyRoom(demand) < group.min) return { ...shortage, kind: neverOrClosed(fleet, group, demand) }
  const rooms = fleet.rooms(demand)
  const places = company?.mostMembers((index) => rooms.emptyIn(nodeLevel, index))
  if (places !== undefined && places < group.min) return { ...shortage, kind: 'never' }
  if (byQuota < group.min) return { ...shortage, kind: 'quota' }
  if (rooms.total >= group.min && kept !== undefined) {
    return kept.gang === undefined ? { ...shortage, kind: 'spares' } : { ...shortage, kind: 'behind', ahead: kept.gang }
  }
  if (company !== undefined && fleet.rooms(withoutCompany(demand)).total >= group.min)
    return { ...shortage, kind: 'company' }
  return { ...shortage, kind: scarce(fleet, group, demand) }
}

/** What is scarce: the first thing without which the members would fit. */
function scarce(fleet: Fleet, group: Group, demand: Demand): Shortage['kind'] {
  const fits = (without: Partial<Demand>) => {
    const name = Object.keys(without).join()
    return fleet.rooms({ ...demand, ...without, key: `${demand.key} -${name}` }).total >= group.min
  }
  if (!fits({ cpuMilli: 0, memoryBytes: 0, ports: 0, pods: 0 })) return 'accelerators'
  if (fits({ cpuMilli: 0 })) return 'cpu'
  if (fits({ memoryBytes: 0 })) return 'memory'
  if (fits({ ports: 0 })) return 'ports'
  if (fits({ pods: 0 })) return 'pods'
  return 'cpu'
}

/** Not even an empty fleet holds it: either the machines are not there, or they are closed, tainted or not selected. */
function neverOrClosed(fleet: Fleet, group: Group, demand: Demand): 'never' | 'nodes' {
  let members = 0
  for (const node of fleet.order) members += roomIfOpen(fleet, node, demand)
  return members >= group.min ? 'nodes' : 'never'
}

/**
 * Nodes for a gang to wait for: enough of them that it fits when they are empty, most of whose room is free already, and
 * among equals most of whose accelerators are; of members in slices, whole domains; and as many as have to stay free as
 * spares. They are kept for it; on all others those behind it go on.
 */
export function nodesToWaitFor(fleet: Fleet, { demand, group, within }: Shortage): Set<NodeState> {
  const rooms = fleet.rooms(demand)
  const level = demand.slices?.[0]?.level ?? nodeLevel
  const all = fleet.fabric.domains[level] ?? []
  const inside = within === undefined ? all : domainsOf(fleet, all, roomiestDomain(fleet, rooms, group.min, within))
  // By tenths of their room that are free, then by tenths of their accelerators, most first.
  const byShare: Domain[][] = Array.from({ length: 11 * 11 }, () => [])
  for (const domain of inside) {
    const isBarred = level === nodeLevel && demand.company?.bars(domain.index) === true
    const room = isBarred ? 0 : rooms.emptyIn(level, domain.index)
    if (room === 0) continue
    const taken = 10 - Math.floor((10 * Math.min(room, rooms.in(level, domain.index))) / room)
    byShare[11 * taken + 10 - Math.floor(10 * freeShareOf(fleet, demand, domain))]?.push(domain)
  }
  const enough = group.min + roomOfSpares(fleet, demand)
  const kept = new Set<NodeState>()
  let room = 0
  for (const domains of byShare) {
    for (const { index, from, to } of domains) {
      if (room >= enough) return kept
      for (const node of fleet.order.slice(from, to)) if (rooms.emptyOn(node) > 0) kept.add(node)
      room += rooms.emptyIn(level, index)
    }
  }
  return kept
}

/** For how many members there would be room on the spares that pools want. */
export function roomOfSpares(fleet: Fleet, demand: Demand): number {
  return fleet.spares.kept().reduce((sum, { wanted, one }) => sum + wanted * fleet.rooms(demand).emptyOn(one), 0)
}

/** What of the domain's accelerators is free, 0 to 1: no whole member may fit where nearly all of one would. */
function freeShareOf({ free }: Fleet, { model }: Demand, { from, to }: Pick<Domain, 'from' | 'to'>): number {
  const bank = free.bank(model)
  const [first, end] = [bank.from[from] ?? 0, bank.from[to] ?? 0]
  let milli = 0
  for (let at = first; at < end; at++) milli += bank.free[at] ?? 0
  return end === first ? 0 : milli / (1000 * (end - first))
}

/** Those of them that the nodes are in, in the nodes' order. */
function domainsOf({ fabric }: Fleet, domains: readonly Domain[], nodes: readonly NodeState[]): Domain[] {
  const indexes = fabric.domainOf[domains[0]?.level ?? nodeLevel]
  return [...new Set(nodes.map(({ index }) => domains[indexes?.[index] ?? -1]))].filter((one) => one !== undefined)
}

/** Of the domains that could hold the gang, the one with most room free now; among equals, with most accelerators. */
function roomiestDomain(fleet: Fleet, rooms: Rooms, members: number, within: string): NodeState[] {
  const domainOf = domainNames(fleet, within)
  const domains = new Map<string, { nodes: NodeState[]; room: number; free: number; share: number }>()
  for (const node of fleet.order) {
    const name = domainOf(node)
    if (name === undefined) continue
    const domain = domains.get(name) ?? { nodes: [], room: 0, free: 0, share: 0 }
    domains.set(name, domain)
    domain.nodes.push(node)
    domain.room += rooms.emptyOn(node)
    domain.free += rooms.on(node)
    domain.share += freeShareOf(fleet, rooms.demand, { from: node.index, to: node.index + 1 })
  }
  const able = [...domains.values()].filter(({ room }) => room >= members)
  return able.sort((a, b) => b.free - a.free || b.share - a.share)[0]?.nodes ?? []
}

function domainNames(fleet: Fleet, within: string): (node: NodeState) => string | undefined {
  const level = levelNamed(within)
  if (level === undefined) return (node) => node.labels[within]
  return (node) => {
    const domain = fleet.fabric.domains[level]?.[fleet.fabric.domainOf[level]?.[node.index] ?? -1]
    return domain?.isReal === true ? String(domain.index) : undefined
  }
}
