import type { Gang } from '../../model/kinds/gang.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { keyOf } from '../../model/refs.ts'
import { titleOf } from '../../scheduler/why/reasons.ts'
import type { PastJob } from '../import/past-job.ts'
import { cadencesOf } from './cadence.ts'
import { type Course, courseOf, type Fate, type Scene } from './course.ts'
import { type DrawOptions, drawsOf, type Risks } from './draws.ts'
import { type Basis, Lengths } from './lengths.ts'
import { pricesBy } from './prices.ts'
import { type ServiceFate, servingsOf } from './services.ts'
import { devicesBy } from './size.ts'

export interface ForecastOptions {
  nowMs: number
  horizonMs: number
  /** Pairs of courses, with the change and without it, from as many seeds. */
  seeds: number
  firstSeed?: number
  risks: Risks
  /** What jobs took, and how they come; without it nobody new comes. */
  history?: readonly PastJob[]
  /** The requests that services get, from now on, and how their replicas perform; without it they keep what they have. */
  requests?: Parameters<typeof servingsOf>[1]
  /** Called after each course. */
  onCourse?(done: number, of: number): void
}

/** The middle of what the seeds said, and between what four of five of them lay. */
export interface Spread {
  median: number
  low: number
  high: number
}

export interface Row {
  /** `fleet`, `queue/NAME`, or what a person calls a gang. */
  of: string
  figure: Figure
  unit: Unit
  /** Of those seeds in which there is such a figure: of no requests none are in time, and none are late. Of none, it is not there. */
  without: Spread | undefined
  with: Spread | undefined
  /** Of each seed in which both are, the one less the other. */
  difference: Spread | undefined
}

export type Unit = 's' | 'h' | '%' | 'USD' | ''
export type Figure = keyof typeof figures

/**
 * Hours are accelerator-hours. ETTR: of those that jobs held or asked for from their first seats on, the part worked. What is spent on the fleet is what its nodes cost, in use or not; on a queue, what its work holds.
 * Replicas are available for the part of the time for which they are wanted that they sit.
 */
const figures = {
  utilisation: '%',
  'wait, median': 's',
  'wait, 90 %': 's',
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

/** When one gang starts and ends, in seconds from now; who has not within the horizon counts as at its end. */
export interface GangForecast {
  gang: string
  title: string
  queue: string
  basis: Basis | undefined
  without?: Ends
  with?: Ends
}

interface Ends {
  starts: Spread
  ends: Spread
  /** The part of the seeds in which it did within the horizon. */
  startsWithin: number
  endsWithin: number
  /** The part of its time that is of use in the long run, in percent; undefined where it never sits or writes no checkpoints. */
  ettr?: number
}

export interface Forecast {
  apiVersion: typeof millwrightVersion
  kind: 'Forecast'
  now: string
  horizonSeconds: number
  seeds: number
  /** How many gangs' ends are known by what. */
  bases: Partial<Record<Basis, number>>
  /** Jobs that come within the horizon, on average. */
  arrivals: number
  rows: Row[]
  /** Gangs of jobs that are there or come with the change. */
  gangs: GangForecast[]
}

/**
 * What the coming hours bring to a state, and to the same state after a change: pairs of courses in which the same jobs
 * come, work as long and the same nodes fail, so that they differ by the change alone.
 */
export function forecastOf(before: Scene, after: Scene | undefined, options: ForecastOptions): Forecast {
  const { history = [], seeds, firstSeed = 1, nowMs, horizonMs, risks } = options
  const scenes = (after === undefined ? [before] : [before, after]).map((scene) => ({
    scene,
    devices: devicesBy(scene.nodes),
    prices: pricesBy(scene.nodes, scene.pools ?? []),
    cadences: cadencesOf(scene, nowMs),
    servings: servingsOf(scene.services ?? [], options.requests ?? { traffic: [], performances: new Map() }),
  }))
  const cadencesBefore = scenes[0]?.cadences ?? new Map()
  const perNode = scenes.reduce((most, { devices }) => [...devices.values()].reduce((a, b) => Math.max(a, b), most), 1)
  const lengths = new Lengths(history, before.gangs, nowMs)
  const draws: DrawOptions = { ...options, history, queues: before.queues, model: commonModel(before.gangs), perNode }
  const courses = scenes.map((): Course[] => [])
  const drawnFor = drawsOf(firstSeed, seeds, draws)
  let arrivals = 0
  for (let index = 0; index < seeds; index++) {
    const drawn = drawnFor(index)
    arrivals += drawn.arrivals.length / seeds
    for (const [at, { scene, ...known }] of scenes.entries()) {
      courses[at]?.push(courseOf(scene, drawn, { nowMs, horizonMs, risks, lengths, ...known, cadencesBefore }))
      options.onCourse?.(index * scenes.length + at + 1, seeds * scenes.length)
    }
  }
  const [without = [], withChange] = courses
  const gangs = gangsOf(
    scenes.map(({ scene }) => scene),
    without,
    withChange,
    horizonMs,
  )
  return {
    apiVersion: millwrightVersion,
    kind: 'Forecast',
    now: new Date(nowMs).toISOString(),
    horizonSeconds: horizonMs / 1000,
    seeds,
    bases: countOf(gangs),
    arrivals,
    rows: rowsOf(without, withChange, horizonMs),
    gangs,
  }
}

/** What arrivals ask for that do not say: what most gangs that are there do. */
function commonModel(gangs: readonly Gang[]): string {
  const counts = new Map<string, number>()
  for (const { spec } of gangs) {
    const { model = 'gpu' } = spec.groups[0]?.accelerators[0] ?? {}
    counts.set(model, (counts.get(model) ?? 0) + 1)
  }
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0]?.[0] ?? 'gpu'
}

