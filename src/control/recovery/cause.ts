import type { Seat } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { ReportStatus } from '../gangs.ts'

/**
 * 'hung': a rank stands still that others have left behind. 'stalled': all stand still, whoever keeps them. 'refused':
 * the agent could not start it, or not take over what it left; trying again would end the same. 'damaged': not from that
 * checkpoint. 'gpu': a GPU of its told an XID that speaks against the machine. 'fault': one that may be its own, or the GPU's.
 * 'diverged': its loss rose all at once, as when a machine computes wrongly. 'unready': something that it names is not there yet, or no more. 'taken': somebody deleted its pod.
 */
export type EndKind =
  | 'damaged'
  | 'diverged'
  | 'unready'
  | 'taken'
  | 'lost'
  | 'killed'
  | 'hung'
  | 'stalled'
  | 'exit'
  | 'gpu'
  | 'fault'
  | 'refused'
  | 'by agent'
/** How one member ended, or that it must be taken for ended. */
export interface End {
  pod: string
  rank: number
  node: string
  /** By the clock of the shim that saw it. */
  atMs: number
  kind: EndKind
  reason: string
  message: string
  exitCode?: number
  signal?: string
  /** Of one that stands still: for how long, when its agent said so. */
  silentMs?: number
  /** Of one that stands still where members come and go: since when that is known, in steady time. */
  seenMs?: number
  logTail?: string
  damaged?: NonNullable<ReportStatus['damaged']>
  /** Since when its loss shows it, by the agent's clock. */
  spike?: NonNullable<ReportStatus['lossSpike']>
}

/**
 * The end that the others followed from. A rank that found no whole checkpoint never started, so that the attempt could
 * not have gone on whatever else happened, nor could it without one that somebody deleted. Then lost nodes and signals
 * come before exit codes, since a member that loses a peer exits with an error of its own, sometimes before the peer's end
 * is known; within a class the earliest counts. A hung member comes after all that ended: it may only be waiting for one
 * of them.
 */
export function causeOf(ends: Iterable<End>): End | undefined {
  let first: End | undefined
  for (const end of ends) if (first === undefined || comesFirst(end, first)) first = end
  return first
}

export function comesFirst(a: End, b: End): boolean {
  return (weight(a) - weight(b) || a.atMs - b.atMs || a.rank - b.rank) < 0
}

const weights: Record<End['kind'], number> = {
  damaged: 0,
  // Whatever ends it then: what it computed is void.
  diverged: 0.5,
  taken: 1,
  lost: 2,
  killed: 2,
  refused: 3,
  unready: 3,
  exit: 3,
  gpu: 2,
  fault: 3,
  hung: 4,
  stalled: 4,
  'by agent': 5,
}
function weight(end: End): number {
  return weights[end.kind]
}

/** What it ended with, in words. */
export function said({ message, exitCode, reason }: Pick<End, 'message' | 'exitCode' | 'reason'>): string {
  if (message !== '') return message
  return exitCode === undefined ? `ended: ${reason}` : `exited with code ${exitCode}`
}

export function standsStill({ kind }: End): boolean {
  return kind === 'hung' || kind === 'stalled'
}

/** Whether a peer that was killed may still be about to be reported: only an ordinary error looks like an echo. */
export function mayBeAnEcho(cause: End, members: number): boolean {
  return members > 1 && cause.kind === 'exit' && cause.exitCode === 1
}

/** The member's end; undefined while it is well. What ended because its pod was deleted did not fail. */
export function endOf(
  seat: Seat,
  pod: Pod | undefined,
  report: ReportStatus | undefined,
  nowMs: number,
): End | undefined {
  const end = endSeen(seat, pod, report, nowMs)
  return end === undefined || pod?.metadata.deletionTimestamp === undefined ? end : { ...end, kind: 'taken' }
}

