import { conditionOf, isTrue, setCondition } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { seatsNow } from '../../model/seats.ts'
import { scheduledCondition } from '../../scheduler/committed.ts'
import { memberCount, membersRejoin } from '../gangs.ts'
import type { Ending } from './completion.ts'
import { goesBackInLine, type Hold } from './hold.ts'
import { type JobStatus, jobStatusOf, rankOf, type Seen } from './job.ts'

/** The job's status as it is now. Fields of other writers are kept. */
export function statusNow(seen: Seen, ending: Ending, problem: string | undefined): JobStatus {
  const { job, gang, status, recovery, nowMs } = seen
  const phase = phaseOf(seen, ending)
  const message = problem ?? messageOf(seen, ending, phase)
  const { message: _, checkpoint: _c, ...kept } = status
  const checkpoint = gang.status?.checkpoint
  const startTime = status.startTime ?? startOf(gang)
  const { last, restarts, restartsSinceProgress, replaced, lostSeconds } = recovery
  return {
    ...kept,
    ...progressOf(seen),
    observedGeneration: job.metadata.generation,
    phase,
    conditions: conditionsOf(seen, ending, phase, message),
    attempt: gang.spec.attempt,
    workers: memberCount(gang),
    restarts,
    restartsSinceProgress,
    ...(replaced > 0 ? { replacedWorkers: replaced } : {}),
    ...(lostSeconds > 0 ? { lostSeconds } : {}),
    ...(last === undefined ? {} : { lastFailure: last }),
    ...(checkpoint === undefined
      ? {}
      : { checkpoint: { step: checkpoint.step, attempt: checkpoint.attempt, at: checkpoint.at } }),
    ...(startTime === undefined ? {} : { startTime, ...expectedEnd(seen, startTime) }),
    ...(ending.kind === 'not yet' ? {} : { completionTime: status.completionTime ?? new Date(nowMs).toISOString() }),
    ...(ending.kind === 'succeeded' && ending.output !== undefined ? { output: ending.output } : {}),
    ...(message === undefined ? {} : { message }),
  }
}

/** Where a job without a gang stands, and why it has none. */
export interface Stand {
  phase: 'Pending' | 'Waiting' | 'Suspended'
  message?: string
  reason?: string
}

export function statusWithoutGang(job: TrainingJob, { phase, message, reason }: Stand, nowMs: number): JobStatus {
  const { message: _, ...before } = jobStatusOf(job)
  const observedGeneration = job.metadata.generation
  const suspended = { type: 'Suspended', status: 'True' as const, reason: 'Suspended', observedGeneration }
  const waiting = { type: 'Running', status: 'False' as const, reason: reason ?? phase, message, observedGeneration }
  const condition = phase === 'Suspended' ? suspended : phase === 'Waiting' ? waiting : undefined
  const conditions = condition === undefined ? before.conditions : setCondition(before.conditions, condition, nowMs)
  return { ...before, observedGeneration, phase, conditions, ...(message === undefined ? {} : { message }) }
}

function phaseOf(seen: Seen, ending: Ending): NonNullable<JobStatus['phase']> {
  const { job, gang, pods, live, hold, recovery } = seen
  if (ending.kind === 'succeeded') return 'Succeeded'
  if (ending.kind === 'failed') return 'Failed'
  if (hold !== undefined && goesBackInLine(hold)) return 'Suspending'
  if (hold?.reason === 'Resizing' || hold?.reason === 'Moving') return 'Restarting'
  if (job.spec.suspend) return gang.spec.suspend && live.length === 0 ? 'Suspended' : 'Suspending'
  if (hold !== undefined) return 'Waiting' // for what is missing; none of it runs
  if (gang.spec.suspend) return live.length === 0 ? 'Pending' : 'Suspending' // it is on its way back into the line
  const failed = recovery.last !== undefined && recovery.last.attempt === gang.spec.attempt - 1
  if (seatsNow(gang) === undefined) {
    if (conditionOf(gang.status?.conditions, scheduledCondition)?.status === 'False' && !wasSeated(gang))
      return 'Waiting'
    return failed || grows(gang) || moves(gang) ? 'Restarting' : 'Pending'
  }
  const started = pods.filter((pod) => pod.status?.phase === 'Running' || pod.status?.phase === 'Succeeded')
  if (started.length >= memberCount(gang) || goesOn(seen, started)) return 'Running'
  return failed ? 'Restarting' : 'Starting'
}

/** Some are on their way to those who are at work. */
function goesOn({ gang, told }: Seen, started: readonly Pod[]): boolean {
  const fewest = gang.spec.groups.reduce((sum, { min }) => sum + min, 0)
  return membersRejoin(gang) && started.length >= fewest && told.some(({ report }) => report.step !== undefined)
}

/** It is on its way from one size to a larger one. */
function grows({ spec, status }: Gang): boolean {
  return status?.resize !== undefined && status.resize.attempt >= spec.attempt - 1
}

/** It is on its way from its seats to others. */
function moves({ spec, status }: Gang): boolean {
  const { hold, eviction } = status ?? {}
  return hold !== undefined && eviction?.attempt === hold.attempt - 1 && hold.attempt >= spec.attempt
}

/** Its condition still speaks of seats that it gave back. */
function wasSeated(gang: Gang): boolean {
  const reason = conditionOf(gang.status?.conditions, scheduledCondition)?.reason
  return reason === 'Suspended' || reason === 'Released'
}

