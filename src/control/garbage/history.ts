import { keyOf, refOf, refOfKey } from '../../model/refs.ts'
import { attemptOf, gangKeyOf, hasEnded } from '../gangs.ts'
import { again, type Context, type Reconciler, settled } from '../reconciler.ts'
import { isFinished } from '../training/job.ts'

/** Pods of attempts before the last: the last one's stay for their logs. Keyed by gang. */
export function createHistory({ store, views }: Context): Reconciler {
  const gangs = views.of('Gang')
  return {
    name: 'history',
    watches: [
      { kind: 'Gang', keys: (gang) => [keyOf(gang)] },
      { kind: 'Pod', keys: gangKeyOf },
    ],
    reconcile: async (key) => {
      const gang = gangs.get(refOfKey(key))
      if (gang === undefined || gang.spec.attempt <= 2) return settled()
      const past = views.podsOf(gang).filter((pod) => attemptOf(pod) < gang.spec.attempt - 1 && hasEnded(pod))
      await Promise.all(
        past.map((pod) => store.delete('Pod', refOf(pod), { uid: pod.metadata.uid, gracePeriodSeconds: 0 })),
      )
      return settled()
    },
  }
}

/** Finished jobs go after ttlSecondsAfterFinished. */
export function createTtl({ store, views, clock }: Context): Reconciler {
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
      const leftMs = Date.parse(ended) + ttl * 1000 - clock.now()
      if (leftMs > 0) return again(leftMs)
      await store.delete('TrainingJob', refOf(job), { uid: job.metadata.uid })
      return settled()
    },
  }
}
