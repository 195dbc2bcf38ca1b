import type { Gang } from '../../model/kinds/gang.ts'
import type { Course, Fate } from './course.ts'
import type { Quota } from './quotas.ts'
import type { ServiceFate } from './services.ts'
import { quantile, type Spreads, spreadsIn } from './spread.ts'

/** Of those seeds in which there is such a figure: of no requests none are in time, and none are late. Of none, it is not there. */
export interface Row extends Spreads {
  /** `fleet`, `queue/NAME` or `service/NAME`. */
  of: string
  figure: Figure
  unit: Unit
}

export type Unit = 's' | 'h' | '%' | 'USD' | ''
export type Figure = keyof typeof figures

/**
 * Hours are accelerator-hours. A queue is utilised as far as it and those below it hold the models that they own, of what they own
 * of these; more than 100 % is borrowed. ETTR: of those that jobs held or asked for from their first seats on, the part worked.
 * What is spent on the fleet is what its nodes cost, in use or not; on a queue or service, what its work holds. Replicas are
 * available for the part of the time for which they are wanted that they sit.
 */
const figures = {
  utilisation: '%',
  'wait, median': 's',
  'wait, 90 %': 's',
  'completion, median': 's',
  'completion, 90 %': 's',
  'jobs that end': '',
  'jobs that wait at the end': '',
  evictions: '',
  'restarts for nodes': '',
  'moves off spot': '',
  'hours lost': 'h',
  'hours in checkpoints': 'h',
  'hours worked': 'h',
  ETTR: '%',
  'replica-hours missing': 'h',
  'replicas available': '%',
  requests: '',
  'SLO attainment': '%',
  'first token in time': '%',
  'further tokens in time': '%',
  'requests refused': '%',
  replicas: '',
  spend: 'USD',
  'spend for an hour worked': 'USD',
} as const satisfies Record<string, Unit>

type Figures = Partial<Record<Figure, number | undefined>>

/** What is there at first, and its courses: one for each seed. */
export interface Side {
  gangs: readonly Gang[]
  quotas: ReadonlyMap<string, Quota>
  courses: readonly Course[]
}

/** @param sides Without the change, and with it where there is one. */
export function rowsOf(sides: readonly Side[], horizonMs: number): Row[] {
  const all = sides.flatMap(({ courses }) => courses)
  const fates = all.flatMap((course) => course.fates)
  const queues = new Set([...fates.map(({ queue }) => queue), ...sides.flatMap(({ quotas }) => [...quotas.keys()])])
  const asked = all.flatMap((course) => course.services.map(({ service }) => service))
  const services = new Set([...asked, ...fates.flatMap(({ service }) => service ?? [])])
  return [
    ...rowsIn('fleet', (course) => figuresOfFleet(course, horizonMs)),
    ...[...queues].sort().flatMap((queue) => {
      return rowsIn(`queue/${queue}`, (course, side) => figuresOfQueue(course, queue, side.quotas, horizonMs))
    }),
    ...[...services].sort().flatMap((service) => {
      return rowsIn(serviceTitle(service), (course) => figuresOfService(course, service, horizonMs))
    }),
  ]

  function rowsIn(of: string, figuresIn: (course: Course, side: Side) => Figures): Row[] {
    const [a = [], b] = sides.map((side) => side.courses.map((course) => figuresIn(course, side)))
    return (Object.keys(figures) as Figure[]).flatMap((figure): Row[] => {
      const values = a.map((one) => one[figure])
      const others = b?.map((one) => one[figure]) ?? []
      if ([...values, ...others].every((value) => value === undefined || value === 0)) return []
      return [{ of, figure, unit: figures[figure], ...spreadsIn(values, others) }]
    })
  }
}

/** As a person calls it. */
export function serviceTitle(key: string): string {
  return `service/${key.replace(/^default\//, '')}`
}

function figuresOfFleet({ fates, capacitySeconds, usd }: Course, horizonMs: number): Figures {
  const found = figuresOf(fates, horizonMs)
  const held = sumOf(fates, ({ heldSeconds }) => heldSeconds)
  const worked = found['hours worked'] ?? 0
  return {
    ...found,
    utilisation: capacitySeconds > 0 ? (100 * held) / capacitySeconds : undefined,
    spend: usd,
    'spend for an hour worked': worked > 0 ? usd / worked : undefined,
  }
}

function figuresOfQueue(
  { fates }: Course,
  queue: string,
  quotas: ReadonlyMap<string, Quota>,
  horizonMs: number,
): Figures {
  const mine = fates.filter((fate) => fate.queue === queue)
  return { ...figuresOf(mine, horizonMs), utilisation: utilisationOf(quotas.get(queue), fates, horizonMs) }
}

