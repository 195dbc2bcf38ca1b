import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import { formatErrors } from '../../compile/documents.ts'
import { recordingOf } from '../play/play.fixture.ts'
import { type DrawnJob, drawJobs } from './drawn-jobs.ts'
import { readScenario } from './read.ts'
import { type Setup, setupOf } from './setup.ts'

const job = `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: small-7}
spec: {command: train}
---
apiVersion: millwright.dev/v1alpha1
kind: Queue
metadata: {name: research}
spec: {namespaces: ['*']}
`

function made(jobs: string, spec = ''): Setup | string {
  const text = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: {name: a}
spec:
  horizon: 2h
  fleet: [{name: n, count: 2, accelerators: H100:8}]
  resources: [work.yaml]
  jobs: [${jobs}]
${spec}`
  const read = readScenario({ name: 's.yaml', text })
  if ('errors' in read) return formatErrors(read.errors)
  const setup = setupOf(read, [{ name: 'work.yaml', atMs: 0, text: job }], [])
  return 'errors' in setup ? formatErrors(setup.errors) : setup.setup
}

function setup(jobs: string, spec?: string): Setup {
  const found = made(jobs, spec)
  if (typeof found === 'string') throw new Error(found)
  return found
}

const hourMs = 3_600_000

/** Of all mixes, those of the first so many hours. */
function drawn(hours: number, jobs: string, random = seededRandom(1)): DrawnJob[] {
  const found: DrawnJob[] = []
  for (const mix of setup(jobs).jobs)
    for (const one of drawJobs(mix, random)) {
      if (one.atMs >= hours * hourMs) break
      found.push(one)
    }
  return found
}

const mix = 'name: a, rate: 20, duration: 1h, sizes: [{accelerators: "H100:8", workers: 2}]'

test('jobs come at the rate of an hour that is asked for, with gaps as spread', () => {
  for (const cv of [0, 1, 3]) {
    const times = drawn(1000, `{${mix}, cv: ${cv}}`).map(({ atMs }) => atMs)
    const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0))
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
    expect((20 * mean) / hourMs).toBeCloseTo(1, 1)
    expect(Math.abs(deviation / mean - cv)).toBeLessThan(0.05 + 0.05 * cv)
  }
})

test('by day there are more, and in a burst', () => {
  const many = drawn(24 * 40, `{${mix}, daily: {share: 0.6, peakAt: 15h}, bursts: [{at: 0s, lasts: 24h, factor: 0}]}`)
  const inHour = (hour: number) => many.filter(({ atMs }) => Math.floor(atMs / hourMs) % 24 === hour).length / 39
  expect(inHour(15) / 32).toBeCloseTo(1, 1)
  expect(inHour(3) / 8).toBeCloseTo(1, 0)
  expect(many[0]?.atMs).toBeGreaterThan(24 * hourMs)
})

test('sizes come by their weights, and times to work have the median and the 90th percentile that were asked for', () => {
  const sizes = '[{accelerators: "H100:1", weight: 6}, {accelerators: "H100:8", workers: 4, weight: 2}]'
  const many = drawn(1000, `{name: a, rate: 20, duration: {median: 30m, p90: 4h, max: 10h}, sizes: ${sizes}}`)
  const large = many.filter(({ object }) => object.spec.workers === 4)
  expect(large[0]?.object.spec.resources).toMatchObject({ accelerators: 'H100:8' })
  expect(large.length / many.length).toBeCloseTo(0.25, 1)
  const seconds = many.map(({ object }) => object.spec.expectedSeconds ?? 0).toSorted((a, b) => a - b)
  const share = (part: number) => (seconds[Math.floor(part * seconds.length)] ?? 0) / 3600
  expect(share(0.5) / 0.5).toBeCloseTo(1, 1)
  expect(share(0.9) / 4).toBeCloseTo(1, 1)
  expect(seconds.at(-1)).toBe(36_000)
})

test('each mix draws by its name: another beside it, or before, moves none of its jobs', () => {
  const alone = drawn(10, `{${mix}, cv: 2}`)
  const both = drawn(10, `{${mix.replace('name: a', 'name: b')}, cv: 2}, {${mix}, cv: 2}`)
  expect(both.filter(({ object }) => object.metadata.name.startsWith('a-'))).toEqual(alone)
  expect(both.slice(0, 9).map(({ atMs }) => atMs)).not.toEqual(alone.slice(0, 9).map(({ atMs }) => atMs))
  expect(drawn(10, `{${mix}}`, seededRandom(2))).not.toEqual(drawn(10, `{${mix}}`))
})

test('what is said of their performance is so of all of them', () => {
  const [{ jobs } = { jobs: [] }] = [setup(`{${mix}}`, '  performance: {of: {a: {stepTime: 10s}}}\n')]
  const [first] = jobs.flatMap((one) => [drawJobs(one, seededRandom(1)).next().value])
  expect(first).toMatchObject({ performance: { training: { stepMs: 10_000, steps: 360, ranks: 2 } } })
})

test('a run hands in what its seed draws, and they work for so long', async () => {
  const run = (seed: number) =>
    recordingOf(setup('{name: a, rate: 6, duration: 10m, queue: research, sizes: [{accelerators: "H100:4"}]}'), seed)
  const { jobs } = await run(3)
  const random = seededRandom(3).split('jobs')
  const expected = drawn(2, '{name: a, rate: 6, duration: 10m, sizes: [{accelerators: "H100:4"}]}', random)
  expect(jobs.slice(1).map(({ submittedMs }) => submittedMs)).toEqual(expected.map(({ atMs }) => atMs))
  expect(await run(3)).toEqual(await run(3))
})

test.each([
  [
    '{name: a, duration: 1h, sizes: [{accelerators: "H100:8"}]}',
    's.yaml:8:10: spec.jobs[0].rate: is required and missing; allowed: number from 0 to 100000',
  ],
  [
    '{name: a, rate: 1, duration: soon, sizes: [{accelerators: "H100:8"}]}',
    's.yaml:8:39: spec.jobs[0].duration: is not a duration; write a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d, found "soon"',
  ],
  [
    '{name: a, rate: 1, duration: {median: 2h, p90: 1h}, sizes: [{accelerators: "H100:8"}]}',
    's.yaml:8:57: spec.jobs[0].duration.p90: must be at least the median, 2h, found "1h"',
  ],
  [
    '{name: a, rate: 1, duration: {median: 2h, p99: 9h}, sizes: [{accelerators: "H100:8"}]}',
    's.yaml:8:52: spec.jobs[0].duration.p99: unknown field; did you mean "p90"?',
  ],
  [
    '{name: a, rate: 1, duration: 1h, sizes: []}',
    's.yaml:8:43: spec.jobs[0].sizes: must have at least 1 entries, found an empty list',
  ],
  [
    '{name: a, rate: 1, duration: 1h, sizes: [{accelerators: "H100:x"}]}',
    's.yaml:8:66: spec.jobs[0].sizes[0].accelerators: is not an accelerator; write MODEL:COUNT, e.g. H100:8, cpu:1 or H100:0.5, found "H100:x"',
  ],
  [
    '{name: a, rate: 1, duration: 1h, sizes: [{acelerators: "H100:1"}]}',
    's.yaml:8:51: spec.jobs[0].sizes[0].accelerators: is required and missing; allowed: string\ns.yaml:8:52: spec.jobs[0].sizes[0].acelerators: unknown field; did you mean "accelerators"?',
  ],
  [
    '{name: a, rate: 1, duration: 1h, sizes: [{accelerators: "A100:8"}]}',
    's.yaml:8:66: spec.jobs[0].sizes[0].accelerators: asks for no model of this fleet, H100, found "A100:8"',
  ],
  [
    '{name: a, rate: 1, duration: 1h, queue: reserch, sizes: [{accelerators: gpu}]}',
    's.yaml:8:50: spec.jobs[0].queue: is no Queue of this scenario, found "reserch"; did you mean "research"?',
  ],
  [`{${mix}}, {${mix}}`, 's.yaml:8:99: spec.jobs[1].name: names other jobs already, found "a"'],
  [
    `{${mix.replace('name: a', 'name: small')}}`,
    's.yaml:8:17: spec.jobs[0].name: makes jobs called small-0, small-1, …, and there is small-7, found "small"',
  ],
])('what is wrong is told with its place: %s', (jobs, message) => {
  expect(made(jobs)).toBe(message)
})
