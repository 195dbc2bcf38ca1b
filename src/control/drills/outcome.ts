import { durationMs, formatDuration } from '../../model/duration.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import { counted } from '../../scheduler/why/counted.ts'
import { type Followed, slowest } from './follow.ts'

type DrillOutcome = NonNullable<NonNullable<Drill['status']>['outcome']>

/** What came of a drill that is over, and what of it is not as it was expected. */
export function outcomeOf(
  { spec, status }: Drill,
  struckMs: number,
  { detectedMs, recoveredMs, reason, attempts, lostSeconds, stepSeconds, trouble }: Followed,
  ledger: DrillOutcome['ledger'],
): DrillOutcome {
  const { detectedWithin, recoveredWithin, attemptsAtMost, lostSecondsAtMost } = spec.expect
  const detected = secondsFrom(struckMs, detectedMs)
  const recovered = secondsFrom(struckMs, recoveredMs)
  const before = slowest((status?.target?.gangs ?? []).map((struck) => struck.stepSeconds))
  const steps = before === undefined || stepSeconds === undefined ? undefined : { before, slowest: stepSeconds }
  const unmet = [
    trouble?.message,
    trouble === undefined && recovered === undefined ? `not recovered within ${spec.deadline}` : undefined,
    late('detected', detected, detectedWithin),
    late('recovered', recovered, recoveredWithin),
    over(attempts, 'attempt', attemptsAtMost),
    over(lostSeconds, 'accelerator-second of work lost', lostSecondsAtMost, 'accelerator-seconds of work lost'),
  ]
  return {
    ...(detected === undefined ? {} : { detectedSeconds: detected }),
    ...(recovered === undefined ? {} : { recoveredSeconds: recovered }),
    ...(reason === undefined ? {} : { reason }),
    attempts,
    ...(steps === undefined ? {} : { stepSeconds: steps }),
    lostSeconds: Math.round(lostSeconds * 1000) / 1000,
    ...(ledger === undefined ? {} : { ledger }),
    unmet: unmet.filter((one) => one !== undefined),
  }
}

function secondsFrom(fromMs: number, toMs: number | undefined): number | undefined {
  return toMs === undefined ? undefined : (toMs - fromMs) / 1000
}

function late(what: string, seconds: number | undefined, within: string | undefined): string | undefined {
  if (within === undefined) return undefined
  if (seconds === undefined) return `never ${what}, expected within ${within}`
  return seconds * 1000 <= durationMs(within)
    ? undefined
    : `${what} after ${formatDuration(seconds * 1000)}, expected within ${within}`
}

function over(count: number, one: string, atMost: number | undefined, many = `${one}s`): string | undefined {
  if (atMost === undefined || count <= atMost) return undefined
  return `${counted(Math.round(count * 10) / 10, one, many)}, expected at most ${atMost}`
}
