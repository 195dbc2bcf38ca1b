import { describe } from 'vitest'
import { z } from 'zod'
import type { Gang, Seat } from '../../src/model/kinds/gang.ts'
import type { Node } from '../../src/model/kinds/kubernetes.ts'
import type { Queue } from '../../src/model/kinds/queue.ts'
import { annotation } from '../../src/model/names.ts'
import { queueNamed } from '../../src/scheduler/quota/quota.fixture.ts'
import { Rehearsal } from '../../src/scheduler/rehearsal/rehearsal.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'
import { judgeTable } from './judge.ts'
import { kaiPod, kaiQueues, kaiQuota, kaiWorkload } from './kai.ts'
import { tableOf } from './tables.ts'

/** Where we decide otherwise, on purpose; docs/scheduling-dialects.md gives each its reason. */
const dialects: Readonly<Record<string, readonly string[]>> = {
  kai_reclaim: [
    "pending job within preemption delay - don't reclaim",
    '1 train job of 2 GPUs from queue0 running on node0 with deserved of 1, 2 pending jobs from queue1 - reclaim',
    'queue1 is under deserved quota, queue0 has exactly deserved quota - should consolidate q0 to node0 and pipeline q1 to node1',
    'DRF - reclaim from queue that has one resource over fair share',
  ],
  kai_consolidation: [
    '2 jobs of 1 task running on different GPUs, two pending jobs, only first can be consolidated',
    '2 jobs of 1 task running on different GPUs, 2 pending jobs, only second can be consolidated',
    '3 jobs are running on different GPUs, 1 job pending - Consolidate and verify not all preemptors are evicted as well',
    "2 jobs running on different nodes - verify build job allocation isn't handled by consolidation",
    '2 queues with different share, pending job will attempt to reallocate before the reallocated jobs - 1 running job from queue0, 2 running jobs from queue1, 1 pending job from queue0 - consolidate',
    '2 jobs of 0.5 task running on different GPUs, 1 job of 1 gpus is pending - Consolidate and run the pending job',
    'jump over full nodes pods',
  ],
}

const quota = kaiQuota.extend({ overQuotaWeight: z.number() })

const kaiCase = z.looseObject({
  name: z.string(),
  input: z.looseObject({
    nodes: z.array(z.looseObject({ name: z.string(), capacity: z.record(z.string(), z.number()) })),
    queues: kaiQueues(quota),
    workloads: z.array(
      kaiWorkload.extend({
        pods: z.array(
          kaiPod.extend({
            gpuGroups: z.array(z.string()).optional(),
            onlyNodes: z.array(z.string()).optional(),
          }),
        ),
      }),
    ),
  }),
  expected: z.looseObject({
    placed: z.record(z.string(), z.string()),
    pipelined: z.record(z.string(), z.string()),
    moved: z.record(z.string(), z.unknown()),
    evicted: z.array(z.string()),
    waiting: z.array(z.string()),
  }),
})

type Case = z.output<typeof kaiCase>
type Workload = Case['input']['workloads'][number]
type Pod = Workload['pods'][number]

describe.each(['kai_reclaim', 'kai_consolidation'])('%s', (table) => {
  const isDialect = ({ name }: Case) => dialects[table]?.includes(name) === true
  judgeTable(table, tableOf(table, kaiCase), isDialect, (one) => ({ expected: expectedOf(one), found: outcomeOf(one) }))
})

/** What became of each workload. Where somebody sits is not judged: nodes are alike. */
type Fate = 'stays' | 'moves' | 'evicted' | 'shrinks' | 'sits' | 'waits'
type Outcome = Record<string, Fate>

function expectedOf({ input, expected }: Case): Outcome {
  const evicted = new Set(expected.evicted)
  const fate = ({ pods, minAvailable }: Workload): Fate => {
    const lost = pods.filter(({ name }) => evicted.has(name)).length
    if (lost > 0) return pods.length - lost >= (minAvailable['default'] ?? pods.length) ? 'shrinks' : 'evicted'
    if (pods.some(({ name }) => name in expected.moved)) return 'moves'
    if (pods.some(({ name }) => name in expected.pipelined || name in expected.placed)) return 'sits'
    return pods.some(({ name }) => expected.waiting.includes(name)) ? 'waits' : 'stays'
  }
  return Object.fromEntries(input.workloads.map((workload) => [workload.name, fate(workload)]))
}

/** Played until nothing more changes: who was displaced and finds other room sits there. */
function outcomeOf({ input }: Case): Outcome {
  const world = new Rehearsal(createScheduler(), { nowMs: nowMs })
  for (const queue of queuesOf(input)) world.put(queue)
  for (const node of input.nodes) world.put(nodeOf(node))
  const taken = new Map<string, string>()
  for (const workload of input.workloads) {
    world.put(gangOf(workload, taken))
    if (isRunning(workload)) world.run(keyOf(workload))
  }
  const left = new Set(world.play().flatMap((one) => (one.kind === 'left' ? [one.gang] : [])))
  const fate = (workload: Workload): Fate => {
    const { spec, status } = world.gangOf(keyOf(workload))
    const sits = status?.seats?.attempt === spec.attempt
    if (!isRunning(workload)) return sits ? 'sits' : 'waits'
    if (left.has(keyOf(workload))) return sits ? 'moves' : 'evicted'
    return status?.seats?.members.length === workload.pods.length ? 'stays' : 'shrinks'
  }
  return Object.fromEntries(input.workloads.map((workload) => [workload.name, fate(workload)]))
}

