import { afterEach, beforeEach, expect, test } from 'vitest'
import { encodeManifest } from '../../blob/manifest.ts'
import { inferenceService } from '../../model/kinds/inference-service.ts'
import { trainingJob } from '../../model/kinds/training-job.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { type KindName, kindNames, kinds } from '../../model/registry.ts'
import { mortalControl } from '../crashing.fixture.ts'
import { createWorld, type World } from '../world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 4)
})
afterEach(() => world.close())

const namespace = 'team'
const team = { name: namespace }
const namespaced = kindNames.filter((kind) => kinds[kind].namespaced)
const inTeam = async (kinds: readonly KindName[] = namespaced) => {
  const lists = await Promise.all(kinds.map(async (kind) => (await world.store.list(kind, { namespace })).items))
  return lists.flat().map(({ kind, metadata }) => `${kind} ${metadata.name}`)
}
const isGone = async () => (await world.store.get('Namespace', team)) === undefined

/** A job of two workers and a service that run, a dataset, a model, a secret: all that can be in a namespace. */
async function fill(): Promise<void> {
  const metadata = { name: 'j', namespace }
  const apiVersion = millwrightVersion
  const spec = { command: ['train'], workers: 2 }
  await world.store.create('TrainingJob', trainingJob.parse({ apiVersion, kind: 'TrainingJob', metadata, spec }))
  const service = { apiVersion, kind: 'InferenceService', metadata: { name: 's', namespace }, spec: { command: ['x'] } }
  await world.store.create('InferenceService', inferenceService.parse(service))
  const uri = 'file:///data/book'
  await world.store.create('Dataset', {
    apiVersion,
    kind: 'Dataset',
    metadata: { name: 'd', namespace },
    spec: { uri },
  })
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'k', namespace } } as const
  await world.store.create('Secret', secret)
  const manifest = `outputs/${namespace}/old/attempt-1/manifest.json`
  await world.blobs.put(manifest, encodeManifest({ version: 1, files: [] }).bytes)
  await world.store.create('Model', {
    apiVersion,
    kind: 'Model',
    metadata: { name: 'm-v1', namespace },
    spec: { model: 'm', version: 1, manifest, digest: 'd', bytes: 0, format: 'gguf', files: [] },
  })
}

test('a namespace that is deleted takes all that is in it with it, and nothing else', async () => {
  world.control()
  await world.job('stays')
  await fill()
  await world.until(() => world.agent.running().length === 4, 'all run')
  await world.store.delete('Namespace', team)
  await world.until(isGone, 'the namespace is gone')
  expect(await inTeam()).toEqual([])
  expect(world.agent.running()).toEqual(['stays-worker-0-1'])
  expect((await world.getJob('stays')).metadata.deletionTimestamp).toBeUndefined()
  // Nobody brings it back.
  await world.settle(2_000)
  expect(await isGone()).toBe(true)
  // Its name can be used again, by something that has nothing of the old one.
  await fill()
  await world.until(() => world.agent.running().length === 4, 'all run again')
})

test('while something holds on to what it owns, the namespace waits and says for what', async () => {
  world.control()
  await fill()
  await world.until(() => world.agent.running().length === 3, 'all run')
  const held = { name: 'd', namespace }
  await world.store.patch('Dataset', held, { metadata: { finalizers: ['example.com/backup'] } })
  await world.store.delete('Namespace', team)
  await world.until(async () => (await inTeam()).join() === 'Dataset d', 'only the dataset is left')
  await world.settle(5_000)
  const { status, metadata } = (await world.store.get('Namespace', team)) ?? {}
  expect(status?.phase).toBe('Terminating')
  expect(status?.conditions).toMatchObject([
    { type: 'NamespaceContentRemaining', status: 'True', message: '1 of kind Dataset' },
  ])
  await world.settle(60_000)
  expect((await world.store.get('Namespace', team))?.metadata.resourceVersion).toBe(metadata?.resourceVersion)
  await world.store.patch('Dataset', held, { metadata: { finalizers: [] } })
  await world.until(isGone, 'the namespace is gone')
})

test("another's finalizer on the namespace is left alone", async () => {
  world.control()
  await fill()
  await world.store.patch('Namespace', team, { metadata: { finalizers: ['example.com/audit'] } })
  await world.store.delete('Namespace', team)
  await world.until(async () => (await inTeam()).length === 0, 'it is empty')
  await world.settle(1_000)
  const left = (await world.store.get('Namespace', team))?.metadata.finalizers
  expect(left).toEqual(['example.com/audit'])
  await world.store.patch('Namespace', team, { metadata: { finalizers: [] } })
  expect(await isGone()).toBe(true)
})

test('an empty one goes at once, and one that nobody deletes stays', async () => {
  world.control()
  for (const name of ['team', 'other']) {
    await world.store.create('Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
  await world.store.delete('Namespace', team)
  await world.settle()
  expect(await isGone()).toBe(true)
  expect(await world.store.get('Namespace', { name: 'other' })).toBeDefined()
})

test('a control plane that dies after any of its writes leaves nothing behind, and nothing comes back', async () => {
  const undisturbed = await lifeOf()
  expect(undisturbed).toBeGreaterThan(20)
  for (let n = 1; n <= undisturbed; n++) await lifeOf(n)
}, 120_000)

/** Gives back how many writes there were; throws where the namespace does not go. */
async function lifeOf(crashAfter = Number.POSITIVE_INFINITY): Promise<number> {
  await world.close()
  world = await createWorld({ seed: 2 })
  await world.node('a', 4)
  const { writes, until } = mortalControl(world, crashAfter)
  await fill()
  await until(() => world.agent.running().length === 3, 'all run')
  await world.store.delete('Namespace', team)
  await until(isGone, 'the namespace is gone')
  await world.settle(3_000)
  expect({ crashAfter, left: await inTeam(), gone: await isGone(), running: world.agent.running() }).toEqual({
    crashAfter,
    left: [],
    gone: true,
    running: [],
  })
  return writes()
}
