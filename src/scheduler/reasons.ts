import { cpuModel } from '../model/accelerators.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { label } from '../model/names.ts'
import { formatBytes, formatMilli } from '../model/quantity.ts'
import { matches } from './affinity.ts'
import type { Victim } from './contract.ts'
import { compare, type Shortage } from './fit.ts'
import type { Fleet } from './fleet.ts'
import type { Blocked } from './line.ts'
import type { Claim } from './nodes.ts'
import type { QuotaTree } from './quota/tree.ts'
import { admits, type Demand, roomFor } from './rooms.ts'

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
  topology: 'TopologyTooNarrow',
  nodes: 'NodesUnavailable',
  quota: 'OverQuota',
  behind: 'BehindOthers',
  never: 'NeverFits',
} as const

export function reasonOf(blocked: Blocked): string {
  return blocked.kind === 'queue' ? blocked.reason : reasons[blocked.shortage.kind]
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
  const sentences = {
    accelerators: () => `${needs} at once; fewer are free`,
    cpu: () => `${needs} with ${formatMilli(group.cpuMilli)} CPU each; fewer nodes have that much CPU free`,
    memory: () => `${needs} with ${formatBytes(group.memoryBytes)} memory each; fewer nodes have that much memory free`,
    ports: () => `${needs} with ${group.ports} ports each; the nodes' port ranges are used up`,
    topology: () => `${needs} in one ${levelSaid(shortage.within)}; no ${levelSaid(shortage.within)} has so many free`,
    nodes: () => `${needs}; ${closedNodes(shortage, scene.fleet)}`,
    quota: () =>
      `${needs}; queue ${gang.spec.queue} may hold ${quotaOf(shortage, gang, scene)} × ${shortage.alternative.model}`,
    behind: () => `${needs}; ${aheadClause(shortage, scene)}`,
    never: () => `${needs}; ${neverClause(shortage, scene.fleet)}`,
  }
  return { reason, message: sentences[shortage.kind]() }
}

/** Names what is missing and who holds it: a person who reads it knows whom to ask or what to change. */
export function describe(blocked: Blocked, gang: Gang, scene: Scene): Described {
  const reason = reasonOf(blocked)
  if (blocked.kind === 'queue') return { reason, message: blocked.message }
  const { shortage } = blocked
  const clauses = {
    accelerators: () => [`needs ${asked(shortage)}, ${freeOf(shortage, scene)}`, ...heldBy(shortage, scene)],
    cpu: () => [
      `needs ${asked(shortage)} with ${formatMilli(shortage.group.cpuMilli)} CPU each; CPU for ${shortage.membersFit} is free`,
      ...heldBy(
        shortage,
        scene,
        (claim) => claim.cpuMilli,
        (cpu) => `${formatMilli(cpu)} CPU`,
      ),
    ],
    memory: () => [
      `needs ${asked(shortage)} with ${formatBytes(shortage.group.memoryBytes)} memory each; memory for ${shortage.membersFit} is free`,
      ...heldBy(
        shortage,
        scene,
        (claim) => claim.memoryBytes,
        (bytes) => `${formatBytes(bytes)} memory`,
      ),
    ],
    ports: () => [
      `needs ${asked(shortage)} with ${shortage.group.ports} ports each; the nodes' port ranges are used up`,
    ],
    topology: () => [
      `needs ${asked(shortage)} in one ${levelSaid(shortage.within)}; the roomiest has room for ${shortage.membersFit}`,
      ...heldBy(shortage, scene),
    ],
    nodes: () => [`needs ${asked(shortage)}; ${closedNodes(shortage, scene.fleet)}`],
    quota: () => [
      quotaClause(shortage, gang, scene),
      ...heldBy(shortage, scene, undefined, undefined, gang.spec.queue),
    ],
    behind: () => [`needs ${asked(shortage)}, ${freeOf(shortage, scene)}; ${aheadClause(shortage, scene)}`],
    never: () => [`needs ${asked(shortage)}; ${neverClause(shortage, scene.fleet)}`],
  }
  return { reason, message: clauses[shortage.kind]().join('; ') }
}

/** While it waits for those that it displaces. */
export function preemptingMessage(victims: readonly Victim[]): string {
  const named = victims.slice(0, holdersNamed).map(({ gang }) => gang)
  const others = victims.length > holdersNamed ? [`${victims.length - holdersNamed} more`] : []
  const lost = Math.round(victims.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0))
  return `it sits when ${[...named, ...others].join(', ')} ${victims.length === 1 ? 'has' : 'have'} left; they lose ${lost} accelerator-seconds of work`
}

