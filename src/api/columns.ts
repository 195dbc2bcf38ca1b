import { formatDuration } from '../model/duration.ts'
import type { KindMap, KindName, Resource } from '../model/registry.ts'
import { seatsNow } from '../model/seats.ts'
import { humanAge } from './age.ts'

/** One column of the table that `get` prints. */
export interface Column<T> {
  name: string
  type: 'string' | 'integer' | 'number' | 'date'
  description: string
  /** Shown only with `-o wide`. */
  wide?: boolean
  cell(object: T, nowMs: number): string | number | null
}

/** The columns between NAME and AGE, for each kind. */
const columns: { readonly [K in KindName]: readonly Column<KindMap[K]>[] } = {
  TrainingJob: [
    text('Phase', 'Where the job is in its life.', (job) => job.status?.phase ?? 'Pending'),
    number('Workers', 'Members of its gang.', (job) => job.status?.workers ?? workersOf(job)),
    number('Step', 'The last step that was reported.', (job) => job.status?.step),
    text('Loss', 'The last loss that was reported.', (job) => significant(job.status?.loss)),
    number('Restarts', 'Attempts after the first.', (job) => job.status?.restarts ?? 0),
    text('Checkpoint', 'Step of the last committed checkpoint.', (job) => dash(job.status?.checkpoint?.step)),
    wide('Queue', 'The queue that it waits and is accounted in.', (job) => job.spec.queue),
    wide('Steps/s', 'Steps per second.', (job) => significant(rate(job.status?.stepSeconds))),
    wide('Lost', 'Accelerator-seconds of work lost to failures.', (job) => significant(job.status?.lostSeconds)),
    wide('Model', 'The version that it published.', (job) => dash(job.status?.model)),
  ],
  InferenceService: [
    text('Phase', 'Where the service is in its life.', (service) => service.status?.phase ?? 'Pending'),
    text('Ready', 'Ready replicas of those wanted.', (service) => {
      const { readyReplicas = 0, wantedReplicas = service.spec.minReplicas } = service.status ?? {}
      return `${readyReplicas}/${wantedReplicas}`
    }),
    text('Model', 'What it serves.', (service) => dash(service.status?.model ?? service.spec.model)),
    text('Url', 'Where it is served.', (service) => dash(service.status?.url)),
    wide('Min', 'Fewest replicas.', (service) => String(service.spec.minReplicas)),
    wide('Max', 'Most replicas.', (service) => String(service.spec.maxReplicas)),
    wide('Revision', 'The revision that serves.', (service) => dash(service.status?.revision)),
  ],
  Gang: [
    text('Seated', 'Members with a seat of those wanted.', (gang) => {
      const seated = seatsNow(gang)?.members.length ?? 0
      return `${seated}/${gang.spec.groups.reduce((sum, group) => sum + group.max, 0)}`
    }),
    number('Attempt', 'Its present incarnation.', (gang) => gang.spec.attempt),
    text('Queue', 'Its queue.', (gang) => gang.spec.queue),
    number('Priority', 'Higher goes first.', (gang) => gang.spec.priority),
    text('Reason', 'What it waits for.', (gang) => dash(waitingFor(gang))),
  ],
  Pod: [
    text('Ready', 'Ready containers of all.', (pod) => {
      const statuses = pod.status?.containerStatuses ?? []
      return `${statuses.filter((status) => status.ready).length}/${pod.spec.containers.length}`
    }),
    text('Status', 'Its phase, or why it is not running.', podState),
    number('Restarts', 'Restarts of its containers.', (pod) =>
      (pod.status?.containerStatuses ?? []).reduce((sum, status) => sum + status.restartCount, 0),
    ),
    wide('Node', 'Where it runs.', (pod) => dash(pod.spec.nodeName)),
    wide('Ip', 'Its address.', (pod) => dash(pod.status?.podIP)),
  ],
  Node: [
    text('Status', 'Whether it takes pods.', (node) => {
      const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready')?.status === 'True'
      return `${ready ? 'Ready' : 'NotReady'}${node.spec?.unschedulable === true ? ',SchedulingDisabled' : ''}`
    }),
    text('Pool', 'Its pool.', (node) => dash(node.metadata.labels?.['millwright.dev/pool'])),
    text('Accelerator', 'What it offers.', (node) => dash(node.metadata.labels?.['millwright.dev/accelerator'])),
    wide('Cpu', 'Cores for pods.', (node) => dash(node.status?.allocatable?.['cpu'])),
    wide('Memory', 'Memory for pods.', (node) => dash(node.status?.allocatable?.['memory'])),
  ],
  Pool: [
    text('Accelerator', 'What its nodes offer.', (pool) => pool.spec.accelerator),
    text('Nodes', 'Ready nodes of all.', (pool) => `${pool.status?.readyNodes ?? 0}/${pool.status?.nodes ?? 0}`),
    number('Slots', 'Accelerators or slots in all.', (pool) => pool.status?.slots),
    text('Spares', 'Nodes kept free for who loses one, of how many are wanted.', ({ status }) =>
      status?.spares === undefined ? '-' : `${status.spares.nodes.length}/${status.spares.wanted}`,
    ),
    text('Capacity', 'How it is paid for.', (pool) => pool.spec.capacityType),
  ],
  Queue: [
    number('Running', 'Gangs with seats.', (queue) => queue.status?.running ?? 0),
    number('Waiting', 'Gangs without.', (queue) => queue.status?.waiting ?? 0),
    number('Weight', 'Its share against its siblings.', (queue) => queue.spec.weight),
    text('Stop', 'Whether it admits work.', (queue) => queue.spec.stopPolicy),
  ],
  Model: [
    text('Model', 'What it is a version of.', (model) => model.spec.model),
    number('Version', 'Its number.', (model) => model.spec.version),
    text('Size', 'Bytes in all.', (model) => bytes(model.spec.bytes)),
    text('Job', 'The job that made it.', (model) => dash(model.spec.lineage?.job)),
    number('Step', 'The step that it is of.', (model) => model.spec.lineage?.step),
    wide('Digest', 'sha256 of its manifest.', (model) => model.spec.digest),
  ],
  Dataset: [
    text('Uri', 'Where it is.', (dataset) => dataset.spec.uri),
    text('Size', 'Bytes in all.', (dataset) => bytes(dataset.status?.bytes)),
    number('Files', 'Files in all.', (dataset) => dataset.status?.files),
  ],
  Drill: [
    text('Fault', 'What goes wrong.', (drill) => drill.spec.fault.kind),
    text('Struck', 'What it struck.', ({ status }) =>
      status?.struckAt === undefined
        ? '-'
        : dash(status.target?.pods.map((pod) => pod.name).join(',') || status.target?.nodes.join(',')),
    ),
    text('Phase', 'Where it stands.', (drill) => drill.status?.phase ?? 'Waiting'),
    text('Detected', 'From the fault until recovery decided.', (drill) => span(drill.status?.outcome?.detectedSeconds)),
    text('Recovered', 'From the fault until the work went on.', (drill) =>
      span(drill.status?.outcome?.recoveredSeconds),
    ),
    text('Lost', 'Accelerator-seconds of work.', (drill) => significant(drill.status?.outcome?.lostSeconds)),
    wide('Message', 'In a sentence.', (drill) => dash(drill.status?.message)),
  ],
  Report: [
    text('Of', 'The pod or service that it is of.', (report) =>
      dash(report.spec.pod?.name ?? report.spec.service?.name),
    ),
    number('Pid', 'Process.', (report) => report.status?.pid),
    number('Step', 'The last step.', (report) => report.status?.step),
    text('Loss', 'The last loss.', (report) => significant(report.status?.loss)),
    text('Ended', 'How it ended.', (report) => dash(report.status?.ended?.reason)),
  ],
  LedgerPage: [
    text('Node', 'The node.', (page) => page.spec.node),
    text('Pool', 'Its pool.', (page) => page.spec.pool),
    text('From', 'The hour, or when in it the price changed.', (page) => new Date(page.spec.fromMs).toISOString()),
    number('Slots', 'Slots accounted for.', (page) => page.status?.slots),
  ],
  Namespace: [text('Status', 'Its phase.', (namespace) => namespace.status?.phase ?? 'Active')],
  Secret: [
    text('Type', 'What it holds.', (secret) => secret.type ?? 'Opaque'),
    number('Data', 'Keys in it.', (secret) => Object.keys(secret.data ?? {}).length),
  ],
  Event: [
    text('Type', 'Normal or Warning.', (event) => event.type ?? 'Normal'),
    text('Reason', 'Why it was written.', (event) => dash(event.reason)),
    text('Object', 'What it is about.', (event) => {
      const { kind, name } = event.involvedObject
      return `${(kind ?? '').toLowerCase()}/${name ?? ''}`
    }),
    text('Message', 'What happened.', (event) => (event.message ?? '').trim()),
    wide('Count', 'How often.', (event) => String(event.count ?? 1)),
  ],
  Lease: [
    text('Holder', 'Who leads.', (lease) => dash(lease.spec?.holderIdentity)),
    number('Epoch', 'How often it changed hands.', (lease) => lease.spec?.leaseTransitions),
  ],
}

