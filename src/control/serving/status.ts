import { conditionOf, setCondition } from '../../model/conditions.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Missing } from '../missing.ts'
import type { Replica } from './look.ts'
import type { Revision } from './revision.ts'

export type ServiceStatus = NonNullable<InferenceService['status']>
type Phase = NonNullable<ServiceStatus['phase']>

export interface Scene {
  service: InferenceService
  replicas: readonly Replica[]
  wanted: number
  /** What replicas should be of; undefined while it cannot be told. */
  goal: Revision | undefined
  /** The spec's own revision failed and the last good one serves instead. */
  failedRevision: string | undefined
  /** The goal never served and had its time. */
  overdue: boolean
  problem: Missing | undefined
  url: string | undefined
  nowMs: number
}

/** The service's status as it is now; fields that nothing is known of are left out. */
export function statusNow(scene: Scene): ServiceStatus {
  const { service, replicas, wanted, goal, failedRevision, url } = scene
  const active = replicas.filter((replica) => replica.state !== 'leaving')
  const ready = active.filter((replica) => replica.state === 'ready')
  const phase = phaseOf(scene, active, ready)
  const message = messageOf(scene, active, phase)
  const lastGood = lastGoodNow(scene, ready)
  const model = goal?.served?.name
  const { generation } = service.metadata
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    phase,
    conditions: conditionsOf(scene, active, ready, message),
    ...(url === undefined ? {} : { url }),
    ...(model === undefined ? {} : { model }),
    replicas: active.length,
    readyReplicas: ready.length,
    wantedReplicas: wanted,
    ...revisionNow(scene, ready),
    ...(lastGood === undefined ? {} : { lastGood }),
    ...(failedRevision === undefined ? {} : { failedRevision }),
    ...(message === undefined ? {} : { message }),
  }
}

/** The goal's revision once it serves; until then the one that does. */
function revisionNow({ service, goal }: Scene, ready: readonly Replica[]): { revision?: string } {
  const serving = ready.find((replica) => replica.revision === goal?.id) ?? ready[0]
  const revision = serving?.revision ?? service.status?.revision ?? goal?.id
  return revision === undefined ? {} : { revision }
}

function lastGoodNow({ service, goal }: Scene, ready: readonly Replica[]): ServiceStatus['lastGood'] {
  const before = service.status?.lastGood
  if (goal === undefined || before?.revision === goal.id) return before
  return ready.some((replica) => replica.revision === goal.id) ? { revision: goal.id, spec: { ...goal.spec } } : before
}

function phaseOf(
  { service, wanted, goal, overdue, problem }: Scene,
  active: readonly Replica[],
  ready: readonly Replica[],
): Phase {
  if (service.spec.suspend) return 'Suspended'
  if (problem !== undefined && ready.length === 0) return 'Pending'
  if (ready.length === 0 && (overdue || active.some(loops))) return 'Failed'
  if (wanted === 0) return 'Zero'
  if (active.some((replica) => isOld(replica, goal))) return 'Updating'
  if (ready.length > 0) return 'Ready'
  return active.some((replica) => replica.seatedSinceMs !== undefined) ? 'Starting' : 'Pending'
}

function conditionsOf(
  scene: Scene,
  active: readonly Replica[],
  ready: readonly Replica[],
  message: string | undefined,
) {
  const { service, nowMs } = scene
  const observedGeneration = service.metadata.generation
  const first = setCondition(
    service.status?.conditions,
    { type: 'Ready', ...readiness(scene, active, ready), message, observedGeneration },
    nowMs,
  )
  return setCondition(first, { type: 'Progressing', ...progress(scene, active), observedGeneration }, nowMs)
}

