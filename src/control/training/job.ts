import { isTrue } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { annotation } from '../../model/names.ts'
import { isOwnedBy } from '../../model/refs.ts'
import { attemptOf, isLive, memberCount, membersRejoin, type ReportStatus, ranSecondsOf } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { type RecoveryRecord, recoveryOf } from '../recovery/record.ts'
import { type Hold, holdOf } from './hold.ts'

export type JobStatus = NonNullable<TrainingJob['status']>

/** One look at a job and everything that it is made of. Phases decide from this alone. */
export interface Seen {
  job: TrainingJob
  status: JobStatus
  gang: Gang
  /** Of the present attempt, but for members that have left it. */
  pods: readonly Pod[]
  /** Bound and not ended, of any attempt. */
  live: readonly Pod[]
  recovery: RecoveryRecord
  /** Those of `pods` that have told of steps or checkpoints; mostly rank 0 alone. */
  told: readonly { pod: Pod; report: ReportStatus }[]
  /** Why it is to have no seats, if so. */
  hold: Hold | undefined
  /** What the agent says of a pod of the present attempt. */
  reportOf(pod: string): ReportStatus | undefined
  nowMs: number
  /** For how long it has had seats in all. Looked at each time, so that it is known from when it sits. */
  ranSeconds: number
}

/** When the job was asked to stop for a suspension, on the gang, in the same write that asks. */
export const stopAskedAt = 'millwright.dev/stop-asked-at'

export function look(context: Context, job: TrainingJob, gang: Gang): Seen {
  const { views, clock } = context
  const { pods, live, places } = sortedBy(views.podsOf(gang), gang)
  const { namespace } = gang.metadata
  const reports = views.of('Report')
  return {
    job,
    status: jobStatusOf(job),
    gang,
    pods,
    live,
    hold: holdOf(context, job, gang, { pods, live }),
    recovery: recoveryOf(gang),
    told: toldBy(views.tellingOf(gang), pods, places),
    reportOf: (pod) => {
      const report = reports.get({ name: `pod.${pod}`, namespace })
      return report?.spec.pod !== undefined && places.has(report.spec.pod.uid) ? report.status : undefined
    },
    nowMs: clock.now(),
    ranSeconds: ranSecondsOf(gang, context.ages),
  }
}

interface Sorted {
  attempt: number
  left: readonly string[] | undefined
  pods: readonly Pod[]
  live: readonly Pod[]
  /** By uid, where in `pods` each is. */
  places: ReadonlyMap<string, number>
}

/** Of thousands of pods, which change together and then for hours not at all: a view hands out the same list until then. */
const sorted = new WeakMap<readonly Pod[], Sorted>()

function sortedBy(ofGang: readonly Pod[], { spec: { attempt, left } }: Gang): Sorted {
  const known = sorted.get(ofGang)
  if (known?.attempt === attempt && known.left === left) return known
  const gone = new Set(left)
  const pods = ofGang.filter((pod) => attemptOf(pod) === attempt && !gone.has(pod.metadata.name))
  const places = new Map(pods.map((pod, place) => [pod.metadata.uid ?? '', place]))
  const fresh = { attempt, left, pods, live: ofGang.filter(isLive), places }
  sorted.set(ofGang, fresh)
  return fresh
}

/** In the order of the pods. */
function toldBy(reports: readonly Report[], pods: readonly Pod[], places: ReadonlyMap<string, number>): Seen['told'] {
  return reports
    .flatMap(({ spec, status }) => {
      const place = places.get(spec.pod?.uid ?? '')
      const pod = place === undefined ? undefined : pods[place]
      return pod === undefined || place === undefined || status === undefined ? [] : [{ place, pod, report: status }]
    })
    .sort((a, b) => a.place - b.place)
}

export function jobStatusOf(job: TrainingJob): JobStatus {
  return { ...job.status, conditions: job.status?.conditions ?? [] }
}

export function isFinished(job: TrainingJob): boolean {
  return isTrue(job.status?.conditions, 'Complete') || isTrue(job.status?.conditions, 'Failed')
}

/** The gang of this very job, not of an older one of its name. */
export function gangOf(context: Context, job: TrainingJob): Gang | 'of another' | undefined {
  const gang = context.views.of('Gang').get({ name: job.metadata.name, namespace: job.metadata.namespace })
  if (gang === undefined) return undefined
  return isOwnedBy(gang, job) ? gang : 'of another'
}

export function rankOf(pod: Pod): number | undefined {
  const rank = pod.metadata.annotations?.[annotation.rank]
  return rank === undefined || rank === '' ? undefined : Number(rank)
}

/**
 * How many ranks its present attempt has: its seats may be given back, and some of its pods gone, but each pod knows; where
 * ranks come and go, as many as there are.
 */
export function rankCount({ gang, pods }: Pick<Seen, 'gang' | 'pods'>): number {
  if (membersRejoin(gang)) return Math.max(pods.length, memberCount(gang))
  return Math.max(worldSizeOf(pods), memberCount(gang))
}

const worldSizes = new WeakMap<readonly Pod[], number>()

function worldSizeOf(pods: readonly Pod[]): number {
  const known = worldSizes.get(pods)
  if (known !== undefined) return known
  let most = 0
  for (const { metadata } of pods) most = Math.max(most, Number(metadata.annotations?.[annotation.worldSize] ?? 0))
  worldSizes.set(pods, most)
  return most
}

/** Where blobs of the job go. */
export function prefixOf(kind: 'checkpoints' | 'outputs', job: TrainingJob, attempt: number): string {
  const { namespace = 'default', uid = '' } = job.metadata
  return `${kind}/${namespace}/${uid}/attempt-${attempt}`
}

/** Kept of the grace period for a SIGTERM, for a job that does not heed the request. */
const termMsMax = 5_000

/** So much of the grace period a job has to heed a request to stop. */
export function requestMsMax({ spec }: TrainingJob): number {
  const graceMs = spec.terminationGracePeriodSeconds * 1000
  return graceMs - Math.min(termMsMax, graceMs / 4)
}
