import { health } from '../../model/health.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { label } from '../../model/names.ts'
import { isOwnedBy, keyOf, refOf, refOfKey } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import {
  committedOf,
  gangKeyOf,
  gangKeyOfReport,
  isCommitted,
  membersRejoin,
  ranAnnotation,
  ranSecondsOf,
  stopIsAsked,
} from '../gangs.ts'
import { isReady } from '../nodes/budget.ts'
import { again, type Context, type Outcome, type Reconciler, settled, sooner } from '../reconciler.ts'
import { isFinished } from '../training/job.ts'
import { afterSpike } from '../training/poison.ts'
import { createBlame } from './blame.ts'
import { type End, mayBeAnEcho, standsStill } from './cause.ts'
import { type Decision, decideRestart } from './decide.ts'
import { suspectsOf } from './divergence.ts'
import { type Leavers, leaversOf } from './leavers.ts'
import { isDrilled } from './lemons.ts'
import { createNodeXids } from './node-xids.ts'
import { preemptionPolicyAfter, recoveryAnnotation, recoveryOf } from './record.ts'
import { createReplacement } from './replacement.ts'

/** How long an ordinary error waits for the report of a peer's death that may have caused it. */
const echoMs = 300
/** Ranks that stand still together are told of by their agents within so long. */
const stallMs = 100
/** Where members come and go the others stand still meanwhile; who does for longer hangs, whoever else left by then. */
const regroupMs = 1000 * health.standsStill.at
/** Somebody else has just written the node: it is read again by then. */
const staleMs = 50
/** So often a gang that stands still is looked at again while one of its nodes may be lost. */
const silentMs = 1_000

/** Of one gang, not of its name: a job made again under the name of another starts from nothing. */
interface Remembered {
  uid: string
  /** When the end that is waited on (for its echo, or before the next try) was first seen, in steady time. */
  waitsSinceMs: number | undefined
}

/**
 * The one owner of a failed attempt. Finds the cause, decides once, in one write to the gang: another attempt, or none;
 * then ends what is left of the old one. Nothing here waits but for an echo, for a word of a silent node, or before it
 * tries again what was not ready.
 */
