import { expect, test } from 'vitest'
import { formatErrors } from '../../compile/documents.ts'
import { faultKinds } from '../../model/faults.ts'
import { pastJob } from '../import/past-job.fixture.ts'
import type { PastJob } from '../import/past-job.ts'
import type { Cause } from './causes.ts'
import { readScenario } from './read.ts'
import { resourcesNamed, setupOf } from './setup.ts'

const text = (spec: string) => `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: {name: a}
spec:
  horizon: 1d
  fleet: [{name: n, count: 2, accelerators: H100:8, nodesPerRack: 1, zone: z}]
${spec}`

const job = `apiVersion: millwright.dev/v1alpha1
kind: TrainingJob
metadata: {name: big}
spec: {command: train, workers: 2, expectedSeconds: 100}
`

function setupFrom(spec: string, past: readonly PastJob[] = [], documents = job, capacity = 'reserved') {
  const written = text(spec).replace('zone: z', `zone: z, capacityType: ${capacity}`)
  const read = readScenario({ name: 's.yaml', text: written })
  if ('errors' in read) return formatErrors(read.errors)
  const files = resourcesNamed(read).map(({ path, atMs }) => ({ name: path, atMs, text: documents }))
  const made = setupOf(read, files, past)
  return 'errors' in made ? formatErrors(made.errors) : made.setup
}

function setup(...from: Parameters<typeof setupFrom>) {
  const made = setupFrom(...from)
  if (typeof made === 'string') throw new Error(made)
  return made
}

test('a scenario becomes nodes in racks, work at its time, and how that performs', () => {
  const made = setup(`  resources: [{file: jobs.yaml, at: 2h}]
  performance: {stepTime: 2s, of: {big: {stall: 1s}}}
`)
  expect(made.nodes.map(({ name, labels, gpus, slots }) => [name, labels, gpus.length, slots])).toEqual([
    ['n-0', { 'topology.kubernetes.io/zone': 'z', 'millwright.dev/rack': 'n-rack-0' }, 8, 0],
    ['n-1', { 'topology.kubernetes.io/zone': 'z', 'millwright.dev/rack': 'n-rack-1' }, 8, 0],
  ])
  expect(made.arrivals.map(({ atMs, object }) => [atMs, object.metadata.name])).toEqual([[7_200_000, 'big']])
  // 100 s at 2 s a step; what is not said has its default.
  expect(made.performances.get('default/big')?.training).toMatchObject({ steps: 50, stepMs: 2000, stallMs: 1000 })
  expect(made.performances.get('default/big')?.training.persistMs).toBe(148_800)
})

test('a job is made for all of its workers, and shares as much of a step among them as is said', () => {
  const trainingOf = (spec: string, performance = '{}') =>
    setup(
      `  resources: [jobs.yaml]\n  performance: ${performance}\n`,
      [],
      job.replace('workers: 2', spec),
    ).performances.get('default/big')?.training
  expect(trainingOf('workers: 8, minWorkers: 2')).toMatchObject({ ranks: 8 })
  expect(trainingOf('workers: 8')).not.toHaveProperty('scaling')
  expect(trainingOf('workers: 8', '{scaling: 0.5, of: {big: {scaling: 0.9}}}')).toMatchObject({ scaling: 0.9 })
})

test('reading a copy takes a thirteenth of reading storage, or what the scenario says of all or of one', () => {
  const performanceIn = (spec: string) =>
    setup(`  resources: [jobs.yaml]\n  performance: ${spec}\n`).performances.get('default/big')
  expect(performanceIn('{restore: 13m}')).toMatchObject({ restoreMs: 780_000 })
  expect(performanceIn('{restore: 13m}')).not.toHaveProperty('restoreFromCopyMs')
  expect(performanceIn('{restoreFromCopy: 90s}')).toMatchObject({ restoreFromCopyMs: 90_000 })
  expect(performanceIn('{restoreFromCopy: 90s, of: {big: {restoreFromCopy: 5s}}}')).toMatchObject({
    restoreFromCopyMs: 5_000,
  })
})

