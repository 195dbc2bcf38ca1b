import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { gangGroups, groupsOf } from '../../model/pods.ts'
import { seatsNow } from '../../model/seats.ts'
import { equalJson } from '../../store/json.ts'
import { evictionNow, hasEnded, isLeaving, memberCount, moveNow, resizeNow, stopIsAsked } from '../gangs.ts'
import { dataOf, leavingQueue, type Missing, missingSecretOfJob } from '../missing.ts'
import type { Context } from '../reconciler.ts'
import { drainMessage, drains } from '../stop-policy.ts'

/** Why a job that has not ended is to have no seats now. It goes on by itself when that is no longer so. */
export interface Hold {
  reason:
    | 'Suspended'
    | 'QueueStopped'
    | 'Evicted'
    | 'NodeLeaving'
    | 'Moving'
    | 'Resizing'
    | 'Changed'
    | Missing['reason']
  message: string
}

/**
 * A job that holds nothing of a stopped queue needs no hold: it stands in line, where the scheduler passes it over and
 * says so. So does one whose seats the scheduler asks back. A member that somebody evicts (`kubectl drain`) takes its gang
 * along: all of it gets the same grace. One whose node work is to leave gives all its seats back, to sit elsewhere. One that is to grow, or to move, has seats for its next attempt, and only starts
 * again. What is missing stops nothing that runs; what was changed while it was suspended does, where nobody led meanwhile; an attempt that ended is recovery's first. `pods`: of the present attempt.
 */
export function holdOf(
  context: Context,
  job: TrainingJob,
  gang: Gang,
  { pods, live }: { pods: readonly Pod[]; live: readonly Pod[] },
): Hold | undefined {
  if (job.spec.suspend) return { reason: 'Suspended', message: 'its seats are given back' }
  const { queue } = job.spec
  const holdsSeats = live.length > 0 || seatsNow(gang) !== undefined
  if (holdsSeats && drains(context.views, queue)) return { reason: 'QueueStopped', message: drainMessage(queue) }
  // Ends that nobody asked for are recovery's; its next attempt has what this one was to move to, or to grow into.
  const mayStartAgain = stopIsAsked(gang) || !pods.some(hasEnded)
  const isMade = holdsSeats || pods.length > 0
  const changed = isMade && mayStartAgain ? changedIn(job, gang) : undefined
  if (changed !== undefined)
    return { reason: 'Changed', message: `${changed} changed while it was to be suspended, and it was not` }
  const move = moveNow(gang)
  if (move !== undefined) return mayStartAgain ? { reason: 'Moving', message: move.message } : undefined
  const eviction = evictionNow(gang)
  if (holdsSeats && eviction !== undefined) return { reason: 'Evicted', message: eviction.message }
  const leaves = mayStartAgain ? context.leaving.whyOf(gang) : undefined
  if (holdsSeats && leaves !== undefined) return { reason: 'NodeLeaving', message: leaves }
  const resize = resizeNow(gang)
  if (resize !== undefined && mayStartAgain) return { reason: 'Resizing', message: resize.message }
  const evicted = pods.find(isLeaving)
  if (evicted !== undefined)
    return { reason: 'Evicted', message: `${evicted.metadata.name} was evicted; no restart is counted` }
  if (live.length > 0 || pods.some(hasEnded)) return undefined
  return missingFor(context, job, pods.length < memberCount(gang))
}

function changedIn(job: TrainingJob, { spec }: Gang): string | undefined {
  if (!equalJson(gangGroups(groupsOf(job)), spec.groups)) return 'its workers were'
  return job.spec.queue === spec.queue ? undefined : 'its queue was'
}

/** It stops, and stands in line again at once. */
export function goesBackInLine({ reason }: Hold): boolean {
  return reason === 'QueueStopped' || reason === 'Evicted' || reason === 'NodeLeaving' || reason === 'Changed'
}

/** What the job names and is not there; of data only while pods are still to be made: those that are made know theirs. */
export function missingFor({ views }: Context, job: TrainingJob, arePodsToMake: boolean): Missing | undefined {
  const data = arePodsToMake ? dataOf(views, job) : undefined
  return data !== undefined && 'reason' in data ? data : (leavingQueue(views, job) ?? missingSecretOfJob(views, job))
}
