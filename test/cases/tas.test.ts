import { describe, expect } from 'vitest'
import { z } from 'zod'
import { admit } from '../../src/model/admission.ts'
import { formatFieldError } from '../../src/model/field-error.ts'
import type { Gang } from '../../src/model/kinds/gang.ts'
import type { Node, Pod } from '../../src/model/kinds/kubernetes.ts'
import type { Topology } from '../../src/model/kinds/topology.ts'
import { label } from '../../src/model/names.ts'
import { kinds } from '../../src/model/registry.ts'
import { createScheduler } from '../../src/scheduler/scheduler.ts'
import { judgeTable } from './judge.ts'
import { tableOf } from './tables.ts'

/** Where we decide otherwise, on purpose; docs/scheduling-dialects.md gives each its reason. */
const dialects: readonly string[] = [
  'node replacement skipped for single-Pod-owned workload; gate on',
  'balanced placement; two level topology; balance on the highest level',
  'balanced placement; fallback to BestFit when leader worker set cannot meet threshold',
  'multi-layer topology: block required; rack slices of 4; host slices of 2; TASMultiLayerTopology',
  'affinity ordering with preferred inner topology level bubbles up to parent level to avoid splitting across parent domains',
]

const requests = z.record(z.string(), z.number())
const assignment = z.looseObject({
  domains: z.array(z.looseObject({ values: z.array(z.string()), count: z.number() })),
})
const usage = z.looseObject({ values: z.array(z.string()), count: z.number(), perPod: requests })
const selectorTerm = z.looseObject({ matchExpressions: z.array(z.looseObject({})) })

const podSet = z.looseObject({
  name: z.string(),
  count: z.number(),
  requests,
  topologyRequest: z
    .looseObject({
      required: z.string().optional(),
      preferred: z.string().optional(),
      unconstrained: z.boolean().optional(),
      slice: z.looseObject({ required: z.string().nullable(), size: z.number().nullable() }).optional(),
      sliceConstraints: z.array(z.looseObject({ required: z.string(), size: z.number() })).optional(),
    })
    .nullish(),
  group: z.string().optional(),
  nodeSelector: z.record(z.string(), z.string()).default({}),
  nodeAffinity: z
    .looseObject({
      requiredDuringSchedulingIgnoredDuringExecution: z
        .looseObject({ nodeSelectorTerms: z.array(selectorTerm) })
        .optional(),
    })
    .default({}),
  tolerations: z.array(z.looseObject({})).default([]),
  previousAssignment: assignment.optional(),
})

const node = z.looseObject({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  capacity: requests,
  ready: z.boolean(),
  taints: z.array(z.looseObject({ key: z.string(), value: z.string().optional(), effect: z.string() })).default([]),
})

const tasCase = z.looseObject({
  name: z.string(),
  input: z.looseObject({
    levels: z.array(z.string()),
    flavorNodeLabels: z.record(z.string(), z.string()),
    nodes: z.array(node),
    running: z.array(
      z.looseObject({
        name: z.string(),
        node: z.string(),
        phase: z.enum(['Running', 'Succeeded', 'Failed']),
        requests,
      }),
    ),
    featureGates: z.record(z.string(), z.boolean()),
    incoming: z.array(podSet),
    replacement: z
      .looseObject({
        existingAssignment: assignment.optional(),
        workload: z
          .looseObject({ assigned: z.array(z.looseObject({ pods: z.string(), topology: assignment })) })
          .optional(),
      })
      .default({}),
    usageOfThisFlavor: z.array(usage).default([]),
    usageOfOtherFlavor: z.array(usage).default([]),
  }),
  expected: z.looseObject({ podSets: z.record(z.string(), z.looseObject({ assignment: assignment.nullable() })) }),
})

type Case = z.output<typeof tasCase>
type PodSet = z.output<typeof podSet>

describe('kueue_tas_cache', () => {
  const table = 'kueue_tas_cache'
  const isDialect = ({ name }: Case) => dialects.includes(name)
  judgeTable(table, tableOf(table, tasCase), isDialect, (one) => ({ expected: expectedOf(one), found: outcomeOf(one) }))
})

/** Members by domain, for each pod set; or that it waits. */
type Outcome = Record<string, Record<string, number>> | 'waits'

function expectedOf({ expected }: Case): Outcome {
  const sets = Object.entries(expected.podSets).map(([name, { assignment: assigned }]) => [
    name,
    assigned && Object.fromEntries(assigned.domains.map(({ values, count }) => [values.join('/'), count])),
  ])
  return sets.some(([, domains]) => domains === null) ? 'waits' : Object.fromEntries(sets)
}

