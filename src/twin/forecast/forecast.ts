import type { Gang } from '../../model/kinds/gang.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import type { PastJob } from '../import/past-job.ts'
import type { Performance } from '../work/workload.ts'
import { cadencesOf } from './cadence.ts'
import { type Course, courseOf, type Scene } from './course.ts'
import { type DrawOptions, drawsOf, type Risks } from './draws.ts'
import { type Row, rowsOf, type Side } from './figures.ts'
import { type GangForecast, gangsOf } from './gangs.ts'
import { type Basis, endedOf, Lengths } from './lengths.ts'
import type { StepsKnown } from './pace.ts'
import { pricesBy, pricesKept } from './prices.ts'
import { quotasOf } from './quotas.ts'
import { servingsOf, type Unready, unreadyOf } from './services.ts'
import { devicesBy } from './size.ts'

export interface ForecastOptions {
  nowMs: number
  horizonMs: number
  /** Pairs of courses, with the change and without it, from as many seeds. */
  seeds: number
  firstSeed?: number
  risks: Risks
  /** What jobs took, beside those of the state that have ended, and how they come; without it nobody new comes. */
  history?: readonly PastJob[]
  /**
   * The requests that services get, from now on, and how their replicas and the steps of jobs perform; without it replicas are
   * as many as they are.
   */
  requests?: Parameters<typeof servingsOf>[1]
  /** Called after each course. */
  onCourse?(done: number, of: number): void
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
  /** That replicas sit, as is foretold, does not say that these answer. */
  unready: Unready[]
  /** Pools whose nodes the change has paid for in another way, at the price that their Pool names as before. */
  pricesKept: string[]
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
    steps: stepsOf(options.requests?.performances),
    servings: servingsOf(scene.services ?? [], options.requests ?? { traffic: [], performances: new Map() }),
  }))
  const cadencesBefore = scenes[0]?.cadences ?? new Map()
  const perNode = scenes.reduce((most, { devices }) => [...devices.values()].reduce((a, b) => Math.max(a, b), most), 1)
  const lengths = new Lengths([...history, ...endedOf(before.jobs ?? [])], before.gangs, nowMs)
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
  const sides = scenes.map(({ scene }, at): Side => {
    return { gangs: scene.gangs, quotas: quotasOf(scene.queues), courses: courses[at] ?? [] }
  })
  const gangs = gangsOf(sides, horizonMs)
  return {
    apiVersion: millwrightVersion,
    kind: 'Forecast',
    now: new Date(nowMs).toISOString(),
    horizonSeconds: horizonMs / 1000,
    seeds,
    bases: countOf(gangs),
    arrivals,
    rows: rowsOf(sides, horizonMs),
    gangs,
    unready: unreadyOf(before.services ?? [], before.gangs),
    pricesKept: pricesKept(before.pools ?? [], after?.pools ?? []),
  }
}

function stepsOf(performances: ReadonlyMap<string, Performance> = new Map()): ReadonlyMap<string, StepsKnown> {
  return new Map([...performances].map(([key, { training }]) => [key, training]))
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
