import { committedOf, type GangStatus, gangStatusOf, isCommitted } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import type { Seen } from './job.ts'

/**
 * Strikes from the gang what a rank of the present attempt found damaged when it was to start from it. This one write
 * decides for all ranks: recovery raises the attempt only when it is there, and the pods of the next attempt restore
 * what is left, or nothing. The events are durable before the write that they are about: a control plane that dies in
 * between says it twice rather than never.
 */
export async function strikeDamaged(context: Context, seen: Seen): Promise<'struck' | 'nothing damaged'> {
  const { gang, job } = seen
  const found = seen.told.flatMap(({ pod, report: { damaged } }) => {
    return damaged !== undefined && isCommitted(gang, damaged) ? [{ ...damaged, pod: pod.metadata.name }] : []
  })
  if (found.length === 0) return 'nothing damaged'
  const left = committedOf(gang).filter((one) => !found.some((damaged) => isSame(one, damaged)))
  const next = left[0] === undefined ? 'none is left' : `the one of step ${left[0].step} is used`
  for (const { pod, message } of onePerCheckpoint(found))
    context.events.record(job, 'Warning', 'CheckpointSkipped', `${pod}: ${message}; ${next}`)
  if (left.length === 0) context.events.record(job, 'Warning', 'CheckpointsLost', lost)
  await context.events.flush()
  await context.store.updateStatus('Gang', { ...gang, status: statusLeft(gangStatusOf(gang), left) })
  return 'struck'
}

const lost = 'no committed checkpoint is usable; training starts from its beginning'

/** Without those that were struck. */
export function statusLeft({ checkpoint: struck, ...status }: GangStatus, left: GangStatus['checkpoints']): GangStatus {
  const [newest, ...checkpoints] = left
  if (newest === undefined) return { ...status, checkpoints }
  // A gang of an earlier version kept no more of its older ones than what restoring needs.
  const { at = struck?.at ?? '', digest = '', bytes = 0, ...rest } = newest
  return { ...status, checkpoint: { ...rest, at, digest, bytes }, checkpoints }
}

interface Checkpoint {
  attempt: number
  step: number
}

function isSame(a: Checkpoint, b: Checkpoint): boolean {
  return a.attempt === b.attempt && a.step === b.step
}

/** Several ranks may have found the same. */
function onePerCheckpoint<T extends Checkpoint>(found: readonly T[]): T[] {
  return found.filter((one, index) => found.findIndex((other) => isSame(one, other)) === index)
}