/** By what its agent reports, and by its pod where nobody reports. */
function endSeen(seat: Seat, pod: Pod | undefined, report: ReportStatus | undefined, nowMs: number): End | undefined {
  const about = {
    pod: seat.pod,
    rank: seat.rank,
    node: seat.node,
    ...(report?.logTail === undefined ? {} : { logTail: report.logTail }),
  }
  if (report?.damaged !== undefined) return damagedEnd(about, report.damaged, report.ended?.atMs ?? nowMs)
  if (report?.lossSpike !== undefined) return divergedEnd(about, report.lossSpike)
  if (report?.ended !== undefined && pod?.status?.reason !== 'NodeLost') return fromReport(about, report.ended)
  if (pod?.status?.phase === 'Failed') return fromPod(about, pod, nowMs)
  if (report?.hungSinceMs === undefined) return undefined
  const silentMs = Math.max(0, (report.at === undefined ? nowMs : Date.parse(report.at)) - report.hungSinceMs)
  const message = `did no step for ${Math.round(silentMs / 1000)} s`
  return { ...about, atMs: report.hungSinceMs, kind: 'hung', reason: 'Hung', message, silentMs }
}

/** What the machine did to it, whatever the exit code says. */
const machineReasons: readonly string[] = ['OOMKilled', 'Lost', 'PrepareFailed', 'AgentError']

/** What an agent says, as a kubelet does, of a pod whose Secret lacks what its environment names. */
const unreadyReason = 'CreateContainerConfigError'

type About = Pick<End, 'pod' | 'rank' | 'node' | 'logTail'>

function damagedEnd(about: About, damaged: NonNullable<ReportStatus['damaged']>, atMs: number): End {
  return { ...about, atMs, kind: 'damaged', reason: 'CheckpointDamaged', message: damaged.message, damaged }
}

function divergedEnd(about: About, spike: NonNullable<ReportStatus['lossSpike']>): End {
  const { loss, usual, step, atMs } = spike
  const to = loss === undefined ? 'became no number' : `rose to ${loss}`
  const from = usual === undefined ? '' : `, from ${usual}`
  return {
    ...about,
    atMs,
    kind: 'diverged',
    reason: 'LossSpike',
    message: `its loss ${to}${from}, at step ${step}`,
    spike,
  }
}

function fromReport(about: About, ended: NonNullable<ReportStatus['ended']>): End | undefined {
  const { atMs, exitCode, signal, reason, message, byAgent } = ended
  const end = {
    ...about,
    atMs,
    reason,
    message,
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal === undefined ? {} : { signal }),
  }
  if (byAgent) return { ...end, kind: 'by agent' }
  if (reason === unreadyReason) return { ...end, kind: 'unready' }
  if (signal !== undefined || machineReasons.includes(reason)) return { ...end, kind: 'killed' }
  if (exitCode === undefined || exitCode === 0)
    return exitCode === 0 && reason === 'Completed' ? undefined : { ...end, kind: 'refused' }
  return { ...end, kind: 'exit' }
}

function fromPod(about: About, pod: Pod, nowMs: number): End {
  const terminated = pod.status?.containerStatuses?.[0]?.state?.terminated
  const finishedMs = terminated?.finishedAt === undefined ? Number.NaN : Date.parse(terminated.finishedAt)
  const atMs = Number.isNaN(finishedMs) ? nowMs : finishedMs
  const reason = pod.status?.reason ?? terminated?.reason ?? 'Error'
  const message = pod.status?.message ?? terminated?.message ?? ''
  if (pod.status?.reason === 'NodeLost') return { ...about, atMs, kind: 'lost', reason, message }
  if (terminated === undefined) return { ...about, atMs, kind: 'by agent', reason, message }
  const { exitCode, signal } = terminated
  const end = { ...about, atMs, reason, message, exitCode }
  if (reason === unreadyReason) return { ...end, kind: 'unready' }
  if ((signal ?? 0) > 0 || machineReasons.includes(reason)) return { ...end, kind: 'killed' }
  if (exitCode === 0 || (exitCode === 128 && reason !== 'Error')) return { ...end, kind: 'refused' }
  return { ...end, kind: 'exit' }
}
