import { refOf } from '../../model/refs.ts'
import { evictionNow, hasEnded, isLeaving, ranAnnotation, stopIsAsked } from '../gangs.ts'
import { again, type Context, type Outcome, settled, sooner } from '../reconciler.ts'
import { askForCheckpoint, type CheckpointMemory, ownCheckpointInMs, stopStep } from './checkpoints.ts'
import { isUnexplained } from './completion.ts'
import { followedUnseated, patchGang } from './gang.ts'
import { goesBackInLine } from './hold.ts'
import { requestMsMax, type Seen, stopAskedAt } from './job.ts'
import { checkpointFirst, forgetLeaving } from './leaving.ts'

/**
 * Stops a job that is to have no seats (its suspension, its queue's, an eviction, something missing) or more of them, or
 * starts it again: ask every rank for a checkpoint at one step and to stop there; when all have ended, or the grace period
 * is nearly over, take the seats away and evict what still lives. Undefined when neither is wanted. A job whose queue drains
 * stands in line again at once. While what it stored last cannot be read back yet (`isToCommit`) no attempt follows that could
 * not commit it.
 */
export async function suspendOrResume(
  context: Context,
  seen: Seen,
  memory: CheckpointMemory,
  isToCommit: boolean,
): Promise<Outcome | undefined> {
  const { job, gang, hold } = seen
  // A stop that was asked for cannot be taken back: some ranks may have heeded it. It is finished, then resumed.
  const stops = hold !== undefined || stopIsAsked(gang)
  if (stops && !gang.spec.suspend) return stop(context, seen, memory, isToCommit)
  if (!gang.spec.suspend) return (await forgetLeaving(context, gang)) === 'nothing' ? undefined : settled()
  await evictAll(context, seen, Math.ceil(graceLeftMs(context, seen) / 1000))
  if (hold !== undefined && !goesBackInLine(hold)) return undefined
  if (mayRun(seen)) return settled() // each pod that ends brings us back
  if (isToCommit) return settled()
  const { attempt } = gang.spec
  const written = await patchGang(context, gang, {
    metadata: { annotations: { [stopAskedAt]: null } },
    // What was changed meanwhile is what it is seated by: seats may be given as soon as it wants any.
    spec: { ...followedUnseated(job, gang), suspend: false, attempt: attempt + 1, checkpointRequest: null },
  })
  if (written === 'stale') return settled()
  const [reason, does] =
    job.status?.phase === 'Suspended' ? ['Resumed', 'goes on'] : ['Requeued', 'stands in line again']
  context.events.record(job, 'Normal', reason, `${does} as attempt ${attempt + 1}`)
  return settled()
}

async function stop(context: Context, seen: Seen, memory: CheckpointMemory, isToCommit: boolean): Promise<Outcome> {
  const { job, gang, live, nowMs } = seen
  const { reason } = seen.hold ?? {}
  const startsAgain = reason === 'Resizing' || reason === 'Moving' || evictionNow(gang)?.shrinks === true
  // Others wait for what it is to leave them: it gives all back rather than wait for its checkpoint with it.
  const keepsSeats = startsAgain && !(isToCommit && reason === 'Evicted')
  const leave: typeof takeSeats = keepsSeats ? (...all) => startAgain(...all, isToCommit) : takeSeats
  const leftMs = graceLeftMs(context, seen)
  // None is known to run. One that is being bound may by the time that it is told to end, and has its grace then.
  if (live.length === 0) {
    // Its Reports may say that it is done; one that never comes is not waited for longer than the grace period.
    const isWaiting = stopIsAsked(gang) && leftMs > 0 && seen.pods.some((pod) => isUnexplained(pod, seen))
    return isWaiting ? again(leftMs) : leave(context, seen, leftMs)
  }
  const isAsked = stopIsAsked(gang) || seen.pods.some(isLeaving)
  if (reason === 'NodeLeaving' && !isAsked && heedsRequests(seen)) {
    const waitMs = await checkpointFirst(context, seen)
    // It works on meanwhile: one that is due is asked for, and serves as well.
    if (waitMs > 0) return sooner(again(waitMs), await askForCheckpoint(context, seen, memory))
  }
  const awaitedMs = reason === 'Evicted' && !isAsked ? ownCheckpointInMs(seen) : 0
  if (awaitedMs > 0) return again(awaitedMs)
  const graceMs = job.spec.terminationGracePeriodSeconds * 1000
  // Whoever is asked to leave has its SIGTERM already; for the others to go on alone is of no use.
  const isDeaf = seen.pods.some(isLeaving) || !heedsRequests(seen)
  if (isDeaf && !startsAgain) return takeSeats(context, seen, graceMs)
  if (!stopIsAsked(gang) || gang.metadata.annotations?.[stopAskedAt] === undefined) {
    await patchGang(context, gang, {
      metadata: { annotations: { [stopAskedAt]: new Date(nowMs).toISOString() } },
      spec: { checkpointRequest: { step: stopStep(seen), stop: true } },
    })
    return settled()
  }
  if (isDeaf) return leave(context, seen, leftMs)
  const waitMs = leftMs - (graceMs - requestMsMax(job))
  return waitMs > 0 ? again(waitMs) : leave(context, seen, leftMs)
}

