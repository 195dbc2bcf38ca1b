import { levels, nodeLevel } from '../../model/fabric.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Why } from '../contract.ts'
import { type Alternative, demandOf } from '../fit/demand.ts'
import { fitGang } from '../fit/fit.ts'
import { fitOrLeast } from '../fit/least.ts'
import { partsOf, spreadingOf } from '../fit/parts.ts'
import type { Placed } from '../fit/search.ts'
import type { Domain } from '../fleet/fabric.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import { type Demand, isWanted } from '../fleet/rooms.ts'
import { type GangState, membersByGroup, podsOf } from '../gangs.ts'
import { quotaLeft } from '../line/admission.ts'
import { noFewer } from '../line/growth.ts'
import { nothingReserved } from '../line/reservations.ts'
import type { Explained } from './explained.ts'
import { constraintOf, hasModel, listed, notAdmitted } from './reasons.ts'

type Here = NonNullable<Why['here']>

/**
 * Why a gang sits where it does, as the nodes are now: it is lifted off them, and its place is looked for again. What others
 * held when it sat down is not remembered, so where it would now sit elsewhere, that is said.
 */
export function hereOf(scene: Explained, state: GangState): Here {
  const { fleet } = scene
  const nodes = nodesOf(fleet, state)
  const gang = asItSits(fleet, state.object)
  return fleet.attempt(() => {
    for (const pod of podsOf(state, scene.livePodsOf(state.key))) fleet.lift(pod)
    const [group] = gang.spec.groups
    const [alternative] = group?.accelerators ?? []
    if (group === undefined || alternative === undefined) return { place: '', passedOver: [], rejected: [] }
    const demand = demandOf(group, alternative, spreadingOf(gang, 0).slices, fleet.neighbours.of(gang, group))
    const elsewhere = elsewhereNow(scene, gang, nodes)
    return {
      place: placeSaid(fleet, gang, demand, nodes),
      ...(elsewhere === undefined ? {} : { elsewhere }),
      passedOver: passedOver(scene, state.object, alternative),
      rejected: rejectedNodes(fleet, demand, nodes),
    }
  })
}

function nodesOf(fleet: Fleet, { object }: GangState): ReadonlySet<NodeState> {
  const members = object.status?.seats?.members ?? []
  return new Set(members.flatMap(({ node }) => fleet.nodes.get(node) ?? []))
}

/** With as many members as it has, on the accelerators that it has. */
function asItSits(fleet: Fleet, object: Gang): Gang {
  const had = membersByGroup({ members: object.status?.seats?.members ?? [] })
  const gang = noFewer(object, fleet)
  const groups = gang.spec.groups.map((group) => {
    const members = had.get(group.name) ?? group.min
    return { ...group, min: members, max: members }
  })
  // Its own nodes are free while it is lifted off them, and would pass for spares.
  return { ...gang, spec: { ...gang.spec, groups, spareAttempt: gang.spec.attempt } }
}

/** Where it would sit if it sat down now, if that is on other nodes. */
function elsewhereNow(scene: Explained, gang: Gang, nodes: ReadonlySet<NodeState>): string | undefined {
  const { fleet, quota } = scene
  const request = { gang: '', object: gang, quotaLeft: quotaLeft(quota, fleet, gang), reserved: nothingReserved }
  const fit = fitOrLeast(fleet, request)
  if (!fit.fits) return 'nowhere'
  const wanted = new Set(fit.placed.map(({ node }: Placed) => node))
  const models = new Set(gang.spec.groups.flatMap(({ accelerators }) => accelerators.map(({ model }) => model)))
  if (likeness(fleet, wanted, models) === likeness(fleet, nodes, models)) return undefined
  return listed([...wanted].map(({ name }) => name))
}

/** What one place may be better by than another: how close together its nodes are, and what is free of them. */
function likeness(fleet: Fleet, nodes: ReadonlySet<NodeState>, models: Iterable<string>): string {
  const spans = levels.map((_, level) => domainsOf(fleet, nodes, level).size)
  const states = [...models].map((model) => fleet.states(model))
  const frees = [...nodes].map(({ index }) => [...states.map((of) => of[index]), fleet.inUse[index]].join('/'))
  return [...spans, ...frees.sort()].join(' ')
}

/** Accelerators that it would rather have had, and why it has them not. */
function passedOver(scene: Explained, gang: Gang, has: Alternative): string[] {
  const [group, ...others] = gang.spec.groups
  if (group === undefined || others.length > 0) return []
  const at = group.accelerators.findIndex(({ model }) => model === has.model)
  return group.accelerators.slice(0, Math.max(0, at)).map((alternative) => {
    const object = { ...gang, spec: { ...gang.spec, groups: [{ ...group, accelerators: [alternative] }] } }
    const left = quotaLeft(scene.quota, scene.fleet, object)
    const fit = fitGang(scene.fleet, { gang: '', object, quotaLeft: left, reserved: nothingReserved })
    if (fit.fits) return `${alternative.model} has room for it now`
    return constraintOf({ kind: 'shortage', shortage: fit.shortage }, object, scene).message
  })
}

// ---- its place in the fabric ----

function placeSaid(fleet: Fleet, gang: Gang, demand: Demand, nodes: ReadonlySet<NodeState>): string {
  const narrowest = commonDomain(fleet, nodes)
  const where = narrowest === undefined ? spanSaid(fleet, nodes) : domainSaid(fleet, narrowest)
  const chosen = chosenSaid(fleet, gang, demand, nodes, narrowest?.level)
  return chosen === '' ? where : `${where}, ${chosen}`
}

