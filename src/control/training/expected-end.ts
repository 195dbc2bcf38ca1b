import { timeMsMax } from '../../model/kinds/fields.ts'
import { seatsNow } from '../../model/seats.ts'
import { gangStatusOf, type ReportStatus } from '../gangs.ts'
import type { Context } from '../reconciler.ts'
import { rankOf, type Seen } from './job.ts'

interface End {
  atMs: number
  earliestMs: number
  latestMs: number
}

/**
 * Writes to the gang when its attempt should be done, by the steps that are left and its pace: what the scheduler keeps
 * nodes by, and what others are told who wait for it. Pace varies, and every write costs: it is written again only when
 * it is off by a tenth of what is left. Seats that are new have no pace yet, and what was foretold of those before is void.
 */
export async function noteExpectedEnd(context: Context, { gang, ...seen }: Seen): Promise<'noted' | 'nothing new'> {
  const { expectedEnd, expectedEndRange: _, ...status } = gangStatusOf(gang)
  if (seatsNow(gang) === undefined) return 'nothing new'
  const end = endByPace(seen)
  if (end === undefined && expectedEnd === undefined) return 'nothing new'
  if (end !== undefined && expectedEnd !== undefined && !isOff(Date.parse(expectedEnd), end, seen.nowMs))
    return 'nothing new'
  await context.store.updateStatus('Gang', {
    ...gang,
    status: { ...status, ...(end === undefined ? {} : saidOf(end)) },
  })
  return 'noted'
}

/** Undefined until the job has said how many steps it does and has shown its pace. */
export function endByPace({ told }: Pick<Seen, 'told'>): End | undefined {
  let speaker: { rank: number; report: ReportStatus } | undefined
  for (const { pod, report } of told) {
    const rank = rankOf(pod) ?? 0
    if (report.step !== undefined && (speaker === undefined || rank < speaker.rank)) speaker = { rank, report }
  }
  const { step, steps, stepAtMs, pace } = speaker?.report ?? {}
  if (step === undefined || steps === undefined || stepAtMs === undefined || pace === undefined) return undefined
  const left = Math.max(0, steps - step)
  const after = (seconds: number) => stepAtMs + left * seconds * 1000
  return { atMs: after(pace.mean), earliestMs: after(pace.low), latestMs: after(pace.high) }
}

/** By less, it is not worth a write however near the end is. */
const offMsMin = 10_000

function isOff(beforeMs: number, { atMs }: End, nowMs: number): boolean {
  return Math.abs(atMs - beforeMs) > Math.max(offMsMin, 0.1 * (atMs - nowMs))
}

function saidOf({ atMs, earliestMs, latestMs }: End) {
  // Whoever says so many steps is not believed to the day.
  const time = (ms: number) => new Date(Math.min(ms, timeMsMax)).toISOString()
  return { expectedEnd: time(atMs), expectedEndRange: { earliest: time(earliestMs), latest: time(latestMs) } }
}
