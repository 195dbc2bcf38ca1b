import type { Gang } from '../../model/kinds/gang.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { label } from '../../model/names.ts'
import { isOwnedBy, keyOf, refOf, refOfKey } from '../../model/refs.ts'
import {
  attemptOf,
  gangKeyOf,
  gangKeyOfReport,
  hasEnded,
  isCommitted,
  isLeaving,
  type ReportStatus,
  ranAnnotation,
  ranSecondsOf,
  seatsNow,
  stopIsAsked,
} from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'
import { isFinished } from '../training/job.ts'
import { causeOf, type End, endOf, mayBeAnEcho } from './cause.ts'
import { type Decision, decideRestart } from './decide.ts'
import { recoveryAnnotation, recoveryOf } from './record.ts'

/** How long an ordinary error waits for the report of a peer's death that may have caused it. */
const echoMs = 300

/** Of one gang, not of its name: a job made again under the name of another starts from nothing. */
interface Remembered {
  uid: string
  /** When the end that is waited on (for its echo, or before the next try) was first seen. */
  firstSeenMs: number | undefined
  /** Bound pods of the present attempt: one that is gone again was taken from a running gang. */
  bound: Map<string, { uid: string; attempt: number }>
}

/**
 * The one owner of a failed attempt. Finds the cause, decides once, in one write to the gang: another attempt, or none;
 * then ends what is left of the old one. Nothing here waits but for an echo, or before it tries again what was not ready.
 */
