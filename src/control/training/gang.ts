import { mergePatchTo } from '../../base/merge-patch.ts'
import { followedBetweenAttempts, followedByGang, gangOfJob } from '../../model/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { ownerReferenceTo, refOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { equalJson } from '../../store/json.ts'
import type { Context } from '../reconciler.ts'
import { preemptionPolicyAfter, recoveryOf } from '../recovery/record.ts'
import type { Seen } from './job.ts'
import { servedNow } from './served.ts'

export function gangFor(job: TrainingJob): Gang {
  const gang = gangOfJob(job)
  return { ...gang, metadata: { ...gang.metadata, ownerReferences: [ownerReferenceTo(job)] } }
}

/**
 * Brings the gang up to the job's spec. Its shape and its queue follow only while it has no seats: those are of that shape,
 * and charged to the queue that gave them. Nor do seats that may be taken become such that may not: they may be borrowed.
 */
export async function followSpec(context: Context, seen: Seen): Promise<'followed' | 'changed'> {
  const { job, gang, pods } = seen
  const hasSeats = seatsNow(gang) !== undefined
  const followed =
    hasSeats || pods.length > 0 ? withdrawn(followedByGang(job), gang, always) : followedUnseated(job, gang)
  const preemptible = followed.preemptible || (hasSeats && gang.spec.preemptible)
  const spec = { ...followed, preemptible, ...mayDisplaceAgain(gang), ...servedNow(context, seen) }
  if (equalJson({ ...gang.spec, ...spec }, gang.spec)) return 'followed'
  await patchGang(context, gang, { spec })
  return 'changed'
}

/** All that the gang takes over from the job while it has no seats. */
export function followedUnseated(job: TrainingJob, gang: Gang) {
  return withdrawn({ ...followedByGang(job), ...followedBetweenAttempts(job) }, gang, [...always, 'rejoins'])
}

type Withdrawable = 'topology' | 'together' | 'expectedSeconds' | 'rejoins'
const always: readonly Withdrawable[] = ['topology', 'together', 'expectedSeconds']

/** What the job does not say any more is taken away, in what it says still also. */
function withdrawn<F extends Partial<Gang['spec']>>(followed: F, { spec }: Gang, fields: readonly Withdrawable[]): F {
  const had = fields.filter((field) => spec[field] !== undefined)
  return { ...followed, ...Object.fromEntries(had.map((field) => [field, mergePatchTo(spec[field], followed[field])])) }
}

/** Recovery says with an attempt whether it displaces anybody; a checkpoint meanwhile is progress. */
function mayDisplaceAgain(gang: Gang): { preemptionPolicy?: null } {
  const isOver = gang.spec.preemptionPolicy !== undefined && preemptionPolicyAfter(recoveryOf(gang), gang) === undefined
  return isOver ? { preemptionPolicy: null } : {}
}

/** A compare-and-set of the fields named. Stale is fine: the newer gang comes through the watch. */
export async function patchGang(context: Context, gang: Gang, patch: object): Promise<'written' | 'stale'> {
  const written = await context.store.patch('Gang', refOf(gang), patch, {
    resourceVersion: gang.metadata.resourceVersion,
  })
  return typeof written === 'string' ? 'stale' : 'written'
}