function readiness(
  { service, wanted, problem, overdue }: Scene,
  active: readonly Replica[],
  ready: readonly Replica[],
) {
  if (service.spec.suspend) return { status: 'False', reason: 'Suspended' } as const
  if (ready.length > 0) return { status: 'True', reason: 'ReplicasReady' } as const
  if (problem !== undefined) return { status: 'False', reason: problem.reason } as const
  if (active.some(loops)) return { status: 'False', reason: 'CrashLoop' } as const
  if (overdue) return { status: 'False', reason: overdueReason } as const
  // It answers: a request wakes it.
  if (wanted === 0) return { status: 'True', reason: 'ScaledToZero' } as const
  const isStopped = active.some(({ waitsFor }) => waitsFor?.reason === 'QueueStopped')
  return { status: 'False', reason: isStopped ? 'QueueStopped' : 'NoReplicaReady' } as const
}

function progress(scene: Scene, active: readonly Replica[]) {
  const { goal, wanted, failedRevision, overdue } = scene
  const fresh = active.filter((replica) => !isOld(replica, goal) && replica.state === 'ready').length
  if (failedRevision !== undefined) {
    const message = rolledBackMessage(scene, failedRevision)
    return { status: 'False', reason: rolledBackReason, message } as const
  }
  if (overdue) return { status: 'False', reason: overdueReason, message: overdueMessage(scene, active) } as const
  if (active.some((replica) => isOld(replica, goal))) return { status: 'True', reason: 'RollingUpdate' } as const
  return fresh >= wanted
    ? ({ status: 'False', reason: 'Complete' } as const)
    : ({ status: 'True', reason: 'Scaling' } as const)
}

/** The one thing that a person should know, most pressing first. */
function messageOf(scene: Scene, active: readonly Replica[], phase: Phase): string | undefined {
  if (phase === 'Suspended') return undefined
  if (scene.problem !== undefined) return scene.problem.message
  const looping = active.find(loops)
  if (looping?.record.last !== undefined) {
    return `${looping.gang.metadata.name} failed ${looping.record.failures} times in a row: ${looping.record.last}`
  }
  if (scene.failedRevision !== undefined)
    return `${rolledBackMessage(scene, scene.failedRevision)}; change the spec to try again`
  if (scene.overdue && phase === 'Failed') return overdueMessage(scene, active)
  const waiting = active.find((replica) => replica.waitsFor !== undefined)
  if (waiting?.waitsFor === undefined) return phase === 'Ready' ? undefined : whyNotReady(active)
  return `${waiting.gang.metadata.name} waits: ${waiting.waitsFor.message}`
}

export const overdueReason = 'ProgressDeadlineExceeded'
const rolledBackReason = 'RolledBack'

function overdueMessage({ service }: Scene, active: readonly Replica[]): string {
  return withWhy(`not ready within progressDeadlineSeconds: ${service.spec.progressDeadlineSeconds}`, active)
}

/** Why it failed is known while its replicas are there; then only from what was said. */
function rolledBackMessage({ service, replicas }: Scene, revision: string): string {
  const { status, spec } = service
  const said = conditionOf(status?.conditions, 'Progressing')
  if (status?.failedRevision === revision && said?.reason === rolledBackReason && said.message) return said.message
  const failed = replicas.filter((replica) => replica.revision === revision)
  const what = `revision ${revision} was not ready within progressDeadlineSeconds: ${spec.progressDeadlineSeconds}`
  return `${withWhy(what, failed)}; rolled back`
}

function withWhy(what: string, replicas: readonly Replica[]): string {
  const why = whyNotReady(replicas)
  return why === undefined ? what : `${what}: ${why}`
}

/** A crash says more than what its probe saw. */
function whyNotReady(replicas: readonly Replica[]): string | undefined {
  const unready = replicas.filter((replica) => replica.state !== 'ready')
  const ended = unready.find(({ ending, record }) => (ending ?? record.last) !== undefined)
  if (ended !== undefined) return `${ended.gang.metadata.name} ended: ${ended.ending ?? ended.record.last}`
  const lacking = unready.find(({ lacks }) => lacks !== undefined)
  return lacking === undefined ? undefined : `${lacking.gang.metadata.name} is not ready: ${lacking.lacks}`
}

function isOld({ revision, isOutdated }: Replica, goal: Revision | undefined): boolean {
  return revision !== goal?.id || isOutdated
}

function loops(replica: Replica): boolean {
  return replica.record.failures >= 2 && replica.state !== 'ready'
}