export function createRecovery(context: Context): Reconciler {
  const { store, views, clock, events, log } = context
  const gangs = views.of('Gang')
  const jobs = views.of('TrainingJob')
  const nodes = views.of('Node')
  const remembered = new Map<string, Remembered>()

  async function reconcile(key: string): Promise<Outcome> {
    const gang = gangs.get(refOfKey(key))
    const job = gang === undefined ? undefined : jobOf(gang)
    if (gang === undefined || job === undefined) {
      remembered.delete(key)
      return settled()
    }
    const pods = views.podsOf(gang)
    const memory = memoryOf(gang)
    await endOlderAttempts(gang, pods)
    if (gang.spec.suspend || stopIsAsked(gang) || isFinished(job) || recoveryOf(gang).failed !== undefined) {
      memory.bound.clear()
      return settled()
    }
    // Training takes the whole gang along; its write to the gang, or an end, brings us back.
    if (pods.some((pod) => attemptOf(pod) === gang.spec.attempt && isLeaving(pod))) return settled()
    const ends = endsOf(memory, gang, pods)
    const cause = causeOf(ends)
    if (cause === undefined) {
      memory.firstSeenMs = undefined
      return settled()
    }
    // Training strikes it first; that write to the gang brings us back.
    if (ends.some(({ damaged }) => damaged !== undefined && isCommitted(gang, damaged))) return settled()
    const waitMs = waitMsFor(memory, gang, cause)
    if (waitMs > 0) return again(waitMs)
    await carryOut(gang, job, pods, cause)
    return settled()
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
    const memory: Remembered = { uid, firstSeenMs: undefined, bound: new Map() }
    remembered.set(keyOf(gang), memory)
    return memory
  }

  function endsOf(memory: Remembered, gang: Gang, pods: readonly Pod[]): End[] {
    const byName = new Map(pods.map((pod) => [pod.metadata.name, pod]))
    const reports = new Map<string, ReportStatus | undefined>()
    for (const { spec, status } of views.reportsOf(gang)) if (spec.pod !== undefined) reports.set(spec.pod.uid, status)
    return (seatsNow(gang)?.members ?? []).flatMap((seat) => {
      const pod = byName.get(seat.pod)
      const uid = pod?.metadata.uid ?? ''
      const taken = wasTaken(memory, gang, seat.pod, pod)
      if (taken) {
        const message = 'was deleted while its gang ran'
        return {
          pod: seat.pod,
          rank: seat.rank,
          node: seat.node,
          atMs: clock.now(),
          kind: 'taken' as const,
          reason: 'Deleted',
          message,
        }
      }
      return endOf(seat, pod, reports.get(uid), clock.now()) ?? []
    })
  }

  function wasTaken({ bound }: Remembered, gang: Gang, name: string, pod: Pod | undefined): boolean {
    const before = bound.get(name)
    if (before !== undefined && before.uid !== pod?.metadata.uid) return true
    if (pod?.spec.nodeName !== undefined) {
      for (const [other, { attempt }] of bound) if (attempt !== gang.spec.attempt) bound.delete(other)
      bound.set(name, { uid: pod.metadata.uid ?? '', attempt: gang.spec.attempt })
    }
    return false
  }

  function waitMsFor(memory: Remembered, gang: Gang, cause: End): number {
    if (cause.kind !== 'unready' && !mayBeAnEcho(cause, seatsNow(gang)?.members.length ?? 1)) return 0
    const since = memory.firstSeenMs ?? clock.now()
    memory.firstSeenMs = since
    const waitMs = cause.kind === 'unready' ? backoffMs(recoveryOf(gang).unready) : echoMs
    return since + waitMs - clock.now()
  }

  /** The decision is the write to the gang; before it only what may be done twice, after it only what follows from it. */
  async function carryOut(gang: Gang, job: TrainingJob, pods: readonly Pod[], cause: End): Promise<void> {
    const everStepped =
      job.status?.step !== undefined || views.reportsOf(gang).some(({ status }) => status?.step !== undefined)
    const decision = decideRestart(job, gang, cause, everStepped, clock.now())
    if (decision.cordon !== undefined) await cordon(decision.cordon, cause)
    const raised = await raise(gang, decision)
    if (raised === undefined) return
    memoryOf(gang).firstSeenMs = undefined
    const { last, failed } = decision.record
    log.info('an attempt failed', {
      gang: keyOf(gang),
      attempt: gang.spec.attempt,
      reason: last?.reason,
      ends: failed !== undefined,
    })
    if (failed === undefined) await endOlderAttempts(raised, pods)
    if (last !== undefined && failed === undefined) events.record(job, 'Warning', 'Restarting', last.message)
  }

  async function raise(gang: Gang, { record }: Decision): Promise<Gang | undefined> {
    const spec =
      record.failed === undefined ? { spec: { attempt: gang.spec.attempt + 1, checkpointRequest: null } } : {}
    const annotations = {
      [recoveryAnnotation]: JSON.stringify(record),
      [ranAnnotation]: String(ranSecondsOf(gang, clock.now())),
    }
    const patch = { metadata: { annotations }, ...spec }
    const written = await store.patch('Gang', refOf(gang), patch, { resourceVersion: gang.metadata.resourceVersion })
    return typeof written === 'string' ? undefined : written
  }

  /**
   * What an older attempt still runs has no effect any more; its devices have. Pods that ended stay for their logs, also
   * one whose end is reported while its phase is still being written.
   */
  async function endOlderAttempts(gang: Gang, pods: readonly Pod[]): Promise<void> {
    const old = pods.filter((pod) => attemptOf(pod) < gang.spec.attempt && !hasEnded(pod))
    if (old.length === 0) return
    const ended = new Set(
      views.reportsOf(gang).flatMap(({ spec, status }) => (status?.ended === undefined ? [] : [spec.pod?.uid])),
    )
    const running = old.filter((pod) => !ended.has(pod.metadata.uid))
    await Promise.all(running.map((pod) => store.evict(refOf(pod), { uid: pod.metadata.uid, gracePeriodSeconds: 0 })))
  }

  /** Never the last node that takes work: better a suspect one than none. */
  async function cordon(name: string, cause: End): Promise<void> {
    const node = nodes.get({ name })
    const others = nodes.list().filter((one) => one.metadata.name !== name && takesWork(one))
    if (node === undefined || node.spec?.unschedulable === true || others.length === 0) return
    const patch = {
      metadata: {
        annotations: { [cordonedBecause]: `${cause.pod} failed here again: ${cause.message}`.slice(0, 1000) },
      },
      spec: { unschedulable: true },
    }
    await store.patch('Node', { name }, patch)
    events.record(
      node,
      'Warning',
      'Cordoned',
      `failures on it repeat without a checkpoint between them; last: ${cause.message}`,
    )
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

/** Before the next try of what was not ready: 1 s, 2 s, 4 s, … 60 s. */
function backoffMs(before: number): number {
  return Math.min(60_000, 1_000 << Math.min(before, 6))
}

const cordonedBecause = 'millwright.dev/cordoned-because'

function takesWork(node: Node): boolean {
  const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready')
  return node.spec?.unschedulable !== true && (ready === undefined || ready.status === 'True')
}
