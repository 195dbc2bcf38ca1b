import { expect, test } from 'vitest'
import { pageOf } from '../report/page.ts'
import { reportOf } from '../report/report.ts'
import { seedReportOf } from '../report/seed-report.ts'
import { serviceSums } from '../report/services.ts'
import { tablesOf } from '../report/tables.ts'
import { recordingOf, setupOfTest } from './play.fixture.ts'
import type { Recording } from './recording.ts'

const performance = 'prepare: 10s, load: 20s, engine: 8b-h100'
const service = (spec: string) => `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: {name: chat}
spec: {command: serve, resources: {accelerators: H100:1}, ${spec}}
`

function chat(recording: Recording) {
  const [record] = recording.services
  if (record === undefined) throw new Error('no service')
  return { record, sums: serviceSums(record, recording) }
}

const slow = '{preset: 70b-a100-tp4, sequences: 8}'
const bursty = setupOfTest(
  `  traffic:
    - {service: chat, from: 2m, rate: 0.3, bursts: [{at: 8m, lasts: 14m, factor: 12}], slo: {ttft: 2s, tpot: 100ms}}
`,
  service('minReplicas: 1, maxReplicas: 8, target: 4'),
  { horizon: '22m', performance: `prepare: 10s, load: 80s, engine: ${slow}` },
)
const burst = await recordingOf(bursty, 3)

test('a burst makes the production autoscaler add replicas, and the first tokens come late until they serve', () => {
  const { record, sums } = chat(burst)
  const levelAt = (minute: number) => record.replicas.findLast(({ atMs }) => atMs <= minute * 60_000)?.count ?? 0
  expect(levelAt(21)).toBeGreaterThan(levelAt(7) + 2)
  expect(sums.replicas.max).toBe(Math.max(...record.replicas.map(({ count }) => count)))
  const p90Between = (from: number, to: number) => {
    const stretches = sums.timeline.ttftP90Ms.slice((96 * from) / 22, (96 * to) / 22)
    return stretches.reduce((sum, value) => sum + value, 0) / stretches.length
  }
  const [before, during, after] = [p90Between(3, 8), p90Between(8, 11), p90Between(14, 22)]
  expect(during).toBeGreaterThan(10 * before)
  expect(during).toBeGreaterThan(10 * after)
  expect(sums.attainment).toBeLessThan(1)
  expect(sums.attainment).toBeGreaterThan(0.3)
})

test('every request is accounted for once', () => {
  const { requests, answered, refused, failed, underWay } = chat(burst).sums
  const total = (codes: Record<string, number>) => Object.values(codes).reduce((sum, count) => sum + count, 0)
  expect(requests).toBeGreaterThan(1500)
  expect(answered + total(refused) + total(failed) + underWay).toBe(requests)
})

test('a report with requests is a function of scenario and seed, and its tables show each service', async () => {
  const reported = (recording: Recording) => reportOf(bursty, [seedReportOf(recording)], recording.sittings)
  const report = reported(burst)
  expect(JSON.stringify(reported(await recordingOf(bursty, 3)))).toBe(JSON.stringify(report))
  expect(JSON.stringify(reported(await recordingOf(bursty, 4)))).not.toBe(JSON.stringify(report))
  const page = pageOf(report)
  expect(page).toContain('Time to the first token')
  expect(page).not.toMatch(/NaN|undefined|Infinity/)
  const tables = tablesOf(report)
  expect(tables.find(({ title }) => title === 'Services')?.rows[0]?.[0]).toBe('chat')
  expect(tables.find(({ title }) => title === 'Latency of services')?.rows.map((row) => row.slice(0, 2))).toEqual([
    ['chat', 'to the first token (TTFT)'],
    ['chat', 'a further token (TPOT)'],
  ])
})

test('a node that is lost under load ends its requests, each with an answer or an error', async () => {
  const setup = setupOfTest(
    `  traffic: [{service: chat, from: 1m, rate: 8}]
  faults: {mix: {it: {kind: node-loss, count: 1, lasts: 5m}}}
`,
    service('minReplicas: 16, maxReplicas: 16, target: 100'),
    { horizon: '30m', performance },
  )
  const recording = await recordingOf(setup, 5)
  expect(recording.strikes[0]?.pods.length).toBe(8)
  const { sums } = chat(recording)
  // Whoever had words of an answer is told that it broke off; the others are not sent twice.
  expect(sums.failed['cut']).toBeGreaterThan(0)
  expect(sums.answered).toBeGreaterThan(0.95 * sums.requests)
  expect(sums.underWay).toBeLessThan(50)
})

test('a service that is scaled down answers what its replicas had begun', async () => {
  const setup = setupOfTest(
    `  traffic: [{service: chat, from: 1m, rate: 4, bursts: [{at: 5m, lasts: 5m, factor: 0.1}]}]
`,
    service('minReplicas: 1, maxReplicas: 8, target: 2, scaleDownSeconds: 20'),
    { horizon: '20m', performance },
  )
  const { sums, record } = chat(await recordingOf(setup, 5))
  const falls = record.replicas.filter(({ count }, index) => count < (record.replicas[index - 1]?.count ?? 0))
  expect(falls.length).toBeGreaterThan(2)
  expect(sums.failed).toEqual({})
})

test('a prompt that no engine holds is refused, and a service at zero wakes up for who waits', async () => {
  const setup = setupOfTest(
    '  traffic: [{service: chat, from: 1m, rate: 0.5, input: {mean: 90000, p99: 300000, max: 500000}, output: 10}]\n',
    service('minReplicas: 0, maxReplicas: 2, target: 4'),
    { horizon: '20m', performance },
  )
  const { sums, record } = chat(await recordingOf(setup, 5))
  expect(record.replicas[0]?.count).toBe(0)
  expect(sums.answered).toBeGreaterThan(100)
  expect(sums.refused['context_length_exceeded']).toBeGreaterThan(0)
})