/** The narrowest domain that all of them are in, that of one node included. */
function commonDomain(fleet: Fleet, nodes: ReadonlySet<NodeState>): Domain | undefined {
  for (let level = nodeLevel; level >= 0; level--) {
    const domains = domainsOf(fleet, nodes, level)
    const [domain] = domains
    if (domains.size === 1 && domain?.isReal === true) return domain
  }
  return undefined
}

function domainsOf({ fabric }: Fleet, nodes: Iterable<NodeState>, level: number): Set<Domain> {
  const found = new Set<Domain>()
  for (const { index } of nodes) {
    const domain = fabric.domains[level]?.[fabric.domainOf[level]?.[index] ?? -1]
    if (domain !== undefined) found.add(domain)
  }
  return found
}

/** `in rack r2 of block b1`. */
function domainSaid(fleet: Fleet, { level, name, from }: Domain): string {
  const own = `${level === nodeLevel ? 'on' : 'in'} ${levels[level]} ${name}`
  for (let wider = level - 1; wider >= 0; wider--) {
    const around = fleet.fabric.domains[wider]?.[fleet.fabric.domainOf[wider]?.[from] ?? -1]
    if (around?.isReal === true) return `${own} ${level === nodeLevel ? 'in' : 'of'} ${levels[wider]} ${around.name}`
  }
  return own
}

function spanSaid(fleet: Fleet, nodes: ReadonlySet<NodeState>): string {
  for (let level = 0; level < nodeLevel; level++) {
    const domains = domainsOf(fleet, nodes, level)
    if (domains.size > 1 && [...domains].every(({ isReal }) => isReal)) return `over ${domains.size} ${levels[level]}s`
  }
  return `on ${nodes.size} nodes`
}

/** Which others of the level that counts had room: that which it requires or prefers, else the narrowest that it is in. */
function chosenSaid(
  fleet: Fleet,
  gang: Gang,
  demand: Demand,
  nodes: ReadonlySet<NodeState>,
  narrowest: number | undefined,
): string {
  const { required, preferred } = partsOf(gang)
  const wanted = preferred ?? required
  const level = wanted !== undefined && 'level' in wanted ? wanted.level : narrowest
  if (level === undefined || gang.spec.groups.length > 1) return ''
  const members = gang.spec.groups[0]?.min ?? 1
  const rooms = fleet.rooms(demand)
  const isAble = (domain: Domain) => domain.isReal && rooms.in(level, domain.index) >= members
  const able = (fleet.fabric.domains[level] ?? []).filter(isAble)
  const [own, ...others] = domainsOf(fleet, nodes, level)
  const name = levels[level]
  if (others.length > 0)
    return able.length === 0
      ? `as no ${name} has room for all of it`
      : `though ${able.length} ${name}${able.length === 1 ? ' has' : 's have'} room for all of it now`
  if (own === undefined || able.length < 2) return `the only ${name} with room for it`
  const room = rooms.in(level, own.index)
  const tighter = able.filter((domain) => domain !== own && rooms.in(level, domain.index) < room).length
  if (level === nodeLevel) return `one of ${able.length} nodes with room for it`
  return tighter === 0
    ? `the tightest of ${able.length} ${name}s with room for it`
    : `one of ${able.length} ${name}s with room for it, of which ${tighter} ${tighter === 1 ? 'is' : 'are'} tighter`
}

// ---- nodes that it is not on ----

/** How many for which reason, most first. */
function rejectedNodes(fleet: Fleet, demand: Demand, nodes: ReadonlySet<NodeState>): Here['rejected'] {
  const counts = new Map<string, number>()
  const why = rejection(fleet, demand)
  for (const node of fleet.order) {
    if (nodes.has(node)) continue
    const reason = why(node)
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
  return [...counts].map(([reason, count]) => ({ reason, nodes: count })).sort((a, b) => b.nodes - a.nodes)
}

function rejection(fleet: Fleet, demand: Demand): (node: NodeState) => string {
  const without = (name: string, less: Partial<Demand>) =>
    fleet.rooms({ ...demand, ...less, slices: undefined, company: undefined, key: `${demand.key} -company,${name}` })
  const rooms = fleet.rooms(demand)
  const bare = { cpuMilli: 0, memoryBytes: 0, ports: 0, pods: 0 }
  const devices = without(Object.keys(bare).join(), bare)
  const scarce = [
    [`not ${demand.company?.said}`, without('', {})],
    ['too little CPU', without('cpuMilli', { cpuMilli: 0 })],
    ['too little memory', without('memoryBytes', { memoryBytes: 0 })],
    ['no ports left', without('ports', { ports: 0 })],
    ['as many pods as they may run', without('pods', { pods: 0 })],
  ] as const
  return (node) => {
    if (demand.whole + demand.milli > 0 && !hasModel(node, demand.model)) return `without ${demand.model}`
    if (node.closed !== undefined) return node.closed.replace(/^is /, '')
    if (!isWanted(node, demand))
      return notAdmitted(node, demand)
        .replace(/^does not match/, 'not matching')
        .replace(/^has /, 'with ')
    if (rooms.raw(node) > 0) return 'with room, not needed or not as good'
    if (devices.raw(node) === 0) return `${demand.model} in use`
    return scarce.find(([, relaxed]) => relaxed.raw(node) > 0)?.[0] ?? 'too little CPU'
  }
}
