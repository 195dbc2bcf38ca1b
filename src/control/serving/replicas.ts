import { mergePatchTo } from '../../base/merge-patch.ts'
import { followedByReplica, gangOfReplica, replicaGroup } from '../../model/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import { annotation, label, podNameOf } from '../../model/names.ts'
import { rendezvousEnv, withEnv, withLabels } from '../../model/pods.ts'
import { ownerReferenceTo, refOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { equalJson } from '../../store/json.ts'
import { displacingTriesMax } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { type Replica, type ReplicaRecord, replicaAnnotation } from './look.ts'
import { failuresOf } from './plan.ts'
import type { Revision } from './revision.ts'

/**
 * Gang and pod in one go. A name that is taken by a gang that is still leaving is not used again before it is gone.
 *
 * @param replaces The one that moves and in whose place this one comes.
 */
export async function createReplica(
  context: Context,
  service: InferenceService,
  revision: Revision,
  index: number,
  replaces: Gang['spec']['replaces'],
): Promise<void> {
  const { metadata, spec, ...rest } = gangFor(service, revision, index)
  const ofMoving = replaces === undefined ? {} : { replaces }
  const gang = await context.store.create('Gang', { ...rest, metadata, spec: { ...spec, ...ofMoving } })
  if (gang !== 'exists') await createPod(context, service, revision, gang)
}

/** The lowest numbers that no gang of this revision has. */
export function freeIndexes(replicas: readonly Replica[], prefix: string, count: number): number[] {
  const taken = new Set(replicas.map(({ gang }) => gang.metadata.name))
  const free: number[] = []
  for (let index = 0; free.length < count; index++) if (!taken.has(`${prefix}-${index}`)) free.push(index)
  return free
}

export function prefixOf(service: InferenceService, revision: Revision): string {
  return `${service.metadata.name}-${revision.id}`
}

function gangFor(service: InferenceService, revision: Revision, index: number): Gang {
  const gang = gangOfReplica(service, `${prefixOf(service, revision)}-${index}`, revision.template)
  const labels = { ...gang.metadata.labels, [label.revision]: revision.id }
  return { ...gang, metadata: { ...gang.metadata, labels, ownerReferences: [ownerReferenceTo(service)] } }
}

/** Made again under the same name it is the same: 'exists' is fine. */
export async function createPod(
  context: Context,
  service: InferenceService,
  revision: Revision,
  gang: Gang,
): Promise<void> {
  const { attempt } = gang.spec
  const marks = {
    [label.service]: service.metadata.name,
    [label.serviceUid]: service.metadata.uid ?? '',
    [label.revision]: revision.id,
    [label.gang]: gang.metadata.name,
    [label.attempt]: String(attempt),
    [label.group]: replicaGroup,
  }
  const work = revision.served === undefined ? {} : { model: revision.served.source }
  const marked = withLabels(revision.template, marks, { [annotation.work]: JSON.stringify(work) })
  const template = withEnv(marked, rendezvousEnv())
  await context.store.create('Pod', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...template.metadata,
      name: podNameOf(gang.metadata.name, replicaGroup, 0, attempt),
      namespace: gang.metadata.namespace,
      ownerReferences: [ownerReferenceTo(gang)],
    },
    spec: template.spec,
  })
}

/** A new attempt, in one write that keeps the count; its pod is made when the write has come round. */
export async function restartReplica(context: Context, replica: Replica): Promise<'restarted' | 'stale'> {
  const { gang, pod } = replica
  const deleted = pod?.metadata.deletionTimestamp !== undefined
  const record: ReplicaRecord = {
    failures: deleted ? replica.record.failures : failuresOf(replica),
    ...(replica.seatedSinceMs === undefined ? {} : { seatedSinceMs: replica.seatedSinceMs }),
    ...(replica.ending === undefined ? {} : { last: replica.ending.slice(0, 500) }),
  }
  const patch = {
    metadata: { annotations: { [replicaAnnotation]: JSON.stringify(record) } },
    spec: {
      attempt: gang.spec.attempt + 1,
      spareAttempt: gang.spec.attempt + 1,
      preemptionPolicy: record.failures >= displacingTriesMax ? 'Never' : null,
    },
  }
  const written = await context.store.patch('Gang', refOf(gang), patch, {
    resourceVersion: gang.metadata.resourceVersion,
  })
  return typeof written === 'string' ? 'stale' : 'restarted'
}

/** The decision that a replica goes; what follows is `followLeaving`'s. */
export async function letLeave(context: Context, replica: Replica): Promise<void> {
  const { gang } = replica
  const patch = { spec: { suspend: true } }
  const written = await context.store.patch('Gang', refOf(gang), patch, {
    resourceVersion: gang.metadata.resourceVersion,
  })
  if (typeof written !== 'string') await followLeaving(context, replica)
}

/** Pods end within their grace, their streams first; the gang goes when nothing of it holds a device. */
export async function followLeaving(context: Context, { gang, live, pod }: Replica): Promise<void> {
  const { store } = context
  const unbound = pod !== undefined && pod.spec.nodeName === undefined ? [pod] : []
  for (const one of [...live, ...unbound]) {
    if (one.metadata.deletionTimestamp !== undefined) continue
    await store.evict(refOf(one), {
      uid: one.metadata.uid,
      gracePeriodSeconds: one.spec.terminationGracePeriodSeconds ?? 30,
    })
  }
  if (live.length === 0 && unbound.length === 0) await store.delete('Gang', refOf(gang), { uid: gang.metadata.uid })
}

/** What an older attempt still runs has no effect any more: it ends, within its grace if it was taken from us. */
export async function endOlder(context: Context, { live, pod }: Replica): Promise<void> {
  for (const old of live) {
    if (old === pod || old.metadata.deletionTimestamp !== undefined) continue
    await context.store.evict(refOf(old), { uid: old.metadata.uid, gracePeriodSeconds: 0 })
  }
}

/**
 * What is not of its revision follows the service while the gang waits or sits; its queue only while it waits, for its seats
 * are charged to the queue that gave them.
 */
export async function followSpec(context: Context, service: InferenceService, { gang }: Replica): Promise<void> {
  const { disruptionBudget, priority, ...asked } = followedByReplica(service)
  const before = gang.spec
  const queue = seatsNow(gang) === undefined ? asked.queue : before.queue
  const isSame = queue === before.queue && priority === before.priority
  if (isSame && equalJson(disruptionBudget, before.disruptionBudget)) return
  const { resourceVersion } = gang.metadata
  const spec = { queue, priority, disruptionBudget: mergePatchTo(before.disruptionBudget, disruptionBudget) }
  await context.store.patch('Gang', refOf(gang), { spec }, { resourceVersion })
}
