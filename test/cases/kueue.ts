import type { Queue } from '../../src/model/kinds/queue.ts'
import type { Candidate, Request } from '../../src/scheduler/quota/candidates.ts'
import type { KueueCase, Workload } from './tables.ts'

/** A case's world in our words. */
export interface Translated {
  queues: Queue[]
  running: Candidate[]
  /** Each with what it wants for every choice of flavors, in order of preference. */
  incoming: { request: Request; choices: Map<string, number>[] }[]
  /** The resource that a model is a flavor of. */
  resourceOf(model: string): string
}

/**
 * Kueue's quota is per flavor and resource; ours is per accelerator model: each pair becomes a model, `default-cpu`.
 * Amounts are divided by what all of one resource have in common, so that a byte of memory is not an accelerator.
 * Cohorts become parent Queues. Their trees are closed (nobody borrows from a fleet), so the topmost own nothing of every
 * model, rather than leaving it open.
 */
export function translate({ input }: KueueCase, isFair: boolean): Translated {
  const scale = scalesOf(input)
  const count = (resource: string, amount: number) => Math.round(thousandths(amount) / (scale.get(resource) ?? 1))
  const models = new Map<string, string>()
  const modelOf = (flavor: string, resource: string) => {
    const model = `${flavor}-${resource}`
    models.set(model, resource)
    return model
  }
  const nodes = [...input.cohorts.map((cohort) => ({ ...cohort, preemption: undefined })), ...input.queues]
  for (const { quotas } of nodes) for (const { flavor, resource } of quotas) modelOf(flavor, resource)
  for (const one of input.running)
    for (const { flavors } of one.assigned)
      for (const [resource, flavor] of Object.entries(flavors)) modelOf(flavor, resource)
  const known = new Set(nodes.map(({ name }) => name))
  for (const { parent } of nodes.filter(({ parent }) => parent !== null && !known.has(parent))) {
    if (parent === null || known.has(parent)) continue
    known.add(parent)
    nodes.push({ name: parent, parent: null, weight: 1, quotas: [], preemption: undefined })
  }
  const queues = nodes.map((node): Queue => {
    const limits = (of: 'nominal' | 'borrowingLimit' | 'lendingLimit') =>
      Object.fromEntries(
        node.quotas.flatMap((quota) => {
          const limit = quota[of]
          return limit === null ? [] : [[modelOf(quota.flavor, quota.resource), count(quota.resource, limit)]]
        }),
      )
    const closed = node.parent === null ? Object.fromEntries([...models.keys()].map((model) => [model, 0])) : {}
    return {
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'Queue',
      metadata: { name: node.name },
      spec: {
        namespaces: ['*'],
        weight: node.weight,
        stopPolicy: 'None',
        ...(node.parent === null ? { fairSharing: isFair } : { parent: node.parent }),
        nominalQuota: { ...closed, ...limits('nominal') },
        borrowingLimit: limits('borrowingLimit'),
        lendingLimit: limits('lendingLimit'),
        ...preemptionOf(node.preemption),
      },
    }
  })
  return {
    queues,
    resourceOf: (model) => models.get(model) ?? model,
    running: input.running.map((one) => candidateOf(one, holdsOf(one, modelOf, count))),
    incoming: input.incoming.map((one) => ({
      request: requestOf(one),
      choices: choicesOf(one, input.queues.find(({ name }) => name === one.queue)?.flavorOrder ?? [], modelOf, count),
    })),
  }
}

export function candidateOf(one: Workload, holds: ReadonlyMap<string, number>): Candidate {
  return {
    key: keyOf(one),
    uid: one.uid ?? one.name,
    queue: one.queue ?? '',
    priority: one.priority + one.priorityBoost,
    createdAt: timeOf(one.createdAt_s),
    sinceMs: one.quotaReservedAt_s * 1000,
    leaving: one.alreadyEvicted,
    preemptible: true,
    holds,
    price: 0, // no checkpoint is known
  }
}

export function keyOf({ namespace, name }: { namespace: string; name: string }): string {
  return namespace === '' ? name : `${namespace}/${name}`
}

function requestOf(one: Workload): Request {
  return {
    gang: keyOf(one),
    queue: one.queue ?? '',
    priority: one.priority + one.priorityBoost,
    createdAt: timeOf(one.createdAt_s),
    wants: new Map(),
  }
}

