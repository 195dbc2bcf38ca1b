import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { seatsNow } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { drainMessage, drains } from '../stop-policy.ts'

/** Why a job that has not ended is to have no seats now. It goes on by itself when that is no longer so. */
export interface Hold {
  reason: 'Suspended' | 'QueueStopped'
  message: string
}

/**
 * `isLive`: some of it runs. A job that holds nothing of a stopped queue needs no hold: it stands in line, where the
 * scheduler passes it over and says so.
 */
export function holdOf({ views }: Context, job: TrainingJob, gang: Gang, isLive: boolean): Hold | undefined {
  if (job.spec.suspend) return { reason: 'Suspended', message: 'its seats are given back' }
  const { queue } = job.spec
  const holdsSeats = isLive || seatsNow(gang) !== undefined
  if (holdsSeats && drains(views, queue)) return { reason: 'QueueStopped', message: drainMessage(queue) }
  return undefined
}
