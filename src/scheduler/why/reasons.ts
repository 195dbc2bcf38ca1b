import { cpuModel, isMeant } from '../../model/accelerators.ts'
import { nodeLevel } from '../../model/fabric.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { label } from '../../model/names.ts'
import { formatBytes, formatMilli } from '../../model/quantity.ts'
import { compare } from '../compare.ts'
import type { Victim } from '../contract.ts'
import { withoutCompany } from '../fit/demand.ts'
import type { Shortage } from '../fit/shortage.ts'
import { matches } from '../fleet/affinity.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { type Claim, heldMilli, type NodeState } from '../fleet/nodes.ts'
import { admits, type Demand, roomIfOpen } from '../fleet/rooms.ts'
import type { Keeping } from '../fleet/spares.ts'
import type { Blocked, Start } from '../line/line.ts'
import type { QuotaTree } from '../quota/tree.ts'
import { counted } from './counted.ts'

export interface Described {
  reason: string
  message: string
}

/** What sentences are made from. */
export interface Scene {
  fleet: Fleet
  quota: QuotaTree
  gangs: ReadonlyMap<string, { object: Gang }>
  queues: ReadonlyMap<string, Queue>
}

const reasons = {
  accelerators: 'InsufficientAccelerators',
  cpu: 'InsufficientCpu',
  memory: 'InsufficientMemory',
  ports: 'InsufficientPorts',
  pods: 'InsufficientPods',
  topology: 'TopologyTooNarrow',
  company: 'PodAffinityUnmet',
  nodes: 'NodesUnavailable',
  quota: 'OverQuota',
  behind: 'BehindOthers',
  spares: 'KeptAsSpares',
  never: 'NeverFits',
} as const

export function reasonOf(blocked: Blocked): string {
  if (blocked.kind === 'queue') return blocked.reason
  if (blocked.wouldLeave !== undefined && blocked.wouldLeave.length > 0) return 'FailsRepeatedly'
  if (blocked.later !== undefined) return 'MinimumRunTime'
  return blocked.budgets === undefined ? reasons[blocked.shortage.kind] : 'DisruptionBudget'
}

/**
 * The binding constraint, in words that stay true until another one binds: a gang's condition is written when it changes,
 * not whenever somebody comes or goes. `describe` has the numbers and the names.
 */
export function constraintOf(blocked: Blocked, gang: Gang, scene: Scene): Described {
  const reason = reasonOf(blocked)
  if (blocked.kind === 'queue') return { reason, message: blocked.message }
  const { shortage } = blocked
  const { group } = shortage
  const needs = `needs ${asked(shortage)}`
  const limited = limitClause(blocked, scene)
  if (limited !== undefined) return { reason, message: `${needs} at once; ${limited}` }
  const sentences = {
    accelerators: () => `${needs} at once; fewer are free`,
    cpu: () => `${needs} with ${formatMilli(group.cpuMilli)} CPU each; fewer nodes have that much CPU free`,
    memory: () => `${needs} with ${formatBytes(group.memoryBytes)} memory each; fewer nodes have that much memory free`,
    ports: () => `${needs} with ${counted(group.ports, 'port')} each; the nodes' port ranges are used up`,
    pods: () => `${needs}; fewer nodes may run one more pod`,
    topology: () => `${needs} ${closeness(shortage)}; ${noneHolds(shortage)}`,
    company: () => `${needs} ${companySaid(shortage)}; fewer such places are free`,
    nodes: () => `${needs}; ${closedNodes(shortage, scene.fleet)}`,
    quota: () => `${needs}; ${quotaUsedUp(shortage, gang, scene)}`,
    behind: () => `${needs}; ${aheadClause(shortage, scene)}`,
    spares: () => `${needs} at once; ${sparesClause(shortage, scene.fleet)}`,
    never: () => `${needs}; ${neverClause(shortage, scene.fleet)}`,
  }
  return { reason, message: sentences[shortage.kind]() }
}

