import type { z } from 'zod'
import { type Dataset, dataset } from './kinds/dataset.ts'
import { type Drill, drill } from './kinds/drill.ts'
import { type Gang, gang } from './kinds/gang.ts'
import { type InferenceService, inferenceService } from './kinds/inference-service.ts'
import * as kubernetes from './kinds/kubernetes.ts'
import { type LedgerPage, ledgerPage } from './kinds/ledger-page.ts'
import { type Model, model } from './kinds/model.ts'
import { type Pool, pool } from './kinds/pool.ts'
import { type Queue, queue } from './kinds/queue.ts'
import { type Report, report } from './kinds/report.ts'
import { type TrainingJob, trainingJob } from './kinds/training-job.ts'

/** Everything a room needs to know of a kind without knowing the kind. */
export interface KindInfo {
  kind: KindName
  group: string
  version: string
  plural: string
  singular: string
  shortNames: readonly string[]
  namespaced: boolean
  /** Ours: unknown fields are errors. Kubernetes' own: kept. */
  ours: boolean
  /** Whether spec and status are written through different doors. */
  hasStatus: boolean
  schema: z.ZodType<Resource>
}

export interface KindMap {
  Pool: Pool
  Queue: Queue
  TrainingJob: TrainingJob
  InferenceService: InferenceService
  Gang: Gang
  Report: Report
  Model: Model
  Dataset: Dataset
  Drill: Drill
  LedgerPage: LedgerPage
  Pod: kubernetes.Pod
  Node: kubernetes.Node
  Namespace: kubernetes.Namespace
  Secret: kubernetes.Secret
  Event: kubernetes.Event
  Lease: kubernetes.Lease
}
export type KindName = keyof KindMap
export type Resource = KindMap[KindName]

const ours = (
  kind: KindName,
  plural: string,
  shortNames: string[],
  schema: z.ZodType<Resource>,
  namespaced = true,
): KindInfo => ({
  kind,
  group: 'millwright.dev',
  version: 'v1alpha1',
  plural,
  singular: kind.toLowerCase(),
  shortNames,
  namespaced,
  ours: true,
  hasStatus: true,
  schema,
})
const core = (
  kind: KindName,
  plural: string,
  shortNames: string[],
  schema: z.ZodType<Resource>,
  hasStatus: boolean,
  namespaced = true,
): KindInfo => ({
  kind,
  group: '',
  version: 'v1',
  plural,
  singular: kind.toLowerCase(),
  shortNames,
  namespaced,
  ours: false,
  hasStatus,
  schema,
})

export const kinds: { readonly [K in KindName]: KindInfo } = {
  Pool: ours('Pool', 'pools', [], pool, false),
  Queue: ours('Queue', 'queues', ['q'], queue, false),
  TrainingJob: ours('TrainingJob', 'trainingjobs', ['job', 'jobs', 'tj'], trainingJob),
  InferenceService: ours('InferenceService', 'inferenceservices', ['isvc', 'service', 'services'], inferenceService),
  Gang: ours('Gang', 'gangs', [], gang),
  Report: ours('Report', 'reports', [], report),
  Model: ours('Model', 'models', [], model),
  Dataset: ours('Dataset', 'datasets', ['ds'], dataset),
  Drill: ours('Drill', 'drills', [], drill),
  LedgerPage: ours('LedgerPage', 'ledgerpages', [], ledgerPage, false),
  Pod: core('Pod', 'pods', ['po'], kubernetes.pod, true),
  Node: core('Node', 'nodes', ['no'], kubernetes.node, true, false),
  Namespace: core('Namespace', 'namespaces', ['ns'], kubernetes.namespace, true, false),
  Secret: core('Secret', 'secrets', [], kubernetes.secret, false),
  Event: core('Event', 'events', ['ev'], kubernetes.event, false),
  Lease: { ...core('Lease', 'leases', [], kubernetes.lease, false), group: 'coordination.k8s.io' },
}

export const kindNames = Object.keys(kinds) as KindName[]

export function apiVersionOf(info: KindInfo): string {
  return info.group === '' ? info.version : `${info.group}/${info.version}`
}

/** The kind that a person means by `word`: kind, plural, singular or short name, any case. */
export function kindOf(word: string): KindInfo | undefined {
  const wanted = word.toLowerCase().split('.')[0]
  return Object.values(kinds).find(
    (info) => info.kind.toLowerCase() === wanted || info.plural === wanted || info.shortNames.includes(wanted ?? ''),
  )
}
