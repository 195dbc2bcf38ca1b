import { collectGarbage } from '../../blob/manifest.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { annotation } from '../../model/names.ts'
import { keyOf, refOfKey } from '../../model/refs.ts'
import { readWork } from '../../model/work.ts'
import { listFresh } from '../fresh.ts'
import { hasEnded, isLive, isPresent } from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'
import { gangOf } from '../training/job.ts'

/**
 * Checkpoint manifests that retention dropped. Keyed by job; woken by each commit. Content follows in the sweep. One that a
 * member is still to start from, while the others run on, goes with a later commit.
 */
export function createDroppedCheckpoints(context: Context): Reconciler {
  const { blobs, views } = context
  const jobs = views.of('TrainingJob')
  views.of('Gang')
  views.of('Pod')
  views.of('Report')
  /** The commit up to which a job was cleared, so that other changes of its gang cost nothing. */
  const clearedAt = new Map<string, string>()

  return {
    name: 'dropped-checkpoints',
    watches: [{ kind: 'Gang', keys: (gang) => (gang.status?.checkpoint === undefined ? [] : [keyOf(gang)]) }],
    workers: 2,
    reconcile: async (key) => {
      const job = jobs.get(refOfKey(key))
      const gang = job === undefined ? undefined : gangOf(context, job)
      if (job === undefined || gang === undefined || gang === 'of another') {
        clearedAt.delete(key)
        return settled()
      }
      const { checkpoint, checkpoints = [] } = gang.status ?? {}
      if (checkpoint === undefined || clearedAt.get(key) === checkpoint.digest) return settled()
      const kept = new Set([...checkpoint.manifests, ...checkpoints.flatMap((one) => one.manifests)])
      for (const manifest of manifestsToRead(context, gang)) kept.add(manifest)
      const { namespace = 'default', uid = '' } = job.metadata
      for (const blob of await blobs.list(`checkpoints/${namespace}/${uid}/`)) {
        if (!kept.has(blob.key) && isPast(blob.key, gang)) await blobs.delete(blob.key)
      }
      clearedAt.set(key, checkpoint.digest)
      return settled()
    },
  }
}

/** What members that have not started yet are to start from: fixed when their pods were made. */
function manifestsToRead({ views }: Context, gang: Gang): string[] {
  const started = new Set(
    views
      .reportsOf(gang)
      .filter(({ status }) => status?.restoredStep !== undefined || status?.firstStepAtMs !== undefined)
      .map(({ spec }) => spec.pod?.uid),
  )
  return views.podsOf(gang).flatMap((pod) => {
    if (!isPresent(pod, gang) || hasEnded(pod) || started.has(pod.metadata.uid)) return []
    const work = readWork(pod.metadata.annotations?.[annotation.work])
    return typeof work === 'string' ? [] : (work.restore?.manifests ?? [])
  })
}

/** Whether it can no longer be committed: of an earlier attempt, or not newer than what is. */
function isPast(key: string, { spec, status }: Gang): boolean {
  const match = /\/attempt-([0-9]+)\/step-([0-9]+)\//.exec(key)
  const committed = status?.checkpoint
  if (match === null || committed === undefined) return false
  const [attempt, step] = [Number(match[1]), Number(match[2])]
  return attempt < spec.attempt || (committed.attempt === attempt && step <= committed.step)
}

const sweepKey = 'sweep'
const sweepEveryMs = 10 * 60_000
/** A deleted job's agents may still be shipping for as long as a grace period. */
const afterDeletionMs = 60_000

/**
 * Blobs of jobs that are no more, and content that no manifest names. What a Model is made of stays. Storage has no fence,
 * and whoever was asleep may know nothing of a job that has come since. So what is there is listed first, and the store
 * itself is asked whose it is after that, where no server answers that is behind: a job was there before anything of it was
 * stored, and is gone for good if it is not there any more.
 */
export function createBlobSweep({ blobs, store, clock }: Context): Reconciler {
  let dueMs = clock.steadyMs() + afterDeletionMs

  /** False: a server is behind. */
  async function sweep(): Promise<boolean> {
    const stored = [...(await blobs.list('checkpoints/')), ...(await blobs.list('outputs/'))]
    const jobs = await listFresh(store, 'TrainingJob')
    const pods = await listFresh(store, 'Pod')
    // A job publishes before it goes.
    const models = await listFresh(store, 'Model')
    if (jobs === undefined || pods === undefined || models === undefined) return false
    const published = new Set(models.map((model) => model.spec.manifest))
    const alive = new Set(
      [...jobs, ...pods.filter(isLive)].flatMap(({ metadata }) => [
        metadata.uid,
        ...(metadata.ownerReferences ?? []).map((owner) => owner.uid),
      ]),
    )
    for (const { key } of stored) {
      const uid = key.split('/')[2] ?? ''
      if (!alive.has(uid) && !published.has(key)) await blobs.delete(key)
    }
    await collectGarbage(blobs, clock.now())
    return true
  }

  return {
    name: 'blob-sweep',
    watches: [
      { kind: 'Queue', keys: () => [sweepKey] },
      { kind: 'TrainingJob', keys: (_job, change) => (change === 'DELETED' ? ['deleted'] : []) },
    ],
    workers: 1,
    reconcile: async (key): Promise<Outcome> => {
      const nowMs = clock.steadyMs()
      if (key === 'deleted') {
        dueMs = Math.min(dueMs, nowMs + afterDeletionMs)
        return { ...settled(), wake: [sweepKey] }
      }
      if (nowMs < dueMs) return again(dueMs - nowMs)
      dueMs = nowMs + ((await sweep()) ? sweepEveryMs : afterDeletionMs)
      return again(dueMs - nowMs)
    },
  }
}