/** What is held of what is owned; of what nobody owns, nothing is said. */
function utilisationOf(quota: Quota | undefined, fates: readonly Fate[], horizonMs: number): number | undefined {
  if (quota === undefined) return undefined
  let [owned, held] = [0, 0]
  const mine = fates.filter(({ queue }) => quota.queues.has(queue))
  for (const [model, count] of quota.accelerators) {
    owned += count * (horizonMs / 1000)
    held += sumOf(mine, ({ heldByModel }) => heldByModel.get(model) ?? 0)
  }
  return owned > 0 ? (100 * held) / owned : undefined
}

function figuresOfService({ fates, services }: Course, service: string, horizonMs: number): Figures {
  const mine = fates.filter((fate) => fate.service === service)
  const there = sumOf(mine, (fate) => wantedSeconds(fate, horizonMs))
  const requests = figuresOfRequests(services.find((one) => one.service === service))
  return { ...figuresOf(mine, horizonMs), ...requests, replicas: (1000 * there) / horizonMs }
}

function figuresOfRequests(fate: ServiceFate | undefined): Figures {
  if (fate === undefined) return {}
  const { requests, refused, ttft, tpot, both, hasSlo } = fate
  const share = (of: number) => (requests === 0 ? undefined : (100 * of) / requests)
  const inTime = {
    'SLO attainment': share(both),
    'first token in time': share(ttft),
    'further tokens in time': share(tpot),
  }
  return { requests, 'requests refused': share(refused), ...(hasSlo ? inTime : {}) }
}

/** Of gangs, all or some. */
function figuresOf(mine: readonly Fate[], horizonMs: number): Figures {
  const [jobs, replicas] = [mine.filter(({ isReplica }) => !isReplica), mine.filter(({ isReplica }) => isReplica)]
  const waits = sortedSeconds(jobs, ({ isHere, startedMs, cameMs }) =>
    isHere ? undefined : (startedMs ?? horizonMs) - cameMs,
  )
  const completions = sortedSeconds(jobs, ({ endedMs, cameMs }) => (endedMs ?? horizonMs) - cameMs)
  const missing = sumOf(replicas, ({ waitedSeconds }) => waitedSeconds)
  const wanted = sumOf(replicas, (fate) => wantedSeconds(fate, horizonMs))
  const ofJobs = { held: sumOf(jobs, ({ heldSeconds }) => heldSeconds), worked: sumOf(jobs, workedSeconds) }
  const asked = ofJobs.held + sumOf(jobs, ({ interruptedSeconds }) => interruptedSeconds)
  return {
    'wait, median': quantile(waits, 0.5),
    'wait, 90 %': quantile(waits, 0.9),
    'completion, median': quantile(completions, 0.5),
    'completion, 90 %': quantile(completions, 0.9),
    'jobs that end': jobs.filter(({ endedMs }) => endedMs !== undefined).length,
    'jobs that wait at the end': jobs.filter(
      ({ startedMs, heldSeconds }) => startedMs === undefined && heldSeconds === 0,
    ).length,
    evictions: sumOf(mine, ({ evictions }) => evictions),
    'restarts for nodes': sumOf(mine, ({ failures }) => failures),
    'moves off spot': sumOf(mine, ({ reclaims }) => reclaims),
    'hours lost': sumOf(mine, ({ lostSeconds }) => lostSeconds) / 3600,
    'hours in checkpoints': sumOf(mine, ({ stalledSeconds }) => stalledSeconds) / 3600,
    'hours worked': sumOf(mine, workedSeconds) / 3600,
    ETTR: asked > 0 ? (100 * ofJobs.worked) / asked : undefined,
    'replica-hours missing': missing / 3600,
    'replicas available': wanted > 0 ? 100 * (1 - missing / wanted) : undefined,
    spend: sumOf(mine, ({ heldUsd }) => heldUsd),
  }
}

/** What had been worked before now was not held since. */
function workedSeconds({ heldSeconds, lostSeconds, lostBeforeSeconds, stalledSeconds }: Fate): number {
  return heldSeconds - (lostSeconds - lostBeforeSeconds) - stalledSeconds
}

function wantedSeconds({ cameMs, endedMs }: Fate, horizonMs: number): number {
  return ((endedMs ?? horizonMs) - cameMs) / 1000
}

function sumOf(fates: readonly Fate[], of: (fate: Fate) => number): number {
  return fates.reduce((total, fate) => total + of(fate), 0)
}

function sortedSeconds(fates: readonly Fate[], msOf: (fate: Fate) => number | undefined): number[] {
  return fates
    .flatMap((fate) => msOf(fate) ?? [])
    .map((ms) => ms / 1000)
    .sort((a, b) => a - b)
}