export function createRecovery(context: Context): Reconciler {
  const { store, views, clock, signs, events, closing, members, log } = context
  const gangs = views.of('Gang')
  const jobs = views.of('TrainingJob')
  const nodes = views.of('Node')
  const blame = createBlame(context, closing)
  const replacement = createReplacement(context, closing)
  const xids = createNodeXids(context)
  const remembered = new Map<string, Remembered>()

  async function reconcile(key: string): Promise<Outcome> {
    const gang = gangs.get(refOfKey(key))
    const job = gang === undefined ? undefined : jobOf(gang)
    if (gang === undefined || job === undefined) {
      remembered.delete(key)
      members.forget(key)
      replacement.forget(key)
      return settled()
    }
    const memory = memoryOf(gang)
    await endOlderAttempts(gang)
    if (gang.spec.suspend || stopIsAsked(gang) || isFinished(job) || recoveryOf(gang).failed !== undefined) {
      members.forgive(gang)
      forgetWait(memory)
      return settled()
    }
    const ends = members.ends(gang)
    // Training takes the whole gang along; its write to the gang, or an end, brings us back.
    if (ends.areLeaving) return settled()
    const cause = ends.cause(clock.steadyMs())
    if (cause === undefined) {
      forgetWait(memory)
      const stalls = ends.stallsAtMs === undefined ? settled() : again(ends.stallsAtMs - clock.steadyMs())
      return sooner(await replacement.look(gang, job), stalls)
    }
    // Training strikes it first; that write to the gang brings us back.
    if (cause.damaged !== undefined && isCommitted(gang, cause.damaged)) return settled()
    if (cause.kind === 'diverged' && isPoisoned(gang, job)) return settled()
    const waitMs = waitMsFor(memory, gang, cause)
    if (waitMs > 0) return again(waitMs)
    const blamed = standsStill(cause) ? blamedFor(cause, gang, knownSinceMs(memory, cause)) : cause
    if (blamed === undefined) return again(silentMs)
    const explained = xids.behind(gang, blamed, ends.ailing)
    // What the GPU asks for comes first: no attempt begins on a node that is to be left.
    if (explained !== blamed && (await xids.look(explained.node)) === 'stale') return again(staleMs)
    const failed = [...ends.failed, ...ends.stillSince(clock.steadyMs() - regroupMs)]
    const done = new Set(ends.done)
    const leavers = leaversOf(gang, explained, failed, { hasStepped: hasSteppedIn(gang), done })
    return await carryOut(gang, job, explained, leavers, () => isTakenBack(gang, cause))
  }

  /** Whoever stood still may have done a step since; that report, or what came instead, brings us back. */
  function isTakenBack(gang: Gang, cause: End): boolean {
    if (!standsStill(cause)) return false
    const known = gangs.get(refOf(gang))
    const now = known === undefined ? undefined : members.ends(known).cause(clock.steadyMs())
    return now === undefined || !standsStill(now) || now.pod !== cause.pod
  }

  /** Of what it committed some may hold wrong results; training strikes that first, likewise. */
  function isPoisoned(gang: Gang, job: TrainingJob): boolean {
    const reports = reportsNow(gang).flatMap(({ status }) => status ?? [])
    const { trusted } = afterSpike(job, gang, reports) ?? {}
    return trusted !== undefined && trusted.length < committedOf(gang).length
  }

  function reportsNow(gang: Gang): Report[] {
    return views.reportsOf(gang).filter(({ spec }) => spec.attempt === gang.spec.attempt)
  }

  /** By pod, whether it has told a step in the present attempt; of members that have left, too. */
  function hasSteppedIn(gang: Gang): Map<string, boolean> {
    return new Map(
      reportsNow(gang).map(({ spec, status }) => [spec.pod?.name ?? '', status?.firstStepAtMs !== undefined]),
    )
  }

  function suspectsFor(gang: Gang, { spike }: End): string[] {
    if (spike === undefined) return []
    const told = new Map(reportsNow(gang).map(({ spec, status }) => [spec.pod?.name, status]))
    const members = (seatsNow(gang)?.members ?? []).map(({ pod, node }) => {
      const { step, lossSpike } = told.get(pod) ?? {}
      return { node, step, isSpike: lossSpike !== undefined }
    })
    return suspectsOf(members, spike.step)
  }

  function jobOf(gang: Gang): TrainingJob | undefined {
    const name = gang.metadata.labels?.[label.job]
    const job = name === undefined ? undefined : jobs.get({ name, namespace: gang.metadata.namespace })
    return job !== undefined && isOwnedBy(gang, job) ? job : undefined
  }

  function memoryOf(gang: Gang): Remembered {
    const { uid = '' } = gang.metadata
    const before = remembered.get(keyOf(gang))
    if (before?.uid === uid) return before
    const memory: Remembered = { uid, waitsSinceMs: undefined }
    remembered.set(keyOf(gang), memory)
    return memory
  }

  function waitMsFor(memory: Remembered, gang: Gang, cause: End): number {
    const waitMs = waitFor(gang, cause)
    if (waitMs === 0) return 0
    if (cause.kind !== 'hung' || cause.seenMs === undefined) memory.waitsSinceMs ??= clock.steadyMs()
    return knownSinceMs(memory, cause) + waitMs - clock.steadyMs()
  }

  /** One that hangs where members come and go has its own time; all of them stand still when the last of them does. */
  function knownSinceMs({ waitsSinceMs = clock.steadyMs() }: Remembered, { kind, seenMs }: End): number {
    return kind === 'hung' && seenMs !== undefined ? seenMs : Math.max(waitsSinceMs, seenMs ?? waitsSinceMs)
  }

  function waitFor(gang: Gang, cause: End): number {
    if (cause.kind === 'unready') return backoffMs(recoveryOf(gang).unready)
    if (standsStill(cause)) return membersRejoin(gang) ? regroupMs : stallMs
    // Whoever fails together leaves together: none of them takes in who comes for another.
    return membersRejoin(gang) || mayBeAnEcho(cause, seatsNow(gang)?.members.length ?? 1) ? echoMs : 0
  }

  /**
   * Ranks also stand still because a node is gone, before anybody calls it lost. None is blamed until each node of the
   * gang was heard of since: within the last third of the silence, for whoever keeps the others waiting was gone by then.
   * One that does not speak takes no new work after a while, and is what the gang stands still for, unless most of the
   * fleet is silent.
   */
  function blamedFor(cause: End, gang: Gang, toldMs: number): End | undefined {
    const sinceMs = toldMs - (cause.silentMs ?? 0) / 3
    const silent = (seatsNow(gang)?.members ?? []).filter(({ node }) => (signs.heardMs(node) ?? 0) < sinceMs)
    if (silent.length === 0) return cause
    const lost = silent.find(({ node }) => !isReady(nodes.get({ name: node })))
    if (lost === undefined || signs.areCutOff()) return undefined
    const message = `node ${lost.node} is silent, and its gang stands still`
    return {
      pod: lost.pod,
      rank: lost.rank,
      node: lost.node,
      atMs: cause.atMs,
      kind: 'lost',
      reason: 'NodeLost',
      message,
    }
  }

  /** The decision is the write to the gang; before it only what may be done twice, after it only what follows from it. */
  async function carryOut(
    gang: Gang,
    job: TrainingJob,
    cause: End,
    leavers: Leavers | undefined,
    isTakenBack: () => boolean,
  ): Promise<Outcome> {
    const everStepped =
      job.status?.step !== undefined || views.reportsOf(gang).some(({ status }) => status?.step !== undefined)
    const steps = reportsNow(gang).flatMap(({ status }) => status?.firstStepAtMs ?? [])
    const steppedAtMs = steps.length === 0 ? undefined : Math.min(...steps)
    const isMeant = isDrilled(views.of('Drill').list(), cause.node)
    const known = { everStepped, suspects: suspectsFor(gang, cause), steppedAtMs, isDrilled: isMeant, leavers }
    const decision = decideRestart(job, gang, cause, known, clock.now())
    const accused = { ...cause, node: decision.cordon ?? cause.node }
    if ((await blame(gang, accused, decision.cordon !== undefined)) === 'stale') return again(staleMs)
    const { last, failed } = decision.record
    // A step is no write to the gang, which the next one is compared with.
    if (isTakenBack()) return settled()
    const raised = await raise(gang, decision, leavers)
    if (raised === undefined) return settled()
    forgetWait(memoryOf(gang))
    log.info(leavers === undefined ? 'an attempt failed' : 'a member failed', {
      gang: keyOf(gang),
      attempt: gang.spec.attempt,
      reason: last?.reason,
      ends: failed !== undefined,
    })
    if (failed === undefined) await endOlderAttempts(raised)
    if (last !== undefined && failed === undefined)
      events.record(job, 'Warning', leavers === undefined ? 'Restarting' : 'WorkerLeft', last.message)
    return settled()
  }

  /** Another attempt; or, where the others go on, this one without those who leave. */
  async function raise(gang: Gang, { record }: Decision, leavers: Leavers | undefined): Promise<Gang | undefined> {
    const attempt = gang.spec.attempt + (leavers === undefined ? 1 : 0)
    const goesOn = leavers === undefined ? { checkpointRequest: null } : { left: leftAfter(gang, leavers) }
    const spec =
      record.failed === undefined
        ? {
            spec: {
              attempt,
              spareAttempt: attempt,
              preemptionPolicy: preemptionPolicyAfter(record, gang) ?? null,
              ...goesOn,
            },
          }
        : {}
    // Of a gang that goes on its seats are as old as they were.
    const ran = leavers === undefined ? { [ranAnnotation]: String(ranSecondsOf(gang, context.ages)) } : {}
    const annotations = { [recoveryAnnotation]: JSON.stringify(record), ...ran }
    const patch = { metadata: { annotations }, ...spec }
    const written = await store.patch('Gang', refOf(gang), patch, { resourceVersion: gang.metadata.resourceVersion })
    return typeof written === 'string' ? undefined : written
  }

  /** Those who left before are named for as long as something of them is there: their seat, or their pod. */
  function leftAfter(gang: Gang, { pods }: Leavers): string[] {
    const there = new Set([
      ...(gang.status?.seats?.members ?? []).map(({ pod }) => pod),
      ...views.podsOf(gang).map(({ metadata }) => metadata.name),
    ])
    return [...(gang.spec.left ?? []).filter((pod) => there.has(pod)), ...pods]
  }

  /**
   * What an older attempt still runs, or a member that has left, has no effect any more; its devices have. Pods that ended
   * stay for their logs, also one whose end is reported while its phase is still being written.
   */
  async function endOlderAttempts(gang: Gang): Promise<void> {
    const reports = views.of('Report')
    const running = members.outlived(gang).filter(({ metadata: { name, namespace, uid } }) => {
      const report = reports.get({ name: `pod.${name}`, namespace })
      return report?.status?.ended === undefined || report.spec.pod?.uid !== uid
    })
    await Promise.all(running.map((pod) => store.evict(refOf(pod), { uid: pod.metadata.uid, gracePeriodSeconds: 0 })))
  }

  return {
    name: 'recovery',
    watches: [
      { kind: 'Report', keys: gangKeyOfReport },
      { kind: 'Pod', keys: gangKeyOf },
      { kind: 'Gang', keys: (gang) => [keyOf(gang)] },
    ],
    workers: 32,
    reconcile,
  }
}

function forgetWait(memory: Remembered): void {
  memory.waitsSinceMs = undefined
}

/** Before the next try of what was not ready: 1 s, 2 s, 4 s, … 60 s. */
function backoffMs(before: number): number {
  return Math.min(60_000, 1_000 << Math.min(before, 6))
}
