import { effectiveRatio, elasticRatio, optimalInterval, youngInterval } from '../src/model/reliability.ts'
import { setupOfText } from '../src/twin/play/play.fixture.ts'
import { playScenario } from '../src/twin/play/play.ts'
import { seedReportOf } from '../src/twin/report/seed-report.ts'
import type { Setup } from '../src/twin/scenario/setup.ts'
import type { Row } from './row.ts'
import { meanOf, percent, standardError } from './statistics.ts'

/** 131,072 accelerators (facts/reliability.md §2.2). */
const servers = 16_384
/** Failures in 1,000 server-days: Meta's RSC-1. */
const perThousand = 6.5
const perDay = (servers * perThousand) / 1000
/** Seconds between failures of the whole job. */
const mtbf = 86_400 / perDay
/** What the setting says of a job that goes on without the data-parallel group that failed. Seconds. */
const setting = { groups: 32, failureStall: 30, degraded: 300, fullRestarts: 0.05 }
const [stall, restart] = [2, 120]
const stepSeconds = 1
/** All stand still for as long when a group leaves as when it is back. */
const regroup = setting.failureStall / 2
const interval = youngInterval(stall, mtbf / setting.fullRestarts)
const formula = elasticRatio(setting, interval, stall, restart, mtbf)

/**
 * Correlated shocks. Near 100,000 accelerators Meta FT-HSDP (arXiv 2602.00277) counted 2.3 failures in 1,000 servers and
 * day, and was interrupted about three times as often as that: every 18 minutes, which is 6.5 in 1,000. So servers fail by
 * themselves 2.3 times, and the rest are shocks. Of which domains, and how much of one falls, is ours; a rack, block or
 * zone is one of those that the 32 groups lie in.
 */
const alone = (2.3 / perThousand) * perDay
const shocks = [
  { name: 'rack', of: 0.6, members: 2, share: 0.5 },
  { name: 'block', of: 0.3, members: 4, share: 0.5 },
  { name: 'zone', of: 0.1, members: 8, share: 1 },
] as const

export interface Extent {
  seeds: number
  days: number
}

/** One way in which a job of 32 groups fails and goes on. */
interface Course {
  row: string
  /** Whether the formula speaks of it: it knows nothing of failures that come together. */
  isJudged: boolean
  /** Causes of its faults, as a scenario has them. */
  mix: string
  /** What starts again when a group fails. */
  again: 'gang' | 'worker'
  spares?: number
  hasShocks?: boolean
}

/** A group is back once its node is, and has started. */
const lost = `kind: node-loss, lasts: ${setting.degraded - restart}s`
const perGroup = (perDay: number) => (perDay / setting.groups).toFixed(4)
/** One failure in twenty ends all processes at once: of one zone there are all groups, where there are no shocks. */
const whole = `all: { kind: node-loss, lasts: 1s, reach: zone, perDomainDay: ${(perDay * setting.fullRestarts).toFixed(4)} }`
const most = perDay * (1 - setting.fullRestarts)
const groupsLost = `{ ${whole}, group: { ${lost}, perNodeDay: ${perGroup(most)} } }`
const processesLost = `{ ${whole}, process: { kind: process-crash, perNodeDay: ${perGroup(most)} } }`
const shocksOf = shocks.map(({ name, of, members, share }) => {
  const perDomainDay = ((perDay - alone) * of * members) / setting.groups
  return `${name}: { ${lost}, reach: ${name}, share: ${share}, perDomainDay: ${perDomainDay.toFixed(3)} }`
})
const shocked = `{ group: { ${lost}, perNodeDay: ${perGroup(alone)} }, ${shocksOf.join(', ')} }`
const groupLost = `a group is lost for ${setting.degraded} s`
const spare = '... 4 spare groups beside the 32'

const courses: readonly Course[] = [
  { row: groupLost, isJudged: true, mix: groupsLost, again: 'worker' },
  { row: spare, isJudged: true, mix: groupsLost, again: 'worker', spares: 4 },
  { row: 'a process ends', isJudged: true, mix: processesLost, again: 'worker' },
  { row: `shocks, ${groupLost}`, isJudged: false, mix: shocked, again: 'worker', hasShocks: true },
  { row: spare, isJudged: false, mix: shocked, again: 'worker', spares: 4, hasShocks: true },
  { row: `all start again, ${groupLost}`, isJudged: false, mix: groupsLost, again: 'gang' },
]

/**
 * How close the production control plane comes to a job that is elastic in each data-parallel group, as the formula has it: a
 * failure stops all groups for 30 s and loses no work, but for one in twenty. Each group is one node here, as the formula knows
 * no more of it than how often it fails.
 */
export async function* elasticRows({ seeds, days }: Extent): AsyncGenerator<Row> {
  yield lawRow()
  for (const course of courses) {
    const outcomes = await outcomesOf(setupFor(course, days), seeds)
    yield ratioRow(course, outcomes)
    yield manualRow(outcomes)
  }
}

function lawRow(): Row {
  const law = shocks.map(({ name, of, members, share }) => {
    const each = share < 1 ? `each of ${members} groups with a chance of ${share}` : `all of ${members} groups`
    return `${(of * (perDay - alone)).toFixed(1)} of a ${name}, which take ${each}`
  })
  return {
    row: 'elastic, the law of shocks: failures a day',
    value: perDay,
    unit: 'a day',
    bar: '',
    ok: true,
    peer: `${alone.toFixed(1)} of one group; shocks: ${law.join('; ')}; without shocks every ${(86_400 / alone / 60).toFixed(0)} min, with them every ${(mtbf / 60).toFixed(1)} min`,
  }
}