function outcomeOf({ input }: Case): Outcome {
  const gang = gangOf(input)
  const admitted = admit(kinds.Gang, gang)
  if ('errors' in admitted) return refused(admitted.errors.map(formatFieldError))
  const scheduler = createScheduler()
  for (const node of input.nodes) scheduler.apply({ kind: 'Node', object: nodeOf(node, input) })
  const queue = { namespaces: ['default'], weight: 1, stopPolicy: 'None' as const }
  scheduler.apply({
    kind: 'Queue',
    object: { apiVersion: 'millwright.dev/v1alpha1', kind: 'Queue', metadata: { name: 'default' }, spec: queue },
  })
  for (const pod of podsOf(input)) scheduler.apply({ kind: 'Pod', object: pod })
  scheduler.apply({ kind: 'Gang', object: gang })
  const [verdict] = scheduler.decide(0)
  if (verdict?.kind !== 'bind') return 'waits'
  const outcome: Record<string, Record<string, number>> = {}
  for (const { name } of input.incoming) outcome[name] = {}
  for (const { group, node } of verdict.seats.members) {
    const domains = outcome[group === unnamed ? '' : group]
    const domain = domainOf(input, node)
    if (domains !== undefined) domains[domain] = (domains[domain] ?? 0) + 1
  }
  return outcome
}

/** A gang that admission refuses never runs: an error in place of their failure. */
function refused(errors: readonly string[]): Outcome {
  expect(errors).not.toEqual([])
  return 'waits'
}

const unnamed = 'unnamed'
const hostname = 'kubernetes.io/hostname'

/** Their levels above the node, by position among ours. */
const ours: Record<number, readonly string[]> = {
  0: [],
  1: ['rack'],
  2: ['block', 'rack'],
  3: ['zone', 'block', 'rack'],
  4: ['zone', 'block', 'rack', 'nvlink'],
}
const labelOf: Record<string, string> = {
  zone: label.zone,
  block: label.block,
  rack: label.rack,
  nvlink: 'nvidia.com/gpu.clique',
  node: hostname,
}

function levelOf({ levels }: Case['input'], theirs: string): string {
  const above = levels.filter((level) => level !== hostname)
  const names = [...(ours[above.length] ?? []), ...(levels.includes(hostname) ? ['node'] : [])]
  return names[levels.indexOf(theirs)] ?? theirs
}

/** Their label of a level is ours of that level; every other stays what it is. */
function labelFor(input: Case['input'], theirs: string): string {
  return input.levels.includes(theirs) ? (labelOf[levelOf(input, theirs)] ?? theirs) : theirs
}

function domainOf({ levels, nodes }: Case['input'], node: string): string {
  const labels = nodes.find(({ name }) => name === node)?.labels ?? {}
  const values = levels.at(-1) === hostname ? [labels[hostname]] : levels.map((level) => labels[level])
  return values.join('/')
}

function nodeOf({ name, labels, capacity, ready, taints }: Case['input']['nodes'][number], input: Case['input']): Node {
  const renamed = Object.entries(labels).map(([key, value]) => [labelFor(input, key), value])
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: Object.fromEntries(renamed) },
    spec: { taints },
    status: { allocatable: resourcesOf(capacity), conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }
}

/** All their accelerators are of one model. */
function resourcesOf(asked: Requests): Record<string, number> {
  return Object.fromEntries(
    Object.entries(asked).map(([name, value]) => [name.endsWith('/gpu') ? 'nvidia.com/gpu' : name, value]),
  )
}

function podsOf(input: Case['input']): Pod[] {
  const used = [...input.usageOfThisFlavor, ...input.usageOfOtherFlavor].flatMap(({ values, count, perPod }, index) => {
    const name = input.nodes.find(({ labels }) => labels[hostname] === values.at(-1))?.name ?? ''
    return Array.from({ length: count }, (_, at) => podOf(`used-${index}-${at}`, name, 'Running', perPod))
  })
  return [...input.running.map(({ name, node, phase, requests }) => podOf(name, node, phase, requests)), ...used]
}

type Requests = z.output<typeof requests>
type Phase = Case['input']['running'][number]['phase']

function podOf(name: string, node: string, phase: Phase, asked: Requests): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName: node, containers: [{ name: 'main', resources: { requests: resourcesOf(asked) } }] },
    status: { phase },
  }
}