/** Names what is missing and who holds it: a person who reads it knows whom to ask or what to change. */
export function describe(blocked: Blocked, gang: Gang, scene: Scene, holders: Holders): Described {
  const reason = reasonOf(blocked)
  if (blocked.kind === 'queue') return { reason, message: blocked.message }
  const { shortage } = blocked
  const { group, membersFit, within } = shortage
  const needs = `needs ${asked(shortage)}`
  const limited = limitClause(blocked, scene)
  if (limited !== undefined)
    return { reason, message: [`${needs}, ${freeOf(shortage, scene)}`, limited, ...heldBy(holders)].join('; ') }
  const clauses = {
    accelerators: () => [`${needs}, ${freeOf(shortage, scene)}`, ...heldBy(holders)],
    cpu: () => [
      `${needs} with ${formatMilli(group.cpuMilli)} CPU each; CPU for ${membersFit} is free`,
      ...heldBy(holders, (cpu) => `${formatMilli(cpu)} CPU`),
    ],
    memory: () => [
      `${needs} with ${formatBytes(group.memoryBytes)} memory each; memory for ${membersFit} is free`,
      ...heldBy(holders, (bytes) => `${formatBytes(bytes)} memory`),
    ],
    ports: () => [`${needs} with ${counted(group.ports, 'port')} each; the nodes' port ranges are used up`],
    pods: () => [`${needs}; the nodes run as many pods as they may (status.allocatable.pods) but for ${membersFit}`],
    topology: () => [
      `${needs} ${closeness(shortage)}; ${within === undefined ? 'there is' : 'the roomiest has'} room for ${membersFit}`,
      ...heldBy(holders),
    ],
    company: () => [
      `${needs} ${companySaid(shortage)}; ${membersFit < group.min ? `there is room for ${membersFit}` : 'fewer such places are free'}`,
      ...heldBy(holders, (places) => (places === 1 ? 'one such place' : `${places} such places`)),
    ],
    nodes: () => [`${needs}; ${closedNodes(shortage, scene.fleet)}`],
    quota: () => [quotaClause(shortage, gang, scene), ...heldBy(holders)],
    behind: () => [`${needs}, ${freeOf(shortage, scene)}; ${aheadClause(shortage, scene)}`],
    spares: () => [`${needs}, ${freeOf(shortage, scene)}; ${sparesClause(shortage, scene.fleet)}`, ...heldBy(holders)],
    never: () => [`${needs}; ${neverClause(shortage, scene.fleet)}`],
  }
  return { reason, message: clauses[shortage.kind]().join('; ') }
}

/** While it waits for those that it displaces, or that move for it and lose by that less than it gains. */
export function preemptingMessage(victims: readonly Victim[], gainSeconds?: number): string {
  const named = victims.slice(0, holdersNamed).map(({ gang }) => gang)
  const others = victims.length > holdersNamed ? [`${victims.length - holdersNamed} more`] : []
  const lost = Math.round(victims.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0))
  const [have, lose] = victims.length === 1 ? ['has', 'loses'] : ['have', 'lose']
  const move = victims.some(({ movesTo }) => movesTo !== undefined)
  const gains = gainSeconds === undefined ? '' : `, and it gains ${Math.round(gainSeconds)} by starting sooner`
  return `it sits when ${[...named, ...others].join(', ')} ${have} ${move ? 'moved' : 'left'}, which ${lose} ${counted(lost, 'accelerator-second')} of work${gains}`
}

/** What keeps it from displacing whom it otherwise may. */
function limitClause(blocked: Blocked, scene: Scene): string | undefined {
  if (blocked.kind === 'queue') return undefined
  const { later, budgets, wouldLeave = [] } = blocked
  if (wouldLeave.length > 0) {
    const titles = titlesOf(wouldLeave, scene)
    return `${titles} would have to leave, and it displaces nobody as long as it fails again and again (preemptionPolicy: Never)`
  }
  if (later !== undefined) return laterClause(later, scene)
  if (budgets === undefined) return undefined
  const others = budgets.length > holdersNamed ? ` and ${budgets.length - holdersNamed} more` : ''
  const named = budgets.slice(0, holdersNamed).map((name) => `service/${name}`)
  return `${named.join(', ')}${others} can spare no more replicas (disruptionBudget)`
}

