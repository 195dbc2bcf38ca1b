import { conditionOf, isTrue } from '../../model/conditions.ts'
import { capacityTypesOfReplica } from '../../model/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { Condition } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { seatsNow } from '../../model/seats.ts'
import { scheduledCondition } from '../../scheduler/committed.ts'
import { equalJson } from '../../store/json.ts'
import { attemptOf, hasEnded, isLive, moveNow, seenMs } from '../gangs.ts'
import type { Context } from '../reconciler.ts'

export interface Replica {
  gang: Gang
  revision: string
  /** Of the present attempt. */
  pod: Pod | undefined
  /** Pods of any attempt that may still hold a device. */
  live: Pod[]
  state: 'starting' | 'ready' | 'ended' | 'leaving'
  inFlight: number
  /** It is to leave once another is ready where seats are kept for it. */
  moves: boolean
  /** Work is to leave its node: another one comes first. */
  leaves: boolean
  /** Its seats are of another queue, or of other capacity, than its service asks for: another one comes first. */
  isOutdated: boolean
  record: ReplicaRecord
  /** When it was first given seats: what it is measured against from then on. */
  seatedSinceMs: number | undefined
  /** For how long its pod ran, to this day where nobody knows when it ended. Looked at from when it runs. */
  ranMs: number
  /** How its pod ended, with its exit code and the last line of its log; undefined while it has not. */
  ending: string | undefined
  /** What its pod lacks to serve, in its agent's words: what the probe saw last, or what it cannot start for. */
  lacks: string | undefined
  /** Why it has no seats, if the scheduler said so. */
  waitsFor: { reason: string; message: string } | undefined
}

/** Kept on the gang, in the write that raises its attempt. */
export interface ReplicaRecord {
  /** Failures in a row. */
  failures: number
  seatedSinceMs?: number
  last?: string
}

export const replicaAnnotation = 'millwright.dev/replica'

export interface Demand {
  inFlight: number
  held: number
  concurrency?: number | undefined
  lastRequestAtMs?: number | undefined
}

export interface Seen {
  replicas: Replica[]
  demand: Demand
}

export function look(context: Context, service: InferenceService): Seen {
  const { views } = context
  const { name, namespace, uid = '' } = service.metadata
  const report = views.of('Report').get({ name: `service.${name}`, namespace })
  const ours = report?.spec.service?.uid === uid ? report.status : undefined
  const gangs = views
    .of('Gang')
    .by('owner', uid)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  return {
    replicas: gangs.map((gang) =>
      replicaOf(context, service, gang, views.podsOf(gang), views.reportsOf(gang), ours?.perReplica ?? {}),
    ),
    demand: {
      inFlight: ours?.inFlight ?? 0,
      held: ours?.held ?? 0,
      concurrency: ours?.concurrency,
      lastRequestAtMs: ours?.lastRequestAtMs,
    },
  }
}

function replicaOf(
  context: Context,
  service: InferenceService,
  gang: Gang,
  pods: readonly Pod[],
  reports: readonly Report[],
  perReplica: Record<string, number>,
): Replica {
  const pod = pods.find((one) => attemptOf(one) === gang.spec.attempt)
  const record = recordOf(gang)
  const seats = seatsNow(gang)
  const scheduled = gang.status?.conditions?.find((condition) => condition.type === scheduledCondition)
  return {
    gang,
    revision: gang.metadata.labels?.[label.revision] ?? '',
    pod,
    live: pods.filter(isLive),
    state: stateOf(gang, pod),
    ranMs: ranMsOf(context, gang, pod),
    ending: pod === undefined ? undefined : endingOf(pod, reports),
    lacks: pod === undefined || hasEnded(pod) ? undefined : lacksOf(pod),
    moves: moveNow(gang) !== undefined,
    leaves: context.leaving.whyOf(gang) !== undefined,
    isOutdated: isOutdated(service, gang),
    inFlight: pod === undefined ? 0 : (perReplica[pod.metadata.name] ?? 0),
    record,
    seatedSinceMs: record.seatedSinceMs ?? (seats === undefined ? undefined : Date.parse(seats.at)),
    waitsFor: seats === undefined && scheduled?.status === 'False' ? waitOf(scheduled) : undefined,
  }
}