test.each([
  [
    '  performance: {restoreFromCopy: fast}\n',
    's.yaml:7:34: spec.performance.restoreFromCopy: is not a duration; write a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d, found "fast"',
  ],
  ['  horizn: 1d\n', 's.yaml:7:3: spec.horizn: unknown field; did you mean "horizon"?'],
  ['  faults: {presett: llama3}\n', 's.yaml:7:12: spec.faults.presett: unknown field; did you mean "preset"?'],
  [
    '  faults: {preset: lama3}\n',
    's.yaml:7:20: spec.faults.preset: must be one of a few words, found "lama3"; allowed: llama3, rsc1, rsc2, fire-flyer, spot, maintenance, shocks; did you mean "llama3"?',
  ],
  [
    '  faults: {mix: {a: {kind: hangs, count: 1}}}\n',
    `s.yaml:7:28: spec.faults.mix.a.kind: must be one of a few words, found "hangs"; allowed: ${faultKinds.join(', ')}; did you mean "hang"?`,
  ],
  [
    '  faults: {mix: {a: {kind: gpu-error, count: 1}}}\n',
    's.yaml:7:18: spec.faults.mix.a.xid: is required of a gpu-error: 13, 31, 43, 45, 46, 48, 62, 63, 64, 74, 79, 92, 94, 95, 109, 119, 120, 140, 143, 144, 145, 146, 147, 148, 149, 150, 158, found nothing',
  ],
  [
    '  faults: {mix: {a: {kind: hang, xid: 79, count: 1}}}\n',
    's.yaml:7:39: spec.faults.mix.a.xid: must be left out of a hang: it is of a gpu-error, found 79',
  ],
  [
    '  faults: {mix: {a: {kind: hang}}}\n',
    's.yaml:7:18: spec.faults.mix.a: must have perNodeDay, perDomainDay, count or at, one of them, found an object',
  ],
  [
    '  faults: {mix: {a: {kind: node-loss, perDomainDay: 1}}}\n',
    's.yaml:7:53: spec.faults.mix.a.perDomainDay: must be left out, or say of what with reach: nvlink, rack, block or zone, found 1',
  ],
  [
    '  faults: {mix: {a: {kind: node-loss, reach: rack, count: 1, share: 1.5}}}\n',
    's.yaml:7:69: spec.faults.mix.a.share: must be at most 1, found 1.5',
  ],
  [
    '  faults: {mix: {a: {kind: storage-full, count: 1, lemons: {share: 0.1, times: 9}}, b: {kind: node-loss, reach: rack, perDomainDay: 1, lemons: {share: 0.1, times: 9}}}}\n',
    's.yaml:7:52: spec.faults.mix.a.lemons: must be left out: a storage is on no node, found an object\ns.yaml:7:136: spec.faults.mix.b.lemons: must be left out with perDomainDay: write perNodeDay or count, found an object',
  ],
  [
    '  faults: {mix: {a: {kind: hang, count: 1, every: 2h}, b: {kind: hang, at: 1h, every: 30s}, c: {kind: storage-full, at: 1h, pools: [n]}}}\n',
    's.yaml:7:51: spec.faults.mix.a.every: goes with at, found "2h"\ns.yaml:7:87: spec.faults.mix.b.every: must be at least 1m, found "30s"\ns.yaml:7:125: spec.faults.mix.c.pools: must be left out: a storage is on no node, found a list of 1',
  ],
  [
    '  faults: {mix: {a: {kind: storage-full, perDomainDay: 1, share: 0.5}}}\n',
    's.yaml:7:56: spec.faults.mix.a.perDomainDay: must be left out: a storage is on no node; write count or at, found 1\ns.yaml:7:66: spec.faults.mix.a.share: must be left out: a storage is on no node, found 0.5',
  ],
  ['  performance: {stall: 5}\n', 's.yaml:7:24: spec.performance.stall: must be a duration, found 5; write 5s'],
  [
    '  performance: {stall: soon}\n',
    's.yaml:7:24: spec.performance.stall: is not a duration; write a number with a unit, e.g. 500ms, 30s, 10m, 1h30m or 2d, found "soon"',
  ],
  [
    '  resources: [jobs.yaml]\n  performance: {of: {bigg: {stall: 1s}}}\n',
    's.yaml:8:22: spec.performance.of.bigg: names no job or service of this scenario, found "bigg"; did you mean "big"?',
  ],
])('what is wrong is told with its place: %s', (spec, message) => {
  expect(setupFrom(spec)).toBe(message)
})

const service = `apiVersion: millwright.dev/v1alpha1
kind: InferenceService
metadata: {name: chat}
spec: {command: serve}
`
const withService = (spec: string) => setupFrom(`  resources: [{file: chat.yaml, at: 1h}]\n${spec}`, [], service)