/** `2 × cpu:1`, with the group's name where there are several. */
export function asked({ group, alternative }: Shortage): string {
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

export interface Count {
  free: number
  total: number
}

/** Free: healthy, not held, on a node that takes new work. */
export function countOf(fleet: Fleet, model: string): Count {
  let [free, total] = [0, 0]
  for (const node of fleet.nodes.values()) {
    for (const device of node.devices.values()) {
      if (device.model !== model) continue
      total++
      if (device.healthy && node.closed === undefined) free += Math.max(0, 1000 - device.usedMilli) / 1000
    }
  }
  return { free, total }
}

export interface Holder {
  gang: string
  title: string
  queue: string
  priority: number
  held: number
}

/** Gangs by how much they hold, most first. */
export function holdersOf(scene: Scene, measure: (claim: Claim) => number): Holder[] {
  const held = new Map<string, number>()
  for (const [pod, claim] of scene.fleet.claims()) {
    const amount = measure(claim)
    const holder = claim.gang ?? pod
    if (amount > 0) held.set(holder, (held.get(holder) ?? 0) + amount)
  }
  return [...held]
    .map(([gang, amount]) => {
      const object = scene.gangs.get(gang)?.object
      return {
        gang,
        title: titleOf(gang, object),
        queue: object?.spec.queue ?? '',
        priority: object?.spec.priority ?? 0,
        held: amount,
      }
    })
    .toSorted((a, b) => b.held - a.held || compare(a.gang, b.gang))
}

export function acceleratorsHeld(model: string): (claim: Claim) => number {
  return (claim) => (claim.model === model ? claim.devices.reduce((sum, device) => sum + device.milli, 0) / 1000 : 0)
}

const holdersNamed = 3

function heldBy(
  shortage: Shortage,
  scene: Scene,
  measure: (claim: Claim) => number = acceleratorsHeld(shortage.alternative.model),
  show: (amount: number) => string = String,
  queue?: string,
): string[] {
  const here = (claim: Claim) => {
    if (queue !== undefined) return true
    const node = scene.fleet.nodes.get(claim.node)
    return node !== undefined && roomFor(node, shortage.demand, 'empty') > 0
  }
  const holders = holdersOf(scene, (claim) => (here(claim) ? measure(claim) : 0)).filter(
    (holder) => queue === undefined || holder.queue === queue,
  )
  const named = holders
    .slice(0, holdersNamed)
    .map(({ title, queue: of, priority, held }) =>
      of === '' ? `${title} holds ${show(held)}` : `${title} (queue ${of}, priority ${priority}) holds ${show(held)}`,
    )
  const others = holders.slice(holdersNamed)
  if (others.length === 0) return named
  return [...named, `${others.length} others hold ${show(others.reduce((sum, one) => sum + one.held, 0))}`]
}

function levelSaid(within = ''): string {
  return within.slice(within.lastIndexOf('/') + 1)
}

function freeOf({ kind, alternative, group, membersFit }: Shortage, scene: Scene): string {
  const { free, total } = countOf(scene.fleet, alternative.model)
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

function quotaOf({ alternative }: Pick<Shortage, 'alternative'>, gang: Gang, scene: Scene): number {
  return scene.queues.get(gang.spec.queue)?.spec.nominalQuota?.[alternative.model] ?? 0
}

function quotaClause({ group, alternative }: Shortage, gang: Gang, scene: Scene): string {
  const { queue } = gang.spec
  const quota = quotaOf({ alternative }, gang, scene)
  const used = scene.quota.usage(queue, alternative.model) / 1000
  return `queue ${queue} may hold ${quota} × ${alternative.model} and holds ${used}; needs ${group.min * alternative.count} more`
}

function closedNodes({ alternative, demand }: Shortage, fleet: Fleet): string {
  const why: string[] = []
  for (const node of fleet.nodes.values()) {
    if (![...node.devices.values()].some((device) => device.model === alternative.model)) continue
    if (node.closed !== undefined) why.push(`node ${node.name} ${node.closed}`)
    else if (!admits(node, demand)) why.push(`node ${node.name} ${notAdmitted(node.labels, demand)}`)
  }
  const named = why.slice(0, holdersNamed).join(', ')
  return why.length > holdersNamed ? `${named} and ${why.length - holdersNamed} more` : named
}

function notAdmitted(labels: Readonly<Record<string, string>>, { nodeSelector, terms }: Demand): string {
  const missing = Object.entries(nodeSelector).find(([key, value]) => labels[key] !== value)
  if (missing !== undefined) return `does not match its nodeSelector ${missing[0]}=${missing[1]}`
  if (terms !== undefined && !matches(labels, terms)) return 'does not match its node affinity'
  return 'has a taint that it does not tolerate'
}

function neverClause({ alternative, group }: Shortage, fleet: Fleet): string {
  const { total } = countOf(fleet, alternative.model)
  if (total === 0) {
    const there = fleet.models().map((model) => `${countOf(fleet, model).total} × ${model}`)
    return there.length === 0 ? 'no node is there' : `no node has ${alternative.model}; there is ${there.join(', ')}`
  }
  if (total < group.min * alternative.count) return `there are ${total} in all`
  if (group.cpuMilli > 0 || group.memoryBytes > 0) {
    return `no nodes are large enough for that with ${formatMilli(group.cpuMilli)} CPU and ${formatBytes(group.memoryBytes)} memory each`
  }
  return `the ${total} there are unhealthy or spread over nodes that each have fewer${alternative.model === cpuModel ? ' slots' : ''}`
}
