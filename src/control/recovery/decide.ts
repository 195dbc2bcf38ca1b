import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import { type End, said } from './cause.ts'
import { divergenceAfter } from './divergence.ts'
import { type Failure, isNewer, progressOf, type RecoveryRecord, recoveryOf } from './record.ts'

export interface Decision {
  /** What the gang's record becomes; with `failed` set there is no further attempt. */
  record: RecoveryRecord
  /** A node that failed this gang too often to be given to it again. */
  cordon?: string
}

/** Failures of one node without a checkpoint between them that make it suspect. */
const nodeFailuresMax = 3
/** Attempts that end with an exit code before any step was ever done: the script is wrong, not the machine. */
const earlyExitsMax = 2
/** What a node may be to blame for. */
const nodesKinds: ReadonlySet<End['kind']> = new Set(['killed', 'lost', 'hung', 'gpu'])
const logTailMax = 4_096
/** The shell's "not found" and "cannot execute", and what the agent cannot even start. */
const commandExitCodes: readonly number[] = [126, 127]

/**
 * Pure: the end that caused it, the job's policy and what was counted before decide whether there is another attempt. A
 * damaged checkpoint counts as no restart: the job did nothing wrong, `maxRestarts: 0` must not lose what an older one
 * holds, and there are only as many to strike as were kept. Nor does what it names and is not there, however often, nor
 * that somebody deleted one of its pods. `suspects`: nodes that may be to blame for a loss that rose.
 */
export function decideRestart(
  job: TrainingJob,
  gang: Gang,
  cause: End,
  { everStepped, suspects }: { everStepped: boolean; suspects: readonly string[] },
  nowMs: number,
): Decision {
  const before = recoveryOf(gang)
  const isProgress = isNewer(progressOf(gang), before.progress)
  const progress = isProgress ? progressOf(gang) : before.progress
  const lostSeconds = before.lostSeconds + lostBy(gang, nowMs)
  const strikes = (isProgress ? 0 : before.strikes) + (cause.kind === 'damaged' ? 1 : 0)
  const restartsBefore = isProgress ? 0 : before.restartsSinceProgress
  if (cause.kind === 'damaged' && strikes <= job.spec.checkpoint.keep) {
    const last = failureOf(gang, cause, false, nowMs)
    return { record: { ...before, progress, strikes, restartsSinceProgress: restartsBefore, lostSeconds, last } }
  }
  if (cause.kind === 'unready' || cause.kind === 'taken') {
    const last = failureOf(gang, cause, false, nowMs)
    const unready = cause.kind === 'unready' ? before.unready + 1 : 0
    return {
      record: { ...before, progress, strikes, restartsSinceProgress: restartsBefore, lostSeconds, unready, last },
    }
  }
  const restartsSinceProgress = restartsBefore + 1
  const earlyExits = cause.kind === 'exit' && !everStepped ? before.earlyExits + 1 : 0
  const isNodes = nodesKinds.has(cause.kind)
  const nodes = { ...(isProgress ? {} : before.nodes) }
  if (isNodes) nodes[cause.node] = (nodes[cause.node] ?? 0) + 1
  const divergence = cause.kind === 'diverged' ? divergenceAfter(before, suspects, nowMs) : undefined
  const counted = { ...before, ...divergence?.record, progress, strikes, unready: 0, earlyExits, lostSeconds, nodes }
  const isOwn = divergence?.isJobs === true
  const failed = whyNoMore(job, cause, { earlyExits, restartsSinceProgress, isOwn })
  const last = failureOf(gang, cause, failed !== undefined, nowMs)
  if (failed !== undefined) return { record: { ...counted, last, failed } }
  const record = { ...counted, last, restarts: before.restarts + 1, restartsSinceProgress }
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

function failureOf(gang: Gang, cause: End, isFinal: boolean, nowMs: number): Failure {
  const { attempt } = gang.spec
  const step = gang.status?.checkpoint?.step
  const from = step === undefined ? 'starts from the beginning' : `goes on from step ${step}`
  const next = isFinal ? '' : `; attempt ${attempt + 1} ${from}`
  return {
    attempt,
    reason: cause.reason === 'Error' && cause.kind === 'killed' ? 'Killed' : cause.reason,
    message: `${cause.pod} (rank ${cause.rank} on ${cause.node}): ${said(cause)}${next}`,
    pod: cause.pod,
    at: new Date(Number.isFinite(cause.atMs) ? cause.atMs : nowMs).toISOString(),
    ...(cause.logTail === undefined ? {} : { logTail: cause.logTail.slice(-logTailMax) }),
  }
}

/** Slot-seconds since the last durable checkpoint, or since the seats. */
function lostBy(gang: Gang, nowMs: number): number {
  const price = priceOfGang(gang, nowMs)
  return price === undefined ? 0 : Math.round(price.sinceCheckpointSeconds * price.gpus * 1000) / 1000
}
