import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../model/conditions.ts'
import { inferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { annotation, label } from '../model/names.ts'
import { refOf } from '../model/refs.ts'
import { podWork } from '../model/work.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Two nodes of two slots with one free on each: one has to move so that a job of two on one node starts. */

const onOneNode = { resources: { accelerators: 'cpu:2' } }

let world: World
beforeEach(async () => {
  world = await createWorld()
  await prepare(world)
})
afterEach(() => world.close())

const phase = (of: World, name: string) => of.getJob(name).then(({ status }) => status?.phase)

test('one that moves checkpoints and starts again on seats that were kept for it; no restart is counted', async () => {
  world.control()
  await fragment(world, world.until)
  await world.job('wide', onOneNode)
  await world.until(async () => (await world.getGang('wide')).status?.hold !== undefined, 'seats are kept for wide')
  const { hold, conditions } = (await world.getGang('wide')).status ?? {}
  expect(hold?.victims).toMatchObject([{ gang: 'default/train', reason: 'Defragmentation', movesTo: [{ node: 'a' }] }])
  expect(conditionOf(conditions, 'Scheduled')?.message).toMatch(
    /^it sits when default.train has moved, which loses [0-9]+ accelerator-seconds of work, and it gains 7200 by/,
  )
  await world.job('late', { workers: 1 }) // what is kept for it is its own
  await world.until(async () => (await phase(world, 'train')) === 'Restarting', 'it moves')
  expect((await world.getJob('train')).status?.message).toMatch(/Defragmentation.*where seats are kept for it$/)
  await runs(world, world.until, ['stay-worker-0-1', 'train-worker-0-2', 'wide-worker-0-1'])
  expect((await world.getJob('train')).status).toMatchObject({ restarts: 0, attempt: 2 })
  expect(await restoredBy(world, 'train-worker-0-2')).toMatchObject({ step: 11, attempt: 1 })
  const { status } = await world.getGang('train')
  expect(status?.seats?.members).toMatchObject([{ node: 'a' }])
  expect([status?.hold, status?.eviction]).toEqual([undefined, undefined])
  expect(await phase(world, 'late')).toBe('Waiting')
})

test('nobody moves unless the queue says so', async () => {
  world.control()
  await fragment(world, world.until)
  await world.store.patch('Queue', { name: 'default' }, { spec: { defragmentation: null } })
  await world.job('wide', onOneNode)
  await world.settle(90_000)
  expect(world.agent.running()).toEqual(['stay-worker-0-1', 'train-worker-0-1'])
})

test('one that fails on its way has its next seats all the same', async () => {
  world.control()
  await fragment(world, world.until)
  world.agent.onStop(() => world.clock.sleep(20_000))
  await world.job('wide', onOneNode)
  await world.until(async () => (await world.getGang('train')).status?.hold !== undefined, 'it is to move')
  await world.agent.end('train-worker-0-1', { exitCode: 1 })
  await runs(world, world.until, ['stay-worker-0-1', 'train-worker-0-2', 'wide-worker-0-1'])
})

test('suspended while it is to move, it gives both up', async () => {
  world.control()
  await fragment(world, world.until)
  world.agent.onStop(() => world.clock.sleep(5_000))
  await world.job('wide', onOneNode)
  await world.until(async () => (await world.getGang('train')).status?.hold !== undefined, 'it is to move')
  await world.store.patch('TrainingJob', { name: 'train', namespace: 'default' }, { spec: { suspend: true } })
  await runs(world, world.until, ['stay-worker-0-1', 'wide-worker-0-1'])
  await world.job('late', { workers: 1 })
  await runs(world, world.until, ['late-worker-0-1', 'stay-worker-0-1', 'wide-worker-0-1'])
})

test('a control plane that dies after any of its writes moves it once', async () => {
  const { from, to } = await training()
  for (let n = from; n <= to; n++) await training(n)
}, 180_000)

/** From the first to the last write since one waits. */
interface Writes {
  from: number
  to: number
}

async function training(crashAfter = Number.POSITIVE_INFINITY): Promise<Writes> {
  const own = await createWorld({ seed: 3 })
  await prepare(own, 5_000) // the next control plane is there by then
  const { writes, until } = mortalControl(own, crashAfter)
  await fragment(own, until)
  const from = writes() + 1
  await own.job('wide', { ...onOneNode, maxRestarts: 0 })
  await runs(own, until, ['stay-worker-0-1', 'train-worker-0-2', 'wide-worker-0-1'])
  for (const name of own.agent.running()) await own.agent.end(name, { exitCode: 0 })
  await until(async () => (await phase(own, 'train')) === 'Succeeded', 'it ends')
  expect((await own.getJob('train')).status).toMatchObject({ restarts: 0, attempt: 2 })
  expect([...own.agent.starts].filter(([, starts]) => starts > 1)).toEqual([])
  await own.close()
  return { from, to: writes() }
}

test('a replica serves on until another is ready in its place, whenever the control plane dies', async () => {
  const { from, to } = await serving()
  for (let n = from; n <= to; n++) await serving(n)
}, 180_000)

async function serving(crashAfter = Number.POSITIVE_INFINITY): Promise<Writes> {
  const own = await createWorld({ seed: 3 })
  await prepare(own, 5_000)
  const { writes, until } = mortalControl(own, crashAfter)
  const replicas = () => own.agent.running().filter((name) => name.startsWith('chat'))
  await fill(own, until)
  const ref = { name: 'chat', namespace: 'default' }
  const spec = { command: ['serve'], minReplicas: 1, maxReplicas: 1 }
  const head = { apiVersion: millwrightVersion, kind: 'InferenceService', metadata: ref }
  await own.store.create('InferenceService', inferenceService.parse({ ...head, spec }))
  await until(() => replicas().length === 1, 'it serves')
  const [first = ''] = replicas()
  await empty(own, until)
  const [gang] = (await own.store.list('Gang', { labels: `${label.service}=chat` })).items
  const restarts = { status: { restartSeconds: 1 } } // then it is rested after ten seconds
  if (gang !== undefined) await own.store.patch('Gang', refOf(gang), restarts, { status: true })
  const from = writes() + 1
  let least = 1
  await own.job('wide', { ...onOneNode, maxRestarts: 0 })
  await until(async () => {
    least = Math.min(least, (await readyOf(own)).length)
    return own.agent.running().includes('wide-worker-0-1') && !replicas().includes(first)
  }, 'wide runs')
  expect({ crashAfter, least, replicas: replicas().length }).toEqual({ crashAfter, least: 1, replicas: 1 })
  await own.close()
  return { from, to: writes() }
}

/** Replicas that serve and are not asked to stop. */
async function readyOf(of: World): Promise<Pod[]> {
  const { items } = await of.store.list('Pod', { labels: `${label.service}=chat` })
  return items.filter(({ metadata, status }) => {
    const isReady = status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True')
    return isReady === true && metadata.deletionTimestamp === undefined && status?.phase === 'Running'
  })
}

type Until = World['until']

async function prepare(of: World, stopMs = 100): Promise<void> {
  await of.store.patch('Queue', { name: 'default' }, { spec: { defragmentation: { maxPrice: 0.25 } } })
  await of.node('a', 2)
  await of.node('b', 2)
  of.agent.onStart(async (pod) => {
    const { name } = pod.metadata
    if (name.startsWith('chat')) return becomeReady(of, pod)
    await of.agent.report(name, { firstStepAtMs: of.clock.now() })
    await of.agent.ship(name, 10 * attemptOf(pod))
  })
  of.agent.onStop(async (pod) => {
    if (pod.metadata.name.startsWith('train')) await of.agent.ship(pod.metadata.name, 10 * attemptOf(pod) + 1)
    await of.clock.sleep(stopMs)
  })
}

/** Two on node a: one that must stay, and one that ends later. */
async function fill(of: World, until: Until): Promise<void> {
  await of.job('stay', { preemptible: false, maxRestarts: 0 })
  await of.job('ends', {})
  await until(() => of.agent.running().length === 2, 'two run on the first node')
}

async function empty(of: World, until: Until): Promise<void> {
  await of.agent.end('ends-worker-0-1', { exitCode: 0 })
  await until(async () => (await phase(of, 'ends')) === 'Succeeded', 'one has ended')
}

async function fragment(of: World, until: Until): Promise<void> {
  await fill(of, until)
  await of.job('train', { maxRestarts: 1 })
  await until(async () => (await of.getJob('train')).status?.checkpoint?.step === 10, 'it trains')
  await empty(of, until)
}

async function runs(of: World, until: Until, pods: readonly string[]): Promise<void> {
  await until(() => of.agent.running().toSorted().join() === pods.join(), `${pods.join(', ')} run`)
}

function attemptOf(pod: Pod): number {
  return Number(pod.metadata.labels?.[label.attempt])
}

async function becomeReady(of: World, pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await of.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}

async function restoredBy(of: World, name: string) {
  const pod = await of.store.get('Pod', { name, namespace: 'default' })
  return podWork.parse(JSON.parse(pod?.metadata.annotations?.[annotation.work] ?? '{}')).restore
}
