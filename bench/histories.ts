import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Played, play } from '../src/twin/hunt/play.ts'
import { isLarge, largeSaid } from './hunt/large.ts'
import type { Row } from './row.ts'

/** So many are compared, and so many played for speed. */
const [compared, timed] = [12, 300]
const firstSeed = 40_000

/**
 * How fast the hunt plays, and whether a history is a function of its seed: the same twice in a process, in another one, and
 * on other versions of Node, whose programs `MILLWRIGHT_NODES` names (separated by colons, as in PATH).
 */
export async function historyRows(): Promise<Row[]> {
  return [...(await speed()), await determinism()]
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

async function determinism(): Promise<Row> {
  const seeds = Array.from({ length: compared }, (_, index) => firstSeed + index)
  const here = await hashesOf(seeds)
  const others: [string, readonly string[]][] = [['twice', await hashesOf(seeds)]]
  for (const node of [process.execPath, ...(process.env['MILLWRIGHT_NODES'] ?? '').split(':').filter(Boolean)]) {
    const [version, hashes] = elsewhere(node, seeds)
    others.push([node === process.execPath ? 'another process' : `Node ${version}`, hashes])
  }
  const same = seeds.filter((_, index) => others.every(([, hashes]) => hashes[index] === here[index])).length
  const named = process.env['MILLWRIGHT_NODES'] === undefined ? '; no other Node was named (MILLWRIGHT_NODES)' : ''
  return {
    row: `of ${compared} seeds: histories that are the same write for write`,
    value: same,
    unit: '',
    bar: `= ${compared}`,
    ok: same === compared,
    peer: `Node ${process.versions.node}: ${others.map(([name]) => name).join(', ')}${named}`,
  }
}

export async function hashesOf(seeds: readonly number[]): Promise<string[]> {
  const hashes: string[] = []
  for (const seed of seeds) hashes.push((await play(seed, { isTraced: true })).hash)
  return hashes
}

/** Its version, and what it makes of them. */
function elsewhere(node: string, seeds: readonly number[]): [string, string[]] {
  const self = fileURLToPath(import.meta.url)
  const { stdout, status, stderr } = spawnSync(node, [self, 'hashes', ...seeds.map(String)], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`bench: ${node} plays no histories: ${stderr.slice(0, 500)}`)
  const { version, hashes } = JSON.parse(stdout)
  return [version, hashes]
}
