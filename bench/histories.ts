import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { setupFrom } from '../src/cli/read-scenario.ts'
import { type Played, play } from '../src/twin/hunt/play.ts'
import { playScenario } from '../src/twin/play/play.ts'
import { reportOf } from '../src/twin/report/report.ts'
import { seedReportOf } from '../src/twin/report/seed-report.ts'
import { isLarge, largeSaid } from './hunt/large.ts'
import type { Row } from './row.ts'
import { type Made, sameRows } from './same.ts'

/** So many are compared, so many of them as reports, and so many played for speed. */
const [compared, reported, timed] = [12, 2, 300]
const scenario = 'examples/twin/scenario.yaml'
const firstSeed = 40_000

/**
 * How fast the hunt plays, and whether a history and a report of `twin run` are functions of their seed: the same twice in a process, in another one, and
 * on other versions of Node, whose programs `MILLWRIGHT_NODES` names (separated by colons, as in PATH).
 */
export async function historyRows(): Promise<Row[]> {
  return [...(await speed()), ...(await determinism())]
}

async function speed(): Promise<Row[]> {
  const startedAt = process.cpuUsage()
  const all: Played[] = []
  for (let seed = firstSeed; seed < firstSeed + timed; seed++) all.push(await play(seed))
  const { user, system } = process.cpuUsage(startedAt)
  const seconds = (user + system) / 1_000_000
  const sum = (of: (one: Played) => number) => all.reduce((total, one) => total + of(one), 0)
  const large = all.filter(isLarge).length
  const broken = all.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed)
  const each = `${(sum(({ writes }) => writes) / timed).toFixed(0)} writes, ${(sum(({ faults }) => faults) / timed).toFixed(1)} faults and ${(sum(({ leaders }) => leaders) / timed).toFixed(1)} leaders each`
  const row = (name: string, value: number, unit: string, bar: number, peer: string): Row => {
    return { row: name, value, unit, bar: `>= ${bar} ${unit}`, ok: value >= bar && broken.length === 0, peer }
  }
  const what = broken.length === 0 ? 'no rule broken' : `rules broken by seeds ${broken.join(', ')}`
  return [
    row(
      `histories of ${largeSaid}, of CPU time`,
      large / seconds,
      '/s',
      5,
      `${large} of ${timed} are such; ${each}; ${what}`,
    ),
    row('... writes, all rules looked at', sum(({ writes }) => writes) / seconds, '/s', 10_000, each),
  ]
}

async function determinism(): Promise<Row[]> {
  const seeds = Array.from({ length: compared }, (_, index) => firstSeed + index)
  const [here, again] = [await hashesOf(seeds), await hashesOf(seeds)]
  const another = elsewhere(process.execPath, seeds)
  const others = (process.env['MILLWRIGHT_NODES'] ?? '').split(':').filter(Boolean)
  const onOthers = others.map((node) => elsewhere(node, seeds))
  const rows = (what: string, of: 'histories' | 'reports') => {
    const made = (one: Hashes): Made => ({ version: one.version, hashes: one[of] })
    return sameRows(what, made(here), [again, another].map(made), onOthers.map(made))
  }
  return [...rows('histories, write for write', 'histories'), ...rows(`reports of ${scenario}`, 'reports')]
}

/** What a process makes of seeds: of histories, and of a scenario as `millwright twin run` plays it, with the first of them. */
interface Hashes {
  version: string
  histories: string[]
  reports: string[]
}

export async function hashesOf(seeds: readonly number[]): Promise<Hashes> {
  const histories: string[] = []
  for (const seed of seeds) histories.push((await play(seed, { isTraced: true })).hash)
  const reports: string[] = []
  for (const seed of seeds.slice(0, reported)) reports.push(await reportHash(seed))
  return { version: process.versions.node, histories, reports }
}

async function reportHash(seed: number): Promise<string> {
  const setup = await setupFrom(scenario)
  const played = await playScenario(setup, seed)
  if (played.kind !== 'played') throw new Error(`bench: seed ${seed} of ${scenario} was not played to its end`)
  const { recording } = played
  const report = reportOf(setup, [seedReportOf(recording)], recording.sittings)
  return createHash('sha256').update(JSON.stringify(report)).digest('hex')
}

function elsewhere(node: string, seeds: readonly number[]): Hashes {
  const self = fileURLToPath(import.meta.url)
  const { stdout, status, stderr } = spawnSync(node, [self, 'hashes', ...seeds.map(String)], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`bench: ${node} plays no histories: ${stderr.slice(0, 500)}`)
  return JSON.parse(stdout)
}
