import { afterEach, beforeEach, expect, test } from 'vitest'
import type { KindName } from '../model/registry.ts'
import { around } from '../store/around.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 4)
  world.control()
})
afterEach(() => world.close())

const phase = (name: string, wanted: string) => world.phase(name, wanted)

test('what a job owned goes with it', async () => {
  const job = await world.job('j', { workers: 2 })
  await phase('j', 'Running')
  await world.store.delete('TrainingJob', job.metadata)
  await world.until(async () => {
    const kinds = ['Gang', 'Pod', 'Report'] as const
    const left = await Promise.all(kinds.map((kind) => world.store.list(kind)))
    return left.every(({ items }) => items.length === 0)
  }, 'all is gone')
  expect(world.agent.running()).toEqual([])
})

test('a job made again under its name starts anew', async () => {
  const job = await world.job('j')
  await phase('j', 'Running')
  await world.store.delete('TrainingJob', job.metadata)
  await world.job('j')
  await phase('j', 'Running')
  expect((await world.getGang('j')).metadata.ownerReferences?.[0]?.uid).toBe((await world.getJob('j')).metadata.uid)
})

test('a finished job goes after its time', async () => {
  await world.job('j', { ttlSecondsAfterFinished: 60 })
  await phase('j', 'Running')
  await world.agent.end('j-worker-0-1', { exitCode: 0 })
  await phase('j', 'Succeeded')
  await world.settle(59_000)
  expect((await world.store.list('TrainingJob')).items.length).toBe(1)
  await world.settle(2_000)
  expect((await world.store.list('TrainingJob')).items.length).toBe(0)
})

test('a finished job stays for its time, whatever somebody sets the clock to meanwhile', async () => {
  await world.job('j', { ttlSecondsAfterFinished: 60 })
  await phase('j', 'Running')
  await world.agent.end('j-worker-0-1', { exitCode: 0 })
  await phase('j', 'Succeeded')
  const jobs = async () => (await world.store.list('TrainingJob')).items.length
  world.clock.jump(3_600_000)
  await world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { metadata: { labels: { is: 'seen' } } })
  await world.settle(58_000)
  expect(await jobs()).toBe(1)
  world.clock.jump(-7_200_000)
  await world.settle(3_000)
  expect(await jobs()).toBe(0)
})

test('a time that is said long after the end counts from the end', async () => {
  await world.job('j')
  await phase('j', 'Running')
  await world.agent.end('j-worker-0-1', { exitCode: 0 })
  await phase('j', 'Succeeded')
  await world.settle(120_000)
  const spec = { ttlSecondsAfterFinished: 60 }
  await world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec })
  await world.settle()
  expect((await world.store.list('TrainingJob')).items).toEqual([])
})

test('pods of the last two attempts stay, older ones go', async () => {
  await world.job('j', { maxRestarts: 9 })
  for (const attempt of [1, 2, 3]) {
    await world.until(() => world.agent.running().includes(`j-worker-0-${attempt}`), `attempt ${attempt}`)
    await world.agent.end(`j-worker-0-${attempt}`, { signal: 'SIGKILL' })
  }
  await world.until(() => world.agent.running().includes('j-worker-0-4'), 'attempt 4')
  await world.settle()
  expect((await world.store.list('Pod')).items.map((pod) => pod.metadata.name)).toEqual([
    'j-worker-0-3',
    'j-worker-0-4',
  ])
})

test('retention keeps the last good checkpoints and drops the rest', async () => {
  const job = await world.job('j', { checkpoint: { keep: 2 } })
  await phase('j', 'Running')
  for (const step of [1, 2, 3, 4]) {
    await world.agent.ship('j-worker-0-1', step)
    await world.settle()
  }
  const gang = await world.getGang('j')
  expect(gang.status?.checkpoint?.step).toBe(4)
  expect(gang.status?.checkpoints.map((one) => one.step)).toEqual([3])
  const kept = (await world.blobs.list('checkpoints/')).map(({ key }) => key.split('/').slice(4, 5)[0])
  expect(kept).toEqual(['step-3', 'step-4'])
  await world.store.delete('TrainingJob', job.metadata)
  await world.settle()
  await world.settle(70_000)
  await world.until(
    async () => (await world.blobs.list('checkpoints/')).length === 0,
    'a deleted job leaves no checkpoint',
  )
})

test.each<{ late: KindName[]; workers: number; phase: string }>([
  { late: ['TrainingJob'], workers: 2, phase: 'Running' },
  { late: ['TrainingJob', 'Gang'], workers: 5, phase: 'Waiting' },
])(
  'what is gone is made again once at most, however late watches of $late are',
  async ({ late, workers, phase: then }) => {
    await world.close()
    world = await createWorld()
    await world.node('a', 4)
    let isLate = false
    const made: string[] = []
    const store = around(world.store, {
      read: (ask) => ask(),
      write: (ask) => (made.length < 50 ? ask() : Promise.reject(new Error('it goes on'))),
      watch: (kind, options, sink) =>
        world.store.watch(kind, options, {
          ...sink,
          event: (event) => {
            if (isLate && event.type === 'ADDED') made.push(kind)
            if (!isLate || !late.includes(kind)) sink.event(event)
          },
        }),
    })
    world.control({ store })
    const job = await world.job('j', { workers })
    await phase('j', then)
    isLate = true
    await world.store.delete('TrainingJob', job.metadata)
    await world.store.delete('Gang', job.metadata)
    for (const { metadata } of (await world.store.list('Pod')).items) await world.store.delete('Pod', metadata)
    await world.settle(5_000)
    expect(made.filter((kind) => kind === 'Gang').length).toBeLessThanOrEqual(1)
    expect(made.filter((kind) => kind === 'Pod').length).toBeLessThanOrEqual(2 * workers)
    for (const kind of ['Gang', 'Pod'] as const) expect((await world.store.list(kind)).items).toEqual([])
  },
)
