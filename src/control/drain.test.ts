import { afterEach, expect, test } from 'vitest'
import { conditionOf } from '../model/conditions.ts'
import { inferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { label } from '../model/names.ts'
import { refOf } from '../model/refs.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/** A queue with `stopPolicy: HoldAndDrain` stops what runs in it, and all goes on when it starts again. */

let world: World
afterEach(() => world.close())

async function start(slots = 2): Promise<void> {
  world = await createWorld()
  await world.node('a', slots)
  world.control()
}

const phase = (name: string, wanted: string) => world.phase(name, wanted)
const queue = (of: World, stopPolicy: string) => of.store.patch('Queue', { name: 'default' }, { spec: { stopPolicy } })

test('a training job stops after a checkpoint, waits and says why, and goes on from there', async () => {
  await start()
  await world.job('j', { workers: 2, checkpoint: { ranks: 'all' } })
  await phase('j', 'Running')
  for (const pod of world.agent.running()) await world.agent.ship(pod, 5)
  await world.settle(1_000)
  await queue(world, 'HoldAndDrain')
  await phase('j', 'Suspending')
  expect((await world.getGang('j')).spec.checkpointRequest).toMatchObject({ stop: true })
  for (const pod of world.agent.running()) await world.agent.ship(pod, 20)
  for (const pod of world.agent.running()) await world.agent.end(pod, { exitCode: 0, stopped: true })
  await phase('j', 'Waiting')
  const { spec, status } = await world.getJob('j')
  expect(spec.suspend).toBe(false)
  expect(status).toMatchObject({
    checkpoint: { step: 20 },
    restarts: 0,
    message: 'queue default is stopped (spec.stopPolicy: HoldAndDrain)',
  })
  expect(conditionOf(status?.conditions, 'Running')).toMatchObject({ status: 'False', reason: 'QueueStopped' })
  await world.settle(5_000)
  expect(world.agent.running()).toEqual([])
  expect((await world.getGang('j')).status?.seats).toBeUndefined()
  const events = (await world.store.list('Event')).items.map(({ reason, message }) => `${reason}: ${message}`)
  expect(events).toContain('Requeued: stands in line again as attempt 2')
  await queue(world, 'None')
  await phase('j', 'Running')
  expect(world.agent.running()).toEqual(['j-worker-0-2', 'j-worker-1-2'])
  const pod = await world.store.get('Pod', { name: 'j-worker-0-2', namespace: 'default' })
  expect(pod?.metadata.annotations?.['millwright.dev/work']).toContain('"step":20')
})

test('one that heeds no request gets its SIGTERM; one that another suspended stays so', async () => {
  await start()
  const { metadata } = await world.job('j')
  await phase('j', 'Running')
  await queue(world, 'HoldAndDrain')
  await phase('j', 'Waiting')
  expect(world.agent.running()).toEqual([])
  await world.store.patch('TrainingJob', metadata, { spec: { suspend: true } })
  await phase('j', 'Suspended')
  await queue(world, 'None')
  await world.settle(2_000)
  expect((await world.getJob('j')).status?.phase).toBe('Suspended')
})

test('a stop that holds only what is new stops nothing that runs', async () => {
  await start()
  await world.job('j')
  await phase('j', 'Running')
  await queue(world, 'Hold')
  await world.job('k')
  await phase('k', 'Waiting')
  await world.settle(5_000)
  expect(world.agent.running()).toEqual(['j-worker-0-1'])
})

test('a service drains its replicas, says why, and has them back', async () => {
  await start()
  world.agent.onStart(becomeReady)
  const ref = { name: 'chat', namespace: 'default' }
  const spec = { command: ['server'], minReplicas: 2, maxReplicas: 2 }
  const object = { apiVersion: millwrightVersion, kind: 'InferenceService', metadata: ref, spec }
  await world.store.create('InferenceService', inferenceService.parse(object))
  const status = async () => (await world.store.get('InferenceService', ref))?.status
  await world.until(async () => (await status())?.readyReplicas === 2, 'two ready')
  await queue(world, 'HoldAndDrain')
  const gangs = async () => (await world.store.list('Gang', { labels: `${label.service}=chat` })).items
  await world.until(
    async () => world.agent.running().length === 0 && (await gangs()).every((gang) => !gang.spec.suspend),
    'drained',
  )
  await world.settle(2_000)
  expect(await status()).toMatchObject({ phase: 'Pending', replicas: 2, readyReplicas: 0 })
  expect((await status())?.message).toContain('queue default is stopped')
  expect(conditionOf((await status())?.conditions, 'Ready')).toMatchObject({ reason: 'QueueStopped' })
  await queue(world, 'None')
  await world.until(async () => (await status())?.readyReplicas === 2, 'two ready again')
})

test('a control plane that dies after any of its writes drains and starts all the same', async () => {
  const undisturbed = await drainedLife()
  for (let n = 1; n <= undisturbed.writes; n++) {
    const { state } = await drainedLife(n)
    expect({ n, ...state }).toEqual({ n, ...undisturbed.state })
  }
  await start()
}, 60_000)

async function drainedLife(crashAfter = Number.POSITIVE_INFINITY) {
  const own = await createWorld({ seed: 3 })
  await own.node('a', 2)
  const { writes, until } = mortalControl(own, crashAfter)
  const is = (wanted: string) => until(async () => (await own.getJob('j')).status?.phase === wanted, wanted)
  await own.job('j', { workers: 2, checkpoint: { ranks: 'all' } })
  await until(() => own.agent.running().length === 2, 'it runs')
  for (const pod of own.agent.running()) await own.agent.ship(pod, 5)
  await until(async () => (await own.getGang('j')).status?.checkpoint?.step === 5, 'step 5 is committed')
  await queue(own, 'HoldAndDrain')
  await until(async () => (await own.getGang('j')).spec.checkpointRequest?.stop === true, 'it is asked to stop')
  for (const pod of own.agent.running()) await own.agent.ship(pod, 20)
  for (const pod of own.agent.running()) await own.agent.end(pod, { exitCode: 0, stopped: true })
  await is('Waiting')
  expect(own.agent.running()).toEqual([])
  await queue(own, 'None')
  await until(() => own.agent.running().length === 2, 'it runs again')
  for (const pod of own.agent.running()) await own.agent.end(pod, { exitCode: 0 })
  await is('Succeeded')
  const { status } = await own.getJob('j')
  const state = { restarts: status?.restarts, attempt: status?.attempt, step: status?.checkpoint?.step }
  await own.close()
  return { state, writes: writes() }
}

async function becomeReady(pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}
