import { afterEach, beforeEach, expect, test } from 'vitest'
import { createWorld, type World } from './world.fixture.ts'

/** A Queue whose jobs go by the accelerator-time that they have had. */

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
  world.control()
})
afterEach(() => world.close())

const phase = (name: string, wanted: string) => world.phase(name, wanted)
const order = (wanted: string | null) => world.store.patch('Queue', { name: 'default' }, { spec: { order: wanted } })
const served = async (name: string) => (await world.getGang(name)).spec.served
const hours = async (count: number) => {
  for (let second = 0; second < 3600 * count; second += 20) {
    await world.agent.heartbeat()
    await world.settle(20_000)
  }
}

test('a job that has run for long gives way to one that has not, and goes on after it', async () => {
  await order('LeastServed')
  await world.job('long', { workers: 2, maxRestarts: 0 })
  await phase('long', 'Running')
  expect(await served('long')).toBe(0)
  await hours(1)
  expect(await served('long'), 'two slots for an hour: from 5,400 slot-seconds on').toBe(2)
  await world.job('short', { workers: 2 })
  await phase('short', 'Running')
  await phase('long', 'Waiting')
  await world.agent.end('short-worker-0-1', { exitCode: 0 })
  await world.agent.end('short-worker-1-1', { exitCode: 0 })
  await phase('long', 'Running')
  expect((await world.getJob('long')).status).toMatchObject({ attempt: 2, restarts: 0 })
  expect(await served('long'), 'what it has had is not forgotten').toBe(2)
})

test('steps count only where the Queue says so, from when it does', async () => {
  await world.job('long', { workers: 2 })
  await phase('long', 'Running')
  await hours(1)
  expect(await served('long')).toBeUndefined()
  await order('LeastServed')
  await world.until(async () => (await served('long')) === 2, 'it has been served for an hour')
  await order(null)
  await world.until(async () => (await served('long')) === undefined, 'nobody asks')
})