function ratioRow({ row, isJudged }: Course, outcomes: readonly Outcome[]): Row {
  const ratios = outcomes.map(({ ratio }) => ratio)
  const mean = meanOf(ratios)
  const whole = effectiveRatio(optimalInterval(stall, mtbf), stall, restart, mtbf)
  const goes = [
    `formula ${percent(formula)}: ${percent(mean / formula)} of it`,
    `optimum of whole restarts ${percent(whole)}`,
    `standard error ${percent(standardError(ratios))}`,
    `by the ledger ${percent(meanOf(outcomes.map(({ booked }) => booked)))}`,
    `${meanOf(outcomes.map(({ restarts }) => restarts)).toFixed(1)} restarts of all a day`,
    `${meanOf(outcomes.map(({ replaced }) => replaced)).toFixed(0)} groups replaced`,
    ...(['lost', 'starting', 'checkpointing'] as const).map(
      (bucket) => `${bucket} ${percent(meanOf(outcomes.map(({ shares }) => shares[bucket] ?? 0)))}`,
    ),
  ]
  return {
    row: row.startsWith('...') ? row : `elastic, ${row}`,
    value: 100 * mean,
    unit: '%',
    bar: isJudged ? `>= ${(98 * formula).toFixed(2)} %` : '',
    ok: !isJudged || mean >= 0.98 * formula,
    peer: goes.join('; '),
  }
}

function manualRow(outcomes: readonly Outcome[]): Row {
  const steps = outcomes.reduce((sum, { manual }) => sum + manual, 0)
  return { row: '... nodes closed, for somebody to open', value: steps, unit: '', bar: '0', ok: steps === 0 }
}

/** What came of one seed. */
interface Outcome {
  /**
   * Of the steps that 32 groups could have done in that time, those that the job had told of at the end: each is a whole global
   * batch, whoever of them did it.
   */
  ratio: number
  /** Of the time of 32 groups, what the ledger calls productive, or provisional: it knows nothing of steps. */
  booked: number
  /** Nodes that recovery closed. */
  manual: number
  /** A day: of all groups, and of groups that others went on without. */
  restarts: number
  replaced: number
  /** By bucket of the ledger, of the same. */
  shares: Readonly<Record<string, number>>
}

async function outcomesOf(setup: Setup, seeds: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (let seed = 1; seed <= seeds; seed++) outcomes.push(await outcomeOf(setup, seed))
  return outcomes
}

async function outcomeOf(setup: Setup, seed: number): Promise<Outcome> {
  const found = await playScenario(setup, seed)
  if (found.kind !== 'played') throw new Error(`seed ${seed} broke a rule: ${JSON.stringify(found)}`)
  const { ledger } = seedReportOf(found.recording)
  const [job] = (await found.ending.moment.list('TrainingJob')).items
  const { restarts = 0, replacedWorkers = 0, step = 0 } = job?.status ?? {}
  const days = setup.horizonMs / 86_400_000
  const { items: nodes } = await found.ending.moment.list('Node')
  const whole = setting.groups * 8 * (setup.horizonMs / 3_600_000)
  const { productive = 0, provisional = 0 } = ledger
  return {
    ratio: (step * stepSeconds) / (setup.horizonMs / 1000),
    booked: (productive + provisional) / whole,
    manual: nodes.filter(({ spec }) => spec?.unschedulable === true).length,
    restarts: restarts / days,
    replaced: replacedWorkers / days,
    shares: Object.fromEntries(Object.entries(ledger).map(([bucket, hours]) => [bucket, hours / whole])),
  }
}

/** Whoever closes a node, nobody opens it. */
function setupFor({ mix, again, spares = 0, hasShocks = false }: Course, days: number): Setup {
  const zones = hasShocks ? [0, 1, 2, 3] : [0]
  const kept = spares === 0 ? '' : `, spares: ${spares / zones.length}`
  const shapes = zones.map((zone) => {
    const count = (setting.groups + spares) / zones.length
    return `{ name: z${zone}, count: ${count}, accelerators: H100:8, zone: z${zone}, nodesPerRack: 2, nodesPerBlock: 4${kept} }`
  })
  const times = `prepare: 0s, restore: 0s, init: ${restart}s, regroup: ${regroup}s, stall: ${stall}s, persist: 0s, stepTime: ${stepSeconds}s`
  const text = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: { name: elastic }
spec:
  horizon: ${days}d
  fleet: [${shapes.join(', ')}]
  resources: [job.yaml]
  performance: { ${times}, progress: first }
  faults: { mix: ${mix}, openAfter: ${days}d }
  controlPlane: { leaseSeconds: 3600 }
`
  const training = `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: { name: llama }
spec:
  command: train
  workers: ${setting.groups}
  minWorkers: 16
  resources: { accelerators: H100:8 }
  checkpoint: { interval: auto }
  failurePolicy: { restart: ${again} }
  maxRestarts: 10000
  expectedSeconds: 8640000
`
  return setupOfText(text, training)
}