const nowMs = Date.UTC(2026, 0, 1)
const model = 'H100'

function keyOf({ name }: Workload): string {
  return `default/${gangName(name)}`
}

function gangName(name: string): string {
  return name.replaceAll('_', '-')
}

function isRunning({ pods }: Workload): boolean {
  return pods.some(({ status }) => status === 'Running')
}

/**
 * What a queue deserves is its nominal quota; up to its limit it may borrow. A department owns what it deserves beyond
 * what its queues do, and departments share the fleet as the queues in them do.
 */
function queuesOf({ queues }: Case['input']): Queue[] {
  const deservedBelow = (name: string) =>
    queues.filter(({ parent }) => parent === name).reduce((sum, one) => sum + (one.quota['gpu']?.deserved ?? 0), 0)
  const translated = queues.map(({ name, parent, quota: { gpu } }): Queue => {
    const { deserved = null, limit = null, overQuotaWeight = 1 } = gpu ?? {}
    const nominal = deserved === null ? undefined : Math.max(0, deserved - deservedBelow(name))
    return queueNamed(name, {
      parent: parent ?? 'fleet',
      weight: overQuotaWeight < 0 ? 1 : overQuotaWeight,
      ...(nominal === undefined ? {} : { nominalQuota: { [model]: nominal } }),
      ...(limit === null ? {} : { borrowingLimit: { [model]: limit - (deserved ?? 0) } }),
    })
  })
  return [queueNamed('fleet', {}), ...translated]
}

function nodeOf({ name, capacity }: Case['input']['nodes'][number]): Node {
  const { gpu = 0, cpu = 0, memory = 0 } = capacity
  const devices = Array.from({ length: gpu }, (_, index) => ({ id: `${model}-${index}`, model, healthy: true }))
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { name }, annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } },
    spec: {},
    status: {
      allocatable: { cpu: String(cpu), memory: String(memory) },
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  }
}

/** Pods that ask for the same are one group. Those beyond the fewest that are needed are of use, but may wait. */
function gangOf(workload: Workload, taken: Map<string, string>): Gang {
  const { name, queue, priority, preemptible, age_s: age, minAvailable, pods } = workload
  const shapes = new Map<string, Pod[]>()
  for (const pod of pods) {
    const shape = JSON.stringify([pod.requests, pod.onlyNodes])
    shapes.set(shape, [...(shapes.get(shape) ?? []), pod])
  }
  const groupOf = (pod: Pod) => `g${[...shapes.values()].findIndex((one) => one.includes(pod))}`
  const spare = pods.length - (minAvailable['default'] ?? pods.length)
  const groups = [...shapes.values()].map((alike, index) => {
    const { gpu = 0, cpu = 0, memory = 0 } = alike[0]?.requests ?? {}
    const [only] = alike[0]?.onlyNodes ?? []
    return {
      name: `g${index}`,
      min: shapes.size === 1 ? alike.length - spare : alike.length,
      max: alike.length,
      accelerators: [gpu === 0 ? { model: 'cpu', count: 0 } : { model, count: gpu }],
      cpuMilli: cpu * 1000,
      memoryBytes: memory,
      ports: 0,
      nodeSelector: only === undefined ? {} : { name: only },
      tolerations: [],
    }
  })
  const at = new Date(nowMs - age * 1000).toISOString()
  const members = pods.map((pod, rank) => ({
    pod: gangName(pod.name),
    group: groupOf(pod),
    rank,
    localRank: 0,
    node: pod.node ?? '',
    devices: devicesOf(pod, taken),
    ports: [],
  }))
  const seats = { attempt: 1, epoch: 1, at, masterAddr: '', masterPort: 1, members }
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: { name: gangName(name), namespace: 'default', uid: name, creationTimestamp: at },
    spec: { attempt: 1, queue, priority, preemptible, suspend: false, groups },
    ...(isRunning(workload) ? { status: { conditions: [], checkpoints: [], seats } } : {}),
  }
}

/** Running pods hold the first devices of their node that are free; shares of one group are of one device. */
function devicesOf({ node, requests: { gpu = 0 }, gpuGroups = [] }: Pod, taken: Map<string, string>): Seat['devices'] {
  if (node === null || gpu === 0) return []
  const [group = ''] = gpuGroups
  const devices: Seat['devices'] = []
  for (let index = 0; devices.length < Math.ceil(gpu); index++) {
    const id = `${model}-${index}`
    const holder = taken.get(`${node}/${id}`)
    if (holder !== undefined && (group === '' || holder !== group)) continue
    taken.set(`${node}/${id}`, group)
    devices.push({ id, milli: Math.round(1000 * Math.min(1, gpu)) })
  }
  return devices
}