/** Who is to leave for it once he has had his minimum run time. */
function laterClause({ atMs, victims = [] }: Start, scene: Scene): string {
  const have = victims.length === 1 ? 'has had its' : 'have had their'
  return `displaces ${titlesOf(victims, scene)} when ${victims.length === 1 ? 'it' : 'they'} ${have} minimum run time, at ${new Date(atMs).toISOString()}`
}

function titlesOf(victims: readonly Victim[], { gangs }: Scene): string {
  const titles = victims.map(({ gang }) => titleOf(gang, gangs.get(gang)?.object))
  const others = titles.length > holdersNamed ? [`${titles.length - holdersNamed} more`] : []
  return [...titles.slice(0, holdersNamed), ...others].join(', ')
}

/** `2 × cpu:1`, with the group's name where there are several. */
export function asked({ group, alternative }: Shortage): string {
  if (alternative.count === 0) return group.min === 1 ? 'a place for 1 member' : `a place for ${group.min} members`
  return `${group.min} × ${alternative.model}:${alternative.count}`
}

/** What a person calls the gang: the job or service that it is of. */
export function titleOf(key: string, gang: Gang | undefined): string {
  const job = gang?.metadata.labels?.[label.job]
  const service = gang?.metadata.labels?.[label.service]
  if (job !== undefined) return `job/${job}`
  if (service !== undefined) return `service/${service}`
  return `gang/${gang?.metadata.name ?? key.slice(key.indexOf('/') + 1)}`
}

export interface Holder {
  gang: string
  title: string
  queue: string
  priority: number
  held: number
}

/** Who holds something, as far as they are named, most first; and what all others hold together. */
export interface Holders {
  named: Holder[]
  others: { count: number; held: number }
}

function holdersOf(scene: Scene, held: ReadonlyMap<string, number>): Holders {
  const most: [string, number][] = []
  let others = 0
  for (const [holder, amount] of held) {
    others += amount
    let at = most.length
    for (; at > 0; at--) {
      const [before, its] = most[at - 1] ?? ['', 0]
      if (its > amount || (its === amount && compare(before, holder) < 0)) break
    }
    if (at < holdersKept) most.splice(at, 0, [holder, amount])
    if (most.length > holdersKept) most.pop()
  }
  const named = most.map(([gang, amount]) => {
    const object = scene.gangs.get(gang)?.object
    const { queue = '', priority = 0 } = object?.spec ?? {}
    others -= amount
    return { gang, title: titleOf(gang, object), queue, priority, held: amount }
  })
  return { named, others: { count: held.size - named.length, held: others } }
}

/** So many are looked for; a sentence names fewer. */
const holdersKept = 20
const holdersNamed = 3

/** Who holds what the shortage is about, on nodes that could be of use to the gang. */
export function holdersOfShortage(shortage: Shortage, gang: Gang, scene: Scene): Holders {
  const { kind, alternative, demand } = shortage
  const { fleet } = scene
  const held = new Map<string, number>()
  const count = (pod: string, claim: Claim, amount: number) => {
    const holder = claim.gang ?? pod
    if (amount > 0) held.set(holder, (held.get(holder) ?? 0) + amount)
  }
  const accelerators = acceleratorsHeld(alternative.model)
  if (kind === 'quota') {
    const { queue } = gang.spec
    for (const [pod, claim] of fleet.claims()) if (claim.queue === queue) count(pod, claim, accelerators(claim))
    return holdersOf(scene, held)
  }
  const measures: Partial<Record<Shortage['kind'], (claim: Claim) => number>> = {
    cpu: ({ cpuMilli }) => cpuMilli,
    memory: ({ memoryBytes }) => memoryBytes,
    company: (claim) => (demand.company?.isInTheWay(claim) === true ? 1 : 0),
  }
  const measure = measures[kind] ?? accelerators
  for (const node of fleet.order) {
    if (!admits(node, demand) || roomIfOpen(fleet, node, demand) === 0) continue
    for (const [pod, claim] of node.claims) count(pod, claim, measure(claim))
  }
  return holdersOf(scene, held)
}

function acceleratorsHeld(model: string): (claim: Claim) => number {
  return (claim) => (isMeant(model, claim.model) ? heldMilli(claim) / 1000 : 0)
}