/** Absent is the oldest. */
function timeOf(seconds: number | undefined): string {
  return seconds === undefined ? '' : new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()
}

type ModelOf = (flavor: string, resource: string) => string
type Count = (resource: string, amount: number) => number

function holdsOf(one: Workload, modelOf: ModelOf, count: Count): Map<string, number> {
  const holds = new Map<string, number>()
  for (const { flavors, usage } of one.assigned) {
    for (const [resource, flavor] of Object.entries(flavors)) {
      add(holds, modelOf(flavor, resource), count(resource, usage[resource] ?? 0) * 1000)
    }
  }
  return holds
}

/** What it would hold with the flavors that the table chose, or else with the first, the second … of each resource. */
function choicesOf(
  one: Workload,
  flavorOrder: readonly { resources: string[]; flavors: string[] }[],
  modelOf: ModelOf,
  count: Count,
): Map<string, number>[] {
  const chosen = (flavorFor: (pods: string, resource: string) => string | undefined) => {
    const wants = new Map<string, number>()
    for (const { name = '', count: members, requests } of one.pods) {
      for (const [resource, amount] of Object.entries(requests)) {
        const flavor = flavorFor(name, resource)
        if (flavor !== undefined) add(wants, modelOf(flavor, resource), count(resource, members * amount) * 1000)
      }
    }
    return wants
  }
  if (Object.keys(one.wantedFlavors).length > 0) {
    return [
      chosen((pods, resource) => flavorIn(one.wantedFlavors[pods], resource) ?? flavorIn(one.wantedFlavors, resource)),
    ]
  }
  const most = Math.max(1, ...flavorOrder.map(({ flavors }) => flavors.length))
  return Array.from({ length: most }, (_, at) =>
    chosen((_pods, resource) => {
      const flavors = flavorOrder.find(({ resources }) => resources.includes(resource))?.flavors ?? []
      return flavors[Math.min(at, flavors.length - 1)]
    }),
  )
}

/** `{cpu: 'default'}`, or `{cpu: {flavor: 'default', mode: …}}`. */
function flavorIn(flavors: unknown, resource: string): string | undefined {
  if (typeof flavors !== 'object' || flavors === null) return undefined
  const flavor: unknown = Object.entries(flavors).find(([name]) => name === resource)?.[1]
  if (typeof flavor === 'string') return flavor
  if (typeof flavor === 'object' && flavor !== null && 'flavor' in flavor && typeof flavor.flavor === 'string') {
    return flavor.flavor
  }
  return undefined
}

function preemptionOf(preemption: KueueCase['input']['queues'][number]['preemption']): Partial<Queue['spec']> {
  if (preemption === undefined) return {}
  const { withinQueue, reclaimWithinCohort, borrowWithinCohort } = preemption
  const threshold = borrowWithinCohort?.maxPriorityThreshold
  const borrow =
    borrowWithinCohort == null
      ? {}
      : {
          borrowWithinCohort: {
            policy: borrowWithinCohort.policy,
            ...(threshold == null ? {} : { maxPriorityThreshold: threshold }),
          },
        }
  return { preemption: { withinQueue, reclaimWithinCohort, ...borrow } }
}

/** By resource, what its amounts (in thousandths) have in common. */
function scalesOf(input: KueueCase['input']): Map<string, number> {
  const scales = new Map<string, number>()
  const see = (resource: string, amount: number) =>
    scales.set(resource, gcd(scales.get(resource) ?? 0, thousandths(amount)))
  for (const { quotas } of [...input.cohorts, ...input.queues]) {
    for (const { resource, nominal, borrowingLimit, lendingLimit } of quotas) {
      for (const amount of [nominal, borrowingLimit ?? 0, lendingLimit ?? 0]) see(resource, amount)
    }
  }
  for (const { assigned, pods } of [...input.running, ...input.incoming]) {
    for (const { usage } of assigned) for (const [resource, amount] of Object.entries(usage)) see(resource, amount)
    for (const { requests } of pods) for (const [resource, amount] of Object.entries(requests)) see(resource, amount)
  }
  for (const { resource, amount } of [...input.usage, ...input.additionalRequest]) see(resource, amount)
  return scales
}

function thousandths(amount: number): number {
  return Math.round(amount * 1000)
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y !== 0) [x, y] = [y, x % y]
  return x
}

function add(amounts: Map<string, number>, model: string, milli: number): void {
  amounts.set(model, (amounts.get(model) ?? 0) + milli)
}
