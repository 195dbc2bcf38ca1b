import { accessSync, constants, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { formatDuration } from '../../model/duration.ts'
import { eventSaid } from '../../twin/events.ts'
import { type Played, playScenario } from '../../twin/play/play.ts'
import type { Sitting } from '../../twin/play/recording.ts'
import { differencesOf, differenceTable, unlike } from '../../twin/report/diff.ts'
import { markdownOf, markdownTable } from '../../twin/report/markdown.ts'
import { pageOf } from '../../twin/report/page.ts'
import { type Comparable, readReport } from '../../twin/report/read-report.ts'
import { reportOf, type TwinReport } from '../../twin/report/report.ts'
import { type SeedReport, seedReportOf } from '../../twin/report/seed-report.ts'
import { headline, type Table, tablesOf } from '../../twin/report/tables.ts'
import type { Setup } from '../../twin/scenario/setup.ts'
import { oneOf, wholeNumber } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'
import { dump, plain, quoted, table } from '../output.ts'
import { setupFrom } from '../read-scenario.ts'
import { readText } from '../read-text.ts'
import { createTwinProgress } from '../twin-progress.ts'

interface RunOptions {
  seed: string
  seeds: string
  output?: string
  out?: string
}

/** Plays a scenario once a seed and says what came of it. Touches nothing and needs no factory. */
export async function twinRun(file: string, options: RunOptions): Promise<void> {
  const format = oneOf('--output', options.output, ['text', 'json', 'md', 'html'], 'text')
  const from = wholeNumber('--seed', options.seed, 0, 2 ** 31 - 1)
  const count = wholeNumber('--seeds', options.seeds, 1, 10_000)
  if (options.out !== undefined) checkWritable(options.out)
  const setup = await setupFrom(file)
  const seeds = Array.from({ length: count }, (_, index) => from + index)
  const report = await playAll(file, setup, seeds)
  const text = await printed(report, format)
  if (options.out === undefined) console.log(text)
  else writeFileSync(options.out, `${text}\n`)
  const drills = report.seeds.flatMap((seed) => seed.drills ?? [])
  if (drills.some(({ phase }) => phase !== 'Passed')) process.exitCode = exit.failed
}

async function printed(report: TwinReport, format: 'text' | 'json' | 'md' | 'html'): Promise<string> {
  if (format === 'json') return dump(report, 'json')
  if (format === 'html') return pageOf(report)
  if (format === 'md') return plain(markdownOf(report))
  return plain([headline(report), ...tablesOf(report).map(textTable)].join('\n\n'))
}

function textTable({ title, header, rows }: Table): string {
  return `${title}\n${table(header, rows)}`
}

/** What is different between two reports, measure by measure. */
export async function twinDiff(before: string, after: string, options: { output?: string }): Promise<void> {
  const format = oneOf('--output', options.output, ['text', 'json', 'md'], 'text')
  const [first, second] = [reportFrom(before), reportFrom(after)]
  const changes = differencesOf(first, second)
  const warned = unlike(first, second)
  if (format === 'json') {
    for (const line of warned) console.error(plain(line))
    return console.log(await dump(changes, 'json'))
  }
  if (warned.length > 0) console.log(plain(`${warned.join('\n')}\n`))
  const found = differenceTable(changes)
  if (found.rows.length === 0) console.log(plain(`${before} and ${after} say the same.`))
  else console.log(plain(format === 'md' ? markdownTable(found) : table(found.header, found.rows)))
}

function reportFrom(file: string): Comparable {
  const read = readReport(readText(file))
  if ('report' in read) return read.report
  throw new Exit(exit.usage, plain(read.problems.map((problem) => `${file}: ${problem}`).join('\n')))
}

async function playAll(file: string, setup: Setup, seeds: readonly number[]): Promise<TwinReport> {
  let isInterrupted = false
  const interrupt = () => {
    isInterrupted = true
  }
  process.once('SIGINT', interrupt)
  const progress = createTwinProgress(setup.horizonMs, seeds, process.stderr, () => Date.now())
  try {
    const reports: SeedReport[] = []
    let sittings: readonly Sitting[] = []
    for (const [index, seed] of seeds.entries()) {
      let atMs = 0
      const played = await playScenario(setup, seed, {
        goesOn: (nowMs) => {
          atMs = nowMs
          progress.heard(index, nowMs)
          return !isInterrupted
        },
      })
      if (played.kind === 'played') {
        // Its ledger alone may be large: what is summed up is let go.
        reports.push(seedReportOf(played.recording))
        if (index === 0) sittings = played.recording.sittings
      } else if (played.kind === 'stopped') throw interrupted(seed, atMs, setup)
      else throw broken(played, file)
    }
    return reportOf(setup, reports, sittings)
  } finally {
    progress.end()
    process.off('SIGINT', interrupt)
  }
}

function interrupted(seed: number, atMs: number, { horizonMs }: Setup): Exit {
  const how = `interrupted at ${formatDuration(atMs)} of ${formatDuration(horizonMs)}, seed ${seed}`
  return new Exit(exit.interrupted, `${how}; nothing was written`)
}

function broken({ seed, violations, ending }: Extract<Played, { kind: 'broken' }>, file: string): Exit {
  const { startMs, events, last, moment } = ending
  const at = `event ${events}, ${formatDuration(moment.atMs - startMs)} after the start`
  const lines = [
    `seed ${seed} breaks a rule of the factory at ${at}: a bug of ours; nothing was written`,
    ...violations.map(({ invariant, message }) => `  ${invariant}: ${message}`),
    'before it:',
    ...last.map((event) => `  ${eventSaid(event, startMs)}`),
    'then:',
    ...moment.lines().map((line) => `  ${line}`),
    `\`millwright replay ${quoted(file)} --seed ${seed}\` plays it again and says all that happens; --until EVENT stops there.`,
  ]
  return new Exit(exit.failed, plain(lines.join('\n')))
}

/** Better told now than after an hour. */
function checkWritable(file: string): void {
  const refuse = (why: string) => new Exit(exit.usage, `cannot write ${file}: ${why}.`)
  const found = statSync(file, { throwIfNoEntry: false })
  if (found?.isDirectory() === true) throw refuse('it is a folder')
  try {
    accessSync(found === undefined ? dirname(file) : file, constants.W_OK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw refuse('there is no such folder')
    throw refuse(`${found === undefined ? 'its folder' : 'it'} is not writable`)
  }
}
