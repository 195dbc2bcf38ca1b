import { restoredFrom } from '../../model/kinds/report.ts'
import { buckets } from '../../observe/ledger-use.ts'
import type { Distribution } from './distribution.ts'
import type { DrillSums } from './drills.ts'
import type { QueueSums } from './queues.ts'
import type { SeedReport } from './seed-report.ts'
import { countOf, type Latency, type ServiceSums } from './services.ts'

export const units = ['ratio', 'hours', 'seconds', 'milliseconds', 'count', 'usd'] as const
export type Unit = (typeof units)[number]

export interface Measure {
  /** `ledger.productive`, `wait.p90`. */
  name: string
  /** `hours` are accelerator-hours. */
  unit: Unit
}

/** What comes after what, by the first word of its name. */
const order = [
  ...['ettr', 'goodput', 'utilisation', 'jobs', 'wait', 'completion', 'queue', 'service'],
  ...['faults', 'interruptions', 'attempts', 'mtbf', 'mttr', 'detect', 'per1000NodeDays', 'restores', 'cause', 'drill'],
  ...['evictions', 'leaders', 'ledger', 'usd'],
]

/** For sorting; those of one first word stay as they are. */
export function inOrder(a: Measure, b: Measure): number {
  const place = ({ name }: Measure) => order.indexOf(name.split('.')[0] ?? '')
  return place(a) - place(b)
}

interface Measured extends Measure {
  value: number
  /** What a seed has that does not name it: what did not happen happened zero times. */
  absent?: number
}

/** All figures of a seed that can be compared, in the order in which they are shown. */
export function measuresOf(seed: SeedReport): Measured[] {
  const { ledger, failures, jobs, capacityHours, usd } = seed
  const productive = ledger['productive'] ?? 0
  const measures: (Measured | undefined)[] = [
    some('ettr', 'ratio', seed.ettr),
    some('goodput', 'ratio', productive / capacityHours),
    some('utilisation', 'ratio', seed.utilisation),
    ...Object.entries(jobs).map(([name, value]) => count(`jobs.${name}`, value)),
    ...spread('wait', seed.waitSeconds),
    ...spread('completion', seed.completionSeconds),
    ...seed.queues.flatMap((sums) => queueMeasures(sums, capacityHours)),
    ...(seed.services ?? []).flatMap(serviceMeasures),
    count('faults', failures.faults),
    count('interruptions', failures.interruptions),
    count('attempts.failed', failures.attempts),
    some('mtbf', 'seconds', failures.mtbfSeconds),
    some('mttr', 'seconds', failures.mttrSeconds?.mean),
    some('mttr.p99', 'seconds', failures.mttrSeconds?.p99),
    some('detect', 'seconds', failures.detectSeconds?.mean),
    count('per1000NodeDays', failures.per1000NodeDays),
    ...restoredFrom.flatMap((from) => {
      const ranks = seed.restores?.[from]
      return ranks === undefined ? [] : [count(`restores.${from}`, ranks)]
    }),
    ...failures.byCause.flatMap(({ cause, faults, interruptions, lostHours, downHours }) => [
      count(`cause.${cause}.faults`, faults),
      count(`cause.${cause}.interruptions`, interruptions),
      hours(`cause.${cause}.lost`, lostHours),
      hours(`cause.${cause}.down`, downHours),
    ]),
    ...(seed.drills ?? []).flatMap(drillMeasures),
    count('evictions', seed.evictions),
    ...Object.entries(seed.evictionsByReason).map(([reason, value]) => count(`evictions.${reason}`, value)),
    count('leaders', seed.leaders),
    ...buckets.map((bucket) => hours(`ledger.${bucket}`, ledger[bucket] ?? 0)),
    hours('ledger.capacity', capacityHours),
    some('usd', 'usd', usd),
    some('usd.perProductiveHour', 'usd', usd !== undefined && productive > 0 ? usd / productive : undefined),
  ]
  return measures.filter((measure) => measure !== undefined)
}

/** In accelerator-seconds: most drills are over soon. */
function drillMeasures(sums: DrillSums): (Measured | undefined)[] {
  const name = `drill.${sums.drill}`
  return [
    count(`${name}.passed`, sums.phase === 'Passed' ? 1 : 0),
    some(`${name}.detected`, 'seconds', sums.detectedSeconds),
    some(`${name}.recovered`, 'seconds', sums.recoveredSeconds),
    count(`${name}.attempts`, sums.attempts),
    count(`${name}.lost`, sums.lostSeconds),
    ...Object.entries(sums.ledger).map(([bucket, value]) => count(`${name}.ledger.${bucket}`, value)),
  ]
}

function queueMeasures(sums: QueueSums, capacityHours: number): (Measured | undefined)[] {
  const name = `queue.${sums.queue}`
  return [
    ...Object.entries(sums.jobs).map(([what, value]) => count(`${name}.jobs.${what}`, value)),
    ...spread(`${name}.wait`, sums.waitSeconds),
    ...spread(`${name}.completion`, sums.completionSeconds),
    hours(`${name}.held`, sums.heldHours),
    { name: `${name}.utilisation`, unit: 'ratio', value: sums.heldHours / capacityHours, absent: 0 },
  ]
}

function serviceMeasures(sums: ServiceSums): (Measured | undefined)[] {
  const name = `service.${sums.service}`
  const latency = (what: string, spread: Latency | undefined) =>
    (['mean', 'median', 'p90', 'p99'] as const).map((part) =>
      some(`${name}.${what}.${part}`, 'milliseconds', spread?.[part]),
    )
  return [
    count(`${name}.requests`, sums.requests),
    count(`${name}.answered`, sums.answered),
    count(`${name}.refused`, countOf(sums.refused)),
    ...Object.entries(sums.refused).map(([code, value]) => count(`${name}.refused.${code}`, value)),
    count(`${name}.failed`, countOf(sums.failed)),
    ...Object.entries(sums.failed).map(([code, value]) => count(`${name}.failed.${code}`, value)),
    count(`${name}.underWay`, sums.underWay),
    some(`${name}.slo`, 'ratio', sums.attainment),
    ...latency('ttft', sums.ttftMs),
    ...latency('tpot', sums.tpotMs),
    count(`${name}.tokens.input`, sums.inputTokens),
    count(`${name}.tokens.output`, sums.outputTokens),
    some(`${name}.cached`, 'ratio', sums.cachedTokens === 0 ? undefined : sums.cachedTokens / sums.inputTokens),
    count(`${name}.replicas.mean`, sums.replicas.mean),
    count(`${name}.replicas.max`, sums.replicas.max),
  ]
}

function some(name: string, unit: Unit, value: number | undefined): Measured | undefined {
  return value === undefined ? undefined : { name, unit, value }
}

function count(name: string, value: number): Measured {
  return { name, unit: 'count', value, absent: 0 }
}

function hours(name: string, value: number): Measured {
  return { name, unit: 'hours', value, absent: 0 }
}

function spread(name: string, distribution: Distribution | undefined): (Measured | undefined)[] {
  return (['mean', 'median', 'p90', 'p99'] as const).map((part) =>
    some(`${name}.${part}`, 'seconds', distribution?.[part]),
  )
}
