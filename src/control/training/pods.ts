import { health } from '../../model/health.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { annotation, label, podNameOf } from '../../model/names.ts'
import { groupsOf, type PodGroup, rendezvousEnv, withEnv, withLabels } from '../../model/pods.ts'
import { isOwnedBy, ownerReferenceTo } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import type { PodWork } from '../../model/work.ts'
import { committedOf, type GangStatus, memberCount, membersRejoin } from '../gangs.ts'
import { dataOf } from '../missing.ts'
import type { Context } from '../reconciler.ts'
import { prefixOf } from './job.ts'

/**
 * The pods of the present attempt that are missing: before it sits, those that it runs with in any case; then one for
 * each seat. Made again under the same name they are the same: 'exists' is fine.
 * Where a pod of an older job of this name still ends, its last change brings us back to make ours.
 */
export async function makePods(
  context: Context,
  job: TrainingJob,
  gang: Gang,
  present: readonly Pod[],
): Promise<'made' | 'all there' | { problem: string }> {
  if (present.length >= memberCount(gang)) return 'all there'
  // One that has failed, or that somebody deleted, ends the attempt or leaves it: recovery decides what is next.
  if (context.members.ends(gang).failed.length > 0) return 'all there'
  const known = new Set(present.map((pod) => pod.metadata.name))
  const members = membersOf(job, gang)
  const missing = members.filter((member) => !known.has(member.name))
  if (missing.length === 0) return 'all there'
  const taken = missing.find((member) => isAnothers(context, gang, member.name))
  if (taken !== undefined) return { problem: `waits for pod ${taken.name} of an older job of this name to end` }
  const data = dataOf(context.views, job)
  if ('reason' in data) return { problem: data.message }
  const work = JSON.stringify(workOf(job, gang, data.uri))
  const marks = {
    [label.job]: job.metadata.name,
    [label.gang]: gang.metadata.name,
    [label.attempt]: String(gang.spec.attempt),
  }
  await Promise.all(
    missing.map(({ group, name }) => {
      const marked = withLabels(group.template, { ...marks, [label.group]: group.name }, { [annotation.work]: work })
      const template = withEnv(marked, rendezvousEnv())
      return context.store.create('Pod', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          ...template.metadata,
          name,
          namespace: gang.metadata.namespace,
          ownerReferences: [ownerReferenceTo(gang)],
        },
        spec: template.spec,
      })
    }),
  )
  return 'made'
}

interface Member {
  group: PodGroup
  name: string
}

/** By its seats; before that, those that it runs with in any case. */
function membersOf(job: TrainingJob, gang: Gang): Member[] {
  const groups = groupsOf(job)
  const seats = seatsNow(gang)
  if (seats !== undefined) {
    const byName = new Map(groups.map((group) => [group.name, group]))
    return seats.members.flatMap(({ pod, group: of }) => {
      const group = byName.get(of)
      return group === undefined ? [] : [{ group, name: pod }]
    })
  }
  const { attempt } = gang.spec
  return groups.flatMap((group) =>
    Array.from({ length: group.minReplicas ?? group.replicas }, (_, index) => {
      return { group, name: podNameOf(gang.metadata.name, group.name, index, attempt) }
    }),
  )
}

function isAnothers(context: Context, gang: Gang, name: string): boolean {
  const pod = context.views.of('Pod').get({ name, namespace: gang.metadata.namespace })
  return pod !== undefined && !isOwnedBy(pod, gang)
}

function workOf(job: TrainingJob, gang: Gang, data: string | undefined): PodWork {
  const { attempt } = gang.spec
  const [newest] = committedOf(gang)
  const { lossSpike } = job.spec.failurePolicy
  const { ranks, copies } = job.spec.checkpoint
  const hasStepped = newest !== undefined || gang.status?.stepSeconds !== undefined
  const firstStep = job.spec.progressDeadlineSeconds ?? (hasStepped ? firstStepSecondsFor(gang) : undefined)
  return {
    checkpoints: prefixOf('checkpoints', job, attempt),
    checkpointRanks: membersRejoin(gang) ? 'any' : ranks,
    ...(copies === 0 ? {} : { copies }),
    ...(newest === undefined ? {} : { restore: restoreOf(newest) }),
    ...(data === undefined ? {} : { data }),
    ...(job.spec.output === undefined ? {} : { output: `${prefixOf('outputs', job, attempt)}/manifest.json` }),
    ...(firstStep === undefined ? {} : { firstStepSeconds: firstStep }),
    ...(lossSpike === undefined ? {} : { lossSpikeFactor: lossSpike.factor }),
    ...(job.spec.progress === undefined ? {} : { progressPattern: job.spec.progress.pattern }),
  }
}

/** What NVIDIA's resiliency extension gives setup in its example (facts/reliability.md §4). */
const firstStepSecondsMin = health.firstStep.at

/** One that is known to take long to start is given three times as long as it took. */
function firstStepSecondsFor({ status }: Gang): number {
  return Math.max(firstStepSecondsMin, Math.ceil(3 * (status?.restartSeconds ?? 0)))
}

function restoreOf(checkpoint: GangStatus['checkpoints'][number]): PodWork['restore'] {
  const { step, attempt, manifests, digests, copies } = checkpoint
  return {
    step,
    attempt,
    manifests,
    ...(digests === undefined ? {} : { digests }),
    ...(copies === undefined ? {} : { copies }),
  }
}
