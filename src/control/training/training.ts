import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { label } from '../../model/names.ts'
import { leavingReasonOf } from '../../model/nodes.ts'
import { groupsOf } from '../../model/pods.ts'
import { keyOf, refOfKey } from '../../model/refs.ts'
import { equalJson } from '../../store/json.ts'
import { memberCount } from '../gangs.ts'
import { namesSecret } from '../missing.ts'
import { again, type Context, type Outcome, type Reconciler, settled, sooner } from '../reconciler.ts'
import { whenQueueChanges } from '../stop-policy.ts'
import { askForCheckpoint, commitCheckpoint, forgetCheckpoints, newCheckpointMemory } from './checkpoints.ts'
import { type Ending, endingOf } from './completion.ts'
import { strikeDamaged } from './damage.ts'
import { noteExpectedEnd } from './expected-end.ts'
import { followSpec, gangFor, patchGang } from './gang.ts'
import { missingFor } from './hold.ts'
import { gangOf, isFinished, type JobStatus, look, type Seen } from './job.ts'
import { makePods } from './pods.ts'
import { strikePoisoned } from './poison.ts'
import { untilNextStep } from './served.ts'
import { type Stand, statusNow, statusWithoutGang, withoutProgress } from './status.ts'
import { evictAll, suspendOrResume } from './suspend.ts'

/** Progress is shown this often; whatever somebody waits for is written at once. */
const progressEveryMs = 1_000

/**
 * A look at a gang is a look at all of its members, and each of them brings it here. So it rests after one, for so long a
 * member: 20 ms where there are 2,000, and not at all where there are few.
 */
const restMsPerMember = 0.01
const fewMembers = 64

/**
 * A training job's life: one gang, its pods attempt by attempt, its checkpoints, its end. Each phase looks at what is
 * and makes at most one step; the step's own write brings the key back for the next.
 */
