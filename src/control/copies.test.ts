import { afterEach, beforeEach, expect, test } from 'vitest'
import { annotation, label } from '../model/names.ts'
import { podWork } from '../model/work.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  for (const [name, rack] of Object.entries({ a: 'r0', b: 'r0', c: 'r1', d: 'r1' })) {
    await world.node(name, 1)
    await world.store.patch('Node', { name }, { metadata: { labels: { [label.rack]: rack } } })
  }
  world.control()
})
afterEach(() => world.close())

const podsOf = async (attempt: number) =>
  (await world.store.list('Pod')).items.filter(({ metadata }) => metadata.labels?.[label.attempt] === String(attempt))
const runs = (attempt: number, count = 4) =>
  world.until(
    () => world.agent.running().filter((name) => name.endsWith(`-${attempt}`)).length === count,
    `attempt ${attempt} runs`,
  )
const commit = async (step: number, ...copies: string[]) => {
  await world.agent.ship('j-worker-0-1', step, { copies })
  await world.until(async () => (await world.getGang('j')).status?.checkpoint?.step === step, `${step} is committed`)
}

test('each rank knows the node in another rack that keeps what it writes, once it sits', async () => {
  await world.job('j', { workers: 4, checkpoint: { copies: 2 } })
  await runs(1)
  const peers = new Map(
    (await podsOf(1)).map(({ metadata, spec }) => [spec.nodeName, metadata.annotations?.[annotation.peerNode]]),
  )
  expect([...peers].sort()).toEqual([
    ['a', 'c'],
    ['b', 'd'],
    ['c', 'a'],
    ['d', 'b'],
  ])
})

test.each([{ copies: 1 }, { copies: 0 }, {}])('with checkpoint: %o there is none', async (checkpoint) => {
  await world.job('j', { workers: 4, checkpoint })
  await runs(1)
  for (const { metadata } of await podsOf(1)) expect(metadata.annotations).not.toHaveProperty([annotation.peerNode])
})

test('who had a copy when the newest checkpoint was committed is told to who starts from it', async () => {
  await world.job('j', { workers: 4, checkpoint: { copies: 2, keep: 2 } })
  await runs(1)
  await commit(5, 'a', 'c')
  await commit(10, 'a')
  const { checkpoint, checkpoints } = (await world.getGang('j')).status ?? {}
  expect(checkpoint).toMatchObject({ step: 10, copies: ['a'] })
  expect(checkpoints).toMatchObject([{ step: 5 }])
  expect(checkpoints?.[0]).not.toHaveProperty('copies')
  await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
  await runs(2)
  for (const { metadata } of await podsOf(2)) {
    const { copies, restore } = podWork.parse(JSON.parse(metadata.annotations?.[annotation.work] ?? '{}'))
    expect([copies, restore?.step, restore?.copies]).toEqual([2, 10, ['a']])
  }
})
