import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { MutantResult } from '@stryker-mutator/api/core'
import { Stryker } from '@stryker-mutator/core'
import { isInSample, oneIn } from './mutants/sample.ts'
import type { Row } from './row.ts'

const scheduler = 'src/scheduler'
const reports = 'reports/mutants'
/** Of all mutants that somebody should find, in per cent. */
const scoreMin = 80

export interface Extent {
  rooms: readonly string[]
  /** Processes at once. */
  runners: number
  /** Those that were found before, by tests that are still there as they were, are not looked for again. */
  isIncremental: boolean
}

/** The folders of the scheduler, and `root` for the files beside them. */
export const allRooms: readonly string[] = [
  ...readdirSync(scheduler, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])),
  'root',
]

/**
 * Mutation testing: each mutant is the scheduler with one thing changed (a condition turned, a call left out, a text
 * emptied), and is found if a test then fails or does not end. A row a room, and all of them at the end; those that
 * nobody found stand in `reports/mutants/ROOM.txt`.
 */
export async function* mutantRows(extent: Extent): AsyncGenerator<Row> {
  process.env['MILLWRIGHT_CASES'] ??= resolve('../shared/cases/scheduling') // the tests run in a copy elsewhere
  mkdirSync(reports, { recursive: true })
  const all: MutantResult[] = []
  for (const room of extent.rooms) {
    const started = performance.now()
    const mutants = await mutantsOf(room, extent)
    all.push(...mutants)
    writeFileSync(join(reports, `${room}.txt`), listOf(mutants))
    yield rowOf(room, mutants, (performance.now() - started) / 1000)
  }
  const { score, ...counts } = scoreOf(all)
  yield {
    row: `mutants found, ${extent.rooms.length === allRooms.length ? 'all of the scheduler' : 'all of these'}`,
    value: score,
    unit: '%',
    bar: `>= ${scoreMin} %`,
    ok: score >= scoreMin,
    peer: said(counts),
  }
}

function rowOf(room: string, mutants: readonly MutantResult[], seconds: number): Row {
  const { score, ...counts } = scoreOf(mutants)
  const peer = `${said(counts)}; ${seconds.toFixed(0)} s`
  return { row: `mutants found in ${room}`, value: score, unit: '%', bar: '', ok: true, peer }
}

async function mutantsOf(room: string, { runners, isIncremental }: Extent): Promise<MutantResult[]> {
  const files = room === 'root' ? `${scheduler}/*.ts` : `${scheduler}/${room}/**/*.ts`
  const mutants = await new Stryker({
    configFile: 'bench/mutants/stryker.json',
    mutate: [files, '!**/*.test.ts', '!**/*.fixture.ts'],
    concurrency: runners,
    incremental: oneIn === 1,
    incrementalFile: join(reports, `${room}.json`),
    force: !isIncremental,
  }).runMutationTest()
  return mutants.filter(isInSample)
}

interface Counts {
  killed: number
  timeout: number
  survived: number
  uncovered: number
  failed: number
}

function scoreOf(mutants: readonly MutantResult[]): Counts & { score: number } {
  const count = (status: MutantResult['status']) => mutants.filter((one) => one.status === status).length
  const [killed, timeout, survived, uncovered] = [
    count('Killed'),
    count('Timeout'),
    count('Survived'),
    count('NoCoverage'),
  ]
  const failed = mutants.length - killed - timeout - survived - uncovered
  const score = (100 * (killed + timeout)) / Math.max(1, killed + timeout + survived + uncovered)
  return { killed, timeout, survived, uncovered, failed, score }
}

function said({ killed, timeout, survived, uncovered, failed }: Counts): string {
  const asked = killed + timeout + survived + uncovered
  const part = (killed + timeout) / Math.max(1, asked)
  const error = 100 * Math.sqrt((part * (1 - part)) / Math.max(1, asked))
  const more = failed === 0 ? '' : `, ${failed} not run`
  const sample = oneIn === 1 ? '' : `; 1 in ${oneIn} asked, standard error ${error.toFixed(1)}`
  return `killed ${killed}, endless ${timeout}, survived ${survived}, not covered ${uncovered}${more}${sample}`
}

/** Who was not found: where, and what stood there instead. */
function listOf(mutants: readonly MutantResult[]): string {
  const left = mutants.filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
  return left
    .map(({ fileName, location: { start, end }, replacement = '', status }) => {
      const lines = readFileSync(fileName, 'utf8')
        .split('\n')
        .slice(start.line - 1, end.line)
      const last = lines.length - 1
      lines[last] = lines[last]?.slice(0, end.column - 1) ?? ''
      lines[0] = lines[0]?.slice(start.column - 1) ?? ''
      const place = `${relative('.', fileName)}:${start.line}:${start.column}${status === 'NoCoverage' ? ' (not covered)' : ''}`
      return `${place}: ${short(lines.join(' '))} → ${short(replacement)}\n`
    })
    .join('')
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length <= 100 ? line : `${line.slice(0, 99)}…`
}