test('requests come from when their service is applied, and what nobody said has its default', () => {
  const made = withService(`  performance: {engine: {preset: 70b-h100-tp4, kvTokens: 1000, prefillTokenUs: 5}}
  traffic: [{service: chat, rate: 2, output: 50, slo: {ttft: 2s}}]
`)
  if (typeof made === 'string') throw new Error(made)
  expect(made.traffic).toEqual([
    {
      service: 'default/chat',
      fromMs: 3_600_000,
      slo: { ttftMs: 2000, tpotMs: undefined },
      traffic: {
        kind: 'drawn',
        rate: 2,
        cv: 1,
        daily: undefined,
        bursts: [],
        input: { mean: 1155, p99: 4142, max: 16_568 },
        output: { mean: 50, max: 50 },
      },
    },
  ])
  expect(made.performances.get('default/chat')?.replica.engine).toMatchObject({
    kvTokens: 1000,
    prefill: { ms: 0.5, perTokenMs: 0.005 },
    decode: { ms: 14.56 },
  })
})

test('who gets no requests has no engine', () => {
  const made = withService('')
  if (typeof made === 'string') throw new Error(made)
  expect(made.performances.get('default/chat')?.replica).toEqual({ loadMs: 60_000, drainMs: 30_000 })
})

test.each([
  [
    '  traffic: [{service: chta, rate: 1}]\n',
    's.yaml:8:23: spec.traffic[0].service: names no service of this scenario, found "chta"; did you mean "chat"?',
  ],
  [
    '  traffic: [{service: chat, rate: 1, inptu: 5}]\n',
    's.yaml:8:38: spec.traffic[0].inptu: unknown field; did you mean "input"?',
  ],
  [
    '  traffic: [{service: chat}]\n',
    's.yaml:8:13: spec.traffic[0]: must have rate, trace or clients, one of them, found an object',
  ],
  [
    '  traffic: [{service: chat, cv: 2, trace: {file: t, format: azure}}]\n',
    's.yaml:8:33: spec.traffic[0].cv: must be left out: the requests come as they are in the trace, found 2',
  ],
  [
    '  traffic: [{service: chat, daily: {share: 1}, clients: {files: [c.csv]}}]\n',
    's.yaml:8:29: spec.traffic[0].daily: must be left out: the clients have rates of their own, found an object',
  ],
  [
    '  traffic: [{service: chat, rate: 1, input: {mean: 10, p99: 900}}]\n',
    's.yaml:8:61: spec.traffic[0].input.p99: must be at most 14.9 times the mean, 10, found 900',
  ],
  [
    '  traffic: [{service: chat, trace: {file: t, format: mooncacke}}]\n',
    's.yaml:8:54: spec.traffic[0].trace.format: must be one of a few words, found "mooncacke"; allowed: mooncake, azure; did you mean "mooncake"?',
  ],
  [
    '  traffic: [{service: chat, rate: 1}, {service: chat, rate: 2}]\n',
    's.yaml:8:49: spec.traffic[1].service: has traffic already, found "chat"',
  ],
  [
    '  performance: {of: {chat: {engine: 8b-h10}}}\n',
    's.yaml:8:37: spec.performance.of.chat.engine: is no preset of an engine, found "8b-h10"; did you mean "8b-h100"?',
  ],
  [
    '  performance: {engine: {kvToken: 5}}\n',
    's.yaml:8:26: spec.performance.engine.kvToken: unknown field; did you mean "kvTokens"?',
  ],
])('what is wrong with requests is told with its place: %s', (spec, message) => {
  expect(withService(spec)).toBe(message)
})

test.each([
  ['llama3', (419 / (2048 * 54)) * 1000],
  ['rsc1', 6.5],
  ['rsc2', 2.34],
  ['fire-flyer', (12_952 / (1250 * 365)) * 1000],
  ['spot', 6.3],
  ['maintenance', (32 / (2048 * 54)) * 1000],
])('the causes of %s come as often as they were counted, %d times in 1,000 node-days', (preset, rate) => {
  const made = setup(`  faults: {preset: ${preset}, scale: 2}\n`, [], job, 'spot')
  expect(made.causes.reduce((sum, { perNodeDay = 0 }) => sum + 1000 * perNodeDay, 0)).toBeCloseTo(2 * rate, 9)
})

