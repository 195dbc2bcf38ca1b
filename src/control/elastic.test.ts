import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSimulatedStorage } from '../blob/simulated/storage.ts'
import { inferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { annotation, label } from '../model/names.ts'
import { refOf } from '../model/refs.ts'
import { podWork } from '../model/work.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Elastic training: as many members as there is room for, fewer while a service needs the room, more when it goes. */

let world: World
beforeEach(async () => {
  world = await createWorld()
  await prepare(world)
})
afterEach(() => world.close())

const elastic = { workers: 4, minWorkers: 1, maxRestarts: 0, terminationGracePeriodSeconds: 4 }

test('it starts with what there is, and grows when that has been idle for a while; no restart is counted', async () => {
  world.control()
  await world.job('other', { workers: 2 })
  await world.until(() => world.agent.running().length === 2, 'the other runs')
  await world.job('train', { ...elastic, checkpoint: { ranks: 'all' } })
  await runs(world, ['train-worker-0-1', 'train-worker-1-1'])
  expect(await sizesOf(world)).toEqual(['2 of 2', '2 of 2'])
  expect((await world.getJob('train')).status).toMatchObject({ phase: 'Running', workers: 2, checkpoint: { step: 10 } })
  for (const name of ['other-worker-0-1', 'other-worker-1-1']) await world.agent.end(name, { exitCode: 0 })
  await world.until(async () => (await world.getGang('train')).status?.resize !== undefined, 'it is to grow')
  const gang = await world.getGang('train')
  expect(gang.status?.resize?.message).toMatch(/^grows from 2 to 4 members; gains 7200 accelerator-seconds/)
  await world.job('late', { workers: 1 }) // what it grows into is kept for it
  await world.until(async () => (await world.getJob('train')).status?.phase === 'Restarting', 'it restarts')
  expect((await world.getJob('train')).status?.message).toBe(gang.status?.resize?.message)
  await runs(world, ['train-worker-0-2', 'train-worker-1-2', 'train-worker-2-2', 'train-worker-3-2'])
  expect(await sizesOf(world)).toEqual(['4 of 4', '4 of 4', '4 of 4', '4 of 4'])
  await world.until(async () => (await world.getJob('train')).status?.checkpoint?.step === 20, 'its checkpoint')
  const { status } = await world.getJob('train')
  expect(status).toMatchObject({ restarts: 0, attempt: 2, workers: 4, phase: 'Running' })
  expect(status?.lastFailure).toBeUndefined()
  expect((await world.getGang('train')).status).not.toHaveProperty('resize')
  const restored = await restoredBy(world, 'train-worker-3-2')
  expect(restored).toMatchObject({ step: 11, attempt: 1, manifests: { length: 2 } })
  expect((await world.getJob('late')).status?.phase).toBe('Waiting')
  for (const name of world.agent.running()) await world.agent.end(name, { exitCode: 0 })
  await world.until(async () => (await world.getJob('train')).status?.phase === 'Succeeded', 'it ends')
})

test('it does not start again without the checkpoint that it wrote to grow, while that cannot be read back', async () => {
  const storage = createSimulatedStorage(world.blobs, world.clock)
  world.control({ blobs: storage.blobs })
  await world.job('other', { workers: 2 })
  await world.until(() => world.agent.running().length === 2, 'the other runs')
  await world.job('train', { ...elastic, checkpoint: { ranks: 'all' } })
  await runs(world, ['train-worker-0-1', 'train-worker-1-1'])
  for (const name of ['other-worker-0-1', 'other-worker-1-1']) await world.agent.end(name, { exitCode: 0 })
  await world.until(async () => (await world.getGang('train')).spec.checkpointRequest?.stop === true, 'it is to stop')
  const mend = storage.breakDown()
  for (const name of ['train-worker-0-1', 'train-worker-1-1']) {
    await world.agent.ship(name, 12)
    await world.agent.end(name, { exitCode: 0, stopped: true })
  }
  await world.pass(60)
  expect((await world.getGang('train')).spec.attempt).toBe(1)
  mend()
  await runs(world, ['train-worker-0-2', 'train-worker-1-2', 'train-worker-2-2', 'train-worker-3-2'])
  expect(await restoredBy(world, 'train-worker-3-2')).toMatchObject({ step: 12, attempt: 1 })
})

test('a checkpoint of all ranks counts when all that sit have written it, and the job is done when all of them are', async () => {
  world.control()
  await world.job('train', { ...elastic, checkpoint: { ranks: 'all' } })
  await runs(
    world,
    [0, 1, 2, 3].map((index) => `train-worker-${index}-1`),
  )
  for (const index of [0, 1, 2]) await world.agent.ship(`train-worker-${index}-1`, 50)
  await world.settle(1_000)
  expect((await world.getJob('train')).status?.checkpoint?.step).toBe(10)
  await world.agent.ship('train-worker-3-1', 50)
  await world.until(async () => (await world.getJob('train')).status?.checkpoint?.step === 50, 'step 50')
  for (const index of [0, 1, 2]) await world.agent.end(`train-worker-${index}-1`, { exitCode: 0 })
  await world.settle(1_000)
  expect((await world.getJob('train')).status?.phase).toBe('Running')
  await world.agent.end('train-worker-3-1', { exitCode: 0 })
  await world.until(async () => (await world.getJob('train')).status?.phase === 'Succeeded', 'it ends')
})

test('a rank that fails takes no member away: it waits for its own to end and comes back as large', async () => {
  world.control()
  await world.job('train', { ...elastic, maxRestarts: 1 })
  await runs(
    world,
    [0, 1, 2, 3].map((index) => `train-worker-${index}-1`),
  )
  await world.agent.end('train-worker-2-1', { exitCode: 2 })
  await runs(
    world,
    [0, 1, 2, 3].map((index) => `train-worker-${index}-2`),
  )
  expect((await world.getJob('train')).status).toMatchObject({ restarts: 1, attempt: 2, workers: 4 })
})

test('suspended while it is to grow, it gives all back; resumed, it takes what there is', async () => {
  world.control()
  await world.job('other', { workers: 2 })
  await world.until(() => world.agent.running().length === 2, 'the other runs')
  await world.job('train', elastic)
  await runs(world, ['train-worker-0-1', 'train-worker-1-1'])
  for (const name of ['other-worker-0-1', 'other-worker-1-1']) await world.agent.end(name, { exitCode: 0 })
  await world.until(async () => (await world.getGang('train')).status?.resize !== undefined, 'it is to grow')
  const ref = { name: 'train', namespace: 'default' }
  await world.store.patch('TrainingJob', ref, { spec: { suspend: true } })
  await world.until(async () => (await world.getJob('train')).status?.phase === 'Suspended', 'it is suspended')
  await world.until(async () => (await world.getGang('train')).status?.seats === undefined, 'it holds nothing')
  expect((await world.getGang('train')).status).not.toHaveProperty('resize')
  await world.store.patch('TrainingJob', ref, { spec: { suspend: false } })
  await runs(
    world,
    [0, 1, 2, 3].map((index) => `train-worker-${index}-2`),
  )
})

test('a service takes from it what it needs and gives it back; the job goes on all the while', async () => {
  const { sizes, restarts, phase } = await exchange()
  expect(sizes).toEqual([4, 2, 4])
  expect({ restarts, phase }).toEqual({ restarts: 0, phase: 'Succeeded' })
})

test('a control plane that dies after any of its writes shrinks and grows it all the same', async () => {
  const { writes, ...wanted } = await exchange()
  expect(wanted.attempt).toBe(3)
  for (let n = 1; n <= writes; n++) {
    const { writes: _, ...found } = await exchange(n)
    expect({ n, ...found }).toEqual({ n, ...wanted })
  }
}, 180_000)

/** The burst of a service over an elastic job that has the whole fleet. */
async function exchange(crashAfter = Number.POSITIVE_INFINITY) {
  const own = await createWorld({ seed: 3 })
  await prepare(own, 5_000) // the next control plane is there by then
  const { writes, until } = mortalControl(own, crashAfter)
  const sizes: number[] = []
  const runsOf = (job: string) => own.agent.running().filter((name) => name.startsWith(job))
  const settled = async (what: string, size: number, replicas: number) => {
    await until(async () => {
      const seats = (await own.getGang('train').catch(() => undefined))?.status?.seats
      const members = runsOf('train').length
      return members === size && seats?.members.length === size && runsOf('chat').length === replicas
    }, what)
    sizes.push(runsOf('train').length)
    expect(new Set(await sizesOf(own))).toEqual(new Set([`${size} of ${size}`]))
  }
  await own.job('train', elastic)
  await settled('train has it all', 4, 0)
  const ref = { name: 'chat', namespace: 'default' }
  const spec = { command: ['serve'], minReplicas: 2, maxReplicas: 2, scaleDownSeconds: 5 }
  const head = { apiVersion: millwrightVersion, kind: 'InferenceService', metadata: ref }
  await own.store.create('InferenceService', inferenceService.parse({ ...head, spec }))
  await settled('chat has two, train goes on with the rest', 2, 2)
  await own.store.patch('InferenceService', ref, { spec: { minReplicas: 0 } })
  await settled('chat is gone, train has it all again', 4, 0)
  for (const name of runsOf('train')) await own.agent.end(name, { exitCode: 0 })
  await until(async () => (await own.getJob('train')).status?.phase === 'Succeeded', 'train ends')
  const { restarts, attempt, phase } = (await own.getJob('train')).status ?? {}
  const startedTwice = [...own.agent.starts].filter(([, starts]) => starts > 1)
  await own.close()
  return { sizes, restarts, attempt, phase, startedTwice, writes: writes() }
}

/** Two nodes, and agents whose pods train or serve from the start: ten steps an attempt, one more before they stop. */
async function prepare(of: World, stopMs = 100): Promise<void> {
  await of.node('a', 2)
  await of.node('b', 2)
  of.agent.onStart(async (pod) => {
    const { name } = pod.metadata
    if (!name.startsWith('train')) return becomeReady(of, pod)
    await of.agent.report(name, { firstStepAtMs: of.clock.now() })
    await of.agent.ship(name, 10 * attemptOf(pod))
  })
  of.agent.onStop(async (pod) => {
    if (pod.metadata.name.startsWith('train')) await of.agent.ship(pod.metadata.name, 10 * attemptOf(pod) + 1)
    await of.clock.sleep(stopMs)
  })
}

function attemptOf(pod: Pod): number {
  return Number(pod.metadata.labels?.[label.attempt])
}

async function becomeReady(of: World, pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await of.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}

async function runs(of: World, pods: readonly string[]): Promise<void> {
  const training = () => of.agent.running().filter((name) => name.startsWith('train'))
  await of.until(() => training().join() === pods.join(), `${pods.join(', ')} run`)
}

/** `rank's WORLD_SIZE of its gang's seats`, for each pod of it that runs. */
async function sizesOf(of: World): Promise<string[]> {
  const seats = (await of.getGang('train')).status?.seats?.members.length
  const pods = (await of.store.list('Pod')).items
  return pods.flatMap(({ metadata, status }) =>
    metadata.name.startsWith('train') && status?.phase === 'Running'
      ? [`${metadata.annotations?.[annotation.worldSize]} of ${seats}`]
      : [],
  )
}

async function restoredBy(of: World, name: string) {
  const pod = await of.store.get('Pod', { name, namespace: 'default' })
  return podWork.parse(JSON.parse(pod?.metadata.annotations?.[annotation.work] ?? '{}')).restore
}