function heldBy({ named, others }: Holders, show: (amount: number) => string = String): string[] {
  const together = new Map<string, number>()
  for (const { title, queue, priority, held } of named) {
    const holder = queue === '' ? title : `${title} (queue ${queue}, priority ${priority})`
    together.set(holder, (together.get(holder) ?? 0) + held)
  }
  const most = [...together].toSorted(([, a], [, b]) => b - a)
  const said = most.slice(0, holdersNamed).map(([holder, held]) => `${holder} holds ${show(held)}`)
  const rest = most.slice(holdersNamed)
  const count = others.count + rest.length
  const held = rest.reduce((sum, [, amount]) => sum + amount, others.held)
  return count === 0 ? said : [...said, `${counted(count, 'other holds', 'others hold')} ${show(held)}`]
}

/** `in one rack`; `in slices of 4, each in one rack, all in one block`. */
function closeness({ within, slice }: Shortage): string {
  const all = within === undefined ? '' : `in one ${levelSaid(within)}`
  if (slice === undefined) return all
  return `in slices of ${slice.size}, each in one ${levelSaid(slice.within)}${all === '' ? '' : `, all ${all}`}`
}

function noneHolds({ within, slice }: Shortage): string {
  if (within !== undefined) return `no ${levelSaid(within)} has so many free`
  return slice === undefined ? 'fewer are free' : 'fewer such slices are free'
}

/** The first few by name. */
export function listed(names: readonly string[]): string {
  const others = names.length - holdersNamed
  const named = names.slice(0, others > 0 ? holdersNamed : -1).join(', ')
  const last = others > 0 ? `${others} more` : (names.at(-1) ?? '')
  return named === '' ? last : `${named} and ${last}`
}

function companySaid({ demand }: Shortage): string {
  return demand.company?.said ?? ''
}

function levelSaid(within = ''): string {
  return within.slice(within.lastIndexOf('/') + 1)
}

function freeOf({ kind, alternative, group, membersFit }: Shortage, scene: Scene): string {
  const { free, total } = scene.fleet.countOf(alternative.model)
  const said = `${free} free of ${total}`
  return kind !== 'behind' && free >= group.min * alternative.count && membersFit < group.min
    ? `${said}, but on single nodes there is room for ${membersFit}`
    : said
}

function aheadClause({ ahead, alternative }: Shortage, scene: Scene): string {
  const gang = ahead === undefined ? undefined : scene.gangs.get(ahead)?.object
  const priority = gang === undefined ? '' : ` (queue ${gang.spec.queue}, priority ${gang.spec.priority})`
  return `${titleOf(ahead ?? '', gang)}${priority} is ahead in line for ${alternative.model}`
}

/** Who keeps what it lacks; of pools that keep some of several models, those of its own. */
function sparesClause({ alternative: { model }, isForGood }: Shortage, fleet: Fleet): string {
  const pools = sparesOf(fleet, model).map(({ pool, wanted }) => `pool ${pool} keeps ${counted(wanted, 'node')}`)
  const most = isForGood === true ? ', and beside them there are never so many' : ''
  return `${listed(pools)} free for who loses one (spec.spares)${most}`
}

/** Pools that keep nodes with accelerators of the model. */
export function sparesOf({ spares }: Fleet, model: string): Keeping[] {
  return spares.kept().filter(({ one }) => hasModel(one, model))
}

/** Without numbers that change with every gang that comes or goes. */
function quotaUsedUp({ alternative: { model } }: Shortage, gang: Gang, scene: Scene): string {
  const { queue: name } = gang.spec
  if (lacksFirm(model, gang, scene)) return firmClause(model, gang, scene)
  const queue = scene.queues.get(name)?.spec
  const own = queue?.nominalQuota?.[model]
  if (queue?.parent === undefined) return `queue ${name} may hold ${own ?? 0} × ${model}`
  const owns = own === undefined ? `owns no ${model}` : `owns ${own} × ${model}`
  return `queue ${name} ${owns}, and that and what it may borrow is used up`
}