test('of the clusters that had lemons ten failures of fourteen are theirs', () => {
  const [{ lemons }] = setup('  faults: {preset: rsc1}\n').causes as [Cause]
  const { share, times } = lemons ?? { share: 0, times: 0 }
  expect(share * 3000).toBeCloseTo(40, 9)
  expect((share * times) / (share * times + 1 - share)).toBeCloseTo(10 / 14, 3)
})

test('spot instances alone are taken back', () => {
  expect(setupFrom('  faults: {preset: spot}\n')).toBe(
    's.yaml:7:20: spec.faults.preset: needs nodes whose capacityType is spot, found "spot"',
  )
  expect(setup('  faults: {preset: spot}\n', [], job, 'spot').causes).toMatchObject([{ pools: ['n'] }])
  const mine = '{kind: node-loss, lasts: 1h, count: 1, '
  expect(setupFrom(`  faults: {mix: {a: ${mine}capacityType: on-demand}, b: ${mine}pools: [m]}}}\n`)).toBe(
    `s.yaml:7:136: spec.faults.mix.b.pools[0]: names no nodes of this scenario, found "m"; did you mean "n"?
s.yaml:7:74: spec.faults.mix.a.capacityType: needs nodes whose capacityType is on-demand, found "on-demand"`,
  )
})

test('nodes of an NVLink domain say so, and a fault of one needs them to', () => {
  const tray = '  faults: {mix: {tray: {kind: node-loss, reach: nvlink, count: 1, lasts: 1h}}}\n'
  expect(setupFrom(tray)).toBe(
    's.yaml:7:49: spec.faults.mix.tray.reach: needs nodesPerNvlink of the nodes called n, found "nvlink"',
  )
  const read = readScenario({ name: 's.yaml', text: text(tray).replace('zone: z', 'nodesPerNvlink: 1') })
  const made = 'errors' in read ? read : setupOf(read, [], [])
  if ('errors' in made) throw new Error(formatErrors(made.errors))
  expect(made.setup.nodes.map(({ labels }) => labels['nvidia.com/gpu.clique'])).toEqual(['n-nvlink-0', 'n-nvlink-1'])
})

test('shocks need to know what nodes share', () => {
  expect(setupFrom('  faults: {preset: shocks}\n')).toBe(
    's.yaml:7:20: spec.faults.preset: needs nodesPerBlock of the nodes called n, found "shocks"',
  )
  const mine = 'block shock: {kind: process-crash, count: 0}'
  const made = setup(`  faults: {preset: shocks, mix: {${mine}}}\n`)
  expect(made.causes.map(({ name, reach, share }) => [name, reach, share])).toEqual([
    ['node failure', undefined, 1],
    ['rack shock', 'rack', 0.5],
    ['block shock', undefined, 1],
    ['zone shock', 'zone', 0.5],
  ])
})

test('nodes of two shapes have two names', () => {
  const shape = '{name: n, count: 1, accelerators: cpu:4}'
  const read = readScenario({ name: 's.yaml', text: text('').replace('}]', `}, ${shape}]`) })
  expect('errors' in read ? formatErrors(read.errors) : '').toBe(
    's.yaml:6:87: spec.fleet[1].name: names other nodes already, found "n"',
  )
})

test('a kind that is not work is refused where it stands', () => {
  const pool = 'apiVersion: millwright.dev/v1alpha1\nkind: Pool\nmetadata: {name: p}\nspec: {}\n'
  expect(setupFrom('  resources: [pools.yaml]\n', [], pool)).toBe(
    'pools.yaml:2:7: kind: has no place in a scenario, found "Pool"; allowed: Namespace, Queue, TrainingJob, InferenceService, Drill',
  )
})

const past = (over: Partial<PastJob>) => pastJob({ gpus: 8, durationSeconds: 60, ...over })

test('jobs of a history come at their times, spread as they were where nodes are large enough', () => {
  const made = setup('  history: {file: jobs.csv}\n', [
    past({ submitSeconds: 1.5, gpus: 8, nodes: 2 }),
    past({ submitSeconds: 2, gpus: 32, nodes: 2 }),
    past({ submitSeconds: 3, gpus: 0.5 }),
  ])
  const asked = made.arrivals.map(({ atMs, object }) => {
    if (object.kind !== 'TrainingJob') return undefined
    return [atMs, object.spec.workers, object.spec.resources?.accelerators]
  })
  expect(asked).toEqual([
    [1500, 2, 'H100:4'],
    [2000, 4, 'H100:8'],
    [3000, 1, 'H100:0.5'],
  ])
})