/** Of the grace period, what the request to stop has not used up; another leader gives all of it again. */
function graceLeftMs({ ages }: Context, { job, gang }: Seen): number {
  const graceMs = job.spec.terminationGracePeriodSeconds * 1000
  const askedAt = gang.metadata.annotations?.[stopAskedAt]
  return askedAt === undefined
    ? graceMs
    : Math.max(0, graceMs - ages.seen(`${gang.metadata.uid} stop`, Date.parse(askedAt)))
}

/**
 * The gang first, so that nobody starts or restarts it; then its pods. One that others changed meanwhile is looked at
 * again before any pod is told to end: it may have been given seats, and its pods run.
 */
async function takeSeats(context: Context, seen: Seen, graceMs: number): Promise<Outcome> {
  const annotations = { [ranAnnotation]: String(seen.ranSeconds) }
  const { reason, message } = seen.hold ?? { reason: 'Suspended', message: 'its seats are given back' }
  const mayUseSpares = reason === 'NodeLeaving' ? { spareAttempt: seen.gang.spec.attempt + 1 } : {}
  const patch = { metadata: { annotations }, spec: { suspend: true, ...mayUseSpares } }
  if ((await patchGang(context, seen.gang, patch)) === 'stale') return settled()
  const isProblem = seen.hold !== undefined && reason !== 'Suspended' && !goesBackInLine(seen.hold)
  context.events.record(seen.job, isProblem ? 'Warning' : 'Normal', reason, message)
  await evictAll(context, seen, Math.ceil(graceMs / 1000))
  return settled()
}

/**
 * Its next attempt has its seats: those of this one and what was added to them, or what others leave it of them, or others
 * altogether. Its pods end first: that a stop is asked for tells recovery to let them. No restart is counted.
 */
async function startAgain(context: Context, seen: Seen, graceMs: number, isToCommit: boolean): Promise<Outcome> {
  const { job, gang, hold } = seen
  if (mayRun(seen)) {
    await evictAll(context, seen, Math.ceil(graceMs / 1000))
    return settled() // each pod that ends brings us back
  }
  if (isToCommit) return settled()
  const written = await patchGang(context, gang, {
    metadata: { annotations: { [stopAskedAt]: null, [ranAnnotation]: String(seen.ranSeconds) } },
    spec: { attempt: gang.spec.attempt + 1, checkpointRequest: null },
  })
  if (written === 'stale') return settled()
  const next = gang.spec.attempt + 1
  if (hold?.reason === 'Resizing') context.events.record(job, 'Normal', 'Resized', `attempt ${next} ${hold.message}`)
  else if (hold?.reason === 'Moving')
    context.events.record(job, 'Normal', 'Moved', `attempt ${next} sits elsewhere: ${hold.message}`)
  else {
    context.events.record(job, 'Normal', 'Evicted', hold?.message ?? '')
    context.events.record(job, 'Normal', 'Requeued', `stands in line again as attempt ${next}, with what is left to it`)
  }
  return settled()
}

/** Of this attempt or an older one. A pod that is not known to be bound may run by now. */
function mayRun({ live, pods }: Seen): boolean {
  return live.length > 0 || !pods.every(hasEnded)
}

/** Repeatable. Pods that never started go at once, those that ended stay for their logs. */
export async function evictAll(context: Context, { live, pods, reportOf }: Seen, graceSeconds: number): Promise<void> {
  const unbound = pods.filter((pod) => pod.spec.nodeName === undefined && !hasEnded(pod))
  // An end that is reported already, while its phase is still being written, is an end.
  const running = live.filter((pod) => reportOf(pod.metadata.name)?.ended === undefined)
  const leaving = [...running.filter((pod) => pod.metadata.deletionTimestamp === undefined), ...unbound]
  await Promise.all(
    leaving.map((pod) =>
      context.store.evict(refOf(pod), { uid: pod.metadata.uid, gracePeriodSeconds: Math.max(1, graceSeconds) }),
    ),
  )
}

/** A job that reports steps or checkpoints can be asked; one that never said a word gets its SIGTERM at once. */
function heedsRequests({ told }: Seen): boolean {
  return told.some(({ report }) => report.step !== undefined || report.checkpoints.length > 0)
}
