import { z } from 'zod'
import { acceleratorForms, readAccelerators } from '../../model/accelerators.ts'
import { capacityType } from '../../model/capacity.ts'
import { durationMs } from '../../model/duration.ts'
import { duration, line, positiveDuration as positive, quantity } from '../../model/kinds/fields.ts'
import { spares } from '../../model/kinds/pool.ts'
import { dnsLabel, millwrightVersion, resourceName } from '../../model/metadata.ts'
import { faultsOfScenario } from './cause.ts'
import { engine } from './engine.ts'
import { jobMix } from './job-mix.ts'
import { traffic } from './traffic.ts'

const nodes = z.strictObject({
  name: dnsLabel.describe('Name of their Pool; the nodes are NAME-0, NAME-1, …'),
  count: z.number().int().min(1).max(100_000).describe('How many nodes.'),
  accelerators: z
    .string()
    .max(200)
    .superRefine((value, context) => {
      const problem = problemOfNode(value)
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    })
    .describe('MODEL:COUNT of each node, e.g. H100:8 or cpu:4.'),
  cpu: quantity.default(192).describe('Cores of each node.'),
  memory: quantity.default('2Ti').describe('Memory of each node.'),
  zone: z.string().min(1).max(63).optional().describe('Their zone.'),
  nodesPerNvlink: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe('So many share an NVLink domain: NAME-nvlink-0, …'),
  nodesPerRack: z.number().int().min(1).max(100_000).optional().describe('So many share a rack: NAME-rack-0, …'),
  nodesPerBlock: z.number().int().min(1).max(100_000).optional().describe('So many share a block: NAME-block-0, …'),
  labels: z.record(z.string(), z.string()).default({}).describe('Other labels of each node.'),
  capacityType: capacityType.default('reserved').describe('How they are paid for.'),
  pricePerSlotHour: z
    .number()
    .min(0)
    .max(100_000)
    .optional()
    .describe("USD per accelerator and hour; the price book's when left out."),
  spares,
})

const resources = z.union([
  line(4096),
  z.strictObject({
    file: line(4096).describe('Path of a YAML file, from where the scenario stands.'),
    at: duration.default('0s').describe('When it is applied, from the start.'),
  }),
])

const history = z.strictObject({
  file: line(4096).describe('Path of a history of jobs (CSV, as `millwright import` writes it).'),
  queue: dnsLabel.optional().describe("Queue of all its jobs; each row's own when left out."),
  accelerator: z.string().max(63).optional().describe("Model that its jobs ask for; each row's own when left out."),
})

const performanceFields = {
  work: positive.optional().describe('How long a job works, without checkpoints and failures, that declares no time.'),
  stepTime: positive
    .optional()
    .describe('What each rank takes over a step of training by itself, with all members of the job.'),
  stepSpread: z
    .number()
    .min(0)
    .max(0.25)
    .optional()
    .describe(
      'The coefficient of variation of that: of each step all wait for the slowest. 0 when left out: all steps are alike.',
    ),
  scaling: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'The part of a step that takes twice as long with half of the members of an elastic job; the rest takes as long as ever. All of it when left out.',
    ),
  prepare: duration.optional().describe('Image and data, before a pod starts.'),
  restore: duration.optional().describe('Reading back a checkpoint from object storage, before a rank starts.'),
  restoreFromCopy: duration
    .optional()
    .describe(
      "The same from a copy in a node's memory (checkpoint.copies of the job), and making one: a thirteenth of restore when left out.",
    ),
  init: duration.optional().describe('From the start of the last rank to the first step: rendezvous, communicators.'),
  stall: duration.optional().describe('Training stands still for so long at a checkpoint.'),
  persist: duration.optional().describe('From there until it is durable.'),
  peerLost: duration.optional().describe('A rank whose peer is gone ends with an error after so long.'),
  regroup: duration
    .optional()
    .describe('Of a job with failurePolicy.restart: worker: all stand still for so long when a rank leaves or joins.'),
  load: duration.optional().describe("From a replica's start until it is ready."),
  drain: duration
    .optional()
    .describe("From a replica's SIGTERM until it ends; with traffic, at the latest: it ends when its requests have."),
  engine: engine.optional().describe('What answers the requests of a service: a preset by name, or its figures.'),
  progress: z.enum(['first', 'all']).optional().describe('Which ranks of a job tell their steps.'),
}

