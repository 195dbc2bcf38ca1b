import { mergePatch } from '../base/merge-patch.ts'
import { type Admitted, admit } from '../model/admission.ts'
import { isTrue } from '../model/conditions.ts'
import { fieldError } from '../model/field-error.ts'
import { followedBetweenAttempts, followedByGang, gangOfJob, gangOfReplica } from '../model/gangs.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Pool } from '../model/kinds/pool.ts'
import type { Queue } from '../model/kinds/queue.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { label } from '../model/names.ts'
import { templateOf } from '../model/pods.ts'
import { keyOf } from '../model/refs.ts'
import { type KindName, kinds, type Resource } from '../model/registry.ts'
import { differencesOf, patchOf } from './differences.ts'
import {
  type DocumentError,
  type ReadDocuments,
  type ReadOptions,
  readDocuments,
  type TextFile,
  type WrittenDocument,
} from './documents.ts'
import { type Placed, type PlacedState, stateErrors } from './state-errors.ts'

/** All that the scheduler decides from. */
export interface State {
  nodes: Node[]
  queues: Queue[]
  gangs: Gang[]
  pods: Pod[]
  /** How many of their nodes are kept as spares, what these cost, and how they are paid for. */
  pools: Pool[]
  /** What their gangs do not say: how often they write checkpoints, and how long those took that have ended. */
  jobs: TrainingJob[]
  services: InferenceService[]
  /** The files name no Queue: one called `default`, open to all and without a quota, is taken for granted. */
  isQueueAssumed: boolean
  /** What says nothing about seats, by kind. */
  passedOver: { kind: KindName; count: number }[]
  /** What was taken for now. */
  nowMs: number
}

/** What it is read from; all else is passed over. */
export const kindsOfState = ['Node', 'Pool', 'Queue', 'Gang', 'TrainingJob', 'InferenceService', 'Pod'] as const

export interface StateOptions extends Pick<ReadOptions, 'namespace'> {
  nowMs: number
  /** Now is when the newest happened of what the files say (without the change); `nowMs` where they name no time. */
  isOfItsTime?: boolean
  change?: readonly TextFile[]
}

export type ReadState = { state: State } | { errors: DocumentError[] }

/** What is read at most. A state of this size takes some seconds. */
export const stateLimits = {
  /** Of one file. */
  jsonCharacters: 64 * 1024 * 1024,
  /** Of one file. */
  resources: 250_000,
  /** Of all files. */
  characters: 128 * 1024 * 1024,
  /** Gangs, those of jobs and replicas included. */
  gangs: 250_000,
} as const

/**
 * Reads Nodes, Queues, Gangs, TrainingJobs, InferenceServices and bound Pods, as a factory lists them or as a person
 * writes them. Jobs and services become the gangs that the control plane would make of them. Either everything is right
 * or all that is wrong comes back with its place. Never throws, and is bounded. With a `change`, the state is the one that
 * comes to be when that is applied to what the other files say.
 */
export function readState(files: readonly TextFile[], options: StateOptions): ReadState {
  const { change = [], isOfItsTime = false } = options
  const characters = [...files, ...change].reduce((sum, file) => sum + file.text.length, 0)
  const [first] = files
  if (first !== undefined && characters > stateLimits.characters)
    return tooLarge(first, `are larger than 128 MiB together`)
  const limits = { jsonCharacters: stateLimits.jsonCharacters, resources: stateLimits.resources }
  const readAll = (some: readonly TextFile[]) => readDocuments(some, { namespace: options.namespace, ...limits })
  const [read, changed] = [readAll(files), readAll(change)]
  if ('errors' in read) return read
  if ('errors' in changed) return changed
  const whole = applied(read.documents, changed.documents)
  if ('errors' in whole) return whole
  const nowMs = (isOfItsTime ? newestMs(read.documents) : undefined) ?? options.nowMs
  const sorted = sort(whole.documents, nowMs)
  const made = withGangsOfWork(sorted)
  const errors = [...made.errors, ...stateErrors(made)]
  if (errors.length > 0) return { errors }
  const objects = <T>(placed: readonly Placed<T>[]) => placed.map(({ object }) => object)
  const isQueueAssumed = made.queues.length === 0
  return {
    state: {
      nodes: markedBy(sorted.pools, objects(made.nodes)),
      queues: isQueueAssumed ? [anyQueue] : objects(made.queues),
      gangs: objects(made.gangs),
      pods: objects(made.pods),
      pools: sorted.pools,
      jobs: objects(sorted.jobs),
      services: objects(sorted.services),
      isQueueAssumed,
      passedOver: sorted.passedOver,
      nowMs,
    },
  }
}

const anyQueue: Queue = {
  apiVersion: millwrightVersion,
  kind: 'Queue',
  metadata: { name: 'default' },
  spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None' },
}