test('a job of a history has the name that it had there, where it is one and of nobody else', () => {
  const ids = ['12', '11_3', undefined, '12', 'Train.A', 'j0', 'a b', 'big']
  const made = setup(
    '  resources: [big.yaml]\n  history: {file: jobs.csv}\n',
    ids.map((id, index) => past({ id, submitSeconds: 1 + index })),
    job,
  )
  const names = made.arrivals.map(({ object }) => object.metadata.name)
  expect(names).toEqual(['big', 'j0', '11-3', 'j2', 'j3', 'train-a', 'j5', 'j6', 'j7'])
})

test('how much of a history comes within the horizon is known', () => {
  const rows = [0, 3600, 86_399.9, 86_400, 1e6].map((submitSeconds) => past({ submitSeconds }))
  const { history, horizonMs } = setup('  history: {file: jobs.csv}\n', rows)
  expect({ history, horizonMs }).toEqual({ history: { within: 3, later: 2 }, horizonMs: 86_400_000 })
})

test('the largest job that a history may hold is one that can be handed in', () => {
  const [largest] = setup('  history: {file: jobs.csv}\n', [
    past({ gpus: 100_000, nodes: 100_000, durationSeconds: 315_360_000, priority: 1e9 }),
  ]).arrivals
  expect(largest).toMatchObject({ object: { spec: { workers: 100_000, expectedSeconds: 315_360_000 } } })
})

test('a history must name queues and models that are there, or the scenario one for all', () => {
  const rows = [past({ queue: 'vc1', model: 'V100' }), past({ queue: 'vc1', model: 'V100' })]
  expect(setupFrom('  history: {file: jobs.csv}\n', rows)).toBe(
    `s.yaml:7:3: spec.history.queue: is no Queue of this scenario; add it, or name one for all jobs here, found "vc1"; allowed: default
s.yaml:7:3: spec.history.accelerator: is no model of this fleet; add it, or name one for all jobs here, found "V100"; allowed: H100, gpu`,
  )
  expect(setupFrom('  history: {file: jobs.csv, queue: default, accelerator: h100}\n', rows)).toMatchObject({
    name: 'a',
  })
})

test('a history may name a model as its driver does', () => {
  const made = setup('  history: {file: a.csv}\n', [past({ model: 'NVIDIA-H100-80GB-HBM3' })])
  expect(made.arrivals).toMatchObject([{ object: { spec: { resources: { accelerators: 'H100:8' } } } }])
})

test('a history that says no model asks a fleet of several for any GPU', () => {
  const shape = '{name: m, count: 1, accelerators: A100:4}'
  const read = readScenario({ name: 's.yaml', text: text('  history: {file: a.csv}\n').replace('}]', `}, ${shape}]`) })
  const made = 'errors' in read ? read : setupOf(read, [], [past({ gpus: 16 })])
  if ('errors' in made) throw new Error(formatErrors(made.errors))
  expect(made.setup.arrivals).toMatchObject([{ object: { spec: { resources: { accelerators: 'gpu:8' } } } }])
})

test('a drill that names what is not in the scenario is refused where it says so', () => {
  const drill = (target: string) =>
    `${job}---\napiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: d}\nspec: {fault: {kind: hang}, target: ${target}}\n`
  const from = (target: string) => setupFrom('  resources: [d.yaml]\n', [], drill(target))
  expect(from('{job: bgi}')).toBe(
    'd.yaml:9:43: spec.target.job: names no job of this scenario, found "bgi"; did you mean "big"?',
  )
  expect(from('{node: n-2}')).toMatch(/^d.yaml:9:44: spec.target.node: names no node of this scenario, found "n-2"/)
  expect(from('{job: big, rank: 7}')).toMatch(
    /^d.yaml:9:54: spec.target.rank: names no rank of job big, found 7; allowed: 0 to 1$/,
  )
  expect(from('{job: big}')).toMatchObject({
    arrivals: [{ object: { kind: 'TrainingJob' } }, { object: { kind: 'Drill' } }],
  })
})

test.each([
  ['  resources: [{file: jobs.yaml, at: 24h}]\n', 'resources[0].at'],
  ['  faults: {mix: {v: {kind: node-loss, at: 2d}}}\n', 'faults.mix.v.at'],
])('what would come when all is over is refused: %s', (spec, field) => {
  expect(setupFrom(spec)).toContain(`spec.${field}: is never played: the horizon is 1d`)
})
