import { afterEach, expect, test } from 'vitest'
import { inferenceService } from '../model/kinds/inference-service.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { refOf } from '../model/refs.ts'
import { leaversAmong } from './nodes/leaving.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Work leaves a node that is drained, or that will be gone soon, while it still can. */

let world: World
afterEach(() => world.close())

async function start(...nodes: string[]): Promise<void> {
  world = await createWorld()
  for (const name of nodes) await world.node(name, 2)
  world.control()
}

const taint = (value: string) => ({ key: 'millwright.dev/leaving', value, effect: 'NoSchedule' })
const leave = (name: string, value = 'drain') =>
  world.store.patch('Node', { name }, { spec: { taints: [taint(value)] } })
const nodesOf = async (job: string) =>
  new Set((await world.getGang(job)).status?.seats?.members.map(({ node }) => node))

test('a job writes a checkpoint, leaves the node and goes on elsewhere; no restart is counted', async () => {
  await start('a')
  await world.job('j', { workers: 2, maxRestarts: 0, checkpoint: { ranks: 'all', interval: '1h' } })
  await world.phase('j', 'Running')
  for (const pod of world.agent.running()) await world.agent.report(pod, { step: 3 })
  await world.node('b', 2)
  await leave('a', 'reclaim')
  await world.until(async () => (await world.getGang('j')).spec.checkpointRequest !== undefined, 'it is asked for one')
  expect((await world.getGang('j')).spec.checkpointRequest?.stop).toBe(false)
  for (const pod of world.agent.running()) await world.agent.ship(pod, 5)
  await world.until(async () => (await world.getGang('j')).spec.checkpointRequest?.stop === true, 'it is to stop')
  for (const pod of world.agent.running()) await world.agent.end(pod, { exitCode: 0, stopped: true })
  await world.until(() => world.agent.running().includes('j-worker-1-2'), 'it goes on')
  expect(await nodesOf('j')).toEqual(new Set(['b']))
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, attempt: 2, checkpoint: { step: 5 } })
})

test('who writes none in time leaves all the same', async () => {
  await start('a')
  await world.job('j', { workers: 2, checkpoint: { interval: '1h' } })
  await world.phase('j', 'Running')
  for (const pod of world.agent.running()) await world.agent.report(pod, { step: 3 })
  await leave('a', 'reclaim')
  const stops = async () => (await world.getGang('j')).spec.checkpointRequest?.stop === true
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second += 10) {
      await world.agent.heartbeat()
      await world.settle(10_000)
    }
  }
  await pass(80)
  expect(await stops()).toBe(false)
  await pass(20)
  expect(await stops()).toBe(true)
})

test('while it waits for that, a checkpoint that is due is asked for; and where the node stays after all, so does the job', async () => {
  await start('a')
  await world.job('j', { workers: 2, checkpoint: { ranks: 'all', interval: '60s' } })
  await world.phase('j', 'Running')
  const firstStepAtMs = world.clock.now()
  for (const pod of world.agent.running()) await world.agent.report(pod, { step: 3, firstStepAtMs })
  await leave('a', 'drain')
  const asked = async () => (await world.getGang('j')).spec.checkpointRequest?.step ?? 0
  await world.until(async () => (await asked()) > 3, 'it is asked for one')
  const first = await asked()
  const [one = '', other = ''] = world.agent.running()
  await world.agent.ship(one, first)
  for (const { key } of await world.blobs.list('checkpoints/'))
    await world.blobs.put(key, new TextEncoder().encode('rotten'))
  await world.agent.ship(other, first)
  for (const pod of [one, other]) await world.agent.report(pod, { step: first + 1 })
  await world.until(async () => (await asked()) > first, 'it is asked again')
  const second = await asked()
  await world.store.patch('Node', { name: 'a' }, { spec: { taints: null } })
  for (const pod of [one, other]) await world.agent.report(pod, { step: second + 1 })
  await world.until(async () => (await asked()) > second, 'it goes on as before')
  expect((await world.getGang('j')).spec).toMatchObject({
    attempt: 1,
    suspend: false,
    checkpointRequest: { stop: false },
  })
  const told = (await world.store.list('Event')).items.filter(({ reason }) => reason === 'CheckpointDamaged')
  expect(told.map(({ count }) => count)).toEqual([1])
})

test('a node that is drained again is left after a checkpoint again', async () => {
  await start('a')
  await world.job('j', { workers: 2, checkpoint: { ranks: 'all', interval: '1h' } })
  await world.phase('j', 'Running')
  const step = async (at: number) => {
    for (const pod of world.agent.running()) await world.agent.report(pod, { step: at })
    await world.settle()
  }
  const asked = async () => (await world.getGang('j')).spec.checkpointRequest
  await step(3)
  await leave('a')
  await world.until(async () => (await asked()) !== undefined, 'it is asked for one')
  const first = (await asked())?.step ?? 0
  await world.store.patch('Node', { name: 'a' }, { spec: { taints: null } })
  await world.pass(900)
  await step(first + 100)
  await leave('a')
  await world.pass(580)
  expect(await asked()).toMatchObject({ stop: false })
  expect((await asked())?.step).toBeGreaterThan(first + 100)
  await world.pass(30)
  expect(await asked()).toMatchObject({ stop: true })
})

test('whoever tolerates that stays, and so does what is elsewhere', async () => {
  await start('a')
  const template = { spec: { tolerations: [{ operator: 'Exists' }], containers: [{ name: 'w', command: ['train'] }] } }
  await world.job('stays', { command: undefined, groups: [{ name: 'w', replicas: 1, template }] })
  await world.phase('stays', 'Running')
  await leave('a')
  await world.node('b', 2)
  await world.job('other', { workers: 1 })
  await world.phase('other', 'Running')
  await world.settle(5_000)
  expect((await world.getGang('stays')).spec).toMatchObject({ attempt: 1, suspend: false })
  expect(await nodesOf('other')).toEqual(new Set(['b']))
})

test('another replica serves before the one on the node leaves', async () => {
  await start('a')
  world.agent.onStart(becomeReady)
  const ref = { name: 'chat', namespace: 'default' }
  const spec = { command: ['server'], minReplicas: 1, maxReplicas: 1 }
  const object = { apiVersion: millwrightVersion, kind: 'InferenceService', metadata: ref, spec }
  await world.store.create('InferenceService', inferenceService.parse(object))
  const ready = async () => (await world.store.get('InferenceService', ref))?.status?.readyReplicas
  await world.until(async () => (await ready()) === 1, 'it serves')
  const [first = ''] = world.agent.running()
  await leave('a')
  await world.settle(10_000)
  expect(world.agent.running(), 'nowhere to go yet').toEqual([first])
  await world.node('b', 2)
  await world.until(async () => !world.agent.running().includes(first), 'the first has left')
  expect(await ready()).toBe(1)
  expect(world.agent.running()).toHaveLength(1)
})

test('of nodes that only a signal speaks of, a fifth of a pool is left at once; those that a person drains all', () => {
  const node = (index: number, value?: string): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${index}` },
    spec: value === undefined ? {} : { taints: [taint(value)] },
    status: {},
  })
  const values = [
    'reclaim',
    'drain',
    'reclaim',
    'maintenance',
    'drain',
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]
  const all = values.map((value, index) => node(index, value))
  const tainted = all.filter(({ spec }) => spec?.taints !== undefined)
  expect([...leaversAmong(tainted, all)]).toEqual(['n0', 'n1', 'n2', 'n4'])
  expect([...leaversAmong(tainted.slice(2, 4), all.slice(0, 4))]).toEqual(['n2'])
})

async function becomeReady(pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}
