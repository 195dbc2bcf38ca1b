import { durationMs } from '../../model/duration.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { committedOf, type GangStatus, gangStatusOf, type ReportStatus } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { statusLeft } from './damage.ts'
import type { Seen } from './job.ts'

type Committed = GangStatus['checkpoints'][number]
type Spike = NonNullable<ReportStatus['lossSpike']>

/**
 * A machine that computes wrongly does so for a while before the loss shows it, and what was written meanwhile holds it.
 * Of these checkpoints those that may be trusted: older than that while; where there is none, the oldest, unless the attempt
 * began with it already. `spikedMs`: since when the loss shows it.
 */
export function trustedAmong(
  committed: readonly Committed[],
  { latency }: { latency: string },
  spikedMs: number,
  beganWith: { attempt: number; step: number } | undefined,
): Committed[] {
  const old = committed.filter(({ at }) => at !== undefined && Date.parse(at) <= spikedMs - durationMs(latency))
  if (old.length > 0) return old
  const oldest = committed.at(-1)
  const isTried = oldest?.attempt === beganWith?.attempt && oldest?.step === beganWith?.step
  return oldest === undefined || isTried ? [] : [oldest]
}

/**
 * Which of the older checkpoints stay, newest first: as many as the job keeps, and of a job that goes back when its loss
 * rises some before them, a quarter of the time apart in which that shows, until one is older than it.
 */
export function keptAmong(
  committed: readonly Committed[],
  { checkpoint, failurePolicy }: TrainingJob['spec'],
): Committed[] {
  const kept = committed.slice(0, checkpoint.keep)
  const latencyMs = failurePolicy.lossSpike === undefined ? 0 : durationMs(failurePolicy.lossSpike.latency)
  if (latencyMs === 0) return kept
  const newestMs = atMsOf(committed[0])
  let lastMs = atMsOf(kept.at(-1))
  for (const one of committed.slice(checkpoint.keep)) {
    if (newestMs - lastMs > latencyMs) break
    const next = committed[committed.indexOf(one) + 1]
    // The last that is no further away than a quarter; where they are written less often, each.
    if (next !== undefined && lastMs - atMsOf(next) <= latencyMs / 4) continue
    kept.push(one)
    lastMs = atMsOf(one)
  }
  return kept
}

function atMsOf(one: Committed | undefined): number {
  return Date.parse(one?.at ?? '') || 0
}

/**
 * Of a job whose loss rose in its present attempt: since when, and the checkpoints that it may go back to. `reports`: of that
 * attempt.
 */
export function afterSpike(
  { spec }: TrainingJob,
  gang: Gang,
  reports: readonly ReportStatus[],
): { spike: Spike; trusted: Committed[] } | undefined {
  const { lossSpike: policy } = spec.failurePolicy
  const spikes = reports.flatMap(({ lossSpike = [] }) => lossSpike)
  const spike = spikes.toSorted((a, b) => a.atMs - b.atMs)[0]
  if (policy === undefined || spike === undefined) return undefined
  const restored = reports.map(({ restoredStep }) => restoredStep).find((one) => one !== undefined)
  const committed = committedOf(gang)
  const beganWith = committed.find(({ step, attempt }) => step === restored && attempt < gang.spec.attempt)
  return { spike, trusted: trustedAmong(committed, policy, spike.atMs, beganWith) }
}

/**
 * Strikes from the gang what may hold wrong results. Recovery raises the attempt once that is so, and until then nothing
 * new is committed.
 */
export async function strikePoisoned(context: Context, seen: Seen): Promise<'struck' | 'poisoned' | 'well'> {
  const { job, gang, told } = seen
  const found = afterSpike(
    job,
    gang,
    told.map(({ report }) => report),
  )
  if (found === undefined) return 'well'
  const { spike, trusted } = found
  if (trusted.length === committedOf(gang).length) return 'poisoned'
  const next =
    trusted[0] === undefined ? 'training starts from its beginning' : `the one of step ${trusted[0].step} is used`
  const message = `the loss rose at step ${spike.step}, and checkpoints of a while before may hold wrong results; ${next}`
  context.events.record(job, 'Warning', 'CheckpointsStruck', message)
  await context.events.flush()
  await context.store.updateStatus('Gang', { ...gang, status: statusLeft(gangStatusOf(gang), trusted) })
  return 'struck'
}
