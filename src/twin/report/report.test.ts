import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { effectiveRatioWithLag } from '../../model/reliability.ts'
import { job, recordingOf, setupOfTest } from '../play/play.fixture.ts'
import type { Recording } from '../play/recording.ts'
import { markdownOf } from './markdown.ts'
import { pageOf } from './page.ts'
import { type Row, reportOf, type TwinReport } from './report.ts'
import { seedReportOf } from './seed-report.ts'
import { tablesOf } from './tables.ts'
import { timelineOf } from './timeline.ts'

const stormy = `  faults:
    preset: llama3
    scale: 2000
    mix: {slow: {kind: straggler, perNodeDay: 5}, crash: {kind: process-crash, count: 3}}
`

const longJob = job.replace('expectedSeconds: 3600', 'expectedSeconds: 36000')

async function recordings(): Promise<Recording[]> {
  return [await recordingOf(setupOfTest(stormy), 7), await recordingOf(setupOfTest(stormy), 8)]
}

function reported(name: string, recordings: readonly Recording[]): TwinReport {
  return reportOf({ ...setupOfTest(), name }, recordings.map(seedReportOf), recordings[0]?.sittings ?? [])
}

const played = await recordings()
const report = reported('test', played)

/**
 * The hash changes with whatever changes a run: a decision of the control plane, a default, a figure of the report. Read
 * what is different (`millwright twin diff`) before it is pinned anew.
 */
test('a report is a function of scenario and seed, byte for byte', async () => {
  const [first, second] = [JSON.stringify(report), JSON.stringify(reported('test', await recordings()))]
  expect(second).toBe(first)
  expect(createHash('sha256').update(first).digest('hex').slice(0, 16)).toBe('624a96ff9a1bbf08')
})

test('buckets add up to the capacity, and figures over seeds lie in their range', () => {
  for (const { ledger, capacityHours } of report.seeds)
    expect(Object.values(ledger).reduce((sum, hours) => sum + hours, 0)).toBeCloseTo(capacityHours, 6)
  expect(report.seeds[0]?.capacityHours).toBe(32)
  for (const { name, min, mean, max, values } of report.measures) {
    expect(values, name).toHaveLength(2)
    expect(mean, name).toBeGreaterThanOrEqual(min - 1e-9)
    expect(mean, name).toBeLessThanOrEqual(max + 1e-9)
  }
})

test('ETTR is what was productive of the time since the first seats, work that is not durable yet included', async () => {
  const [done, underWay] = [await recordingOf(setupOfTest(), 1), await recordingOf(setupOfTest('', longJob), 1)]
  // An hour of work; 90 s until its first step, five stalls of 5 s.
  expect(seedReportOf(done).ettr).toBeCloseTo(3600 / (90 + 3600 + 25), 2)
  // Two hours; 90 s, eleven stalls. The last checkpoint is minutes old.
  expect(seedReportOf(underWay).ettr).toBeCloseTo((7200 - 90 - 55) / 7200, 2)
})

test('ETTR is what the formula says of a job that fails three times an hour', async () => {
  const faults =
    '  faults: {mix: {crash: {kind: process-crash, perNodeDay: 72}}, openAfter: 1s}\n  controlPlane: {leaseSeconds: 120}\n'
  const alone = longJob
    .replace('workers: 2', 'workers: 1')
    .replace('10m', '2m')
    .replace('spec:', 'spec:\n  maxRestarts: 1000')
  const performance = 'prepare: 30s, restore: 20s, init: 10s, stall: 10s, persist: 5s, stepTime: 1s'
  const recording = await recordingOf(setupOfTest(faults, alone, { horizon: '8h', performance }), 6)
  const { ettr, failures } = seedReportOf(recording)
  expect(failures.interruptions).toBeGreaterThan(15)
  const expected = effectiveRatioWithLag(120, 10, 60, 5, failures.mtbfSeconds ?? 0)
  expect(Math.abs((ettr ?? 0) - expected)).toBeLessThan(0.015)
})

