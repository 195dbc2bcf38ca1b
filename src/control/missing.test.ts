import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../model/conditions.ts'
import { inferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { label } from '../model/names.ts'
import { refOf } from '../model/refs.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/** What names something that is not there waits for it, without a seat, and says so. */

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
  world.control()
})
afterEach(() => world.close())

const phase = (name: string, wanted: string) => world.phase(name, wanted)
const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'hf', key: 'token' } } }]
const namespace = 'default'

async function secret(of: World, stringData: Record<string, string>): Promise<void> {
  const metadata = { name: 'hf', namespace }
  const made = await of.store.create('Secret', { apiVersion: 'v1', kind: 'Secret', metadata, stringData })
  if (made === 'exists') await of.store.patch('Secret', metadata, { stringData })
}

async function dataset(of: World): Promise<void> {
  const metadata = { name: 'text', namespace }
  const spec = { uri: 'file:///data/text' }
  await of.store.create('Dataset', { apiVersion: millwrightVersion, kind: 'Dataset', metadata, spec })
}

async function eventsOf(reason: string): Promise<string[]> {
  return (await world.store.list('Event')).items.filter((one) => one.reason === reason).map((one) => one.message ?? '')
}

test('a job whose dataset is missing waits without a gang and starts when it comes', async () => {
  await world.job('x', { dataset: 'text' })
  await phase('x', 'Waiting')
  expect((await world.store.list('Gang')).items).toEqual([])
  const { status } = await world.getJob('x')
  expect(conditionOf(status?.conditions, 'Running')).toMatchObject({ status: 'False', reason: 'DatasetMissing' })
  expect(status?.message).toContain('dataset text does not exist in namespace default; create it')
  expect(await eventsOf('DatasetMissing')).toEqual([status?.message])
  await dataset(world)
  await phase('x', 'Running')
  expect((await world.getJob('x')).status?.message).toBeUndefined()
})

test('a job whose secret, or a key of it, is missing waits and starts when both are there', async () => {
  await world.job('x', { env })
  await phase('x', 'Waiting')
  const message = async () => (await world.getJob('x')).status?.message
  expect(await message()).toContain('TOKEN wants Secret hf, which does not exist in namespace default; create it')
  await secret(world, { other: 'x' })
  await world.until(async () => (await message())?.includes('key token of Secret hf') === true, 'the key is missed')
  expect(await eventsOf('SecretMissing')).toHaveLength(2)
  expect(conditionOf((await world.getJob('x')).status?.conditions, 'Running')).toMatchObject({
    reason: 'SecretMissing',
  })
  await secret(world, { token: 't' })
  await phase('x', 'Running')
})

test('a secret that is optional is waited for by nobody', async () => {
  await world.job('x', {
    env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'hf', key: 'token', optional: true } } }],
  })
  await phase('x', 'Running')
})

test('what goes missing between two attempts takes the seats with it until it is back', async () => {
  await dataset(world)
  await world.job('x', { dataset: 'text' })
  await phase('x', 'Running')
  await world.store.delete('Dataset', { name: 'text', namespace })
  await world.settle(1_000)
  expect(world.agent.running()).toEqual(['x-worker-0-1']) // what runs has its data
  await world.agent.end('x-worker-0-1', { signal: 'SIGKILL' })
  await phase('x', 'Waiting')
  await world.until(async () => (await world.getGang('x')).status?.seats === undefined, 'the seats are free')
  expect((await world.getJob('x')).status?.message).toContain('dataset text does not exist')
  await dataset(world)
  await phase('x', 'Running')
  expect((await world.getJob('x')).status?.restarts).toBe(1)
})