function messageOf(seen: Seen, ending: Ending, phase: JobStatus['phase']): string | undefined {
  if (ending.kind === 'failed') return ending.message
  const held = holdIn(seen, phase)
  if (held !== undefined) return held.message
  if (phase === 'Waiting') return conditionOf(seen.gang.status?.conditions, scheduledCondition)?.message
  if (phase === 'Starting') return startMessage(seen.pods)
  if (phase === 'Restarting') return startMessage(seen.pods) ?? restartMessage(seen)
  return undefined
}

/** What it starts again for: a failure, or to move or grow. */
function restartMessage({ gang, recovery: { last } }: Seen): string | undefined {
  const failed = last?.attempt === gang.spec.attempt - 1
  if (!failed && moves(gang)) return gang.status?.eviction?.message
  return grows(gang) && !failed ? gang.status?.resize?.message : last?.message
}

/** What a member cannot start for, in its agent's words: a full disk, or on Kubernetes an image that cannot be pulled. */
function startMessage(pods: readonly Pod[]): string | undefined {
  for (const { metadata, status } of pods) {
    const waiting = status?.containerStatuses?.[0]?.state?.waiting
    if (waiting?.message !== undefined && waiting.reason !== 'ContainerCreating')
      return `${metadata.name} waits: ${waiting.message}`
  }
  return undefined
}

function conditionsOf(
  seen: Seen,
  ending: Ending,
  phase: JobStatus['phase'],
  message: string | undefined,
): JobStatus['conditions'] {
  const { job, status, nowMs } = seen
  const observedGeneration = job.metadata.generation
  let conditions = status.conditions
  const set = (type: string, holds: boolean, reason: string, message = '') => {
    conditions = setCondition(
      conditions,
      { type, status: holds ? 'True' : 'False', reason, message, observedGeneration },
      nowMs,
    )
  }
  if (phase === 'Suspended') set('Suspended', true, 'Suspended')
  else if (phase !== 'Suspending' && isTrue(conditions, 'Suspended')) set('Suspended', false, 'Resumed')
  if (phase === 'Running') set('Running', true, 'AllMembersRun')
  else if (conditionOf(conditions, 'Running') !== undefined || phase === 'Waiting' || ending.kind !== 'not yet')
    set('Running', false, waitReason(seen, phase) ?? phase ?? 'Unknown', phase === 'Waiting' ? message : '')
  if (ending.kind === 'succeeded') set('Complete', true, 'Succeeded', 'every member ended well')
  if (ending.kind === 'failed') set('Failed', true, ending.reason, ending.message)
  return conditions
}

/** What keeps it from its seats though its user wants it to run, if the phase is about that. */
function holdIn({ hold }: Seen, phase: JobStatus['phase']): Hold | undefined {
  return hold?.reason !== 'Suspended' && (phase === 'Waiting' || phase === 'Suspending') ? hold : undefined
}

/** In one word, what keeps it from its seats. */
function waitReason(seen: Seen, phase: JobStatus['phase']): string | undefined {
  const held = holdIn(seen, phase)
  if (held !== undefined) return held.reason
  return phase === 'Waiting' ? conditionOf(seen.gang.status?.conditions, scheduledCondition)?.reason : undefined
}

function startOf(gang: Gang): string | undefined {
  return gang.status?.seats?.at
}

/** By its pace, as the scheduler reckons with it; else as declared. */
function expectedEnd({ job, gang }: Seen, startTime: string): { expectedEnd?: string } {
  const measured = seatsNow(gang) === undefined ? undefined : gang.status?.expectedEnd
  if (measured !== undefined) return { expectedEnd: measured }
  const { expectedSeconds } = job.spec
  if (expectedSeconds === undefined) return {}
  return { expectedEnd: new Date(Date.parse(startTime) + expectedSeconds * 1000).toISOString() }
}

/** Rank 0 speaks for step and loss; rates are each rank's own and add up. What no report says stays as it was. */
function progressOf({ told }: Seen): Partial<JobStatus> {
  const reports = told.map(({ pod, report }) => ({ rank: rankOf(pod) ?? 0, report }))
  const speaker = reports.toSorted((a, b) => a.rank - b.rank).find(({ report }) => report.step !== undefined)?.report
  if (speaker === undefined) return {}
  const rate = (read: (report: (typeof reports)[number]['report']) => number | undefined) => {
    const known = reports.flatMap(({ report }) => read(report) ?? [])
    return known.length === 0 ? undefined : known.reduce((sum, one) => sum + one, 0)
  }
  const samplesPerSecond = rate((report) => report.samplesPerSecond)
  const tokensPerSecond = rate((report) => report.tokensPerSecond)
  const { step, steps, loss, stepSeconds } = speaker
  return {
    ...(step === undefined ? {} : { step }),
    ...(steps === undefined ? {} : { steps }),
    ...(loss === undefined ? {} : { loss }),
    ...(stepSeconds === undefined ? {} : { stepSeconds }),
    ...(samplesPerSecond === undefined ? {} : { samplesPerSecond }),
    ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
  }
}

/** What may wait a second to be shown: it changes with every step. */
export function withoutProgress(status: JobStatus): JobStatus {
  const { step: _s, steps: _n, loss: _l, stepSeconds: _t, samplesPerSecond: _p, tokensPerSecond: _k, ...rest } = status
  return rest
}
