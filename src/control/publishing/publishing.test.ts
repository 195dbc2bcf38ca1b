import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../base/log.ts'
import { encodeManifest } from '../../blob/manifest.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { createTtl } from '../garbage/history.ts'
import { createWorld, type World } from '../world.fixture.ts'
import { createPublishing } from './publishing.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 4)
})
afterEach(() => world.close())

const models = async () => (await world.store.list('Model')).items
const sha256 = 'a'.repeat(64)

/** What rank 0's agent reported of the output. */
async function reported(name: string, output: Record<string, unknown>): Promise<void> {
  const manifest = `outputs/default/${name}/attempt-1/manifest.json`
  await world.store.create(
    'Report',
    {
      apiVersion: millwrightVersion,
      kind: 'Report',
      metadata: { name: `pod.${name}-0`, namespace: 'default', labels: { [label.job]: name } },
      spec: { pod: { name: `${name}-0`, uid: name }, gang: name },
      status: { checkpoints: [], output: { manifest, digest: 'd', bytes: 10, files: 1, ...output } },
    },
    { withStatus: true },
  )
}

/** What a job that ended well has left: its status names the manifest of rank 0's output. */
async function succeeded(name: string, manifest = `outputs/default/${name}/attempt-1/manifest.json`): Promise<void> {
  const { bytes, digest } = encodeManifest({ version: 1, files: [{ path: 'model.gguf', size: 10, sha256 }] })
  await world.blobs.put(manifest, bytes)
  const job = await world.job(name, { output: { model: 'tiny' }, dataset: 'file:///book.txt', suspend: true })
  const status = {
    phase: 'Succeeded' as const,
    conditions: [],
    attempt: 2,
    step: 300,
    loss: 1.5,
    output: { manifest, digest },
  }
  await world.store.updateStatus('TrainingJob', { ...job, status })
}

test('a job that succeeded becomes the next version of its model, with lineage, and says which', async () => {
  await succeeded('first')
  world.control({ reconcilers: [createPublishing] })
  await world.until(async () => (await world.getJob('first')).status?.model !== undefined, 'a model')
  expect((await world.getJob('first')).status).toMatchObject({ model: 'tiny-v1', phase: 'Succeeded', step: 300 })
  await succeeded('second')
  await world.until(async () => (await world.getJob('second')).status?.model !== undefined, 'another')
  const [one, two] = await models()
  expect(one?.spec).toMatchObject({
    model: 'tiny',
    version: 1,
    bytes: 10,
    format: 'gguf',
    files: [{ path: 'model.gguf' }],
  })
  expect(two?.spec.lineage).toMatchObject({
    job: 'second',
    attempt: 2,
    step: 300,
    dataset: 'file:///book.txt',
    parent: 'tiny-v1',
    metrics: { loss: 1.5 },
  })
  expect((await world.store.list('Event')).items.map((event) => event.message)).toContain('published tiny-v2')
})

test('the lineage names the data as the agent saw the job read it; where it could not, as the job did', async () => {
  const data = (digest: string) => ({ uri: 'file:///book.txt', digest, bytes: 1, files: 1 })
  await reported('seen', { data: data('agents'), metrics: { datasetSha256: 'trainers', loss: 0.5 } })
  await reported('told', { metrics: { datasetSha256: 'trainers' } })
  await reported('unknown', {})
  // Of an attempt before, on other data.
  await world.store.create(
    'Report',
    {
      apiVersion: millwrightVersion,
      kind: 'Report',
      metadata: { name: 'pod.an-older', namespace: 'default', labels: { [label.job]: 'seen' } },
      spec: { pod: { name: 'an-older', uid: 'old' }, gang: 'seen' },
      status: {
        checkpoints: [],
        output: {
          manifest: 'outputs/default/seen/attempt-0/manifest.json',
          digest: 'd',
          bytes: 1,
          files: 1,
          data: data('old'),
        },
      },
    },
    { withStatus: true },
  )
  // What the Dataset has become meanwhile says nothing of what was read.
  await world.store.create(
    'Dataset',
    {
      apiVersion: millwrightVersion,
      kind: 'Dataset',
      metadata: { name: 'book', namespace: 'default' },
      spec: { uri: 'file:///book.txt' },
      status: { conditions: [], digest: 'later' },
    },
    { withStatus: true },
  )
  for (const name of ['seen', 'told', 'unknown']) await succeeded(name)
  world.control({ reconcilers: [createPublishing] })
  await world.until(async () => (await models()).length === 3, 'three models')
  const digests = (await models()).map(({ spec }) => [spec.lineage?.job, spec.lineage?.datasetDigest]).sort()
  expect(digests).toEqual([
    ['seen', 'agents'],
    ['told', 'trainers'],
    ['unknown', undefined],
  ])
  const seen = (await models()).find(({ spec }) => spec.lineage?.job === 'seen')
  expect(seen?.spec.lineage?.metrics).toEqual({ loss: 0.5, datasetSha256: 'trainers' })
})

