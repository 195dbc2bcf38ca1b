import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSimulatedStorage, type SimulatedStorage } from '../blob/simulated/storage.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
let storage: SimulatedStorage
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
  storage = createSimulatedStorage(world.blobs, world.clock)
  world.control({ blobs: storage.blobs })
})
afterEach(() => world.close())

const pod = 'j-worker-0-1'
const statusOf = async () => (await world.getGang('j')).status
const committed = (step: number) =>
  world.until(async () => (await statusOf())?.checkpoint?.step === step, `step ${step} is committed`)

/** The job works until the next checkpoint is asked for; the step that it is to hold. */
async function asked(): Promise<number> {
  const before = (await world.getGang('j')).spec.checkpointRequest?.step ?? 0
  let step = before
  const firstStepAtMs = world.clock.now()
  for (let second = 0; step <= before; second++) {
    if (second > 100) throw new Error('no checkpoint was asked for')
    await world.agent.report(pod, {
      step: before + 10 * second,
      stepAtMs: world.clock.now(),
      firstStepAtMs,
      stepSeconds: 0.1,
    })
    await world.agent.heartbeat()
    await world.settle(1000)
    step = (await world.getGang('j')).spec.checkpointRequest?.step ?? 0
  }
  return step
}

async function running(spec: Record<string, unknown>): Promise<void> {
  await world.job('j', { checkpoint: { interval: '10s' }, ...spec })
  await world.phase('j', 'Running')
}

test('what a checkpoint on request takes is known once one was written, until a request is not heeded', async () => {
  await running({})
  const first = await asked()
  await world.agent.ship(pod, first, { stallSeconds: 2, persistSeconds: 3 })
  await committed(first)
  expect((await statusOf())?.checkpointRequestSeconds).toBe(5)
  await world.agent.ship(pod, first + 1, { stallSeconds: 9, persistSeconds: 9 })
  await committed(first + 1)
  expect((await statusOf())?.checkpointRequestSeconds, 'one of its own accord says nothing').toBe(5)
  const second = await asked()
  await world.agent.ship(pod, second + 1, { stallSeconds: 1 })
  await committed(second + 1)
  expect((await statusOf())?.checkpointRequestSeconds, 'it passed over what it was asked for').toBeUndefined()
})

test('one that takes longer than a job has before it is stopped saves nothing', async () => {
  await running({ terminationGracePeriodSeconds: 20 })
  const first = await asked()
  await world.agent.ship(pod, first, { stallSeconds: 6, persistSeconds: 10 })
  await committed(first)
  expect((await statusOf())?.checkpointRequestSeconds).toBeUndefined()
  const second = await asked()
  await world.agent.ship(pod, second, { stallSeconds: 5, persistSeconds: 10 })
  await committed(second)
  expect((await statusOf())?.checkpointRequestSeconds).toBe(15)
})

test('one that cannot be read back yet is committed once it can, and holds up nothing else of its job', async () => {
  await running({})
  const first = await asked()
  await world.agent.ship(pod, first, {})
  await committed(first)
  const mend = storage.breakDown()
  const second = await asked()
  await world.agent.ship(pod, second, {})
  expect(await asked(), 'the next one is asked for in time').toBeGreaterThan(second)
  await world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec: { suspend: true } })
  await world.until(async () => (await world.getGang('j')).spec.checkpointRequest?.stop === true, 'it is to stop')
  expect((await statusOf())?.checkpoint?.step).toBe(first)
  mend()
  await world.settle(5_000)
  await committed(second)
})

test('a job that was stopped while its checkpoint could not be read back goes on from it once it can', async () => {
  const ref = { name: 'j', namespace: 'default' }
  await running({})
  await asked()
  await world.store.patch('TrainingJob', ref, { spec: { suspend: true } })
  await world.until(async () => (await world.getGang('j')).spec.checkpointRequest?.stop === true, 'it is to stop')
  const { step = 0 } = (await world.getGang('j')).spec.checkpointRequest ?? {}
  const mend = storage.breakDown()
  await world.agent.ship(pod, step, {})
  await world.agent.end(pod, { exitCode: 0, stopped: true })
  await world.phase('j', 'Suspended')
  await world.store.patch('TrainingJob', ref, { spec: { suspend: false } })
  await world.pass(60)
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  expect((await world.getJob('j')).status).toMatchObject({
    phase: 'Pending',
    message: `waits until its checkpoint of step ${step} can be read back: object storage cannot be reached: it does not answer`,
  })
  mend()
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'it goes on')
  expect((await world.getJob('j')).status).toMatchObject({ checkpoint: { step, attempt: 1 }, attempt: 2 })
})
