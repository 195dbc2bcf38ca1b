import type { Pod } from '../../model/kinds/kubernetes.ts'
import { seatsNow } from '../../model/seats.ts'
import { membersRejoin, stopIsAsked } from '../gangs.ts'
import { rankCount, rankOf, type Seen } from './job.ts'

/**
 * How a job ends, or 'not yet'; `inMs`: look again after so long at the latest. Its deadline counts the time for which it had
 * seats, of all attempts together: waiting and being suspended use none of it.
 */
export type Ending =
  | { kind: 'succeeded'; output?: { manifest: string; digest: string } }
  | { kind: 'failed'; reason: string; message: string }
  | { kind: 'not yet'; inMs?: number }

export function endingOf(seen: Seen): Ending {
  const { recovery, job, gang, ranSeconds } = seen
  if (recovery.failed !== undefined) return { kind: 'failed', ...recovery.failed }
  if (allSucceeded(seen)) return withOutput(seen)
  if (job.spec.activeDeadlineSeconds === undefined) return { kind: 'not yet' }
  // Whole milliseconds: less than one, beside the time of today, would be none.
  const leftMs = Math.ceil(1000 * (job.spec.activeDeadlineSeconds - ranSeconds))
  if (leftMs > 0) return seatsNow(gang) === undefined ? { kind: 'not yet' } : { kind: 'not yet', inMs: leftMs }
  const message = `it was active for longer than activeDeadlineSeconds: ${job.spec.activeDeadlineSeconds}`
  return { kind: 'failed', reason: 'DeadlineExceeded', message }
}

/** Ended well by themselves: a pod that stopped because it was asked to has exit code 0 too. */
function allSucceeded(seen: Seen): boolean {
  const { pods } = seen
  if (pods.length < rankCount(seen)) return false
  if (!membersRejoin(seen.gang)) return pods.every((pod) => hasSucceeded(pod, seen))
  // Who was still on his way when the others were done is not needed any more.
  const working = pods.filter((pod) => !isOnItsWay(pod, seen))
  return working.length > 0 && working.every((pod) => hasSucceeded(pod, seen))
}

function hasSucceeded(pod: Pod, seen: Seen): boolean {
  const report = seen.reportOf(pod.metadata.name)
  if (pod.status?.phase !== 'Succeeded' || isUnexplained(pod, seen)) return false
  return report?.stopped !== true && report?.ended?.byAgent !== true
}

/** It may have ended since it was asked to stop, and its Report, which says so, is not seen yet. */
export function isUnexplained(pod: Pod, { gang, reportOf }: Seen): boolean {
  const mayBeStopped = stopIsAsked(gang) || gang.spec.suspend || pod.metadata.deletionTimestamp !== undefined
  return mayBeStopped && pod.status?.phase === 'Succeeded' && reportOf(pod.metadata.name)?.ended === undefined
}

/** It is to join the others, and has told no step yet. */
function isOnItsWay({ metadata: { name } }: Pod, { gang, reportOf }: Seen): boolean {
  const seat = seatsNow(gang)?.members.find(({ pod }) => pod === name)
  const { firstStepAtMs, ended } = reportOf(name) ?? {}
  return seat?.joined === true && firstStepAtMs === undefined && ended === undefined
}

/**
 * The agent reports rank 0's output before the pod's end; a job that promises a model must have left one. Where ranks come
 * and go it is that of the lowest rank that ended well.
 */
function withOutput(seen: Seen): Ending {
  const { job, gang, pods, reportOf } = seen
  const ended = membersRejoin(gang) ? pods.filter((pod) => hasSucceeded(pod, seen)) : pods
  const lowest = Math.min(...ended.map((pod) => rankOf(pod) ?? Number.POSITIVE_INFINITY))
  const first = ended.find((pod) => rankOf(pod) === (membersRejoin(gang) ? lowest : 0))
  const report = first === undefined ? undefined : reportOf(first.metadata.name)
  if (report?.output !== undefined) {
    const { manifest, digest } = report.output
    return { kind: 'succeeded', output: { manifest, digest } }
  }
  if (job.spec.output === undefined) return { kind: 'succeeded' }
  if (report?.ended === undefined) return { kind: 'not yet' }
  const message = 'rank 0 ended well but left nothing in MILLWRIGHT_OUTPUT_DIR; spec.output promises a model'
  return { kind: 'failed', reason: 'OutputMissing', message }
}
