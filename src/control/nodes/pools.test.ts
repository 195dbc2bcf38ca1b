import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../../model/conditions.ts'
import { type Pool, pool } from '../../model/kinds/pool.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { gpuResource, label } from '../../model/names.ts'
import { createWorld, type World } from '../world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 4)
  world.control()
})
afterEach(() => world.close())

const ref = { name: 'local' }
const status = async () => (await world.store.get('Pool', ref))?.status
const told = async () => conditionOf((await status())?.conditions, 'NodesMatch')

async function makePool(accelerator: string): Promise<void> {
  const made: Pool = pool.parse({ apiVersion: millwrightVersion, kind: 'Pool', metadata: ref, spec: { accelerator } })
  await world.store.create('Pool', made)
}

test('a pool of slots is matched by every node', async () => {
  await makePool('cpu')
  await world.until(async () => (await status())?.nodes === 1, 'it is counted')
  expect(await status()).toMatchObject({ slots: 4, conditions: [] })
})

test('a pool whose nodes have another accelerator says so, until they match', async () => {
  await makePool('H100')
  await world.until(async () => (await told()) !== undefined, 'it is said')
  expect(await told()).toMatchObject({
    status: 'False',
    reason: 'AcceleratorMismatch',
    message: 'the pool says H100, but a has cpu: correct its spec.accelerator, or the pool of the node',
  })
  expect((await status())?.slots).toBe(0)
  await world.store.patch('Node', { name: 'a' }, { status: { allocatable: { [gpuResource]: '8' } } }, { status: true })
  await world.store.patch('Node', { name: 'a' }, { metadata: { labels: { [label.accelerator]: 'H100' } } })
  await world.until(async () => (await told())?.status === 'True', 'they match')
  expect((await status())?.slots).toBe(8)
})

test('its nodes carry how it is paid for, and follow when that changes', async () => {
  const capacity = async () => (await world.store.get('Node', { name: 'a' }))?.metadata.labels?.[label.capacityType]
  await makePool('cpu')
  await world.until(async () => (await capacity()) === 'reserved', 'the node is marked')
  await world.store.patch('Pool', ref, { spec: { capacityType: 'spot' } })
  await world.until(async () => (await capacity()) === 'spot', 'the mark follows')
})
