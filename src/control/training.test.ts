import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Store } from '../store/contract.ts'
import { createGate, type Gate } from './gate.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
/** What is written to jobs waits there. */
let jobs: Gate
/** What is written to gangs waits there. */
let gangs: Gate
beforeEach(async () => {
  jobs = createGate()
  gangs = createGate()
  world = await createWorld({ store: gated })
  await world.node('a', 4)
  world.control()
})
afterEach(() => world.close())

function gated(store: Store): Store {
  const updateStatus: Store['updateStatus'] = async (kind, ...args) => {
    if (kind === 'TrainingJob') await jobs.pass()
    if (kind === 'Gang') await gangs.pass()
    return store.updateStatus(kind, ...args)
  }
  return { ...store, updateStatus }
}

const phase = (name: string, wanted: string) => world.phase(name, wanted)

test('a job becomes one gang, seated whole, bound, run, and succeeds when all members do', async () => {
  await world.job('two', { workers: 2 })
  await phase('two', 'Running')
  expect(world.agent.running()).toEqual(['two-worker-0-1', 'two-worker-1-1'])
  const pod = await world.store.get('Pod', { name: 'two-worker-1-1', namespace: 'default' })
  expect(pod?.metadata.annotations).toMatchObject({
    'millwright.dev/rank': '1',
    'millwright.dev/world-size': '2',
    'millwright.dev/master-port': '20000',
  })
  await world.agent.end('two-worker-0-1', { exitCode: 0, output: true })
  await world.agent.end('two-worker-1-1', { exitCode: 0 })
  await phase('two', 'Succeeded')
  const job = await world.getJob('two')
  expect(job.status).toMatchObject({ attempt: 1, restarts: 0, output: { manifest: 'outputs/two-worker-0-1' } })
  expect(job.status?.completionTime).toBeDefined()
  await world.until(async () => (await world.getGang('two')).status?.seats === undefined, 'the seats are free')
})

test('a killed rank raises the attempt at once, from the last committed checkpoint', async () => {
  await world.job('j', { workers: 2 })
  await phase('j', 'Running')
  await world.agent.ship('j-worker-0-1', 10)
  await world.settle()
  expect((await world.getGang('j')).status?.checkpoint).toMatchObject({ step: 10, attempt: 1 })
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL', logTail: 'last words' })
  await world.settle()
  expect(world.agent.running()).toEqual(['j-worker-0-2', 'j-worker-1-2'])
  const job = await world.getJob('j')
  expect(job.status).toMatchObject({
    phase: 'Running',
    attempt: 2,
    restarts: 1,
    lastFailure: {
      attempt: 1,
      reason: 'Killed',
      message: 'j-worker-1-1 (rank 1 on a): killed by SIGKILL; attempt 2 goes on from step 10',
      logTail: 'last words',
    },
  })
  const pod = await world.store.get('Pod', { name: 'j-worker-0-2', namespace: 'default' })
  expect(JSON.parse(pod?.metadata.annotations?.['millwright.dev/work'] ?? '').restore.step).toBe(10)
})

test('a waiting job says what it waits for', async () => {
  await world.job('big', { workers: 3 })
  await phase('big', 'Running')
  await world.job('next', { workers: 2 })
  await phase('next', 'Waiting')
  expect((await world.getJob('next')).status?.message).toBe('needs 2 × cpu:1 at once; fewer are free')
})

test('suspending asks for one checkpoint step of all ranks, then gives the seats back; resuming counts no restart', async () => {
  const job = await world.job('s', { workers: 2, checkpoint: { ranks: 'all' } })
  await phase('s', 'Running')
  await world.agent.ship('s-worker-0-1', 5)
  await world.agent.ship('s-worker-1-1', 5)
  await world.store.patch('TrainingJob', job.metadata, { spec: { suspend: true } })
  await world.settle()
  const { checkpointRequest } = (await world.getGang('s')).spec
  expect(checkpointRequest?.stop).toBe(true)
  expect(checkpointRequest?.step).toBeGreaterThan(5)
  for (const pod of ['s-worker-0-1', 's-worker-1-1']) {
    await world.agent.ship(pod, 16)
    await world.agent.end(pod, { exitCode: 0, stopped: true })
  }
  await phase('s', 'Suspended')
  const gang = await world.getGang('s')
  expect(gang.status?.seats).toBeUndefined()
  expect(gang.status?.checkpoint?.step).toBe(16)
  await world.store.patch('TrainingJob', job.metadata, { spec: { suspend: false } })
  await phase('s', 'Running')
  expect((await world.getJob('s')).status).toMatchObject({ attempt: 2, restarts: 0 })
})

test('a job suspended from the start gets no gang until it is resumed', async () => {
  const job = await world.job('s', { suspend: true })
  await phase('s', 'Suspended')
  expect((await world.store.list('Gang')).items).toEqual([])
  await world.store.patch('TrainingJob', job.metadata, { spec: { suspend: false } })
  await phase('s', 'Running')
})

