import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { gangGroups, groupsOf } from '../../model/pods.ts'
import { ownerReferenceTo, refOf } from '../../model/refs.ts'
import { equalJson } from '../../store/json.ts'
import { seatsNow } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import type { Seen } from './job.ts'

/** A job is one gang, of its own name. */
export function gangFor(job: TrainingJob): Gang {
  const { name, namespace } = job.metadata
  return {
    apiVersion: millwrightVersion,
    kind: 'Gang',
    metadata: { name, namespace, labels: { [label.job]: name }, ownerReferences: [ownerReferenceTo(job)] },
    spec: { ...followed(job), attempt: 1, suspend: false, groups: gangGroups(groupsOf(job)) },
  }
}

/** What the gang takes over from the job whenever it changes. */
function followed(job: TrainingJob) {
  const { queue, priority, preemptible, topology, expectedSeconds } = job.spec
  return {
    queue,
    priority,
    preemptible,
    ...(topology === undefined ? {} : { topology }),
    ...(expectedSeconds === undefined ? {} : { expectedSeconds }),
  }
}

/** Brings the gang up to the job's spec. Its shape follows only while it has no seats: the seats are of that shape. */
export async function followSpec(context: Context, { job, gang, pods }: Seen): Promise<'followed' | 'changed'> {
  const shape = seatsNow(gang) === undefined && pods.length === 0 ? { groups: gangGroups(groupsOf(job)) } : {}
  const wanted = { ...gang.spec, ...followed(job), ...shape }
  if (equalJson(wanted, gang.spec)) return 'followed'
  await patchGang(context, gang, { spec: { ...followed(job), ...shape } })
  return 'changed'
}

/** A compare-and-set of the fields named. Stale is fine: the newer gang comes through the watch. */
export async function patchGang(context: Context, gang: Gang, patch: object): Promise<void> {
  await context.store.patch('Gang', refOf(gang), patch, { resourceVersion: gang.metadata.resourceVersion })
}
