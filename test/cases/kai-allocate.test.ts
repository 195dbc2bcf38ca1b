import { describe } from 'vitest'
import { z } from 'zod'
import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Node } from '../../src/model/kinds/kubernetes.ts'
import type { Queue } from '../../src/model/kinds/queue.ts'
import type { Topology } from '../../src/model/kinds/topology.ts'
import { label } from '../../src/model/names.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'
import { judgeTable } from './judge.ts'
import { kaiPod, kaiQueues, kaiQuota, kaiWorkload } from './kai.ts'
import { tableOf } from './tables.ts'

/** Where we decide otherwise, on purpose; docs/scheduling-dialects.md gives each its reason. */
const dialects: Readonly<Record<string, readonly string[]>> = {
  kai_allocate: [
    '1 job running on node0, 3 pending jobs, not enough deserved GPUs for build job - allocate train job',
    'Both queues has the same share, give the one with smaller job - allocate jobs queue1',
    'DRF - order',
  ],
  kai_allocate_topology: [
    'Required topology with multiple levels - schedule all tasks on the same partially occupied rack',
    'Elastic subgroups with required topology constraints',
    'Hierarchical Conflicting Preferred Topology - PodGroup prefers Spine, SubGroups prefer Rack - should allocate on closest Rack nodes',
    'Bin Packing - Pack Top-Most domain first',
  ],
}

const constraint = z.looseObject({ required: z.string().optional(), preferred: z.string().optional() })
const podSet = z.looseObject({ name: z.string(), topologyConstraint: constraint.optional() })

const kaiCase = z.looseObject({
  name: z.string(),
  input: z.looseObject({
    nodes: z
      .array(
        z.looseObject({
          name: z.string(),
          labels: z.record(z.string(), z.string()),
          capacity: z.record(z.string(), z.number()),
          unmapped: z.looseObject({ MigStrategy: z.string().optional() }).default({}),
        }),
      )
      .default([]),
    queues: kaiQueues(kaiQuota),
    workloads: z.array(
      kaiWorkload.extend({
        pods: z.array(
          kaiPod.extend({
            podSet: z.string().default('default'),
          }),
        ),
        gang: z
          .looseObject({
            topologyConstraint: constraint.optional(),
            podSets: z.array(podSet).default([]),
            subgroups: z
              .array(z.looseObject({ topologyConstraint: constraint.optional(), podSets: z.array(podSet) }))
              .default([]),
          })
          .default({ podSets: [], subgroups: [] }),
      }),
    ),
    topologies: z.array(z.looseObject({ levels: z.array(z.string()) })).default([]),
  }),
  expected: z.looseObject({ placed: z.record(z.string(), z.string()) }),
})

type Case = z.output<typeof kaiCase>
type Workload = Case['input']['workloads'][number]

describe.each(['kai_allocate', 'kai_allocate_topology'])('%s', (table) => {
  const isDialect = ({ name }: Case) => dialects[table]?.includes(name) === true
  judgeTable(table, tableOf(table, kaiCase), isDialect, (one) => ({ expected: expectedOf(one), found: outcomeOf(one) }))
})

/** Of each workload that was waiting, the nodes that its pod sets' pods got: pods of one set are alike. */
type Outcome = Record<string, Record<string, string[]>>

function expectedOf({ input, expected }: Case): Outcome {
  return outcome(input, ({ pods }) => pods.map(({ name, podSet: set }) => [set, expected.placed[name]]))
}

/** What is decided at once; whoever would have to wait for others to leave has no place yet. */
function outcomeOf({ input }: Case): Outcome {
  const scheduler = createScheduler()
  for (const node of input.nodes) scheduler.apply({ kind: 'Node', object: nodeOf(node, input) })
  for (const queue of input.queues) scheduler.apply({ kind: 'Queue', object: queueOf(queue) })
  const held = new Map<string, number>()
  for (const workload of input.workloads) scheduler.apply({ kind: 'Gang', object: gangOf(workload, input, held) })
  const bound = new Map(
    scheduler.decide(0).flatMap((one) => (one.kind === 'bind' ? [[one.gang, one.seats.members]] : [])),
  )
  return outcome(input, ({ name }) => (bound.get(`default/${name}`) ?? []).map(({ group, node }) => [group, node]))
}

function outcome(
  { workloads }: Case['input'],
  placesOf: (workload: Workload) => [set: string, node: string | undefined][],
): Outcome {
  const waiting = workloads.filter(({ pods }) => pods.some(({ status }) => status === 'Pending'))
  return Object.fromEntries(
    waiting.map((workload) => {
      const nodes: Record<string, string[]> = {}
      for (const [set, node] of placesOf(workload)) {
        if (node !== undefined) nodes[set] = [...(nodes[set] ?? []), node].toSorted()
      }
      return [workload.name, nodes]
    }),
  )
}

