import { effectiveRatio, effectiveRatioWithLag, optimalInterval } from '../src/model/reliability.ts'
import { setupOfText } from '../src/twin/play/play.fixture.ts'
import { playScenario } from '../src/twin/play/play.ts'
import { type SeedReport, seedReportOf } from '../src/twin/report/seed-report.ts'
import { presetOf } from '../src/twin/scenario/presets.ts'
import type { Setup } from '../src/twin/scenario/setup.ts'
import type { Row } from './row.ts'
import { meanOf, percent, standardError } from './statistics.ts'

/** Llama 3's pre-training: 16,384 accelerators in 2,048 nodes, 54 days, 419 interruptions (facts/reliability.md §1.1). */
const [llamaNodes, days] = [2048, 54]
/** Of all nodes: about as long as there is between two interruptions. */
const hours = 3
const llamaCount = Object.values(presetOf('llama3', 1)).reduce((sum, { perNodeDay = 0 }) => sum + perNodeDay, 0)
/** Seconds between failures of the whole job. */
const mtbf = 86_400 / (llamaCount * llamaNodes)

/** What a checkpoint and a restart cost, in seconds. */
interface Setting {
  stall: number
  restart: number
  /** Until a checkpoint is durable. */
  lag: number
}

const settings: readonly Setting[] = [
  { stall: 10, restart: 600, lag: 0 },
  { stall: 10, restart: 60, lag: 0 },
  { stall: 2, restart: 30, lag: 0 },
  { stall: 2, restart: 30, lag: 60 },
  { stall: 0.5, restart: 15, lag: 0 },
]

export interface Extent {
  seeds: number
  /** Whatever the size, the job fails as often: the formula knows no more of it than that. */
  nodes: number
}

/**
 * How close the production code comes to the exact optimum of checkpoint and restart, as the twin plays it: 54 days of one
 * job that fails as Llama 3's did, with known and constant costs. And how fast the twin is.
 */
export async function* ettrRows({ seeds, nodes }: Extent): AsyncGenerator<Row> {
  const whole = setupFor({ stall: 10, restart: 60, lag: 0 }, 'auto', llamaNodes, `${hours}h`)
  yield speedRow(`a job on ${llamaNodes} nodes, ${hours} h`, 3600 * hours, await cpuSecondsOf(() => played(whole, 1)))
  for (const [index, setting] of settings.entries()) {
    let outcomes: Outcome[] = []
    const seconds = await cpuSecondsOf(async () => {
      outcomes = await outcomesOf(setting, 'auto', seeds, nodes)
    })
    yield* autoRows(setting, outcomes, nodes)
    if (index === 0) yield speedRow(`such a job on ${nodes} nodes, ${days} days`, 86_400 * days, seconds / seeds)
  }
  for (const setting of settings.filter(({ lag }) => lag === 0))
    for (const factor of [2, 0.5]) yield await fixedRow(setting, factor, seeds, nodes)
}

/** What playing the whole job took, and its ETTR beside the exact optimum for as many failures as it had. */
export interface Whole {
  megabytes: number
  seconds: number
  ettr: number
  optimum: number
  failures: number
}

/** One seed at full size, for another process, which looks at what that takes. */
export async function playWhole(horizonDays: number): Promise<Whole> {
  const setting = { stall: 10, restart: 60, lag: 0 }
  const setup = setupFor(setting, 'auto', llamaNodes, `${24 * horizonDays}h`)
  let outcome: Outcome = { ratio: Number.NaN, failures: 0 }
  const seconds = await cpuSecondsOf(async () => {
    outcome = outcomeOf(await played(setup, 1))
  })
  const { ratio: ettr, failures } = outcome
  const between = (86_400 * horizonDays) / failures
  const optimum = expected(setting, optimalInterval(setting.stall, between), between)
  return { megabytes: process.resourceUsage().maxRSS / 1000, seconds, ettr, optimum, failures }
}

