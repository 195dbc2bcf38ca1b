import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { courseOf, type Fate, type Scene } from '../../src/twin/forecast/course.ts'
import { type Arrival, drawsOf, type Risks } from '../../src/twin/forecast/draws.ts'
import { type Forecast, forecastOf } from '../../src/twin/forecast/forecast.ts'
import { Lengths } from '../../src/twin/forecast/lengths.ts'
import { devicesBy } from '../../src/twin/forecast/size.ts'
import type { PastJob } from '../../src/twin/import/past-job.ts'
import type { Row } from '../row.ts'
import { clustersIn, gangOf, gpusFor, nodeOf, queueOf } from '../scheduler/philly.ts'

const hourMs = 3_600_000
/** A forecast so often, of so many hours, each from so many seeds. */
const [everyMs, horizonMs, seeds] = [120 * hourMs, 48 * hourMs, 10]
/** Of each cluster so much passes before the first. */
const warmUpMs = 240 * hourMs

const noRisks: Risks = { nodeFailures: 0, repairMs: 24 * hourMs, spotReclaims: 0, spotAwayMs: 0, spotNoticeMs: 0 }

/** What was foretold of one job, and what then happened; hours, at most those of the horizon. */
interface Said {
  told: { median: number; low: number; high: number }
  naive: number
  came: number
}

/** Every other virtual cluster. */
class Half {
  readonly name: string
  readonly waits: Said[] = []
  readonly ends: Said[] = []

  constructor(name: string) {
    this.name = name
  }
}

/** What a person waits for: a day of so many nodes of eight, so many jobs that wait or run, others that come. */
const [nodesAsked, jobsThere, pairs] = [128, 500, 10]

/** 16 nodes more, on a full fleet; nodes fail. */
function asked(history: readonly PastJob[]): Row {
  const nodes = Array.from({ length: nodesAsked + 16 }, (_, index) => nodeOf(index, 8))
  const gangs = Array.from({ length: jobsThere }, (_, index) => {
    const job = history[(index * 7) % history.length]
    return gangOf({ key: `default/j${index}`, gpus: job?.gpus ?? 1 }, 'Age')
  })
  const scene = { nodes: nodes.slice(0, nodesAsked), queues: [queueOf('Age')], gangs, pods: [] }
  const options = { nowMs: 0, horizonMs: 24 * hourMs, seeds: pairs, risks: { ...noRisks, nodeFailures: 6.5 }, history }
  const startedAt = performance.now()
  const { arrivals } = forecastOf(scene, { ...scene, nodes }, options)
  const seconds = (performance.now() - startedAt) / 1000
  return {
    row: `a forecast of 24 h, ${nodesAsked} nodes, ${jobsThere} jobs there, ${pairs} pairs of seeds`,
    value: seconds,
    unit: 's',
    bar: '<= 30 s',
    ok: seconds <= 30,
    peer: `${Math.round(arrivals)} jobs come; what if there were 16 nodes more`,
  }
}

/**
 * How far forecasts are off: jobs of Philly's virtual clusters are played with their true durations, which nobody else knows;
 * now and then the coming two days are foretold from how things stand and from the jobs that have ended until then, and
 * compared with what then happens.
 */
export async function phillyRows(): Promise<Row[]> {
  const folder = join(process.env['MILLWRIGHT_TRACES'] ?? join('..', 'shared', 'traces'), 'philly-vc')
  if (!existsSync(folder)) {
    console.error(`bench: no jobs of Philly in ${folder}; nothing is foretold`)
    return []
  }
  // What is tuned is tuned on one half of the clusters; of the other it has seen nothing.
  const halves = [new Half('tuned on'), new Half('unseen')]
  let [forecasts, ms] = [0, 0]
  const clusters = await clustersIn(folder)
  for (const [index, jobs] of clusters.entries()) {
    const half = halves[index % 2]
    if (half === undefined) continue
    const { fates, scenes } = played(jobs)
    for (const [atMs, scene] of scenes) {
      const startedAt = performance.now()
      const found = foretold(jobs, fates, atMs, scene)
      ms += performance.now() - startedAt
      forecasts++
      compare(found, fates, atMs, half)
    }
  }
  return [
    ...halves.flatMap(({ name, waits, ends }) => [
      ...rowsOf(`starts of jobs that wait, ${name}`, waits, 'as the median of those that have waited'),
      ...rowsOf(`ends of jobs that are there, ${name}`, ends, 'as the median of those that have ended, from now on'),
    ]),
    asked(clusters.toSorted((a, b) => b.length - a.length)[0] ?? []),
    {
      row: `... one of ${forecasts} forecasts of two days, ${seeds} seeds`,
      value: ms / forecasts / 1000,
      unit: 's',
      bar: '',
      ok: true,
    },
  ]
}