/** Their levels, by position among ours. */
const ours: Readonly<Record<number, readonly (keyof typeof labelOf)[]>> = {
  1: ['rack'],
  2: ['block', 'rack'],
  3: ['zone', 'block', 'rack'],
}
const labelOf = { zone: label.zone, block: label.block, rack: label.rack }

function levelOf({ topologies }: Case['input'], theirs: string): keyof typeof labelOf | undefined {
  const levels = topologies[0]?.levels ?? []
  return ours[levels.length]?.[levels.indexOf(theirs)]
}

const model = 'H100'

function nodeOf({ name, labels, capacity, unmapped }: Case['input']['nodes'][number], input: Case['input']): Node {
  const places = Object.entries(labels).map(([key, value]) => {
    const level = levelOf(input, key)
    return [level === undefined ? key : labelOf[level], value]
  })
  const mig = unmapped.MigStrategy === undefined ? {} : { 'nvidia.com/mig.strategy': unmapped.MigStrategy }
  const { gpu = 0, ...rest } = capacity
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { ...Object.fromEntries(places), ...mig, [label.accelerator]: model } },
    spec: {},
    status: { allocatable: { ...rest, 'nvidia.com/gpu': gpu }, conditions: [{ type: 'Ready', status: 'True' }] },
  }
}

/** What a queue deserves is its nominal quota; up to its limit it may borrow. */
function queueOf({ name, parent, quota: quotas }: Case['input']['queues'][number]): Queue {
  const { deserved = null, limit = null } = quotas['gpu'] ?? {}
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Queue',
    metadata: { name },
    spec: {
      namespaces: ['default'],
      weight: 1,
      stopPolicy: 'None',
      ...(parent === null ? {} : { parent }),
      ...(deserved === null ? {} : { nominalQuota: { [model]: deserved } }),
      ...(deserved === null || limit === null ? {} : { borrowingLimit: { [model]: limit - deserved } }),
    },
  }
}

function gangOf(workload: Workload, input: Case['input'], held: Map<string, number>): Gang {
  const { name, queue, priority, preemptible, age_s: age, gang, pods, minAvailable } = workload
  const sets = [...gang.podSets, ...gang.subgroups.flatMap(({ podSets }) => podSets)]
  const topologyOf = (of: z.output<typeof constraint> | undefined): Topology => {
    const { required, preferred } = of ?? {}
    return {
      ...(required === undefined ? {} : { required: levelOf(input, required) }),
      ...(preferred === undefined ? {} : { preferred: levelOf(input, preferred) }),
    }
  }
  const groups = [...new Set(pods.map(({ podSet: set }) => set))].map((set) => {
    const own = pods.filter((pod) => pod.podSet === set)
    const { cpu = 0, memory = 0, gpu = 0 } = own[0]?.requests ?? {}
    return {
      name: set,
      min: minAvailable[set] ?? own.length,
      max: own.length,
      accelerators: [gpu === 0 ? { model: 'cpu', count: 0 } : { model, count: gpu }],
      cpuMilli: cpu * 1000,
      memoryBytes: memory,
      ports: 0,
      nodeSelector: {},
      tolerations: [],
      topology: topologyOf(sets.find((one) => one.name === set)?.topologyConstraint),
    }
  })
  const together = gang.subgroups.map(({ topologyConstraint, podSets }) => ({
    groups: podSets.map((one) => one.name),
    topology: topologyOf(topologyConstraint),
  }))
  const createdAt = new Date(1e12 - age * 1000).toISOString()
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: createdAt },
    spec: {
      attempt: 1,
      queue,
      priority,
      preemptible,
      suspend: false,
      groups,
      topology: topologyOf(gang.topologyConstraint),
      ...(together.length === 0 ? {} : { together }),
    },
    ...statusOf(workload, held, createdAt),
  }
}

/** Running pods hold the first devices of their node that are left. */
function statusOf({ pods }: Workload, held: Map<string, number>, at: string): Pick<Gang, 'status'> {
  if (pods.some(({ status }) => status === 'Pending')) return {}
  const members = pods.map(({ name, node, podSet: group, requests }, rank) => {
    const from = held.get(node ?? '') ?? 0
    const gpus = requests['gpu'] ?? 0
    held.set(node ?? '', from + gpus)
    const devices = Array.from({ length: gpus }, (_, index) => ({ id: `${model}-${from + index}`, milli: 1000 }))
    return { pod: name, group, rank, localRank: 0, node: node ?? '', devices, ports: [] }
  })
  const seats = { attempt: 1, epoch: 1, at, masterAddr: '', masterPort: 1, members }
  return { status: { conditions: [], checkpoints: [], seats } }
}