/** By CPU time, which is what it takes where nobody else wants the machine. */
async function cpuSecondsOf(run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

function speedRow(what: string, virtualSeconds: number, seconds: number): Row {
  const times = virtualSeconds / seconds
  return {
    row: `virtual time over CPU time: ${what}`,
    value: times,
    unit: 'x',
    bar: '>= 100,000 x',
    ok: times >= 100_000,
    peer: `${seconds.toFixed(0)} s`,
  }
}

function* autoRows(setting: Setting, outcomes: readonly Outcome[], nodes: number): Generator<Row> {
  const interval = optimalInterval(setting.stall, mtbf)
  const optimum = expected(setting, interval)
  const ratios = outcomes.map(({ ratio }) => ratio)
  const [mean, error] = [meanOf(ratios), standardError(ratios)]
  const had = meanOf(outcomes.map(({ failures }) => expected(setting, interval, (days * 86_400) / failures)))
  yield {
    row: `ETTR, ${named(setting)}, interval auto, ${nodes} nodes, ${ratios.length} seeds`,
    value: 100 * mean,
    unit: '%',
    bar: `>= ${(99.5 * optimum).toFixed(2)} %`,
    ok: mean >= 0.995 * optimum,
    peer: `optimum ${percent(optimum)}: ${percent(mean / optimum)} of it; ${percent(mean / had)} of that with as many failures`,
  }
  yield {
    row: '... above it',
    value: (mean - optimum) / error,
    unit: 'SE',
    bar: '<= 3 SE',
    ok: mean - optimum <= 3 * error,
    peer: `standard error ${percent(error)}`,
  }
}

async function fixedRow(setting: Setting, factor: number, seeds: number, nodes: number): Promise<Row> {
  const interval = factor * optimalInterval(setting.stall, mtbf)
  const formula = expected(setting, interval)
  const outcomes = await outcomesOf(setting, `${interval.toFixed(1)}s`, seeds, nodes)
  const ratios = outcomes.map(({ ratio }) => ratio)
  const off = meanOf(ratios) - formula
  const had = meanOf(outcomes.map(({ failures }) => expected(setting, interval, (days * 86_400) / failures)))
  return {
    row: `ETTR, ${named(setting)}, interval ${factor} τ*, beside the formula`,
    value: 100 * off,
    unit: 'points',
    bar: '± 0.2 points',
    ok: Math.abs(off) <= 0.002,
    peer: `formula ${percent(formula)}, with as many failures ${percent(had)}; standard error ${percent(standardError(ratios))}`,
  }
}

/** What came of one seed. */
interface Outcome {
  ratio: number
  failures: number
}

async function outcomesOf(setting: Setting, interval: string, seeds: number, nodes: number): Promise<Outcome[]> {
  const setup = setupFor(setting, interval, nodes, `${days}d`)
  const outcomes: Outcome[] = []
  for (let seed = 1; seed <= seeds; seed++) outcomes.push(outcomeOf(await played(setup, seed)))
  return outcomes
}

function outcomeOf({ ettr = Number.NaN, failures }: SeedReport): Outcome {
  return { ratio: ettr, failures: failures.attempts }
}

async function played(setup: Setup, seed: number): Promise<SeedReport> {
  const found = await playScenario(setup, seed)
  if (found.kind !== 'played') throw new Error(`seed ${seed} broke a rule: ${JSON.stringify(found)}`)
  return seedReportOf(found.recording)
}

/**
 * A rank crashes and is seen to at once, so that a restart takes as long as its ranks need to the first step. Few nodes fail as
 * often as many do, and so one of them three times before a checkpoint: it is closed, and opened at once.
 */
function setupFor({ stall, restart, lag }: Setting, interval: string, nodes: number, horizon: string): Setup {
  const perNodeDay = (llamaCount * llamaNodes) / nodes
  const text = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: { name: ettr }
spec:
  horizon: ${horizon}
  fleet: [{ name: h100, count: ${nodes}, accelerators: H100:8 }]
  resources: [job.yaml]
  performance:
    { prepare: 0s, restore: 0s, init: ${restart}s, stall: ${stall}s, persist: ${lag}s, stepTime: 1s, progress: first }
  faults: { mix: { interruption: { kind: process-crash, perNodeDay: ${perNodeDay} } }, openAfter: 1s }
  controlPlane: { leaseSeconds: 3600 }
`
  const job = `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: { name: llama }
spec:
  command: train
  workers: ${nodes}
  resources: { accelerators: H100:8 }
  checkpoint: { interval: ${interval} }
  maxRestarts: 10000
  expectedSeconds: 8640000
`
  return setupOfText(text, job)
}

function expected({ stall, restart, lag }: Setting, interval: number, between = mtbf): number {
  return lag === 0
    ? effectiveRatio(interval, stall, restart, between)
    : effectiveRatioWithLag(interval, stall, restart, lag, between)
}

function named({ stall, restart, lag }: Setting): string {
  return `δ ${stall} s, R ${restart} s${lag === 0 ? '' : `, durable ${lag} s later`}`
}
