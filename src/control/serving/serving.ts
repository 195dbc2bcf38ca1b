import { type Demand as PastDemand, wantedReplicas } from '../../autoscaler/replicas.ts'
import { conditionOf } from '../../model/conditions.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import { label } from '../../model/names.ts'
import { leavingReasonOf } from '../../model/nodes.ts'
import { keyOf, refOfKey } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { equalJson } from '../../store/json.ts'
import { evictionNow, seenMs } from '../gangs.ts'
import { leavingQueue, type Missing, missingSecret } from '../missing.ts'
import { again, type Context, type Outcome, type Reconciler, settled, sooner } from '../reconciler.ts'
import { drains, whenQueueChanges } from '../stop-policy.ts'
import { look, type Replica, type Seen } from './look.ts'
import { overdueInMs, type Plan, planReplicas, restartInMs } from './plan.ts'
import {
  createPod,
  createReplica,
  endOlder,
  followLeaving,
  followSpec,
  freeIndexes,
  letLeave,
  prefixOf,
  restartReplica,
} from './replicas.ts'
import { lastGoodOf, type Revision, revisionOf } from './revision.ts'
import { overdueReason, type ServiceStatus, statusNow } from './status.ts'

/**
 * An inference service's life: one gang of one pod per replica, as many as its demand asks for, all of one revision.
 * The gateway tells demand by its Report; only here is it turned into a number of replicas.
 */