/** Pod sets are groups of one gang; those of one of their groups belong together. */
function gangOf(input: Case['input']): Gang {
  const sets = new Map<string, PodSet[]>()
  for (const one of input.incoming) {
    if (one.group !== undefined) sets.set(one.group, [...(sets.get(one.group) ?? []), one])
  }
  const together = [...sets.values()].map((set) => {
    const { required, preferred } = topologyOf(input, set[0])
    return { groups: set.map(({ name }) => name), topology: defined({ required, preferred }) }
  })
  const before = seatsBefore(input)
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: { name: 'wl', namespace: 'default', uid: 'uid', resourceVersion: '1' },
    spec: {
      attempt: before.length === 0 ? 1 : 2,
      queue: 'default',
      priority: 0,
      preemptible: true,
      suspend: false,
      groups: input.incoming.map((set) => groupOf(input, set)),
      ...(together.length === 0 ? {} : { together }),
    },
    ...(before.length === 0
      ? {}
      : {
          status: {
            conditions: [],
            checkpoints: [],
            seats: { attempt: 1, epoch: 1, at: '', masterAddr: '', masterPort: 1, members: before },
          },
        }),
  }
}

function groupOf(input: Case['input'], set: PodSet): Gang['spec']['groups'][number] {
  const { name, count, requests: asked, nodeSelector, tolerations, group } = set
  const { required, preferred, ...rest } = topologyOf(input, set)
  const gpus = Object.entries(asked).find(([resource]) => resource.endsWith('/gpu'))?.[1] ?? 0
  return {
    name: name === '' ? unnamed : name,
    min: count,
    max: count,
    accelerators: [gpus === 0 ? { model: 'cpu', count: 0 } : { model: 'gpu', count: gpus }],
    cpuMilli: (asked['cpu'] ?? 0) * 1000,
    memoryBytes: asked['memory'] ?? 0,
    ports: 0,
    nodeSelector: { ...input.flavorNodeLabels, ...nodeSelector },
    tolerations,
    affinity: { nodeAffinity: affinityOf(input, set) },
    topology: group === undefined ? defined({ required, preferred, ...rest }) : defined(rest),
  }
}

/** A flavor takes only nodes that carry all its levels' labels. */
function affinityOf(input: Case['input'], { nodeAffinity }: PodSet): object {
  const levels = input.levels.map((level) => ({ key: labelFor(input, level), operator: 'Exists' }))
  const terms = nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [
    { matchExpressions: [] },
  ]
  const nodeSelectorTerms = terms.map((term) => ({ matchExpressions: [...term.matchExpressions, ...levels] }))
  return { ...nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } }
}

function topologyOf(input: Case['input'], set: PodSet | undefined): Topology {
  const { required, preferred, unconstrained, slice, sliceConstraints } = set?.topologyRequest ?? {}
  const slices = [...(slice === undefined ? [] : [slice]), ...(sliceConstraints ?? [])].flatMap((one) =>
    one.required === null || one.size === null ? [] : [{ size: one.size, required: levelOf(input, one.required) }],
  )
  const isBalanced = input.featureGates['TASBalancedPlacement'] === true && preferred !== undefined
  return {
    required: required === undefined ? undefined : levelOf(input, required),
    preferred: preferred === undefined ? undefined : levelOf(input, preferred),
    slices: slices.length === 0 ? undefined : slices,
    balanced: isBalanced ? true : undefined,
    scattered: unconstrained === true ? true : undefined,
  }
}

function defined(topology: Topology): Topology {
  return Object.fromEntries(Object.entries(topology).filter(([, value]) => value !== undefined))
}

/** A workload that is placed already was seated in an earlier attempt. */
function seatsBefore(input: Case['input']): NonNullable<NonNullable<Gang['status']>['seats']>['members'] {
  const { existingAssignment, workload } = input.replacement
  let rank = 0
  return input.incoming.flatMap(({ name, previousAssignment }) => {
    const assigned = workload?.assigned.find(({ pods }) => pods === name)?.topology
    const domains = (previousAssignment ?? assigned ?? existingAssignment)?.domains ?? []
    return domains.flatMap(({ values, count }) =>
      Array.from({ length: count }, () => ({
        pod: `wl-${rank}`,
        group: name === '' ? unnamed : name,
        rank: rank++,
        localRank: 0,
        node: input.nodes.find(({ labels }) => labels[hostname] === values.at(-1))?.name ?? '',
        devices: [],
        ports: [],
      })),
    )
  })
}