function played(jobs: readonly PastJob[]): { fates: ReadonlyMap<string, Fate>; scenes: [number, Scene][] } {
  const gpus = gpusFor(jobs)
  const nodes = Array.from({ length: Math.ceil(gpus / 8) }, (_, index) => nodeOf(index, Math.min(8, gpus - 8 * index)))
  const arrivals = jobs.map((job, index): Arrival => {
    const gang = gangOf({ key: `default/${nameOf(job, index)}`, gpus: job.gpus }, 'Age')
    const atMs = Math.round(1000 * job.submitSeconds)
    const metadata = { ...gang.metadata, creationTimestamp: new Date(atMs).toISOString() }
    return { atMs, gang: { ...gang, metadata }, seconds: job.durationSeconds }
  })
  const scenes: [number, Scene][] = []
  const lastMs = arrivals.at(-1)?.atMs ?? 0
  const see = (atMs: number, scene: Scene) => {
    if (atMs >= warmUpMs && atMs + horizonMs <= lastMs) scenes.push([atMs, scene])
  }
  const none = drawsOf(1, 1, {
    horizonMs: 0,
    nowMs: 0,
    risks: noRisks,
    history: [],
    queues: [],
    model: 'V100',
    perNode: 8,
  })(0)
  const scene = { nodes, queues: [queueOf('Age')], gangs: [], pods: [] }
  const { fates } = courseOf(
    scene,
    { ...none, arrivals },
    {
      nowMs: 0,
      horizonMs: lastMs,
      risks: noRisks,
      lengths: new Lengths([]),
      cadences: new Map(),
      cadencesBefore: new Map(),
      devices: devicesBy(nodes),
      prices: new Map(),
      seen: { everyMs, see },
    },
  )
  return { fates: new Map(fates.map((fate) => [fate.gang, fate])), scenes }
}

/** Alike in name if alike in what they train. */
function nameOf({ workload = 'job' }: PastJob, index: number): string {
  return `${workload.toLowerCase().replace(/[^a-z0-9]+/g, '-')}-j${index}`
}

/** Nothing is known of what comes, nor of jobs that have not ended. */
function foretold(jobs: readonly PastJob[], fates: ReadonlyMap<string, Fate>, atMs: number, scene: Scene): Forecast {
  const history = jobs.filter((job, index) => (endOf(fates, job, index) ?? Number.POSITIVE_INFINITY) <= atMs)
  return forecastOf(scene, undefined, { nowMs: atMs, horizonMs, seeds, risks: noRisks, history })
}

function endOf(fates: ReadonlyMap<string, Fate>, job: PastJob, index: number): number | undefined {
  return fates.get(`default/${nameOf(job, index)}`)?.endedMs
}

function compare(
  { gangs }: Forecast,
  fates: ReadonlyMap<string, Fate>,
  atMs: number,
  { waits, ends }: { waits: Said[]; ends: Said[] },
): void {
  const past = [...fates.values()].filter(({ cameMs, startedMs }) => cameMs < atMs && (startedMs ?? atMs) < atMs)
  const naiveWait = median(past.map(({ cameMs, startedMs = 0 }) => startedMs - cameMs))
  const naiveEnd = median(
    past.flatMap(({ startedMs = 0, endedMs }) => ((endedMs ?? atMs) < atMs ? [(endedMs ?? 0) - startedMs] : [])),
  )
  const hours = (ms: number) => Math.min(horizonMs, Math.max(0, ms)) / hourMs
  for (const { gang, without } of gangs) {
    const fate = fates.get(gang)
    if (fate === undefined || without === undefined) continue
    const told = ({ median, low, high }: { median: number; low: number; high: number }) => ({
      median: median / 3600,
      low: low / 3600,
      high: high / 3600,
    })
    const cameMs = (fate.startedMs ?? Number.POSITIVE_INFINITY) - atMs
    if (cameMs > 0) waits.push({ told: told(without.starts), naive: hours(naiveWait), came: hours(cameMs) })
    const endMs = (fate.endedMs ?? Number.POSITIVE_INFINITY) - atMs
    ends.push({ told: told(without.ends), naive: hours(naiveEnd), came: hours(endMs) })
  }
}

function rowsOf(what: string, everybody: readonly Said[], naively: string): Row[] {
  const isSaid = ({ told }: Said) => told.low * hourMs < horizonMs
  const [all, others] = [everybody.filter(isSaid), everybody.filter((one) => !isSaid(one))]
  const wrong = others.filter(({ came }) => came * hourMs < horizonMs).length
  const off = all.map(({ told, came }) => Math.abs(told.median - came))
  const naive = all.map((one) => Math.abs(one.naive - one.came))
  const within = all.filter(({ told, came }) => told.low - 1e-9 <= came && came <= told.high + 1e-9).length
  const bias = mean(all.map(({ told, came }) => told.median - came))
  const [mine, theirs] = [mean(off), mean(naive)]
  return [
    {
      row: `${all.length} ${what}, said to do so within two days: mean error`,
      value: mine,
      unit: 'h',
      bar: `<= ${theirs.toFixed(1)} h`,
      ok: mine <= theirs,
      peer: `${naively}: ${theirs.toFixed(1)} h; median error ${median(off).toFixed(1)} h; too long by ${bias.toFixed(1)} h on average`,
    },
    {
      row: `... ${others.length} were said to take longer: they did not`,
      value: (100 * wrong) / Math.max(1, others.length),
      unit: '%',
      bar: '',
      ok: true,
      peer: '10 % at most if nothing else were unknown',
    },
    {
      row: '... within what four of five seeds said',
      value: (100 * within) / Math.max(1, all.length),
      unit: '%',
      bar: '',
      ok: true,
      peer: '80 % if nothing else were unknown',
    },
  ]
}

function mean(all: readonly number[]): number {
  return all.reduce((sum, one) => sum + one, 0) / Math.max(1, all.length)
}

function median(all: readonly number[]): number {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0
}
