import { health } from '../../model/health.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import { type End, said } from './cause.ts'
import { divergenceAfter } from './divergence.ts'
import type { Leavers } from './leavers.ts'
import { type Failure, isNewer, progressOf, type RecoveryRecord, recoveryOf } from './record.ts'

export interface Decision {
  /** What the gang's record becomes; with `failed` set there is no further attempt. */
  record: RecoveryRecord
  /** A node that failed this gang too often to be given to it again. */
  cordon?: string
}

/** Failures of one node without a checkpoint between them that make it suspect. */
const nodeFailuresMax = health.failsGang.at
/** Attempts that end with an exit code before any step was ever done: the script is wrong, not the machine. */
const earlyExitsMax = health.earlyExits.at
/** What a node may be to blame for. */
const nodesKinds: ReadonlySet<End['kind']> = new Set(['killed', 'lost', 'hung', 'gpu'])
const logTailMax = 4_096
/** The shell's "not found" and "cannot execute", and what the agent cannot even start. */
const commandExitCodes: readonly number[] = [126, 127]

/** What is known beside the gang. */
export interface Known {
  everStepped: boolean
  /** Nodes that may be to blame for a loss that rose. */
  suspects: readonly string[]
  /** When its present attempt did its first step; undefined: it has told none. */
  steppedAtMs?: number | undefined
  /** Whether what fails on that node now was meant to, by a drill: it is not held against it. */
  isDrilled?: boolean
  /** Who leaves, where the others go on; undefined: all start again. */
  leavers?: Leavers | undefined
}

/**
 * Pure: the end that caused it, the job's policy and what was counted before decide whether there is another attempt. A
 * damaged checkpoint counts as no restart: the job did nothing wrong, `maxRestarts: 0` must not lose what an older one
 * holds, and there are only as many to strike as were kept. Nor does what it names and is not there, however often, nor
 * that somebody deleted one of its pods. Where the others go on nothing is lost, and no restart is counted but of who never
 * came to join them.
 */
export function decideRestart(
  job: TrainingJob,
  gang: Gang,
  cause: End,
  { everStepped, suspects, steppedAtMs, isDrilled = false, leavers }: Known,
  nowMs: number,
): Decision {
  const known = recoveryOf(gang)
  const isProgress = isNewer(progressOf(gang), known.progress)
  const nodesBefore = isProgress ? {} : known.nodes
  const before = { ...known, nodes: nodesBefore, ...replacedAfter(known, cause, isProgress, leavers) }
  const progress = isProgress ? progressOf(gang) : before.progress
  const lostSeconds = before.lostSeconds + (leavers === undefined ? lostBy(gang, steppedAtMs, nowMs) : 0)
  const strikes = (isProgress ? 0 : before.strikes) + (cause.kind === 'damaged' ? 1 : 0)
  const restartsBefore = isProgress ? 0 : before.restartsSinceProgress
  if (cause.kind === 'damaged' && strikes <= job.spec.checkpoint.keep) {
    const last = failureOf(gang, cause, nextAfter(gang, leavers), nowMs)
    return { record: { ...before, progress, strikes, restartsSinceProgress: restartsBefore, lostSeconds, last } }
  }
  if (cause.kind === 'unready' || cause.kind === 'taken') {
    const last = failureOf(gang, cause, nextAfter(gang, leavers), nowMs)
    const unready = cause.kind === 'unready' ? before.unready + 1 : 0
    return {
      record: { ...before, progress, strikes, restartsSinceProgress: restartsBefore, lostSeconds, unready, last },
    }
  }
  // Of a node where a member did steps before it failed, the next one's steps are progress.
  const isRestart = leavers === undefined || leavers.neverJoined
  const restartsSinceProgress = restartsBefore + (isRestart ? 1 : 0)
  const earlyExits = cause.kind === 'exit' && !everStepped ? before.earlyExits + 1 : 0
  const isNodes = nodesKinds.has(cause.kind) && !isDrilled
  const nodes = { ...before.nodes }
  if (isNodes && isRestart) nodes[cause.node] = (nodes[cause.node] ?? 0) + 1
  const divergence = cause.kind === 'diverged' ? divergenceAfter(before, suspects, nowMs) : undefined
  const counted = { ...before, ...divergence?.record, progress, strikes, unready: 0, earlyExits, lostSeconds, nodes }
  const isOwn = divergence?.isJobs === true
  const failed = whyNoMore(job, cause, { earlyExits, restartsSinceProgress, isOwn })
  const last = failureOf(gang, cause, failed === undefined ? nextAfter(gang, leavers) : '', nowMs)
  if (failed !== undefined) return { record: { ...counted, last, failed } }
  const restarts = before.restarts + (leavers === undefined ? 1 : 0)
  const record = { ...counted, last, restarts, restartsSinceProgress }
  if (divergence?.blamed !== undefined) return { record, cordon: divergence.blamed }
  if ((nodes[cause.node] ?? 0) < nodeFailuresMax || !isNodes) return { record }
  const { [cause.node]: _, ...others } = nodes
  return { record: { ...record, nodes: others }, cordon: cause.node }
}

