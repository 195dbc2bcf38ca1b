import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Drill, drill } from '../../model/kinds/drill.ts'
import type { LedgerPage } from '../../model/kinds/ledger-page.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { recoveryOf } from '../recovery/record.ts'
import type { Control } from '../run.ts'
import { createWorld, type World } from '../world.fixture.ts'

let world: World
let control: Control
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
  control = world.control()
})
afterEach(() => world.close())

const ref = { name: 'd', namespace: 'default' }
const get = async () => await world.store.get('Drill', ref)
const status = async () => (await get())?.status
const phase = (wanted: string) => world.until(async () => (await status())?.phase === wanted, `the drill is ${wanted}`)
const iso = () => new Date(world.clock.now()).toISOString()

async function make(spec: object): Promise<Drill> {
  const made = drill.parse({ apiVersion: millwrightVersion, kind: 'Drill', metadata: ref, spec })
  await world.store.create('Drill', made)
  return made
}

/** What its agent says. */
const tell = (words: object) => world.store.patch('Drill', ref, { status: words }, { status: true })
const kill = { fault: { kind: 'process-crash' }, target: { job: 'j', rank: 1 } }

async function running(spec: object = {}): Promise<void> {
  await world.job('j', { workers: 2, ...spec })
  await world.phase('j', 'Running')
}

async function struck(): Promise<void> {
  await phase('Striking')
  await tell({ struckAt: iso() })
}

test('a rank of a job is chosen, and what came of it is read off what recovery wrote', async () => {
  await running()
  await world.agent.report('j-worker-0-1', { step: 10, firstStepAtMs: world.clock.now(), stepAtMs: world.clock.now() })
  await make(kill)
  await struck()
  expect(await status()).toMatchObject({
    message: 'strikes j-worker-1-1 on a',
    target: { nodes: ['a'], pods: [{ name: 'j-worker-1-1' }], gangs: [{ name: 'default/j', attempt: 1 }] },
  })
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await world.until(async () => (await world.getJob('j')).status?.attempt === 2, 'a second attempt')
  await world.phase('j', 'Running')
  await world.settle(2_000)
  expect((await status())?.recoveredAt, 'it has done no step yet').toBeUndefined()
  expect(recoveryOf(await world.getGang('j')).nodes, 'nothing is held against its node').toEqual({})
  await world.agent.report('j-worker-0-2', { step: 10, firstStepAtMs: world.clock.now() })
  await phase('Passed')
  const { outcome } = (await status()) ?? {}
  expect(outcome).toMatchObject({ reason: 'Killed', attempts: 1, unmet: [] })
  expect(outcome?.recoveredSeconds).toBeGreaterThanOrEqual(2)
  expect(outcome?.detectedSeconds).toBeLessThan(1)
})

test('each look at the ledger waits until all nodes are accounted for up to the same time', async () => {
  await world.node('b', 2)
  await running()
  await write('a', 1_000)
  await make({ fault: { kind: 'hang', lasts: '1s' }, target: { job: 'j' } })
  await phase('Waiting')
  await world.settle(2_000)
  const atMs = world.clock.now()
  await write('a', atMs)
  await world.settle(2_000)
  expect((await status())?.message).toBe('the ledger is brought up to date')
  await write('b', atMs)
  await struck()
  await tell({ mendedAt: iso() })
  await world.settle(2_000)
  const laterMs = world.clock.now()
  await write('b', laterMs)
  await world.settle(2_000)
  expect((await status())?.phase).toBe('Recovering')
  await write('a', laterMs)
  await phase('Passed')
  expect((await status())?.outcome?.ledger).toEqual({
    fromMs: atMs,
    throughMs: laterMs,
    shares: [{ bucket: 'idle', seconds: (4 * (laterMs - atMs)) / 1000, ofTarget: 0 }],
  })
})