export function createTraining(context: Context): Reconciler {
  const { store, views } = context
  const jobs = views.of('TrainingJob')
  views.of('Dataset')
  views.of('Queue')
  views.of('Secret')
  views.of('Node')
  const checkpoints = newCheckpointMemory()
  /** Nodes that are to be left. */
  const leaving = new Set<string>()
  views.of('Gang').onChange(({ type, object }) => void (type === 'DELETED' && forgetCheckpoints(checkpoints, object)))
  const shownAtMs = new Map<string, number>()
  const lookedAtMs = new Map<string, number>()

  async function reconcile(key: string): Promise<Outcome> {
    const job = jobs.get(refOfKey(key))
    if (job === undefined || job.metadata.deletionTimestamp !== undefined) {
      shownAtMs.delete(key)
      lookedAtMs.delete(key)
      return settled() // what it owned goes with it
    }
    const gang = gangOf(context, job)
    if (gang === 'of another') return waitForName(job)
    if (gang === undefined) return isFinished(job) ? settled() : begin(job)
    const steadyMs = context.clock.steadyMs()
    const [restMs, sinceMs] = [restMsAfter(gang), steadyMs - (lookedAtMs.get(key) ?? Number.NEGATIVE_INFINITY)]
    if (sinceMs < restMs) return again(restMs - sinceMs)
    lookedAtMs.set(key, steadyMs)
    const seen = look(context, job, gang)
    return isFinished(job) ? close(seen) : proceed(seen)
  }

  /** Gang and pods in one go: nobody waits for a watch to come round. */
  async function begin(job: TrainingJob): Promise<Outcome> {
    if (job.spec.suspend) {
      await showWithoutGang(job, { phase: 'Suspended' })
      return settled()
    }
    const missing = missingFor(context, job, true)
    if (missing !== undefined) {
      if (job.status?.message !== missing.message)
        context.events.record(job, 'Warning', missing.reason, missing.message)
      await showWithoutGang(job, { phase: 'Waiting', ...missing })
      return settled()
    }
    const gang = await store.create('Gang', gangFor(job))
    if (gang === 'exists') return again(100)
    await makePods(context, job, gang, [])
    return settled()
  }

  /** An older job of this name has not been cleared away yet; the end of its gang brings us back. */
  async function waitForName(job: TrainingJob): Promise<Outcome> {
    await showWithoutGang(job, { phase: 'Pending', message: 'waits for an older job of this name to be cleared away' })
    return again(1_000)
  }

  async function proceed(seen: Seen): Promise<Outcome> {
    if ((await strikeDamaged(context, seen)) === 'struck') return settled()
    const poison = await strikePoisoned(context, seen)
    if (poison === 'struck') return settled()
    const committed = poison === 'well' ? await commitCheckpoint(context, seen, checkpoints) : 'nothing new'
    if (committed === 'committed') return settled()
    const ending = endingOf(seen)
    if (ending.kind !== 'not yet') return finish(seen, ending)
    const later = typeof committed === 'object' ? committed : undefined
    const looks = later === undefined ? settled() : again(later.retryAfterMs)
    const ends = ending.inMs === undefined ? looks : sooner(again(ending.inMs), looks)
    const moved = await suspendOrResume(context, seen, checkpoints, later !== undefined)
    if (moved !== undefined) return [moved, await show(seen, ending, later?.message)].reduce(sooner, ends)
    if (seen.gang.spec.suspend) return sooner(await show(seen, ending, undefined), ends)
    if ((await followSpec(context, seen)) === 'changed') return settled()
    if ((await noteExpectedEnd(context, seen)) === 'noted') return settled()
    const made = await makePods(context, seen.job, seen.gang, seen.pods)
    const problem = typeof made === 'object' ? made.problem : undefined
    const asked = await askForCheckpoint(context, seen, checkpoints)
    const shown = await show(seen, ending, problem)
    return [asked, shown, ends].reduce(sooner, untilNextStep(context, seen))
  }

  /**
   * The job's condition before its seats are taken, from which its ending may follow: of one that is over the next look closes
   * what is left.
   */
  async function finish(seen: Seen, ending: Ending): Promise<Outcome> {
    const { job } = seen
    const status = statusNow(seen, ending, undefined)
    const written = await store.updateStatus('TrainingJob', { ...job, status })
    if (typeof written === 'string') return settled() // the newer one comes through the watch
    if (ending.kind === 'failed') context.events.record(job, 'Warning', ending.reason, ending.message)
    else context.events.record(job, 'Normal', 'Completed', 'every member ended well')
    return close(seen)
  }

  async function close(seen: Seen): Promise<Outcome> {
    const { gang, job } = seen
    shownAtMs.delete(keyOf(job))
    forgetCheckpoints(checkpoints, gang)
    if (!gang.spec.suspend) await patchGang(context, gang, { spec: { suspend: true, checkpointRequest: null } })
    await evictAll(context, seen, job.spec.terminationGracePeriodSeconds)
    return settled()
  }

  async function showWithoutGang(job: TrainingJob, stand: Stand): Promise<void> {
    const status = statusWithoutGang(job, stand, context.clock.now())
    if (!equalJson(status, job.status)) await store.updateStatus('TrainingJob', { ...job, status })
  }

  async function show(seen: Seen, ending: Ending, problem: string | undefined): Promise<Outcome> {
    const { job } = seen
    const key = keyOf(job)
    const steadyMs = context.clock.steadyMs()
    const status = statusNow(seen, ending, problem)
    if (equalJson(status, job.status)) return settled()
    const restMs = (shownAtMs.get(key) ?? Number.NEGATIVE_INFINITY) + progressEveryMs - steadyMs
    if (restMs > 0 && onlyProgress(status, job.status)) return again(restMs)
    shownAtMs.set(key, steadyMs)
    await store.updateStatus('TrainingJob', { ...job, status })
    return settled()
  }

  return {
    name: 'training',
    watches: [
      { kind: 'TrainingJob', keys: (job) => [keyOf(job)] },
      { kind: 'Gang', keys: (gang) => ofJob(gang) },
      { kind: 'Pod', keys: (pod) => ofJob(pod) },
      { kind: 'Report', keys: (report) => ofJob(report) },
      { kind: 'Dataset', keys: (dataset) => waitingFor(dataset.metadata) },
      { kind: 'Secret', keys: ({ metadata }) => thatName(metadata) },
      { kind: 'Node', keys: jobsToldOf },
      whenQueueChanges((queue) => unfinished().flatMap((job) => (job.spec.queue === queue ? [keyOf(job)] : []))),
    ],
    workers: 32,
    reconcile,
  }

  /** Those on a node that is to be left, a few at a time, or is not any more. */
  function jobsToldOf(node: Node, change: 'ADDED' | 'MODIFIED' | 'DELETED'): string[] {
    const { name } = node.metadata
    const was = leaving.has(name)
    const is = change !== 'DELETED' && leavingReasonOf(node) !== undefined
    if (is) leaving.add(name)
    else leaving.delete(name)
    return was || is ? [...new Set(views.podsOnNode(name).flatMap(ofJob))] : []
  }

  function waitingFor(dataset: { name: string; namespace?: string | undefined }): string[] {
    return unfinished(dataset.namespace).flatMap((job) => (job.spec.dataset === dataset.name ? [keyOf(job)] : []))
  }

  function thatName(secret: { name: string; namespace?: string | undefined }): string[] {
    const names = (job: TrainingJob) => groupsOf(job).some(({ template }) => namesSecret(template, secret.name))
    return unfinished(secret.namespace).flatMap((job) => (names(job) ? [keyOf(job)] : []))
  }

  function unfinished(namespace?: string): TrainingJob[] {
    return jobs.list(namespace).filter((job) => !isFinished(job))
  }
}

function restMsAfter(gang: Gang): number {
  const members = memberCount(gang)
  return members > fewMembers ? members * restMsPerMember : 0
}

function ofJob({
  metadata,
}:
  | Pick<Gang, 'metadata'>
  | { metadata: { namespace?: string | undefined; labels?: Record<string, string> | undefined } }): string[] {
  const job = metadata.labels?.[label.job]
  return job === undefined ? [] : [`${metadata.namespace ?? 'default'}/${job}`]
}

function onlyProgress(status: JobStatus, before: JobStatus | undefined): boolean {
  return before !== undefined && equalJson(withoutProgress(status), withoutProgress(before))
}