test('a version goes to the next number that no Model has, whatever its labels', async () => {
  for (const number of [1, 2])
    await world.store.create('Model', {
      apiVersion: millwrightVersion,
      kind: 'Model',
      metadata: { name: `tiny-v${number}`, namespace: 'default' },
      spec: { model: 'tiny', version: number, manifest: 'm', digest: 'd', bytes: 1, format: 'gguf', files: [] },
    })
  await succeeded('job')
  world.control({ reconcilers: [createPublishing] })
  await world.until(async () => (await world.getJob('job')).status?.model === 'tiny-v3', 'the third version')
  expect(await models()).toHaveLength(3)
})

test('a crash between the two writes makes no second version', async () => {
  await succeeded('job')
  let died = false
  const dying = world.control({
    reconcilers: [createPublishing],
    log: silentLog,
    store: new Proxy(world.store, {
      get: (target, field, receiver) =>
        field === 'patch' && !died
          ? async (...given: Parameters<typeof target.patch>) => {
              if (given[0] === 'TrainingJob') {
                died = true
                throw new Error('died before the second write')
              }
              return target.patch(...given)
            }
          : Reflect.get(target, field, receiver),
    }),
  })
  await world.until(() => died, 'the crash')
  await world.until(async () => (await world.getJob('job')).status?.model === 'tiny-v1', 'the same version')
  expect(await models()).toHaveLength(1)
  expect(dying.leading()).toBe(true)
})

test('a job whose time is over waits for storage, is published and then goes; what cannot be published keeps none', async () => {
  const finished = async (name: string) => {
    await succeeded(name)
    const ref = { name, namespace: 'default' }
    const condition = { type: 'Complete', status: 'True', reason: 'Succeeded' }
    const status = { completionTime: new Date(world.clock.now()).toISOString(), conditions: [condition] }
    await world.store.patch('TrainingJob', ref, { spec: { ttlSecondsAfterFinished: 60 } })
    await world.store.patch('TrainingJob', ref, { status }, { status: true })
  }
  for (const name of ['job', 'lost']) await finished(name)
  await world.blobs.delete('outputs/default/lost/attempt-1/manifest.json')
  let isOut = true
  const blobs = {
    ...world.blobs,
    get: async (key: string) => {
      if (isOut) throw new Error('storage is out')
      return world.blobs.get(key)
    },
  }
  world.control({ reconcilers: [createPublishing, createTtl], blobs, log: silentLog })
  const jobs = async () => (await world.store.list('TrainingJob')).items.length
  await world.settle(180_000)
  expect(await jobs()).toBe(2)
  isOut = false
  await world.until(async () => (await jobs()) === 0, 'all is gone')
  expect((await models()).map(({ spec }) => spec.lineage?.job)).toEqual(['job'])
})

test('an output that is not in the store, or was changed, is not published, and an event says so', async () => {
  await succeeded('job')
  await world.blobs.put('outputs/default/job/attempt-1/manifest.json', encodeManifest({ version: 1, files: [] }).bytes)
  world.control({ reconcilers: [createPublishing] })
  const events = async () => (await world.store.list('Event')).items.filter((event) => event.reason === 'PublishFailed')
  await world.until(async () => (await events()).length > 0, 'an event')
  expect((await events())[0]?.message).toContain('changed')
  expect(await models()).toHaveLength(0)
})