function countOf(gangs: readonly GangForecast[]): Partial<Record<Basis, number>> {
  const counts: Partial<Record<Basis, number>> = {}
  for (const { basis } of gangs) if (basis !== undefined) counts[basis] = (counts[basis] ?? 0) + 1
  return counts
}

// ---- figures ----

function rowsOf(without: readonly Course[], withChange: readonly Course[] | undefined, horizonMs: number): Row[] {
  const all = [...without, ...(withChange ?? [])]
  const queues = new Set(all.flatMap(({ fates }) => fates.map(({ queue }) => queue)))
  const services = new Set(all.flatMap((course) => course.services.map(({ service }) => service)))
  const scopes: [string, (course: Course) => Partial<Figures>][] = [
    ['fleet', (course) => figuresOf(course, undefined, horizonMs)],
    ...[...queues].sort().map((queue): (typeof scopes)[number] => {
      return [`queue/${queue}`, (course) => figuresOf(course, queue, horizonMs)]
    }),
    ...[...services].sort().map((service): (typeof scopes)[number] => {
      const of = (course: Course) => course.services.find((one) => one.service === service)
      return [`service/${service.replace(/^default\//, '')}`, (course) => figuresOfService(of(course), horizonMs)]
    }),
  ]
  return scopes.flatMap(([of, figuresIn]) => {
    const [a, b] = [without.map(figuresIn), withChange?.map(figuresIn)]
    return (Object.keys(figures) as Figure[]).flatMap((figure): Row[] => {
      const values = a.map((one) => one[figure])
      const others = b?.map((one) => one[figure])
      if ([...values, ...(others ?? [])].every((value) => value === undefined || value === 0)) return []
      const pairs = values.map((value, at) => ({ value, other: others?.[at] }))
      const differences = pairs.flatMap(({ value, other }) =>
        value === undefined || other === undefined ? [] : [other - value],
      )
      const spreads = { without: spreadIn(values), with: spreadIn(others ?? []), difference: spreadIn(differences) }
      return [{ of, figure, unit: figures[figure], ...spreads }]
    })
  })
}

function spreadIn(values: readonly (number | undefined)[]): Spread | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : spreadOf(known)
}

type Figures = Record<Figure, number | undefined>

function figuresOfService(fate: ServiceFate | undefined, horizonMs: number): Partial<Figures> {
  if (fate === undefined) return { requests: 0, replicas: 0 }
  const { requests, refused, ttft, tpot, both, hasSlo, replicaSeconds } = fate
  const share = (of: number) => (requests === 0 ? undefined : (100 * of) / requests)
  return {
    requests,
    'requests refused': share(refused),
    replicas: (1000 * replicaSeconds) / horizonMs,
    ...(hasSlo
      ? { 'SLO attainment': share(both), 'first token in time': share(ttft), 'further tokens in time': share(tpot) }
      : {}),
  }
}

