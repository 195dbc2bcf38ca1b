import { type LedgerSummary, summarise } from '../../observe/ledger.ts'
import type { Failure, JobRecord, Recording } from '../play/recording.ts'
import { type Distribution, distributionOf } from './distribution.ts'
import { type DrillSums, drillSums } from './drills.ts'
import { completionOf, type QueueSums, queueSums, waitOf } from './queues.ts'
import { type ServiceSums, serviceSums } from './services.ts'
import { type Timeline, timelineOf } from './timeline.ts'

/** What came of one seed. Accelerator-hours are accelerators × hours; times are in seconds. */
export interface SeedReport {
  seed: number
  /** Accelerator-hours in each bucket of the production ledger; they add up to `capacityHours`. */
  ledger: Record<string, number>
  capacityHours: number
  /** What the fleet cost, by the prices of its pools or of the price book; undefined where it has none. */
  usd: number | undefined
  /**
   * Effective training time ratio: of the accelerator-time between a job's first seats and its end (or the horizon), held
   * or asked for, the part that was productive. Work that no checkpoint has made durable yet counts, if nothing lost it.
   * Undefined where no job started.
   */
  ettr: number | undefined
  /** Under seats, of all accelerator-time. */
  utilisation: number
  jobs: { submitted: number; succeeded: number; failed: number; running: number; waiting: number }
  /** From when a job was handed in to its first seats, of those that got any. */
  waitSeconds: Distribution | undefined
  /** From when a job was handed in to its end, of those that succeeded. */
  completionSeconds: Distribution | undefined
  queues: QueueSums[]
  failures: FailureSums
  /** Ranks that started from a checkpoint, by the furthest place that any of it came from; left out where none did. */
  restores?: Recording['restores']
  /** Left out where there were none. */
  drills?: DrillSums[]
  /** Services that got requests; left out where there were none. */
  services?: ServiceSums[]
  evictions: number
  evictionsByReason: Record<string, number>
  /** Terms of leaders that began. */
  leaders: number
  timeline: Timeline
}

export interface FailureSums {
  /** Faults as they were drawn, whether or not anything ran where they struck. */
  faults: number
  /** Times that a training job was stopped by a failure, until its next step. One may cost several attempts. */
  interruptions: number
  attempts: number
  /** Horizon over interruptions, of the whole fleet. */
  mtbfSeconds: number | undefined
  /** From the fault to the first step of the attempt that went on, where one did. */
  mttrSeconds: Distribution | undefined
  /** Part of it: from the fault to recovery's decision. */
  detectSeconds: Distribution | undefined
  per1000NodeDays: number
  byCause: CauseSums[]
}

export interface CauseSums {
  cause: string
  faults: number
  interruptions: number
  /** Work since the last durable checkpoint that was thrown away, as recovery priced it. */
  lostHours: number
  /** What was asked for from the decision until the next step. */
  downHours: number
}

const hourMs = 3_600_000
const dayMs = 86_400_000

export function seedReportOf(recording: Recording): SeedReport {
  const { seed, jobs, evictions, leaders, drills, services, pages, restores } = recording
  const ledger = summarise(pages)
  const timeline = timelineOf(recording)
  const inUse = timeline.inUse.reduce((sum, value) => sum + value, 0) / timeline.inUse.length
  return {
    seed,
    ledger: Object.fromEntries(ledger.rows.map(({ key, slotMs }) => [key[0] ?? '', slotMs / hourMs])),
    capacityHours: ledger.capacitySlotMs / hourMs,
    usd: ledger.totalUsd > 0 ? ledger.totalUsd : undefined,
    ettr: ettrOf(jobs, summarise(pages, 'owner')),
    utilisation: inUse / recording.accelerators,
    jobs: {
      submitted: jobs.length,
      succeeded: jobs.filter(({ outcome }) => outcome === 'Succeeded').length,
      failed: jobs.filter(({ outcome }) => outcome === 'Failed').length,
      running: jobs.filter(({ outcome, startedMs }) => outcome === undefined && startedMs !== undefined).length,
      waiting: jobs.filter(({ outcome, startedMs }) => outcome === undefined && startedMs === undefined).length,
    },
    waitSeconds: waitOf(jobs),
    completionSeconds: completionOf(jobs),
    queues: queueSums(recording),
    failures: failureSums(recording),
    ...(Object.keys(restores).length === 0 ? {} : { restores }),
    ...(drills.length === 0 ? {} : { drills: drills.map(drillSums) }),
    ...(services.length === 0 ? {} : { services: services.map((service) => serviceSums(service, recording)) }),
    evictions: evictions.length,
    evictionsByReason: counted(evictions.map(({ reason }) => reason)),
    leaders,
    timeline,
  }
}

function ettrOf(jobs: readonly JobRecord[], ledger: LedgerSummary): number | undefined {
  const owners = new Set(jobs.map(({ owner }) => owner))
  const elapsedMs = jobs.reduce((sum, { heldMs, outMs }) => sum + heldMs + outMs, 0)
  if (elapsedMs === 0) return undefined
  let usefulMs = 0
  for (const { key, slotMs } of ledger.rows) {
    const [owner = '', bucket] = key
    if (owners.has(owner) && (bucket === 'productive' || bucket === 'provisional')) usefulMs += slotMs
  }
  return usefulMs / elapsedMs
}

function failureSums({ failures, strikes, horizonMs, nodes }: Recording): FailureSums {
  const interruptions = failures.filter(({ isAgain }) => !isAgain)
  const back = interruptions.flatMap(({ atMs, backMs }) => (backMs === undefined ? [] : [(backMs - atMs) / 1000]))
  const count = interruptions.length
  const causes = [...new Set([...strikes.map(({ cause }) => cause), ...failures.map(({ cause }) => cause)])]
  return {
    faults: strikes.length,
    interruptions: count,
    attempts: failures.length,
    mtbfSeconds: count === 0 ? undefined : horizonMs / 1000 / count,
    mttrSeconds: distributionOf(back),
    detectSeconds: distributionOf(interruptions.map(({ atMs, decidedMs }) => (decidedMs - atMs) / 1000)),
    per1000NodeDays: (1000 * count) / ((nodes * horizonMs) / dayMs),
    byCause: causes.toSorted().map((cause) =>
      causeSums(
        cause,
        strikes.filter((strike) => strike.cause === cause).length,
        failures.filter((failure) => failure.cause === cause),
      ),
    ),
  }
}

function causeSums(cause: string, faults: number, failures: readonly Failure[]): CauseSums {
  return {
    cause,
    faults,
    interruptions: failures.filter(({ isAgain }) => !isAgain).length,
    lostHours: failures.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0) / 3600,
    downHours: failures.reduce((sum, { accelerators, downMs }) => sum + accelerators * downMs, 0) / hourMs,
  }
}

function counted(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const word of words.toSorted()) counts[word] = (counts[word] ?? 0) + 1
  return counts
}