/** As control/nodes marks them: how a node is paid for is said by its Pool. */
function markedBy(pools: readonly Pool[], nodes: readonly Node[]): Node[] {
  const types = new Map(pools.map(({ metadata, spec }) => [metadata.name, spec.capacityType]))
  return nodes.map((node) => {
    const { labels } = node.metadata
    const type = types.get(labels?.[label.pool] ?? '')
    if (type === undefined) return node
    return { ...node, metadata: { ...node.metadata, labels: { ...labels, [label.capacityType]: type } } }
  })
}

/** What `apply` makes of what is there: all stays that the change does not name. */
function applied(documents: readonly WrittenDocument[], changes: readonly WrittenDocument[]): ReadDocuments {
  const nameOf = ({ admitted: { kind, metadata } }: WrittenDocument) => `${kind} ${keyOf({ metadata })}`
  const after = new Map(documents.map((document) => [nameOf(document), document]))
  const errors: DocumentError[] = []
  for (const document of changes) {
    const known = after.get(nameOf(document))?.admitted
    const admitted = known === undefined ? { object: document.admitted } : patchedBy(document, known)
    if ('object' in admitted) after.set(nameOf(document), { ...document, admitted: admitted.object })
    else for (const error of admitted.errors) errors.push({ ...error, ...where(document, error.at) })
  }
  return errors.length > 0 ? { errors } : { documents: [...after.values()] }
}

function patchedBy({ object }: WrittenDocument, live: Resource): Admitted {
  return admit(kinds[live.kind], mergePatch(live, patchOf(differencesOf(object, live), object)))
}

interface Sorted extends PlacedState {
  jobs: Placed<TrainingJob>[]
  services: Placed<InferenceService>[]
  pools: Pool[]
  passedOver: State['passedOver']
}

function sort(documents: readonly WrittenDocument[], nowMs: number): Sorted {
  const sorted: Sorted = {
    nodes: [],
    queues: [],
    gangs: [],
    pods: [],
    jobs: [],
    services: [],
    pools: [],
    passedOver: [],
  }
  for (const [index, document] of documents.entries()) {
    const object = document.admitted
    // In the order of the files, behind all that has a time.
    const creationTimestamp = timeOf(object.metadata.creationTimestamp) ?? new Date(nowMs + index).toISOString()
    const metadata = { ...object.metadata, creationTimestamp }
    if (object.kind === 'Node') sorted.nodes.push({ object: { ...object, metadata }, document })
    else if (object.kind === 'Queue') sorted.queues.push({ object: { ...object, metadata }, document })
    else if (object.kind === 'Gang') sorted.gangs.push({ object: { ...object, metadata }, document })
    else if (object.kind === 'Pod') sorted.pods.push({ object: { ...object, metadata }, document })
    else if (object.kind === 'TrainingJob') sorted.jobs.push({ object: { ...object, metadata }, document })
    else if (object.kind === 'InferenceService') sorted.services.push({ object: { ...object, metadata }, document })
    else if (object.kind === 'Pool') sorted.pools.push({ ...object, metadata })
    else passOver(sorted.passedOver, object.kind)
  }
  return sorted
}

/** As the store writes it, whatever form it was given in: ages are compared as texts. */
function timeOf(text: string | null | undefined): string | undefined {
  const ms = Date.parse(text ?? '')
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}

/** When the last thing happened that these say of themselves. */
function newestMs(documents: readonly WrittenDocument[]): number | undefined {
  let newest = Number.NEGATIVE_INFINITY
  const look = (value: unknown) => {
    if (typeof value === 'string') {
      const ms = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN
      if (ms > newest) newest = ms
    } else if (typeof value === 'object' && value !== null) {
      for (const [field, inner] of Object.entries(value)) if (!isExpected.has(field)) look(inner)
    }
  }
  for (const { object } of documents) look([object.metadata.creationTimestamp, object.status])
  return Number.isFinite(newest) ? newest : undefined
}

/** Times that are to come. */
const isExpected: ReadonlySet<string> = new Set(['expectedEnd', 'expectedEndRange'])

function passOver(passedOver: State['passedOver'], kind: KindName): void {
  const known = passedOver.find((one) => one.kind === kind)
  if (known === undefined) passedOver.push({ kind, count: 1 })
  else known.count++
}

// ---- jobs and services ----

interface Made extends PlacedState {
  errors: DocumentError[]
}