/** Of a queue, or of all. */
function figuresOf(
  { fates, capacitySeconds, usd }: Course,
  queue: string | undefined,
  horizonMs: number,
): Partial<Figures> {
  const mine = queue === undefined ? fates : fates.filter((fate) => fate.queue === queue)
  const jobs = mine.filter(({ isReplica }) => !isReplica)
  const sum = (of: (fate: Fate) => number, all: readonly Fate[] = mine) =>
    all.reduce((total, fate) => total + of(fate), 0)
  const waits = jobs
    .filter(({ isHere }) => !isHere)
    .map(({ cameMs, startedMs }) => ((startedMs ?? horizonMs) - cameMs) / 1000)
  waits.sort((a, b) => a - b)
  const replicas = mine.filter(({ isReplica }) => isReplica)
  const missing = sum(({ waitedSeconds }) => waitedSeconds, replicas)
  const wanted = sum(({ cameMs, endedMs = horizonMs }) => (endedMs - cameMs) / 1000, replicas)
  const of = (some: readonly Fate[]) => {
    const [held, lost] = [sum(({ heldSeconds }) => heldSeconds, some), sum(({ lostSeconds }) => lostSeconds, some)]
    const stalled = sum(({ stalledSeconds }) => stalledSeconds, some)
    // What had been worked before now was not held since.
    const lostSince = lost - sum(({ lostBeforeSeconds }) => lostBeforeSeconds, some)
    return { held, lost, stalled, worked: held - lostSince - stalled }
  }
  const { held, lost, stalled, worked } = of(mine)
  const ofJobs = of(jobs)
  const asked = ofJobs.held + sum(({ interruptedSeconds }) => interruptedSeconds, jobs)
  return {
    utilisation: queue === undefined && capacitySeconds > 0 ? (100 * held) / capacitySeconds : undefined,
    'wait, median': quantile(waits, 0.5),
    'wait, 90 %': quantile(waits, 0.9),
    'jobs that end': jobs.filter(({ endedMs }) => endedMs !== undefined).length,
    'jobs that wait at the end': jobs.filter(
      ({ startedMs, heldSeconds }) => startedMs === undefined && heldSeconds === 0,
    ).length,
    evictions: sum(({ evictions }) => evictions),
    'restarts for nodes': sum(({ failures }) => failures),
    'moves off spot': sum(({ reclaims }) => reclaims),
    'hours lost': lost / 3600,
    'hours in checkpoints': stalled / 3600,
    'hours worked': worked / 3600,
    ETTR: asked > 0 ? (100 * ofJobs.worked) / asked : undefined,
    'replica-hours missing': missing / 3600,
    'replicas available': wanted > 0 ? 100 * (1 - missing / wanted) : undefined,
    spend: queue === undefined ? usd : sum(({ heldUsd }) => heldUsd),
    'spend for an hour worked': queue === undefined && worked > 0 ? (usd * 3600) / worked : undefined,
  }
}

// ---- gangs ----

function gangsOf(
  scenes: readonly Scene[],
  without: readonly Course[],
  withChange: readonly Course[] | undefined,
  horizonMs: number,
): GangForecast[] {
  const known = new Map(scenes.flatMap(({ gangs }) => gangs.map((gang) => [keyOf(gang), gang] as const)))
  const [a, b] = [byGang(without), byGang(withChange ?? [])]
  return [...known].flatMap(([key, gang]): GangForecast[] => {
    const [mine, other] = [a.get(key), b.get(key)]
    const first = mine?.[0] ?? other?.[0]
    if (first === undefined || first.isReplica || gang.spec.suspend) return []
    return [
      {
        gang: key,
        title: titleOf(key, gang),
        queue: gang.spec.queue,
        basis: first.basis === 'coming' ? undefined : first.basis,
        ...(mine === undefined ? {} : { without: endsOf(mine, horizonMs) }),
        ...(other === undefined ? {} : { with: endsOf(other, horizonMs) }),
      },
    ]
  })
}

function byGang(courses: readonly Course[]): Map<string, Fate[]> {
  const fates = new Map<string, Fate[]>()
  for (const course of courses) {
    for (const fate of course.fates) {
      const known = fates.get(fate.gang)
      if (known === undefined) fates.set(fate.gang, [fate])
      else known.push(fate)
    }
  }
  return fates
}

function endsOf(fates: readonly Fate[], horizonMs: number): Ends {
  const part = (of: (fate: Fate) => number | undefined) =>
    fates.filter((fate) => of(fate) !== undefined).length / fates.length
  const spread = (of: (fate: Fate) => number | undefined) =>
    spreadOf(fates.map((fate) => (of(fate) ?? horizonMs) / 1000))
  const [started, ended] = [({ startedMs }: Fate) => startedMs, ({ endedMs }: Fate) => endedMs]
  const ratios = fates.flatMap(({ ettr }) => (ettr === undefined ? [] : [100 * ettr]))
  return {
    starts: spread(started),
    ends: spread(ended),
    startsWithin: part(started),
    endsWithin: part(ended),
    ...(ratios.length === 0 ? {} : { ettr: spreadOf(ratios).median }),
  }
}

// ---- statistics ----

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: quantile(sorted, 0.5), low: oneMoreBelow(sorted, 0.1), high: oneMoreBelow(sorted, 0.9) }
}

/**
 * What one more course would lie below with this probability: of n courses the k-th is exceeded by k of n + 1 (so of ten a
 * tenth lies below about the lowest). Between the quantiles of ten courses themselves only 65 % of others would lie, not 80.
 */
function oneMoreBelow(sorted: readonly number[], part: number): number {
  const last = sorted.length - 1
  return quantile(sorted, Math.min(1, Math.max(0, (part * (sorted.length + 1) - 1) / Math.max(1, last))))
}

/** Between the two nearest in rank, by how near they are; 0 of none. */
function quantile(sorted: readonly number[], part: number): number {
  const at = part * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0]
  return low + (high - low) * (at - Math.floor(at))
}