export function createServing(context: Context): Reconciler {
  const { views, clock, events } = context
  const services = views.of('InferenceService')
  const gangs = views.of('Gang')
  views.of('Queue')
  views.of('Secret')
  views.of('Report')
  views.of('Model')
  const history = new Map<string, PastDemand[]>()

  async function reconcile(key: string): Promise<Outcome> {
    const service = services.get(refOfKey(key))
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) {
      history.delete(key)
      return settled() // what it owned goes with it
    }
    const nowMs = clock.now()
    const seen = look(context, service)
    const scaled = scale(key, service, seen)
    const chosen = chooseGoal(context, service, seen)
    const missing =
      leavingQueue(views, service) ??
      (chosen.goal === undefined ? undefined : missingSecret(views, chosen.goal.template, service.metadata.namespace))
    const target = { ...chosen, problem: chosen.problem ?? missing }
    const { goal } = target
    const plan = planReplicas({
      replicas: seen.replicas,
      // Without a goal nothing is known that could replace what runs.
      goal: goal?.id ?? seen.replicas.find((replica) => replica.state !== 'leaving')?.revision ?? '',
      wanted: scaled.wanted,
      hasServed: (revision) => goal === undefined || revision === service.status?.lastGood?.revision,
      canMake: missing === undefined,
      yields: ({ gang, live, moves }) =>
        (live.length > 0 || seatsNow(gang) !== undefined) &&
        ((evictionNow(gang) !== undefined && !moves) || drains(views, gang.spec.queue)),
      restartInMs: (replica) => restartInMs(replica, context.ages),
    })
    const status = statusNow({
      service,
      replicas: seen.replicas,
      wanted: scaled.wanted,
      url: context.gatewayUrl === undefined ? undefined : `${context.gatewayUrl}/v1`,
      nowMs,
      ...target,
    })
    const isFirst = decidesOverTime(status, service.status)
    if (isFirst && (await write(service, status, target.problem)) === 'stale') return settled() // the newer one comes through the watch
    await carryOut(service, goal, plan, seen)
    if (!isFirst && !equalJson(status, service.status)) await write(service, status, target.problem)
    const due = [scaled.againInMs, target.overdueInMs, plan.restartInMs].flatMap((ms) => ms ?? [])
    return due.map((ms) => again(Math.max(1, ms))).reduce<Outcome>(sooner, settled())
  }

  function recordScaled(service: InferenceService, wanted: number | undefined): void {
    const before = service.status?.wantedReplicas ?? 0
    if (wanted !== before) events.record(service, 'Normal', 'Scaled', `from ${before} to ${wanted} replicas`)
  }

  async function write(
    service: InferenceService,
    status: ServiceStatus,
    problem: Missing | undefined,
  ): Promise<'written' | 'stale'> {
    const before = service.status
    const written = await context.store.updateStatus('InferenceService', { ...service, status })
    if (typeof written === 'string') return 'stale' // the newer one comes through the watch
    if (problem !== undefined && status.message === problem.message && before?.message !== problem.message)
      events.record(service, 'Warning', problem.reason, problem.message)
    if (status.failedRevision !== undefined && status.failedRevision !== before?.failedRevision)
      events.record(
        service,
        'Warning',
        'RolledBack',
        `${conditionOf(status.conditions, 'Progressing')?.message}; ${before?.lastGood?.revision ?? 'none'} serves`,
      )
    const progressing = conditionOf(status.conditions, 'Progressing')
    if (
      progressing?.reason === overdueReason &&
      conditionOf(before?.conditions, 'Progressing')?.reason !== overdueReason
    )
      events.record(service, 'Warning', overdueReason, progressing.message ?? '')
    recordScaled(service, status.wantedReplicas)
    if (status.lastGood?.revision !== before?.lastGood?.revision)
      events.record(service, 'Normal', 'RevisionReady', `revision ${status.lastGood?.revision} serves`)
    return 'written'
  }

  /** In steady time: the history is of as long as demand has to stay low. */
  function scale(key: string, service: InferenceService, { replicas, demand }: Seen) {
    const { minReplicas: min, maxReplicas: max, target, scaleDownSeconds, suspend } = service.spec
    if (suspend) {
      history.delete(key)
      return { wanted: 0, againInMs: undefined }
    }
    const active = replicas.filter((replica) => replica.state !== 'leaving').length
    const nowMs = clock.steadyMs()
    const { lastRequestAtMs: saidMs } = demand
    const lastRequestAtMs =
      saidMs === undefined ? undefined : nowMs - context.ages.of(`${service.metadata.uid} asked`, saidMs, seenMs)
    const decision = wantedReplicas(
      { ...demand, nowMs, current: service.status?.wantedReplicas ?? active, lastRequestAtMs },
      { min, max: Math.max(min, max), target, scaleDownMs: scaleDownSeconds * 1000 },
      history.get(key),
    )
    history.set(key, decision.history)
    const { replicas: wanted, againAtMs } = decision
    return { wanted, againInMs: againAtMs === undefined ? undefined : againAtMs - nowMs }
  }

  async function carryOut(
    service: InferenceService,
    goal: Revision | undefined,
    plan: Plan,
    seen: Seen,
  ): Promise<void> {
    for (const replica of plan.leave) await letLeave(context, replica)
    if (goal !== undefined && plan.create > 0) {
      const indexes = freeIndexes(seen.replicas, prefixOf(service, goal), plan.create)
      const replaced = plan.replace.map(({ gang: { metadata } }) => ({ name: metadata.name, uid: metadata.uid ?? '' }))
      await Promise.all(indexes.map((index, at) => createReplica(context, service, goal, index, replaced[at])))
    }
    const gone = new Set<Replica>([...plan.leave, ...plan.leaving])
    for (const replica of seen.replicas) {
      if (gone.has(replica)) continue
      if (plan.restart.includes(replica)) await restart(service, replica)
      else await keep(service, goal, replica)
    }
    for (const replica of plan.leaving) await followLeaving(context, replica)
  }

  async function restart(service: InferenceService, replica: Replica): Promise<void> {
    if ((await restartReplica(context, replica)) === 'stale') return
    const name = replica.pod?.metadata.name ?? replica.gang.metadata.name
    const message = `${name} starts again: ${replica.ending ?? 'it ended'}`
    events.record(service, 'Warning', 'ReplicaRestarting', message)
  }

  /** A pod that is missing can be made again only while its revision can be told. */
  async function keep(service: InferenceService, goal: Revision | undefined, replica: Replica): Promise<void> {
    await endOlder(context, replica)
    await followSpec(context, service, replica)
    if (replica.pod !== undefined) return
    const revision = goal?.id === replica.revision ? goal : lastGoodOf(context, service)
    if (revision?.id === replica.revision) await createPod(context, service, revision, replica.gang)
    else await letLeave(context, replica)
  }

  return {
    name: 'serving',
    watches: [
      { kind: 'InferenceService', keys: (service) => [keyOf(service)] },
      { kind: 'Gang', keys: ofService },
      { kind: 'Pod', keys: ofService },
      {
        kind: 'Report',
        keys: ({ spec, metadata }) =>
          spec.service === undefined ? [] : [`${metadata.namespace ?? 'default'}/${spec.service.name}`],
      },
      {
        kind: 'Node',
        keys: (node) =>
          leavingReasonOf(node) === undefined ? [] : views.podsOnNode(node.metadata.name).flatMap(ofService),
      },
      whenQueueChanges((queue) => [
        ...gangs.list().flatMap((gang) => (gang.spec.queue === queue ? ofService(gang) : [])),
        ...services.list().flatMap((service) => (service.spec.queue === queue ? [keyOf(service)] : [])),
      ]),
      { kind: 'Secret', keys: ({ metadata }) => services.list(metadata.namespace).map(keyOf) },
      { kind: 'Model', keys: (model) => servicesOf(model.metadata.namespace, [model.spec.model, model.metadata.name]) },
    ],
    reconcile,
  }

  function servicesOf(namespace: string | undefined, models: readonly string[]): string[] {
    return services
      .list(namespace)
      .filter(({ spec }) => spec.model !== undefined && models.includes(spec.model))
      .map(keyOf)
  }
}

