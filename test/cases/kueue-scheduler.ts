import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Node } from '../../src/model/kinds/kubernetes.ts'
import { annotation } from '../../src/model/names.ts'
import type { Verdict } from '../../src/scheduler/contract.ts'
import type { Candidate } from '../../src/scheduler/quota/candidates.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'
import { type Translated, translate } from './kueue.ts'
import { expectedOutcome, expectedVictims, type Judge, reasonOf } from './kueue-accounts.ts'
import type { KueueCase } from './tables.ts'

/** Whom the scheduler itself displaces, on nodes that have room for everybody. */
export const judgePreempt =
  (isFair: boolean): Judge =>
  (one) => {
    const world = translate(one, isFair)
    const { victims, leaving } = toldBy(world, decided(world))
    return { expected: expectedVictims(one), found: { victims, count: victims.length + leaving } }
  }

/** What the scheduler itself decides at once. */
export const judgeDecision: Judge = (one: KueueCase) => {
  const world = translate(one, true)
  const verdicts = decided(world)
  const admitted = verdicts.flatMap((verdict) => {
    if (verdict.kind !== 'bind') return []
    return [{ gang: verdict.gang, models: [...new Set(verdict.seats.members.map(({ node }) => node))].toSorted() }]
  })
  return {
    expected: expectedOutcome(one),
    found: {
      admitted: admitted.toSorted((a, b) => (a.gang < b.gang ? -1 : 1)),
      victims: toldBy(world, verdicts).victims,
      waiting: verdicts.flatMap(({ kind, gang }) => (kind === 'wait' || kind === 'preempt' ? [gang] : [])).toSorted(),
    },
  }
}

/** One node per model, of that name, with more than anybody could hold. */
function decided(world: Translated): Verdict[] {
  const scheduler = createScheduler()
  for (const object of world.queues) scheduler.apply({ kind: 'Queue', object })
  for (const [model, count] of amountsOf(world)) scheduler.apply({ kind: 'Node', object: nodeOf(model, count) })
  const taken = new Map<string, number>()
  for (const held of world.running) scheduler.apply({ kind: 'Gang', object: seatedGang(held, taken) })
  for (const { request, choices } of world.incoming) {
    const { gang, queue, priority, createdAt } = request
    const [first = new Map<string, number>()] = choices
    const groups = [...first.values()].map((milli, at) => {
      const models = new Set(choices.flatMap((choice) => [...choice.keys()][at] ?? []))
      return groupOf(`g${at}`, [...models], milli)
    })
    const wanted = groups.filter(({ accelerators }) => (accelerators[0]?.count ?? 0) > 0)
    scheduler.apply({ kind: 'Gang', object: gangOf(gang, 'in', { queue, priority }, wanted, createdAt) })
  }
  return scheduler.decide(0)
}

function toldBy(world: Translated, verdicts: readonly Verdict[]): { victims: string[]; leaving: number } {
  const keys = new Map(world.running.map((held) => [storedKey(held.key), held]))
  const all = verdicts.flatMap((verdict) => (verdict.kind === 'preempt' ? verdict.victims : []))
  const fresh = all.filter(({ gang }) => keys.get(gang)?.leaving === false)
  const victims = fresh.map(({ gang, reason }) => `${keys.get(gang)?.key} ${reasonOf(reason)}`).toSorted()
  return { victims, leaving: all.length - fresh.length }
}

function amountsOf({ queues, running, incoming }: Translated): Map<string, number> {
  const amounts = new Map<string, number>()
  const add = (model: string, count: number) => amounts.set(model, (amounts.get(model) ?? 1) + count)
  for (const { spec } of queues) for (const [model, count] of Object.entries(spec.nominalQuota ?? {})) add(model, count)
  for (const holds of [...running.map((held) => held.holds), ...incoming.flatMap(({ choices }) => choices)]) {
    for (const [model, milli] of holds) add(model, milli / 1000)
  }
  return amounts
}

function nodeOf(model: string, count: number): Node {
  const devices = Array.from({ length: count }, (_, index) => ({ id: `${model}-${index}`, model, healthy: true }))
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: model, annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } },
    spec: {},
    status: { allocatable: { cpu: '1000', memory: '1Ti' }, conditions: [{ type: 'Ready', status: 'True' }] },
  }
}

type Group = Gang['spec']['groups'][number]

function groupOf(name: string, models: readonly string[], milli: number): Group {
  const accelerators = models.map((model) => ({ model, count: milli / 1000 }))
  return {
    name,
    min: 1,
    max: 1,
    accelerators,
    cpuMilli: 0,
    memoryBytes: 0,
    ports: 0,
    nodeSelector: {},
    tolerations: [],
  }
}

function storedKey(key: string): string {
  return key.includes('/') ? key : `default/${key}`
}

function gangOf(
  key: string,
  uid: string,
  spec: { queue: string; priority: number },
  groups: Group[],
  createdAt: string,
): Gang {
  const [namespace = 'default', name = ''] = storedKey(key).split('/')
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: {
      name,
      namespace,
      uid: `${uid} ${key}`,
      resourceVersion: '1',
      ...(createdAt === '' ? {} : { creationTimestamp: createdAt }),
    },
    spec: { attempt: 1, preemptible: true, suspend: false, groups, ...spec },
  }
}

function seatedGang(held: Candidate, taken: Map<string, number>): Gang {
  const at = new Date(Date.UTC(2026, 0, 1) + held.sinceMs).toISOString()
  const holds = [...held.holds].filter(([, milli]) => milli > 0)
  const groups = holds.map(([model, milli], index) => groupOf(`g${index}`, [model], milli))
  const gang = gangOf(held.key, 'held', held, groups, held.createdAt)
  const members = holds.map(([model, milli], rank) => {
    const from = taken.get(model) ?? 0
    taken.set(model, from + milli / 1000)
    const devices = Array.from({ length: milli / 1000 }, (_, index) => ({
      id: `${model}-${from + index}`,
      milli: 1000,
    }))
    return {
      pod: `${gang.metadata.name}-${rank}`,
      group: `g${rank}`,
      rank,
      localRank: 0,
      node: model,
      devices,
      ports: [],
    }
  })
  const eviction = { attempt: 1, by: 'default/somebody', reason: 'InQueue' as const, message: '', at }
  return {
    ...gang,
    metadata: { ...gang.metadata, uid: held.uid },
    spec: { ...gang.spec, queue: held.queue, priority: held.priority },
    status: {
      conditions: [],
      checkpoints: [],
      seats: { attempt: 1, epoch: 1, at, masterAddr: '', masterPort: 1, members },
      ...(held.leaving ? { eviction } : {}),
    },
  }
}