test('checkpoints are asked for at the interval, at one step ahead of all ranks', async () => {
  await world.job('c', { workers: 2, checkpoint: { interval: '10s' } })
  await phase('c', 'Running')
  const started = world.clock.now()
  await world.agent.report('c-worker-0-1', { step: 30, stepAtMs: started, firstStepAtMs: started, stepSeconds: 0.1 })
  await world.agent.report('c-worker-1-1', { step: 31, stepAtMs: started, firstStepAtMs: started, stepSeconds: 0.1 })
  await world.settle(9_000)
  expect((await world.getGang('c')).spec.checkpointRequest).toBeUndefined()
  await world.settle(1_100)
  // 100 steps in 10 s on top of the last report, and one second of steps for everyone to hear of it.
  expect((await world.getGang('c')).spec.checkpointRequest).toEqual({ step: 31 + 100 + 11, stop: false })
})

test('a job that is active for too long fails', async () => {
  await world.job('d', { activeDeadlineSeconds: 60 })
  await phase('d', 'Running')
  await phase('d', 'Failed')
  expect((await world.getJob('d')).status?.message).toBe('it was active for longer than activeDeadlineSeconds: 60')
  await world.until(() => world.agent.running().length === 0, 'its pods have ended')
})

test('a job that is changed just as its deadline passes fails all the same, and starts no more', async () => {
  await world.job('d', { activeDeadlineSeconds: 60 })
  await phase('d', 'Running')
  await world.settle()
  jobs.close()
  await world.until(() => jobs.waiting() === 1, 'its end is being written')
  await world.store.patch('TrainingJob', { name: 'd', namespace: 'default' }, { spec: { priority: 200 } })
  await world.settle()
  jobs.open()
  await world.until(() => world.agent.running().length === 0, 'its pod has ended')
  await world.settle(1_000)
  expect((await world.getJob('d')).status).toMatchObject({ phase: 'Failed', attempt: 1 })
  expect([...world.agent.starts]).toEqual([['d-worker-0-1', 1]])
})

test('seats that are given while the clock is set back are no older for it', async () => {
  gangs.close()
  world.clock.jump(-7_200_000)
  await world.job('d', { activeDeadlineSeconds: 3600 })
  await world.until(() => gangs.waiting() === 1, 'its seats are being written')
  world.clock.jump(7_200_000)
  gangs.open()
  await phase('d', 'Running')
  await world.settle(1_000)
  expect((await world.getJob('d')).status?.phase).toBe('Running')
})

test('while it is suspended nothing of its deadline is used', async () => {
  const suspend = (is: boolean) =>
    world.store.patch('TrainingJob', { name: 'd', namespace: 'default' }, { spec: { suspend: is } })
  await world.job('d', { activeDeadlineSeconds: 60 })
  await phase('d', 'Running')
  await world.settle(40_000)
  await suspend(true)
  await phase('d', 'Suspended')
  await world.settle(120_000)
  await suspend(false)
  await phase('d', 'Running')
  await world.settle(10_000)
  expect((await world.getJob('d')).status?.phase).toBe('Running')
  await world.settle(11_000)
  expect((await world.getJob('d')).status?.phase).toBe('Failed')
})

test('a deadline that is over in less than a moment is waited for once', async () => {
  await world.job('d', { activeDeadlineSeconds: 60 })
  await phase('d', 'Running')
  const metadata = { annotations: { 'millwright.dev/ran-seconds': String(60 - 1e-9) } }
  const { seats } = (await world.getGang('d')).status ?? {}
  const sat = { ...seats, at: new Date(world.clock.now()).toISOString() }
  await world.store.patch('Gang', { name: 'd', namespace: 'default' }, { metadata })
  await world.store.patch('Gang', { name: 'd', namespace: 'default' }, { status: { seats: sat } }, { status: true })
  await world.settle()
  await phase('d', 'Failed')
})

test('a dataset that does not exist is said, and waited for', async () => {
  await world.job('x', { dataset: 'text' })
  await world.settle()
  expect((await world.getJob('x')).status?.message).toBe(
    'dataset text does not exist in namespace default; create it (kind: Dataset, spec.uri: file:///path)',
  )
  await world.store.create('Dataset', {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Dataset',
    metadata: { name: 'text', namespace: 'default' },
    spec: { uri: 'file:///data/text' },
  })
  await phase('x', 'Running')
  const pod = await world.store.get('Pod', { name: 'x-worker-0-1', namespace: 'default' })
  expect(pod?.metadata.annotations?.['millwright.dev/work']).toContain('file:///data/text')
})

test('a job that promises a model and leaves none has failed', async () => {
  await world.job('m', { output: { model: 'tiny' } })
  await phase('m', 'Running')
  await world.agent.end('m-worker-0-1', { exitCode: 0 })
  await phase('m', 'Failed')
  expect((await world.getJob('m')).status?.conditions.find((one) => one.type === 'Failed')?.reason).toBe(
    'OutputMissing',
  )
})