/** All columns of `kind`: NAME first, AGE last of the narrow ones; events begin with when they were last seen. */
export function columnsOf(kind: KindName): readonly Column<Resource>[] {
  const own: readonly Column<Resource>[] = columns[kind]
  const narrow = own.filter((column) => column.wide !== true)
  const wideOnes = own.filter((column) => column.wide === true)
  if (kind === 'Event') return [lastSeen, ...narrow, { ...name, wide: true }, ...wideOnes]
  return [name, ...narrow, age, ...wideOnes]
}

const name: Column<Resource> = {
  name: 'Name',
  type: 'string',
  description: 'Unique within its kind and namespace.',
  cell: (object) => object.metadata.name,
}
const age: Column<Resource> = {
  name: 'Age',
  type: 'string',
  description: 'Since it was created.',
  cell: (object, nowMs) => humanAge(object.metadata.creationTimestamp, nowMs),
}
const lastSeen: Column<Resource> = {
  name: 'Last Seen',
  type: 'string',
  description: 'Since it was last seen.',
  cell: (object, nowMs) => {
    const last = object.kind === 'Event' ? object.lastTimestamp : undefined
    return humanAge(last ?? object.metadata.creationTimestamp, nowMs)
  },
}

function text<T>(name: string, description: string, cell: (object: T) => string): Column<T> {
  return { name, type: 'string', description, cell }
}
function number<T>(name: string, description: string, cell: (object: T) => number | undefined): Column<T> {
  return { name, type: 'integer', description, cell: (object) => cell(object) ?? null }
}
function wide<T>(name: string, description: string, cell: (object: T) => string): Column<T> {
  return { name, type: 'string', description, wide: true, cell }
}