/** As the ledger does for a node that has done nothing since its beginning. */
async function write(node: string, throughMs: number): Promise<void> {
  const capacitySlotMs = 2 * throughMs
  const page: LedgerPage = {
    apiVersion: millwrightVersion,
    kind: 'LedgerPage',
    metadata: { name: node },
    spec: { node, pool: '', accelerator: 'cpu', fromMs: 0 },
    status: {
      slots: 2,
      throughMs,
      revision: '1',
      capacitySlotMs,
      pricePerSlotHour: 0,
      entries: [{ queue: '', owner: '', bucket: 'idle', slotMs: capacitySlotMs }],
      provisional: [],
      usage: [],
    },
  }
  const { status: now } = page
  if ((await world.store.create('LedgerPage', page, { withStatus: true })) === 'exists')
    await world.store.patch('LedgerPage', { name: node }, { status: now }, { status: true })
}

test('what it took until the first step is no work that was lost', async () => {
  await running()
  await world.pass(60)
  await world.agent.report('j-worker-0-1', { step: 1, firstStepAtMs: world.clock.now(), stepAtMs: world.clock.now() })
  await world.pass(5)
  await make({ ...kill, expect: { lostSecondsAtMost: 60 } })
  await struck()
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await world.until(async () => (await world.getJob('j')).status?.attempt === 2, 'a second attempt')
  await world.agent.report('j-worker-0-2', { step: 1, firstStepAtMs: world.clock.now() })
  await phase('Passed')
  // Two accelerators, for five seconds and as long as it waited for the ledger.
  expect((await status())?.outcome?.lostSeconds).toBeGreaterThan(10)
})

test('what was expected and is not so fails it, each by its name', async () => {
  await running()
  const expect_ = { detectedWithin: '1ms', recoveredWithin: '1s', attemptsAtMost: 0, lostSecondsAtMost: 1000 }
  await make({ ...kill, expect: expect_ })
  await struck()
  await world.settle(5_000)
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await phase('Failed')
  expect((await status())?.message).toMatch(
    /^detected after 5s, expected within 1ms; recovered after [\d.]+s, expected within 1s; 1 attempt, expected at most 0$/,
  )
})

test.each<[string, object, string]>([
  ['a job that is not there', { fault: { kind: 'hang' }, target: { job: 'other' } }, 'there is no job other'],
  ['a service without replicas', { fault: { kind: 'hang' }, target: { service: 's' } }, 'there is no service s'],
  [
    'a node that is not there',
    { fault: { kind: 'node-loss', lasts: '1m' }, target: { node: 'b' } },
    'there is no node b',
  ],
  ['labels of nobody', { fault: { kind: 'hang' }, target: { labels: { x: 'y' } } }, 'no pod with the labels x=y runs'],
])('%s is waited for until the deadline', async (_, spec, message) => {
  await make({ ...spec, deadline: '30s' })
  await phase('Waiting')
  expect((await status())?.message).toBe(message)
  await phase('Failed')
  expect((await status())?.message).toBe(`nothing was struck within 30s: ${message}`)
})

test('a rank beyond the last, and a job that has ended, are not waited for', async () => {
  await running()
  await make({ ...kill, target: { job: 'j', rank: 2 } })
  await phase('Failed')
  expect((await status())?.message).toBe('job j has no rank 2: its 2 workers count from 0')
  for (const pod of ['j-worker-0-1', 'j-worker-1-1']) await world.agent.end(pod, { exitCode: 0 })
  await world.phase('j', 'Succeeded')
  await world.store.delete('Drill', ref)
  await world.until(async () => (await get()) === undefined, 'the drill is gone')
  await make(kill)
  await phase('Failed')
  expect((await status())?.message).toBe('job j has ended (Succeeded)')
})

