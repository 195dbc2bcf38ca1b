import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Store } from '../../store/contract.ts'
import { createWorld, type World } from '../world.fixture.ts'
import { silentReasons } from './signs.ts'

/** A node that is heard of again just as it is given up. */

let world: World
/** Before and after the write that says that a node is lost. */
let before: () => Promise<void>
let after: () => Promise<void>
beforeEach(async () => {
  before = after = async () => {}
  world = await createWorld({ store: watched })
  await world.node('a', 1)
  world.control()
  await world.job('j')
  await world.phase('j', 'Running')
  await world.node('b', 1)
  world.beats = false
})
afterEach(() => world.close())

test('one that stays silent has lost its pods', async () => {
  await silence()
  expect(await podPhase()).toBe('Failed')
})

test('one that has spoken when it is to be written that it is lost keeps its pods', async () => {
  before = () => beat('a')
  await silence()
  expect(await podPhase()).toBe('Running')
})

test('one that has spoken by the time that this is written keeps its pods', async () => {
  let go = () => {}
  after = () =>
    new Promise((resolve) => {
      go = resolve
    })
  await silence()
  await beat('a')
  await world.settle()
  go()
  await world.settle()
  expect(await podPhase()).toBe('Running')
})

/** For as long as a node is given up after; the other one speaks. */
async function silence(): Promise<void> {
  for (let seconds = 0; seconds < 45; seconds += 5) {
    await beat('b')
    await world.settle(5_000)
  }
}

async function beat(name: string): Promise<void> {
  const lastHeartbeatTime = new Date(world.clock.now()).toISOString()
  const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime }]
  await world.store.patch('Node', { name }, { status: { conditions } }, { status: true })
}

async function podPhase(): Promise<string | undefined> {
  return (await world.store.get('Pod', { name: 'j-worker-0-1', namespace: 'default' }))?.status?.phase
}

function watched(store: Store): Store {
  const updateStatus: Store['updateStatus'] = async (kind, object, options) => {
    if (kind !== 'Node' || !JSON.stringify(object.status).includes(silentReasons.lost))
      return store.updateStatus(kind, object, options)
    await before()
    const written = await store.updateStatus(kind, object, options)
    await after()
    return written
  }
  return { ...store, updateStatus }
}