/** Its queue follows while it has no seats. */
function isOutdated(service: InferenceService, gang: Gang): boolean {
  const types = capacityTypesOfReplica(service)
  const isOfOtherCapacity = gang.spec.groups.some(({ capacityTypes }) => !equalJson(capacityTypes, types))
  return isOfOtherCapacity || (seatsNow(gang) !== undefined && gang.spec.queue !== service.spec.queue)
}

function waitOf({ reason = 'Waiting', message = '' }: Condition): Replica['waitsFor'] {
  return { reason, message }
}

function stateOf(gang: Gang, pod: Pod | undefined): Replica['state'] {
  if (gang.spec.suspend || gang.metadata.deletionTimestamp !== undefined) return 'leaving'
  if (pod === undefined) return 'starting'
  // Taken away by somebody else: whatever becomes of it, it serves no more.
  if (hasEnded(pod) || pod.metadata.deletionTimestamp !== undefined) return 'ended'
  return isTrue(pod.status?.conditions, 'Ready') ? 'ready' : 'starting'
}

function recordOf(gang: Gang): ReplicaRecord {
  try {
    const record: unknown = JSON.parse(gang.metadata.annotations?.[replicaAnnotation] ?? '{}')
    if (typeof record !== 'object' || record === null) return { failures: 0 }
    const failures = 'failures' in record && typeof record.failures === 'number' ? record.failures : 0
    const since =
      'seatedSinceMs' in record && typeof record.seatedSinceMs === 'number' ? record.seatedSinceMs : undefined
    const last = 'last' in record && typeof record.last === 'string' ? record.last : undefined
    return {
      failures,
      ...(since === undefined ? {} : { seatedSinceMs: since }),
      ...(last === undefined ? {} : { last }),
    }
  } catch {
    return { failures: 0 } // somebody wrote on it by hand: count from new
  }
}

/** How a replica's pod ended, in a sentence's words. */
export function endOf(pod: Pod): { message: string; atMs: number | undefined; startedAtMs: number | undefined } {
  const terminated = terminatedOf(pod)
  const message =
    terminated?.message ??
    pod.status?.message ??
    terminated?.reason ??
    (pod.metadata.deletionTimestamp === undefined ? 'ended' : 'was deleted')
  return {
    message,
    atMs: timeOf(terminated?.finishedAt),
    startedAtMs: timeOf(terminated?.startedAt ?? pod.status?.startTime),
  }
}

function ranMsOf({ ages }: Context, { metadata }: Gang, pod: Pod | undefined): number {
  if (pod === undefined) return 0
  const { atMs, startedAtMs } = endOf(pod)
  if (startedAtMs === undefined) return 0
  return atMs === undefined ? ages.of(`${metadata.uid} runs`, startedAtMs, seenMs) : atMs - startedAtMs
}

function endingOf(pod: Pod, reports: readonly Report[]): string | undefined {
  if (!hasEnded(pod) && pod.metadata.deletionTimestamp === undefined) return undefined
  const { message } = endOf(pod)
  const exitCode = terminatedOf(pod)?.exitCode
  const code = exitCode === undefined || /exit code|SIG/.test(message) ? '' : ` (exit code ${exitCode})`
  const report = reports.find(({ spec }) => spec.pod?.uid === pod.metadata.uid)
  const lastLine = report?.status?.logTail?.trimEnd().split('\n').at(-1)?.trim().slice(0, lastLineMax)
  return `${message}${code}${lastLine ? `; its log ends: ${lastLine}` : ''}`
}

const lastLineMax = 200

function lacksOf({ status }: Pod): string | undefined {
  const waiting = status?.containerStatuses?.[0]?.state?.waiting
  if (waiting?.message !== undefined && waiting.reason !== 'ContainerCreating') return waiting.message
  const ready = conditionOf(status?.conditions, 'Ready')
  return ready?.status === 'False' && ready.message !== '' ? ready.message : undefined
}

function terminatedOf(pod: Pod) {
  return pod.status?.containerStatuses?.map((status) => status.state?.terminated).find((state) => state)
}

function timeOf(timestamp: string | undefined): number | undefined {
  const ms = timestamp === undefined ? Number.NaN : Date.parse(timestamp)
  return Number.isNaN(ms) ? undefined : ms
}