function withGangsOfWork({ nodes, queues, gangs, pods, jobs, services }: Sorted): Made {
  const known = new Map(gangs.map((gang) => [keyOf(gang.object), gang]))
  const holders = new Set(pods.filter(({ object }) => isLive(object)).map(({ object }) => gangKeyOf(object)))
  const errors: DocumentError[] = []
  for (const { object: job, document } of jobs) {
    const key = keyOf(job)
    const own = known.get(key)
    if (own !== undefined && own.object.metadata.labels?.[label.job] !== job.metadata.name) {
      errors.push(
        errorAt(
          document,
          ['metadata', 'name'],
          `is also the name of the Gang of ${placeOf(own)}, which is not this job's`,
        ),
      )
    } else if (own !== undefined) known.set(key, { ...own, object: followJob(own.object, job, holders.has(key)) })
    else if (!isFinished(job)) known.set(key, { object: firstGangOf(job), document })
  }
  const replicas = new Map<string, number>()
  for (const { object: gang } of known.values()) {
    const service = gang.metadata.labels?.[label.service]
    if (service === undefined || gang.spec.suspend) continue
    const key = `${gang.metadata.namespace}/${service}`
    replicas.set(key, (replicas.get(key) ?? 0) + 1)
  }
  const wanting = services.map((service) => ({ service, count: missingReplicas(service.object, replicas) }))
  let total = known.size
  for (const { service, count } of wanting) {
    total += count
    const message = `makes more than ${stateLimits.gangs} gangs of this state`
    if (total > stateLimits.gangs)
      return { nodes, queues, gangs, pods, errors: [errorAt(service.document, ['spec', 'minReplicas'], message)] }
  }
  for (const { service, count } of wanting) addReplicas(known, service, count)
  return { nodes, queues, gangs: [...known.values()], pods, errors }
}

function firstGangOf(job: TrainingJob): Gang {
  const gang = gangOfJob(job)
  const { creationTimestamp } = job.metadata
  return {
    ...gang,
    metadata: { ...gang.metadata, creationTimestamp },
    spec: { ...gang.spec, suspend: job.spec.suspend },
  }
}

/** As control/training brings a gang up to its job: its shape and its queue only while it holds nothing. */
function followJob(gang: Gang, job: TrainingJob, hasPods: boolean): Gang {
  const { topology: _, expectedSeconds: __, ...spec } = gang.spec
  const isSeated = gang.status?.seats?.attempt === spec.attempt
  const shape = isSeated || hasPods ? {} : followedBetweenAttempts(job)
  const isResumed = job.status?.phase === 'Suspended' && !job.spec.suspend && spec.suspend && !hasPods
  const resumed = isResumed
    ? { suspend: false, attempt: spec.attempt + 1 }
    : { suspend: spec.suspend || job.spec.suspend }
  return { ...gang, spec: { ...spec, ...followedByGang(job), ...shape, ...resumed } }
}

function isFinished({ status }: TrainingJob): boolean {
  return isTrue(status?.conditions, 'Complete') || isTrue(status?.conditions, 'Failed')
}

/** Those that are wanted and not there. Those that are too many are not the scheduler's to take. */
function missingReplicas({ metadata, spec, status }: InferenceService, there: ReadonlyMap<string, number>): number {
  const { minReplicas, maxReplicas, suspend } = spec
  const wanted = suspend ? 0 : Math.min(maxReplicas, Math.max(minReplicas, status?.wantedReplicas ?? 0))
  return Math.max(0, wanted - (there.get(`${metadata.namespace}/${metadata.name}`) ?? 0))
}

function addReplicas(
  known: Map<string, Placed<Gang>>,
  { object: service, document }: Placed<InferenceService>,
  count: number,
): void {
  const { name, creationTimestamp } = service.metadata
  const revision = service.status?.revision
  const prefix = revision === undefined ? name : `${name}-${revision}`
  const first = gangOfReplica(service, prefix, templateOf(service))
  let missing = count
  for (let index = 0; missing > 0; index++) {
    const metadata = { ...first.metadata, name: `${prefix}-${index}`, creationTimestamp }
    const gang = { ...first, metadata }
    if (known.has(keyOf(gang))) continue
    known.set(keyOf(gang), { object: gang, document })
    missing--
  }
}

// ---- places ----

function isLive({ spec, status }: Pod): boolean {
  return spec.nodeName !== undefined && status?.phase !== 'Succeeded' && status?.phase !== 'Failed'
}

function gangKeyOf({ metadata }: Pod): string {
  return `${metadata.namespace ?? 'default'}/${metadata.labels?.[label.gang] ?? ''}`
}

function errorAt(document: WrittenDocument, at: readonly (string | number)[], message: string): DocumentError {
  return { ...fieldError(at, message), ...where(document, at) }
}

function where(document: WrittenDocument, at: readonly (string | number)[]) {
  return { file: document.file, ...document.positionOf(at) }
}

function placeOf({ document }: Placed<unknown>): string {
  return `${document.file}:${document.line}`
}

function tooLarge({ name }: TextFile, message: string): ReadState {
  return { errors: [{ ...fieldError([], message), file: name, line: 1, column: 1 }] }
}
