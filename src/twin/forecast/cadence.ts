import { durationMs } from '../../model/duration.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { keyOf } from '../../model/refs.ts'
import { autoInterval, effectiveRatioWithLag, stallSecondsUnmeasured } from '../../model/reliability.ts'

/** How a job writes checkpoints, in seconds. */
export interface Cadence {
  /** That it works between two. */
  interval: number
  /** That it stands still for each. */
  stall: number
  /** From when one is written until it is durable. */
  lag: number
}

/** The part of the time that it works rather than writes checkpoints. */
export function workedPart(cadence: Cadence | undefined): number {
  return cadence === undefined ? 1 : cadence.interval / (cadence.interval + cadence.stall)
}

/** What a checkpoint takes that it is asked for, until it is durable. */
export function onRequestSeconds({ stall, lag }: Cadence): number {
  return stall + lag
}

/**
 * Of each gang of a job that writes checkpoints: as often as its spec says, `auto` as it is now for what it has measured; where
 * the spec says nothing, as often as it has written them of its own accord.
 */
export function cadencesOf(
  { gangs, jobs = [] }: { gangs: readonly Gang[]; jobs?: readonly TrainingJob[] | undefined },
  nowMs: number,
): ReadonlyMap<string, Cadence> {
  const byName = new Map(jobs.map((job) => [keyOf(job), job]))
  return new Map(
    gangs.flatMap((gang) => {
      const cadence = cadenceOf(gang, byName.get(keyOf(gang)), nowMs)
      return cadence === undefined ? [] : [[keyOf(gang), cadence] as const]
    }),
  )
}

function cadenceOf(gang: Gang, job: TrainingJob | undefined, nowMs: number): Cadence | undefined {
  const { checkpoint, checkpoints = [], checkpointRequestSeconds } = gang.status ?? {}
  const stall = checkpoint?.seconds ?? checkpoints.find(({ seconds }) => seconds !== undefined)?.seconds
  const known = stall ?? stallSecondsUnmeasured
  const lag = Math.max(0, (checkpointRequestSeconds ?? known) - known)
  const declared = job?.spec.checkpoint.interval
  if (declared === undefined) {
    const times = [checkpoint, ...checkpoints].flatMap((one) => (one?.at === undefined ? [] : [Date.parse(one.at)]))
    const gap = meanGapSeconds(times)
    // Of what nobody measured nothing is taken off a gap that is there, whatever it holds.
    return gap === undefined ? undefined : { interval: Math.max(1, gap - (stall ?? 0)), stall: stall ?? 0, lag }
  }
  if (declared !== 'auto') return { interval: durationMs(declared) / 1000, stall: known, lag }
  const { seats } = gang.status ?? {}
  const sits = seats !== undefined && seats.attempt === gang.spec.attempt
  const { seconds } = autoInterval({
    stallSeconds: stall,
    persistSeconds: lag,
    hasCheckpoint: true,
    failures: job?.status?.restarts ?? 0,
    runSeconds: sits ? Math.max(0, (nowMs - Date.parse(seats.at)) / 1000) : 0,
    nodes: sits
      ? new Set(seats.members.map(({ node }) => node)).size
      : gang.spec.groups.reduce((n, { max }) => n + max, 0),
  })
  return { interval: seconds, stall: known, lag }
}

function meanGapSeconds(times: readonly number[]): number | undefined {
  const [newest, oldest] = [times[0], times.at(-1)]
  if (newest === undefined || oldest === undefined || times.length < 2) return undefined
  return Math.max(1, (newest - oldest) / (times.length - 1) / 1000)
}

/** How often what a job sits on fails, of a second. */
export interface Hazard {
  /** Without a word before. */
  failures: number
  /** With notice. */
  reclaims: number
}

/**
 * The part of a job's time that is of use in the long run, at steady rates: of what fails without a word, by the formula for
 * asynchronous checkpoints; whoever has notice for a checkpoint pays that and the restart (facts/reliability.md §2.3).
 */
export function ettrOf(
  cadence: Cadence,
  hazard: Hazard,
  { restartSeconds, noticeSeconds }: { restartSeconds: number; noticeSeconds: number },
): number {
  const { interval, stall, lag } = cadence
  const isInTime = onRequestSeconds(cadence) <= noticeSeconds
  const failures = hazard.failures + (isInTime ? 0 : hazard.reclaims)
  const perWorked =
    failures === 0
      ? 1 / workedPart(cadence)
      : 1 / effectiveRatioWithLag(interval, stall, restartSeconds, lag, 1 / failures)
  return 1 / (perWorked + (isInTime ? hazard.reclaims * (onRequestSeconds(cadence) + restartSeconds) : 0))
}
