import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../../model/conditions.ts'
import { inferenceService } from '../../model/kinds/inference-service.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { gpuResource, label } from '../../model/names.ts'
import type { Store } from '../../store/contract.ts'
import { mortalControl } from '../crashing.fixture.ts'
import { createWorld, type World } from '../world.fixture.ts'

let world: World
/** What the control plane is to hear of jobs, while it hears nothing. */
let unheard: (() => void)[] | undefined
beforeEach(async () => {
  unheard = undefined
  world = await createWorld({ store: deafOfJobs })
  await world.node('a', 2)
})
afterEach(() => world.close())

const ref = { name: 'default' }
const queue = (of = world) => of.store.get('Queue', ref)
const gone = (of = world) => of.until(async () => (await queue(of)) === undefined, 'the queue is gone')
const serving = { name: 'chat', namespace: 'default' }
const phase = (name: string, wanted: string) => world.phase(name, wanted)

test('a queue that nobody uses goes at once', async () => {
  world.control()
  await world.settle(2_000)
  await world.store.delete('Queue', ref)
  await gone()
})

test('a queue in use stays until the last of its jobs has ended, says who uses it, and its work goes on', async () => {
  world.control()
  await world.job('runs')
  const { metadata } = await world.job('rests', { suspend: true })
  await phase('runs', 'Running')
  expect(await world.store.delete('Queue', ref)).toBe('deleting')
  await world.settle(2_000)
  expect(conditionOf((await queue())?.status?.conditions, 'InUse')).toMatchObject({
    status: 'True',
    reason: 'WorkRemains',
    message: 'it goes when these have ended or name another queue: TrainingJob default/rests, TrainingJob default/runs',
  })
  await world.agent.end('runs-worker-0-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('runs-worker-0-2'), 'it has seats again')
  await world.agent.end('runs-worker-0-2', { exitCode: 0 })
  await phase('runs', 'Succeeded')
  await world.settle(2_000)
  expect(conditionOf((await queue())?.status?.conditions, 'InUse')?.message).toMatch(
    /queue: TrainingJob default.rests$/,
  )
  await world.store.patch('TrainingJob', metadata, { spec: { queue: 'other' } })
  await gone()
})

test('what is in use counts as the model that it is, not as the first that was asked for', async () => {
  await world.node('g', 0)
  const labels = { [label.accelerator]: 'A100' }
  await world.store.patch('Node', { name: 'g' }, { metadata: { labels } })
  await world.store.patch('Node', { name: 'g' }, { status: { allocatable: { [gpuResource]: '8' } } }, { status: true })
  world.control()
  await world.job('x', { resources: { accelerators: ['H100:8', 'A100:8'] } })
  await phase('x', 'Running')
  await world.settle(2_000)
  expect((await queue())?.status).toMatchObject({ running: 1, usage: { A100: 8 } })
})

test('who waits elsewhere now is counted no more where it waited before', async () => {
  await makeQueue('other')
  world.control()
  await serve({ resources: { accelerators: 'cpu:3' } })
  await world.until(async () => (await queue())?.status?.waiting === 1, 'its replica waits')
  await world.settle(3_000)
  await world.store.patch('InferenceService', serving, { spec: { queue: 'other' } })
  await world.settle(2_000)
  expect((await queue())?.status?.waiting).toBe(0)
})

test('a job that is not known yet when its queue is to go keeps it all the same', async () => {
  world.control()
  await world.settle(2_000)
  unheard = []
  await world.job('x')
  await world.store.delete('Queue', ref)
  await world.settle(5_000)
  const late = unheard
  unheard = undefined
  for (const hear of late) hear()
  await phase('x', 'Running')
  await world.agent.end('x-worker-0-1', { exitCode: 0 })
  await gone()
})

test('new work of a queue that is being deleted waits and says why, keeps it from nothing, and goes on elsewhere', async () => {
  world.control()
  await world.job('runs')
  await phase('runs', 'Running')
  await world.store.delete('Queue', ref)
  await world.settle(2_000)
  const { metadata } = await world.job('late')
  await serve({})
  await phase('late', 'Waiting')
  const message = 'queue default is being deleted; name another (spec.queue)'
  expect((await world.getJob('late')).status?.message).toBe(message)
  const told = async () => (await world.store.get('InferenceService', serving))?.status?.message
  await world.until(async () => (await told()) === message, 'the service says so too')
  await world.agent.end('runs-worker-0-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('runs-worker-0-2'), 'what it had goes on')
  expect((await world.store.list('Gang')).items.map((gang) => gang.metadata.name)).toEqual(['runs'])
  await world.agent.end('runs-worker-0-2', { exitCode: 0 })
  await gone()
  const waits = async () => (await world.getJob('late')).status?.message
  await world.until(async () => (await waits())?.startsWith('queue default does not exist') === true, 'it is missed')
  await makeQueue('other')
  await world.store.patch('TrainingJob', metadata, { spec: { queue: 'other' } })
  await phase('late', 'Running')
})

test('a control plane that dies after any of its writes keeps it and lets it go all the same', async () => {
  world.control()
  const writes = await life()
  for (let n = 1; n <= writes; n++) await life(n)
}, 60_000)

async function makeQueue(name: string): Promise<void> {
  const spec = { namespaces: ['*'], weight: 1, stopPolicy: 'None' as const }
  await world.store.create('Queue', { apiVersion: millwrightVersion, kind: 'Queue', metadata: { name }, spec })
}

async function serve(spec: object): Promise<void> {
  const about = { apiVersion: millwrightVersion, kind: 'InferenceService', metadata: serving }
  await world.store.create('InferenceService', inferenceService.parse({ ...about, spec: { command: ['s'], ...spec } }))
}

function deafOfJobs(store: Store): Store {
  return {
    ...store,
    watch: (kind, options, sink) =>
      store.watch(kind, options, {
        ...sink,
        event: (event) => {
          const hear = () => sink.event(event)
          if (unheard === undefined || kind !== 'TrainingJob') hear()
          else unheard.push(hear)
        },
      }),
  }
}

async function life(crashAfter = Number.POSITIVE_INFINITY): Promise<number> {
  const own = await createWorld({ seed: 3 })
  await own.node('a', 1)
  const { writes, until } = mortalControl(own, crashAfter)
  await own.job('x')
  await until(() => own.agent.running().length === 1, 'it runs')
  await until(async () => (await queue(own))?.metadata.finalizers?.length === 1, 'the queue is kept')
  await own.store.delete('Queue', ref)
  await until(async () => conditionOf((await queue(own))?.status?.conditions, 'InUse') !== undefined, 'it says why')
  await own.agent.end('x-worker-0-1', { exitCode: 0 })
  await until(async () => (await queue(own)) === undefined, 'it is gone')
  expect((await own.getJob('x')).status?.phase).toBe('Succeeded')
  await own.close()
  return writes()
}