function workersOf(job: KindMap['TrainingJob']): number {
  return job.spec.workers ?? (job.spec.groups ?? []).reduce((sum, group) => sum + group.replicas, 0)
}

function waitingFor(gang: KindMap['Gang']): string | undefined {
  const waiting = (gang.status?.conditions ?? []).find((condition) => condition.type === 'Scheduled')
  return waiting?.status === 'False' ? waiting.reason : undefined
}

function podState(pod: KindMap['Pod']): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating'
  const state = pod.status?.containerStatuses?.[0]?.state
  if (pod.status?.phase === 'Succeeded') return 'Completed'
  return state?.terminated?.reason ?? state?.waiting?.reason ?? pod.status?.reason ?? pod.status?.phase ?? 'Pending'
}

function dash(value: string | number | undefined): string {
  return value === undefined || value === '' ? '-' : String(value)
}

function rate(seconds: number | undefined): number | undefined {
  return seconds === undefined || seconds <= 0 ? undefined : 1 / seconds
}

function span(seconds: number | undefined): string {
  return seconds === undefined ? '-' : formatDuration(seconds * 1000)
}

/** Four significant digits: enough to see a loss move. */
function significant(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? '-' : String(Number(value.toPrecision(4)))
}

function bytes(value: number | undefined): string {
  if (value === undefined) return '-'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let amount = value
  let unit = 0
  for (; amount >= 1024 && unit < units.length - 1; unit++) amount /= 1024
  return `${unit === 0 ? amount : amount.toFixed(1)}${units[unit]}`
}