/**
 * Fewer replicas, and that a revision had its time, are decisions over time that nobody after us could take again at once: they
 * are written before a replica leaves, or the next control plane would make it anew. More are asked for again by the demand
 * itself.
 */
function decidesOverTime(status: ServiceStatus, before: ServiceStatus | undefined): boolean {
  const isBack = status.failedRevision !== undefined && status.failedRevision !== before?.failedRevision
  return isBack || (status.wantedReplicas ?? 0) < (before?.wantedReplicas ?? 0)
}

interface Goal {
  goal: Revision | undefined
  failedRevision: string | undefined
  overdue: boolean
  problem: Missing | undefined
  overdueInMs?: number
}

/** The spec's revision, or the last good one where the spec's cannot be made or had its time and never served. */
function chooseGoal(context: Context, service: InferenceService, seen: Seen): Goal {
  const asked = revisionOf(context, service)
  if ('problem' in asked) {
    return { goal: lastGoodOf(context, service), failedRevision: undefined, overdue: false, problem: asked.problem }
  }
  const goal = { goal: asked, failedRevision: undefined, overdue: false, problem: undefined }
  const good = service.status?.lastGood?.revision === asked.id
  if (good) return goal
  const before = lastGoodOf(context, service)
  const back = { goal: before, failedRevision: asked.id, overdue: false, problem: undefined }
  if (before !== undefined && service.status?.failedRevision === asked.id) return back
  const fresh = seen.replicas.filter((replica) => replica.revision === asked.id && replica.state !== 'leaving')
  const leftMs = overdueInMs(fresh, service.spec.progressDeadlineSeconds * 1000, context.ages)
  if (leftMs === undefined) return goal
  if (leftMs > 0) return { ...goal, overdueInMs: leftMs }
  return before === undefined ? { ...goal, overdue: true } : back
}

function ofService({
  metadata,
}: {
  metadata: { namespace?: string | undefined; labels?: Record<string, string> | undefined }
}): string[] {
  const service = metadata.labels?.[label.service]
  return service === undefined ? [] : [`${metadata.namespace ?? 'default'}/${service}`]
}