function whyNoMore(
  job: TrainingJob,
  cause: End,
  counts: { earlyExits: number; restartsSinceProgress: number; isOwn: boolean },
): { reason: string; message: string } | undefined {
  const { failExitCodes = [], restartExitCodes = [] } = job.spec.failurePolicy
  const { exitCode, kind } = cause
  const who = `${cause.pod} (rank ${cause.rank})`
  const ends = `${who}: ${said(cause)}`
  if (counts.isOwn) return { reason: cause.reason, message: `${ends}, again and again; look at the job` }
  if (kind === 'refused') return { reason: cause.reason, message: ends }
  if ((kind === 'exit' || kind === 'fault') && exitCode !== undefined && !restartExitCodes.includes(exitCode)) {
    if (failExitCodes.includes(exitCode)) {
      return { reason: 'FailExitCode', message: `${ends}; failurePolicy.failExitCodes lists ${exitCode}` }
    }
    if (commandExitCodes.includes(exitCode)) return { reason: 'CommandFailed', message: `${ends}; look at the command` }
    if (counts.earlyExits >= earlyExitsMax) {
      return {
        reason: 'ExitedBeforeFirstStep',
        message: `${ends}, as the attempt before, without a step done; look at its log`,
      }
    }
  }
  if (counts.restartsSinceProgress <= job.spec.maxRestarts) return undefined
  const times =
    job.spec.maxRestarts === 0 ? 'maxRestarts is 0' : `after ${job.spec.maxRestarts} restarts without a new checkpoint`
  return { reason: 'TooManyRestarts', message: `${ends}; ${times}` }
}

/** Who could not start for want of something is no member that the others lost: what is missing stops nothing that runs. */
function replacedAfter(
  { replaced, replacedSinceProgress }: RecoveryRecord,
  { kind }: End,
  isProgress: boolean,
  leavers: Leavers | undefined,
): Pick<RecoveryRecord, 'replaced' | 'replacedSinceProgress'> {
  const more = kind === 'unready' ? 0 : (leavers?.pods.length ?? 0)
  return {
    replaced: replaced + more,
    replacedSinceProgress: leavers === undefined ? 0 : (isProgress ? 0 : replacedSinceProgress) + more,
  }
}

function nextAfter({ spec: { attempt }, status }: Gang, leavers: Leavers | undefined): string {
  if (leavers !== undefined) return '; the others go on'
  const step = status?.checkpoint?.step
  return `; attempt ${attempt + 1} ${step === undefined ? 'starts from the beginning' : `goes on from step ${step}`}`
}

function failureOf(gang: Gang, cause: End, next: string, nowMs: number): Failure {
  return {
    attempt: gang.spec.attempt,
    reason: cause.reason === 'Error' && cause.kind === 'killed' ? 'Killed' : cause.reason,
    message: `${cause.pod} (rank ${cause.rank} on ${cause.node}): ${said(cause)}${next}`,
    pod: cause.pod,
    at: new Date(Number.isFinite(cause.atMs) ? cause.atMs : nowMs).toISOString(),
    ...(cause.logTail === undefined ? {} : { logTail: cause.logTail.slice(-logTailMax) }),
  }
}

/** Slot-seconds since the last durable checkpoint, or since its first step, or since the seats where it tells none. */
function lostBy(gang: Gang, steppedAtMs: number | undefined, nowMs: number): number {
  const price = priceOfGang(gang, nowMs)
  if (price === undefined) return 0
  const steppedSeconds = steppedAtMs === undefined ? Number.POSITIVE_INFINITY : Math.max(0, nowMs - steppedAtMs) / 1000
  return Math.round(Math.min(price.sinceCheckpointSeconds, steppedSeconds) * price.gpus * 1000) / 1000
}
