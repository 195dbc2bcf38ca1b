import { afterEach, expect, test } from 'vitest'
import { setCondition } from '../model/conditions.ts'
import type { Node } from '../model/kinds/kubernetes.ts'
import { gpuResource } from '../model/names.ts'
import { opened } from '../model/nodes.ts'
import type { Control } from './run.ts'
import { createWorld, type World } from './world.fixture.ts'

/** What others say of a node in its conditions, and what follows. */

let world: World
let control: Control
afterEach(() => world.close())

async function start(nodes: number): Promise<void> {
  world = await createWorld()
  for (let index = 0; index < nodes; index++) await world.node(`n${index}`, 2)
  control = world.control()
  await world.settle()
}
async function nextLeader(): Promise<void> {
  const stopped = control.stop()
  await world.pass(5)
  await stopped
  control = world.control()
}

const node = async (name: string) => (await world.store.get('Node', { name })) as Node
async function say(name: string, type: string, status: 'True' | 'False' | 'Unknown', message = 'so it is') {
  const condition = { type, status, reason: 'Said', message }
  const conditions = setCondition((await node(name)).status?.conditions, condition, world.clock.now())
  await world.store.patch('Node', { name }, { status: { conditions } }, { status: true })
  await world.settle()
}
const haveGpus = async (name: string) =>
  void (await world.store.patch('Node', { name }, { status: { capacity: { [gpuResource]: '2' } } }, { status: true }))
const isClosed = async (name: string) => (await node(name)).spec?.unschedulable === true
const because = async (name: string) => (await node(name)).metadata.annotations?.['millwright.dev/cordoned-because']
const taints = async (name: string) => (await node(name)).spec?.taints?.map(({ key, value }) => `${key}=${value}`)
const open = async (name: string) => {
  await world.store.patch('Node', { name }, opened(await node(name)))
  await world.settle()
}
const events = async (reason: string) =>
  (await world.store.list('Event')).items.filter((event) => event.reason === reason).map(({ message }) => message)
const tell = (name: string, xid: number) =>
  world.store.patch('Node', { name }, { metadata: { annotations: { 'millwright.dev/xids': told(xid) } } })
const told = (xid: number) => JSON.stringify([{ xid, device: 'gpu-0', at: new Date(world.clock.now()).toISOString() }])

test('a node whose GPU cannot be used for a minute is left, and takes work again a minute after it can', async () => {
  await start(3)
  await haveGpus('n0')
  await world.job('j', { workers: 1, checkpoint: { interval: '1h' } })
  await world.phase('j', 'Running')
  expect((await world.getGang('j')).status?.seats?.members[0]?.node).toBe('n0')
  await say('n0', 'GPUsHealthy', 'False', 'gpu-0 (H100): GPU is lost')
  await world.pass(50)
  expect(await isClosed('n0')).toBe(false)
  await world.pass(15)
  expect(await because('n0')).toBe(
    'GPUsHealthy is False (gpu-0 (H100): GPU is lost): reset the GPU, or start the node anew, or replace it',
  )
  expect(await taints('n0')).toEqual(['millwright.dev/leaving=unhealthy'])
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'it goes on elsewhere')
  expect((await world.getGang('j')).status?.seats?.members[0]?.node).not.toBe('n0')
  expect((await world.getJob('j')).status?.restarts ?? 0).toBe(0)
  await say('n0', 'GPUsHealthy', 'True')
  await world.pass(50)
  expect(await isClosed('n0')).toBe(true)
  await world.pass(15)
  expect([await isClosed('n0'), await because('n0'), await taints('n0')]).toEqual([false, undefined, undefined])
  expect(await events('Uncordoned')).toEqual(['GPUsHealthy is well again, for 1m'])
})

test('what is bad for a moment, or says nothing of cards that there are, closes nothing', async () => {
  await start(2)
  await haveGpus('n0')
  await say('n0', 'GPUsHealthy', 'False')
  await say('n1', 'GPUsHealthy', 'False')
  await world.pass(30)
  await say('n0', 'GPUsHealthy', 'True')
  await say('n0', 'DiskPressure', 'True')
  await world.pass(3600)
  expect([await isClosed('n0'), await isClosed('n1')]).toEqual([false, false])
})