test('an agent that misses a secret has it tried again, later and later, and counts nothing against the job', async () => {
  await secret(world, { token: 't' })
  await world.job('x', { env, maxRestarts: 0 })
  for (const [attempt, waitMs] of [1_000, 2_000, 4_000].entries()) {
    const pod = `x-worker-0-${attempt + 1}`
    await world.until(() => world.agent.running().includes(pod), `${pod} starts`)
    await world.agent.end(pod, { exitCode: 128, reason: 'CreateContainerConfigError' })
    await world.settle(waitMs - 100)
    expect((await world.getGang('x')).spec.attempt).toBe(attempt + 1)
  }
  await phase('x', 'Running')
  expect((await world.getJob('x')).status).toMatchObject({ restarts: 0, attempt: 4 })
})

test('a secret that is gone when the agent looks is waited for without a seat', async () => {
  await secret(world, { token: 't' })
  await world.job('x', { env })
  await phase('x', 'Running')
  await world.store.delete('Secret', { name: 'hf', namespace })
  await world.agent.end('x-worker-0-1', { exitCode: 128, reason: 'CreateContainerConfigError' })
  await phase('x', 'Waiting')
  await world.until(async () => (await world.getGang('x')).status?.seats === undefined, 'the seats are free')
  await secret(world, { token: 't' })
  await phase('x', 'Running')
})

test('a service whose secret is missing makes no replica, keeps those that serve, and says so', async () => {
  world.agent.onStart(becomeReady)
  const ref = { name: 'chat', namespace }
  const spec = { command: ['server'], env }
  const object = { apiVersion: millwrightVersion, kind: 'InferenceService', metadata: ref, spec }
  await world.store.create('InferenceService', inferenceService.parse(object))
  const status = async () => (await world.store.get('InferenceService', ref))?.status
  const gangs = async () => (await world.store.list('Gang', { labels: `${label.service}=chat` })).items
  await world.until(async () => (await status())?.message !== undefined, 'it says why')
  expect(await gangs()).toEqual([])
  expect(await status()).toMatchObject({ phase: 'Pending' })
  expect(conditionOf((await status())?.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'SecretMissing' })
  expect(await eventsOf('SecretMissing')).toEqual([(await status())?.message])
  await secret(world, { token: 't' })
  const ready = async () => (await status())?.readyReplicas === 1
  await world.until(ready, 'ready')
  await world.store.delete('Secret', { name: 'hf', namespace })
  await world.settle(2_000)
  expect(await ready()).toBe(true)
  await world.agent.end(world.agent.running()[0] ?? '', { exitCode: 1 })
  await world.until(async () => (await gangs()).length === 0, 'its seat is given back')
  await secret(world, { token: 't' })
  await world.until(ready, 'ready again')
})

test('a control plane that dies after any of its writes waits and starts all the same', async () => {
  const undisturbed = await waitingLife()
  for (let n = 1; n <= undisturbed.writes; n++) {
    const { state } = await waitingLife(n)
    expect({ n, ...state }).toEqual({ n, ...undisturbed.state })
  }
}, 60_000)

async function waitingLife(crashAfter = Number.POSITIVE_INFINITY) {
  const own = await createWorld({ seed: 3 })
  await own.node('a', 1)
  const { writes, until } = mortalControl(own, crashAfter)
  const is = (wanted: string) => until(async () => (await own.getJob('x')).status?.phase === wanted, wanted)
  await own.job('x', { dataset: 'text', env })
  await is('Waiting')
  await dataset(own)
  await secret(own, { token: 't' })
  await is('Running')
  await own.store.delete('Secret', { name: 'hf', namespace })
  await own.agent.end('x-worker-0-1', { signal: 'SIGKILL' })
  await is('Waiting')
  await until(async () => (await own.getGang('x')).status?.seats === undefined, 'the seats are free')
  await secret(own, { token: 't' })
  await until(() => own.agent.running().length === 1, 'it runs again')
  for (const pod of own.agent.running()) await own.agent.end(pod, { exitCode: 0 })
  await is('Succeeded')
  const { status } = await own.getJob('x')
  const state = { restarts: status?.restarts, phase: status?.phase, starts: [...own.agent.starts.values()] }
  await own.close()
  return { state, writes: writes() }
}

async function becomeReady(pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}