const performance = z.strictObject({
  ...performanceFields,
  of: z
    .record(resourceName, z.strictObject(performanceFields))
    .default({})
    .describe('The same of single jobs and services, by name.'),
})

/** A rule of a list: no two are of one name. It is `field` that is wrong. */
function namedApart<Item>(field: string, nameOf: (item: Item) => string, message: string) {
  return (items: readonly Item[], context: z.RefinementCtx): void => {
    const names = items.map(nameOf)
    for (const [index, name] of names.entries())
      if (names.indexOf(name) < index) context.addIssue({ code: 'custom', path: [index, field], message })
  }
}

/** A factory that is to be played: what there is, what comes, how it performs and what goes wrong. */
export const scenario = z.strictObject({
  apiVersion: z.literal(millwrightVersion).describe('Group and version of the kind.'),
  kind: z.literal('Scenario').describe('The kind.'),
  metadata: z.strictObject({ name: resourceName.describe('Its name.') }).describe('Its name.'),
  spec: z
    .strictObject({
      horizon: positive.describe('How long is played.'),
      fleet: z
        .array(nodes)
        .min(1)
        .max(1000)
        .superRefine(namedApart('name', ({ name }) => name, 'names other nodes already'))
        .describe('Nodes, by shape.'),
      resources: z.array(resources).max(1000).default([]).describe('YAML files of Queues, jobs and services.'),
      history: history.optional().describe('Jobs as they once came.'),
      jobs: z
        .array(jobMix)
        .max(1000)
        .default([])
        .superRefine(namedApart('name', ({ name }) => name, 'names other jobs already'))
        .describe('Jobs that are drawn: how often they come, how large they are, how long they work.'),
      traffic: z
        .array(traffic)
        .max(1000)
        .default([])
        .superRefine(
          namedApart('service', ({ service, namespace }) => `${namespace}/${service}`, 'has traffic already'),
        )
        .describe('Requests of services.'),
      performance: performance.prefault({}).describe('How long what the work does takes.'),
      faults: faultsOfScenario.prefault({}).describe('What goes wrong.'),
      controlPlane: z
        .strictObject({
          replicas: z.number().int().min(1).max(9).default(1).describe('One leads, the others stand by.'),
          leaseSeconds: z
            .number()
            .int()
            .min(1)
            .max(3600)
            .default(15)
            .describe('A dead leader is replaced after so long.'),
        })
        .prefault({})
        .describe('The control plane.'),
    })
    .superRefine((spec, context) => {
      const horizonMs = durationMs(spec.horizon)
      for (const { path, at } of timesOf(spec))
        if (durationMs(at) >= horizonMs)
          context.addIssue({ code: 'custom', path, message: `is never played: the horizon is ${spec.horizon}` })
    })
    .describe('What is played.'),
})

/** When something is to come, from the start. */
function timesOf({
  resources: files,
  traffic: requests,
  faults,
}: SpecTimes): { path: (string | number)[]; at: string }[] {
  return [
    ...files.flatMap((file, index) =>
      typeof file === 'string' ? [] : [{ path: ['resources', index, 'at'], at: file.at }],
    ),
    ...requests.map(({ from }, index) => ({ path: ['traffic', index, 'from'], at: from })),
    ...Object.entries(faults.mix).flatMap(([name, { at }]) =>
      at === undefined ? [] : [{ path: ['faults', 'mix', name, 'at'], at }],
    ),
  ]
}

interface SpecTimes {
  resources: readonly z.output<typeof resources>[]
  traffic: readonly z.output<typeof traffic>[]
  faults: z.output<typeof faultsOfScenario>
}

export type Scenario = z.output<typeof scenario>
export type FleetShape = z.output<typeof nodes>
export type PerformanceSpec = z.output<typeof performance>

function problemOfNode(text: string): string | undefined {
  const read = readAccelerators(text)
  if ('problem' in read) return read.problem
  const [one] = read.alternatives
  if (one === undefined || !Number.isInteger(one.count) || one.speed !== undefined)
    return `must be whole accelerators of one model: ${acceleratorForms.split(' or ')[0]}`
  return undefined
}
