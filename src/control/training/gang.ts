import { followedByGang, gangOfJob } from '../../model/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { gangGroups, groupsOf } from '../../model/pods.ts'
import { ownerReferenceTo, refOf } from '../../model/refs.ts'
import { secondsOfStep, servedSteps, servedStepsMax } from '../../model/served.ts'
import { equalJson } from '../../store/json.ts'
import { ranSecondsOf, seatsNow } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import type { Seen } from './job.ts'

export function gangFor(job: TrainingJob): Gang {
  const gang = gangOfJob(job)
  return { ...gang, metadata: { ...gang.metadata, ownerReferences: [ownerReferenceTo(job)] } }
}

/**
 * Brings the gang up to the job's spec. Its shape follows only while it has no seats: the seats are of that shape. Nor do
 * seats that may be taken become such that may not: they may be borrowed.
 */
export async function followSpec(context: Context, { job, gang, pods, nowMs }: Seen): Promise<'followed' | 'changed'> {
  const followed = followedByGang(job)
  const hasSeats = seatsNow(gang) !== undefined
  const preemptible = followed.preemptible || (hasSeats && gang.spec.preemptible)
  const shape = !hasSeats && pods.length === 0 ? { groups: gangGroups(groupsOf(job)) } : {}
  const spec = { ...followed, preemptible, ...servedNow(context, gang, nowMs), ...shape }
  if (equalJson({ ...gang.spec, ...spec }, gang.spec)) return 'followed'
  await patchGang(context, gang, { spec })
  return 'changed'
}

/** Where its Queue is ordered by that, the steps of accelerator-time that it has had; they never fall. */
function servedNow({ views }: Context, gang: Gang, nowMs: number): { served?: number | null } {
  const { served } = gang.spec
  if (!isOrderedByService(views, gang)) return served === undefined ? {} : { served: null }
  return { served: Math.max(served ?? 0, servedSteps(servedSecondsOf(gang, nowMs))) }
}

/** How long until it has had a step more, if it sits; undefined where its Queue does not ask. */
export function nextStepInMs({ views }: Context, { gang, nowMs }: Seen): number | undefined {
  const steps = gang.spec.served
  const accelerators = acceleratorsOf(gang)
  if (steps === undefined || steps >= servedStepsMax || accelerators === 0 || !isOrderedByService(views, gang))
    return undefined
  const secondsLeft = secondsOfStep(steps + 1) - servedSecondsOf(gang, nowMs)
  return Math.max(0, Math.ceil((1000 * secondsLeft) / accelerators))
}

function isOrderedByService(views: Context['views'], { spec }: Gang): boolean {
  return views.of('Queue').get({ name: spec.queue })?.spec.order === 'LeastServed'
}

/** Accelerator-seconds: all of its time with seats counts as with those that it has now. */
function servedSecondsOf(gang: Gang, nowMs: number): number {
  return ranSecondsOf(gang, nowMs) * acceleratorsOf(gang)
}

/** Of its seats; before it sits, and without accelerators, its members count. */
function acceleratorsOf(gang: Gang): number {
  const members = seatsNow(gang)?.members ?? []
  return members.flatMap(({ devices }) => devices).reduce((sum, { milli }) => sum + milli, 0) / 1000
}

/** A compare-and-set of the fields named. Stale is fine: the newer gang comes through the watch. */
export async function patchGang(context: Context, gang: Gang, patch: object): Promise<void> {
  await context.store.patch('Gang', refOf(gang), patch, { resourceVersion: gang.metadata.resourceVersion })
}