test('the page needs nothing else, and a name cannot break out of it or of a Markdown table', () => {
  const name = '<script>alert(1)</script>|'
  const page = pageOf(reported(name, played))
  expect(page).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/)
  expect(page).toContain('&#60;script&#62;')
  expect(page).toContain('prefers-color-scheme: dark')
  expect(page.match(/<svg/g)).toHaveLength(6)
  expect(page).not.toMatch(/NaN|undefined|Infinity/)
  const sections = [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, title]) => title)
  expect(sections[0]).toBe('In short')
  expect(sections).toEqual(expect.arrayContaining(tablesOf(report).map(({ title }) => title)))
  const markdown = markdownOf(reported(name, played))
  expect(markdown).toContain('\\<script\\>alert(1)\\</script\\>\\|')
  expect(markdown).toContain('| ETTR: productive, of the time of jobs that had begun | ')
})

test('a report of one seed without a failure tells truly what was lost, and each of its rows is plain by itself', () => {
  const row = (name: string, unit: Row['unit'], value: number): Row => {
    return { name, unit, mean: value, min: value, max: value, values: [value] }
  }
  const measures = [row('ledger.lost', 'hours', 5), row('ledger.capacity', 'hours', 10)]
  measures.push(row('evictions', 'count', 3), row('restores.storage', 'count', 36))
  const sitting = { gang: 'default/small', attempt: 1, node: 'n-1', accelerators: 1, fromSeconds: 0, toSeconds: 60 }
  const evicted: TwinReport = { ...report, measures, sittings: [sitting] }
  const told = markdownOf(evicted)
  expect(told).toMatch(/\| lost \| 50\.0 % \| 5\.0 h \| .*evicted/)
  expect(told).toContain('| ranks that read their checkpoint in object storage | 36 |')
  expect(pageOf(evicted)).toContain('default/small, attempt 1, 1 accelerator of n-1')
})

test('where there is more than one queue each has its jobs, how long they took, and what it held', async () => {
  const inQueue = (queue: string, name: string) =>
    job.replace('big', name).replace('spec:', `spec:\n  queue: ${queue}`).replace('3600', '1800')
  const queue = (name: string) =>
    `apiVersion: millwright.dev/v1alpha1\nkind: Queue\nmetadata: {name: ${name}}\nspec: {namespaces: ['*'], nominalQuota: {H100: 16}}\n`
  const work = [queue('first'), queue('second'), inQueue('first', 'a'), inQueue('second', 'b'), inQueue('second', 'c')]
  const setup = setupOfTest('', work.join('---\n'))
  const recording = await recordingOf(setup, 1)
  const queues = reportOf(setup, [seedReportOf(recording)], recording.sittings)
  const mean = (name: string) => queues.measures.find((row) => row.name === name)?.mean ?? Number.NaN
  expect([mean('queue.first.jobs.succeeded'), mean('queue.second.jobs.succeeded')]).toEqual([1, 2])
  expect((mean('queue.first.wait.mean') + 2 * mean('queue.second.wait.mean')) / 3).toBeCloseTo(mean('wait.mean'), 6)
  expect(mean('queue.second.completion.p99')).toBe(mean('completion.p99'))
  expect(mean('queue.first.utilisation') + mean('queue.second.utilisation')).toBeCloseTo(mean('utilisation'), 2)
  expect(mean('queue.second.held')).toBeCloseTo(32 * mean('queue.second.utilisation'), 6)
  expect(markdownOf(queues)).toMatch(
    /## Queues\n\n.*\n.*\n\| first \| 1 \| 1 \| .* h \| .* % \|\n\| second \| 2 \| 2 \|/,
  )
  expect(pageOf(queues)).toContain('<td>second</td><td>completion</td>')
  expect(JSON.stringify(report.measures)).not.toContain('queue.')
  expect(markdownOf(report)).not.toContain('Queues')
})

test('a figure that only some seeds have says so', () => {
  const values = [86_400, null, 43_200]
  const mtbf: Row = { name: 'mtbf', unit: 'seconds', mean: 64_800, min: 43_200, max: 86_400, values }
  expect(markdownOf({ ...report, measures: [mtbf] })).toContain('| 18h (12h – 1d), of 2 of 3 seeds |')
})

test('a timeline holds the means of its stretches', () => {
  const level = { waiting: 0, asked: 0, nodesOut: 0 }
  const levels = [
    { ...level, atMs: 0, inUse: 4 },
    { ...level, atMs: 1500, inUse: 8 },
    { ...level, atMs: 3000, inUse: 0 },
  ]
  const { inUse, stretchSeconds } = timelineOf({ levels, horizonMs: 96_000 })
  expect(stretchSeconds).toBe(1)
  expect(inUse.slice(0, 4)).toEqual([4, 6, 8, 0])
})
