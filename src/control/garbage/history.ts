import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { keyOf, refOf, refOfKey } from '../../model/refs.ts'
import { attemptOf, gangKeyOf, hasEnded } from '../gangs.ts'
import { isToPublish } from '../publishing/publishing.ts'
import { again, type Context, type Reconciler, settled } from '../reconciler.ts'
import { isFinished } from '../training/job.ts'

/**
 * Pods of attempts before the last: the last one's stay for their logs. Of members that have left, whose place another has
 * by now, the last one's stays. Keyed by gang.
 */
export function createHistory({ store, views }: Context): Reconciler {
  const gangs = views.of('Gang')
  return {
    name: 'history',
    watches: [
      { kind: 'Gang', keys: (gang) => [keyOf(gang)] },
      // Thousands end at once: only who is past already is a reason to look at all others.
      { kind: 'Pod', keys: (pod) => gangKeyOf(pod).filter((key) => isPast(pod, gangs.get(refOfKey(key)))) },
    ],
    reconcile: async (key) => {
      const gang = gangs.get(refOfKey(key))
      if (gang === undefined || (gang.spec.attempt <= 2 && gang.spec.left === undefined)) return settled()
      const past = views.podsOf(gang).filter((pod) => isPast(pod, gang))
      await Promise.all(
        past.map((pod) => store.delete('Pod', refOf(pod), { uid: pod.metadata.uid, gracePeriodSeconds: 0 })),
      )
      return settled()
    },
  }
}

function isPast(pod: Pod, gang: Gang | undefined): boolean {
  if (gang === undefined || !hasEnded(pod)) return false
  return attemptOf(pod) < gang.spec.attempt - 1 || isReplaced(pod.metadata.name, gang)
}

function isReplaced(name: string, { spec, status }: Gang): boolean {
  const at = spec.left?.indexOf(name) ?? -1
  if (spec.left === undefined || at === -1 || at === spec.left.length - 1) return false
  return !(status?.seats?.members ?? []).some(({ pod }) => pod === name)
}

const publishedWithinMs = 10_000

/** Finished jobs go after ttlSecondsAfterFinished, and once they are published: what they made goes with them until then. */
export function createTtl({ store, views, ages, blobs }: Context): Reconciler {
  const jobs = views.of('TrainingJob')
  return {
    name: 'ttl',
    watches: [
      { kind: 'TrainingJob', keys: (job) => (job.spec.ttlSecondsAfterFinished === undefined ? [] : [keyOf(job)]) },
    ],
    reconcile: async (key) => {
      const job = jobs.get(refOfKey(key))
      const ttl = job?.spec.ttlSecondsAfterFinished
      const ended = job?.status?.completionTime
      if (job === undefined || ttl === undefined || ended === undefined || !isFinished(job)) return settled()
      // Its time may be said long after its end.
      const leftMs = ttl * 1000 - ages.of(`${job.metadata.uid} finished`, Date.parse(ended), Number.POSITIVE_INFINITY)
      if (leftMs > 0) return again(leftMs)
      if (await isToPublish(job, blobs)) return again(publishedWithinMs)
      await store.delete('TrainingJob', refOf(job), { uid: job.metadata.uid })
      return settled()
    },
  }
}
