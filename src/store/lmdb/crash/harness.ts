import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Random, seededRandom } from '../../../base/random.ts'
import type { LmdbPoint } from '../store.ts'
import { bundleChild, packageRoot } from './bundle.ts'
import type { ChildOrder } from './child.ts'

/**
 * Kills a writing process again and again, and looks after each death whether its data directory holds what it should:
 * every acknowledged write, no half write, no revision that went back; of a write that was under way, all or nothing.
 */
export interface CrashOptions {
  kills: number
  seed: number
  /** Directories that are worked on at once. */
  lanes?: number
  /** Told now and then how far it is. */
  progress?: (kills: number) => void
}

export interface CrashResult {
  kills: number
  /** Kills by the moment at which they struck. */
  moments: Record<string, number>
  acknowledged: number
  /** Sentences; empty when all is well. */
  problems: string[]
}

const points: readonly LmdbPoint[] = ['before-commit', 'in-commit', 'after-commit', 'after-visible']
/** A directory is left for a new one after so many lives; every third new one starts in the oldest data format. */
const livesPerDirectory = 40
const fixture = join(packageRoot, 'src/store/lmdb/fixtures/format-1')

export async function runCrashHarness(options: CrashOptions): Promise<CrashResult> {
  const root = mkdtempSync(join(tmpdir(), 'millwright-crash-'))
  const child = await bundleChild()
  const result: CrashResult = { kills: 0, moments: {}, acknowledged: 0, problems: [] }
  const laneCount = options.lanes ?? 4
  try {
    await Promise.all(
      Array.from({ length: laneCount }, (_, i) =>
        runLane({ root, child, lane: i, random: seededRandom(options.seed).split(`lane ${i}`), options, result }),
      ),
    )
  } finally {
    rmSync(root, { recursive: true, force: true })
    rmSync(child, { force: true })
  }
  return result
}

interface Lane {
  root: string
  child: string
  lane: number
  random: Random
  options: CrashOptions
  result: CrashResult
}

async function runLane(lane: Lane): Promise<void> {
  const { options, result } = lane
  for (let i = 0; result.kills < options.kills && result.problems.length === 0; i++) {
    const directory = newDirectory(lane, i)
    for (let life = 0; life < livesPerDirectory && result.kills < options.kills; life++) {
      await liveAndDie(lane, directory, life)
      if (result.kills % 500 === 0) options.progress?.(result.kills)
    }
    await lookOnce(lane, directory)
    rmSync(directory.dir, { recursive: true, force: true })
  }
}

/** What the directory must hold, by what was said about it so far. */
interface Directory {
  dir: string
  strangers: number
  /** 0: not there. */
  acknowledged: Map<string, number>
  pending: Map<string, number>
  revision: number
  next: number
}

function newDirectory({ root, lane, random }: Lane, number: number): Directory {
  const dir = join(root, `lane-${lane}-${number}`)
  const isOld = random.int(0, 2) === 0
  if (isOld) {
    mkdirSync(dir)
    for (const name of ['FORMAT', 'store.mdb']) copyFileSync(join(fixture, name), join(dir, name))
  }
  return {
    dir,
    strangers: isOld ? 1 : 0,
    acknowledged: new Map(),
    pending: new Map(),
    revision: isOld ? 42 : 0,
    next: 1,
  }
}

async function liveAndDie(lane: Lane, directory: Directory, life: number): Promise<void> {
  const { random, result } = lane
  const style = random.float()
  const dieAt = style < 0.4 ? { point: pick(points, random), nth: random.int(1, 25) } : undefined
  const order: ChildOrder = { mode: 'crash', dir: directory.dir, seed: random.int(0, 1e9), from: directory.next, dieAt }
  const isEarly = dieAt === undefined && style < 0.55
  const moment = dieAt?.point ?? (isEarly ? 'while it opens' : 'at a random moment')
  const process = start(lane, order, directory)
  if (isEarly) process.killAfter(random.int(20, 140))
  else if (dieAt === undefined) void process.opened.then(() => process.killAfter(random.int(0, 25)))
  const end = await process.ended
  if (end.signal === 'SIGKILL') {
    result.kills++
    result.moments[moment] = (result.moments[moment] ?? 0) + 1
  } else {
    result.problems.push(`life ${life} in ${directory.dir} ended by itself (${end.code ?? end.signal}): ${end.stderr}`)
  }
}

/** A last look, without a kill. */
async function lookOnce(lane: Lane, directory: Directory): Promise<void> {
  const end = await start(lane, { mode: 'open', dir: directory.dir }, directory).ended
  if (end.code !== 0 || !end.hasOpened) lane.result.problems.push(`${directory.dir} does not open: ${end.stderr}`)
}

function start({ child, result }: Lane, order: ChildOrder, directory: Directory) {
  const spawned = spawn(process.execPath, [child, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  let hasOpened = false
  let wakeOpened = () => {}
  const opened = new Promise<void>((resolve) => {
    wakeOpened = resolve
  })
  spawned.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const lines = createInterface({ input: spawned.stdout })
  lines.on('line', (line) => {
    const problem = heard(line, directory, result)
    if (problem !== undefined) result.problems.push(problem)
    if (line.startsWith('open ')) {
      hasOpened = true
      wakeOpened()
    }
  })
  const ended = Promise.all([
    new Promise<void>((resolve) => lines.on('close', resolve)),
    new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      spawned.on('close', (code, signal) => resolve({ code, signal }))
    }),
  ]).then(([, end]) => {
    wakeOpened()
    return { ...end, stderr, hasOpened }
  })
  return {
    opened,
    ended,
    killAfter: (ms: number) => void setTimeout(() => spawned.kill('SIGKILL'), ms),
  }
}

/** Takes in one line of the child; a line that a kill cut short is none. */
function heard(line: string, directory: Directory, result: CrashResult): string | undefined {
  const [word, key = '', value = '', revision = '0'] = line.split(' ')
  if (word === 'open') return compare(line.slice(5), directory)
  if (word === 'error') return line
  if (word === 'try') {
    directory.pending.set(key, Number(value))
    directory.next = Math.max(directory.next, Number(value) + 1000)
  }
  if (word === 'ack') {
    directory.pending.delete(key)
    directory.acknowledged.set(key, Number(value))
    directory.revision = Math.max(directory.revision, Number(revision))
    result.acknowledged++
  }
  return undefined
}

interface Report {
  revision: number
  present: Record<string, number>
  problems: string[]
  strangers: number
}

function compare(text: string, directory: Directory): string | undefined {
  const report: Report = JSON.parse(text)
  const { acknowledged, pending } = directory
  if (report.problems.length > 0) return report.problems.join('; ')
  if (report.revision < directory.revision) return `revision ${directory.revision} went back to ${report.revision}`
  if (report.strangers !== directory.strangers)
    return `${report.strangers} old records, expected ${directory.strangers}`
  const present = new Map(Object.entries(report.present))
  for (const key of new Set([...acknowledged.keys(), ...pending.keys(), ...present.keys()])) {
    const seen = present.get(key) ?? 0
    const known = acknowledged.get(key) ?? 0
    if (seen !== known && seen !== pending.get(key)) {
      return `${key}: acknowledged ${known}, under way ${pending.get(key) ?? 'nothing'}, found ${seen}`
    }
  }
  directory.acknowledged = present
  directory.pending.clear()
  directory.revision = report.revision
  return undefined
}

function pick<T>(from: readonly T[], random: Random): T {
  const picked = from[random.int(0, from.length - 1)]
  if (picked === undefined) throw new Error('nothing to pick from')
  return picked
}