test('an NVLink domain is whatever one of its labels says', async () => {
  await world.node('b', 2)
  await make({ fault: { kind: 'node-loss', lasts: '1m', reach: 'nvlink' }, target: { node: 'a' } })
  await phase('Failed')
  expect((await status())?.message).toBe(
    'node a has no label nvidia.com/gpu.clique or accelerator.topograph.run/domain: nobody knows its NVLink domain',
  )
  for (const name of ['a', 'b'])
    await world.store.patch('Node', { name }, { metadata: { labels: { 'accelerator.topograph.run/domain': 'd' } } })
  await world.node('c', 2)
  await world.store.delete('Drill', ref)
  await world.until(async () => (await get()) === undefined, 'the drill is gone')
  await make({ fault: { kind: 'node-loss', lasts: '1m', reach: 'nvlink' }, target: { node: 'a' } })
  await phase('Striking')
  expect((await status())?.target?.nodes).toEqual(['a', 'b'])
})

test('it strikes no sooner than it is to', async () => {
  await running()
  await make({ ...kill, after: '40s' })
  await world.settle(39_000)
  expect((await status())?.target).toBeUndefined()
  await world.agent.heartbeat()
  await phase('Striking')
})

test('what stood still for a moment and went on has recovered without anybody deciding', async () => {
  await running()
  await make({ fault: { kind: 'hang', lasts: '2s' }, target: { job: 'j' } })
  await struck()
  await world.settle(3_000)
  expect((await status())?.phase).toBe('Recovering')
  await tell({ mendedAt: iso() })
  await phase('Passed')
  expect((await status())?.outcome).toMatchObject({ attempts: 0, lostSeconds: 0 })
  expect((await status())?.outcome?.detectedSeconds).toBeUndefined()
})

test.each([
  [{ kind: 'straggler', lasts: '5m' }, ', not 5m'],
  [{ kind: 'hang' }, ''],
])('%o that is undone before its time has failed, whatever came of it', async (fault, long) => {
  await running()
  await make({ fault, target: { job: 'j' } })
  await struck()
  await world.settle(3_000)
  await tell({ mendedAt: iso() })
  await phase('Failed')
  expect((await status())?.message).toBe(`cut short: over after 3s${long}; the factory was stopped, or died`)
})

test('how slow steps were before a straggler and while it lasted is told', async () => {
  await running()
  const step = (stepSeconds: number) =>
    world.agent.report('j-worker-0-1', { step: 10, firstStepAtMs: world.clock.now(), stepSeconds })
  await step(0.1)
  await make({ fault: { kind: 'straggler', lasts: '5s' }, target: { job: 'j' } })
  await struck()
  await step(0.21)
  await world.settle(3_000)
  await step(0.15)
  await world.settle(2_000)
  await tell({ mendedAt: iso() })
  await phase('Passed')
  expect((await status())?.outcome?.stepSeconds).toEqual({ before: 0.1, slowest: 0.21 })
})

test('a job that fails of it fails the drill', async () => {
  await running({ maxRestarts: 0 })
  await make(kill)
  await struck()
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await phase('Failed')
  expect((await status())?.message).toMatch(/^TrainingJob\/default\/j has failed: /)
})

test('the next leader goes on with it, and is what a drill of the leader waits for', async () => {
  world.control()
  await make({ fault: { kind: 'control-plane-crash', lasts: '1s' } })
  await struck()
  await tell({ mendedAt: iso() })
  await world.settle(2_000)
  expect((await status())?.recoveredAt).toBeUndefined()
  await control.stop()
  await phase('Passed')
  expect((await status())?.outcome).toMatchObject({ attempts: 0, lostSeconds: 0 })
})

test('one that is deleted stays until what it did is undone', async () => {
  await running()
  await make({ fault: { kind: 'hang', lasts: '1h' }, target: { job: 'j' } })
  await struck()
  await world.store.delete('Drill', ref)
  await world.settle(5_000)
  expect((await get())?.metadata.deletionTimestamp).toBeDefined()
  await tell({ mendedAt: iso() })
  await world.until(async () => (await get()) === undefined, 'the drill is gone')
})