test('conditions of others are read as they write them, each after its time, and none beyond the budget', async () => {
  await start(3)
  await say('n0', 'AcceleratedHardwareReady', 'False')
  await world.pass(590)
  expect(await isClosed('n0')).toBe(false)
  await world.pass(15)
  expect(await because('n0')).toMatch(/^AcceleratedHardwareReady is False/)
  await say('n1', 'GpuMemWatch', 'True')
  expect(await isClosed('n1')).toBe(false)
  await world.pass(125)
  expect(await events('NotCordoned')).toEqual([
    'GpuMemWatch is True (so it is): reset the GPU, or replace it; but 1 of the 3 nodes of pool local are out of service already, and no more than 1 may be',
  ])
  await open('n0')
  await world.pass(65)
  expect([await isClosed('n0'), await because('n1')]).toEqual([false, expect.stringMatching(/^GpuMemWatch is True/)])
})

test('who opens a node has the last word, until its condition is well and bad again', async () => {
  await start(3)
  await say('n0', 'SysLogsXIDError', 'True')
  expect([await isClosed('n0'), await taints('n0')]).toEqual([true, undefined])
  await open('n0')
  await world.pass(120)
  expect(await isClosed('n0')).toBe(false)
  await say('n0', 'SysLogsXIDError', 'False')
  await world.pass(5)
  await say('n0', 'SysLogsXIDError', 'True')
  expect(await isClosed('n0')).toBe(true)
  // It asks for more than the node was closed for, and both are over before it opens.
  await say('n0', 'KernelDeadlock', 'True')
  expect(await taints('n0')).toEqual(['millwright.dev/leaving=unhealthy'])
  await say('n0', 'SysLogsXIDError', 'False')
  await world.pass(70)
  expect(await isClosed('n0')).toBe(true)
  await say('n0', 'KernelDeadlock', 'Unknown')
  await world.pass(70)
  expect(await isClosed('n0')).toBe(true)
  await say('n0', 'KernelDeadlock', 'False')
  await world.pass(70)
  expect(await isClosed('n0')).toBe(false)
})

test('a node that is closed for more than its conditions, or by a person, is not opened when they are well', async () => {
  await start(6)
  await say('n0', 'SysLogsGPUFallenOff', 'True')
  await tell('n0', 79)
  await world.settle()
  expect(await because('n0')).toMatch(/^XID 79/)
  await say('n0', 'SysLogsGPUFallenOff', 'False')
  await world.store.patch('Node', { name: 'n1' }, { spec: { unschedulable: true } })
  await say('n1', 'KernelDeadlock', 'True')
  expect(await because('n1')).toBeUndefined()
  await say('n1', 'KernelDeadlock', 'False')
  await world.pass(130)
  expect([await isClosed('n0'), await isClosed('n1')]).toEqual([true, true])
})

test('the next leader does nothing twice, and opens what the one before it closed', async () => {
  await start(3)
  await say('n0', 'ReadonlyFilesystem', 'True')
  await open('n0')
  await nextLeader()
  await world.pass(30)
  expect(await isClosed('n0')).toBe(false)
  await say('n1', 'XfsShutdown', 'True')
  expect(await isClosed('n1')).toBe(true)
  await nextLeader()
  await say('n1', 'XfsShutdown', 'False')
  await world.pass(100)
  expect(await isClosed('n1')).toBe(false)
})

test('a node that has to be mended again and again stays closed', async () => {
  await start(6)
  for (let time = 1; time <= 5; time++) {
    await say('n0', 'GpuThermalWatch', 'True')
    expect(await isClosed('n0')).toBe(true)
    await say('n0', 'GpuThermalWatch', 'False')
    await world.pass(70)
    expect(await isClosed('n0')).toBe(time === 5)
  }
  expect(await because('n0')).toBe(
    'GpuThermalWatch is True (so it is): look at its cooling; a lemon, 5 of 5 points within 7d: 5 closed for its conditions',
  )
  await open('n0')
  await say('n0', 'GpuThermalWatch', 'True')
  await say('n0', 'GpuThermalWatch', 'False')
  await world.pass(70)
  expect(await isClosed('n0')).toBe(false)
})