function quotaClause({ group, alternative }: Shortage, gang: Gang, scene: Scene): string {
  const { queue } = gang.spec
  const { model, count } = alternative
  if (lacksFirm(model, gang, scene)) {
    const left = Math.max(0, scene.quota.firmLeft(queue, model)) / 1000
    return `${firmClause(model, gang, scene)}; ${left} ${left === 1 ? 'is' : 'are'} left for such work, and it needs ${group.min * count}`
  }
  const used = scene.quota.usage(queue, model)
  const most = Math.max(0, used + scene.quota.available(queue, model))
  return `queue ${queue} may hold ${most / 1000} × ${model} and holds ${used / 1000}; needs ${group.min * count} more`
}

/** Whether it is kept out for not being preemptible, and not by what its queue may hold at all. */
function lacksFirm(model: string, { spec }: Gang, { quota }: Scene): boolean {
  return !spec.preemptible && quota.firmLeft(spec.queue, model) < quota.available(spec.queue, model)
}

/** Without numbers that change with every gang that comes or goes. */
function firmClause(model: string, { spec: { queue } }: Gang, { quota, queues }: Scene): string {
  const limit = quota.firmLimit(queue, model) / 1000
  const many = limit === 0 ? `no ${model}` : `${limit} × ${model}`
  const names = queues.get(queue)?.spec.nominalQuota?.[model] !== undefined
  const owned =
    names || limit === 0 ? `queue ${queue} owns ${many}` : `${many} ${limit === 1 ? 'is' : 'are'} no queue's own`
  return `${owned}, and what is not preemptible borrows nothing`
}

function closedNodes({ alternative, demand }: Shortage, fleet: Fleet): string {
  const why: string[] = []
  for (const node of fleet.nodes.values()) {
    if (alternative.count > 0 && !hasModel(node, alternative.model)) continue
    if (node.closed !== undefined) why.push(`node ${node.name} ${node.closed}`)
    else if (!admits(node, demand)) why.push(`node ${node.name} ${notAdmitted(node, demand)}`)
  }
  const named = why.slice(0, holdersNamed).join(', ')
  return why.length > holdersNamed ? `${named} and ${why.length - holdersNamed} more` : named
}

export function hasModel({ devices }: NodeState, model: string): boolean {
  return [...devices.values()].some((device) => isMeant(model, device.model))
}

export function notAdmitted(node: NodeState, { nodeSelector, terms, capacityTypes }: Demand): string {
  if (capacityTypes?.includes(node.capacityType) === false)
    return `is ${node.capacityType}, not ${capacityTypes.join(' or ')}`
  const missing = Object.entries(nodeSelector).find(([key, value]) => node.labels[key] !== value)
  if (missing !== undefined) return `does not match its nodeSelector ${missing[0]}=${missing[1]}`
  if (terms !== undefined && !matches(node, terms)) return 'does not match its node affinity'
  return 'has a taint that it does not tolerate'
}

function neverClause({ alternative, group, demand }: Shortage, fleet: Fleet): string {
  const { total } = fleet.countOf(alternative.model)
  if (total === 0 && alternative.count > 0) {
    const there = fleet.models().map((model) => `${fleet.countOf(model).total} × ${model}`)
    return there.length === 0 ? 'no node is there' : `no node has ${alternative.model}; there is ${there.join(', ')}`
  }
  if (total < group.min * alternative.count) return `there ${total === 1 ? 'is' : 'are'} ${total} in all`
  const { company } = demand
  if (company !== undefined && fleet.rooms(withoutCompany(demand)).emptyTotal >= group.min) {
    const rooms = fleet.rooms(demand)
    const places = Math.min(
      rooms.emptyTotal,
      company.mostMembers((index) => rooms.emptyIn(nodeLevel, index)),
    )
    return `they are to sit ${company.said}, and there are places for ${places}`
  }
  if (demand.milli > 0 && [...fleet.nodes.values()].every((node) => node.isSliced || !hasModel(node, demand.model))) {
    return `${alternative.model} is there in slices (MIG), which are not shared`
  }
  if (group.cpuMilli > 0 || group.memoryBytes > 0 || alternative.count === 0) {
    return `no nodes are large enough for that with ${formatMilli(group.cpuMilli)} CPU and ${formatBytes(group.memoryBytes)} memory each`
  }
  if (total === 1) return 'the one there is unhealthy'
  return `the ${total} there are unhealthy or spread over nodes that each have fewer${alternative.model === cpuModel ? ' slots' : ''}`
}
