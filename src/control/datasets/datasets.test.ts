import { afterEach, beforeEach, expect, test } from 'vitest'
import { encodeManifest } from '../../blob/manifest.ts'
import type { Look, Sources } from '../../blob/sources.ts'
import type { Dataset } from '../../model/kinds/dataset.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { mortalControl } from '../crashing.fixture.ts'
import { createWorld, type World } from '../world.fixture.ts'
import { createDatasets } from './datasets.ts'

let world: World
let looks: number
let now: Look
beforeEach(async () => {
  world = await createWorld()
  looks = 0
  now = { kind: 'unusable', reason: 'Missing', message: 'data is not there' }
})
afterEach(() => world.close())

const sources: Sources = {
  look: async () => {
    looks++
    return now
  },
  close: async () => {},
}
const ref = { name: 'book', namespace: 'default' }
const reconcilers = [createDatasets]
const read = (digest: string, files = 1): Look => ({ kind: 'read', digest, bytes: 10, files, changedAtMs: 0 })
const reading = (bytesRead: number, bytes = 1e10): Look => ({ kind: 'reading', bytes, files: 2, bytesRead })

async function create(uri = 'file:///data/book'): Promise<void> {
  await world.store.create('Dataset', {
    apiVersion: millwrightVersion,
    kind: 'Dataset',
    metadata: ref,
    spec: { uri },
  })
}
async function dataset(): Promise<Dataset> {
  const found = await world.store.get('Dataset', ref)
  if (found === undefined) throw new Error('the dataset is gone')
  return found
}
async function status() {
  const { conditions, ...rest } = (await dataset()).status ?? { conditions: [] }
  const said = conditions.map(({ type, status: holds, reason, message }) => `${type} ${holds} ${reason}: ${message}`)
  return { ...rest, conditions: said }
}
const events = async () => (await world.store.list('Event')).items.filter((event) => event.reason === 'DatasetChanged')

test('what a dataset is stands in its status, and is looked at again every minute', async () => {
  now = read('d1', 3)
  world.control({ reconcilers, sources })
  await create()
  await world.settle()
  expect(await status()).toEqual({
    conditions: ['Ready True Read: '],
    digest: 'd1',
    bytes: 10,
    files: 3,
    observedGeneration: 1,
  })
  expect(looks).toBe(1) // its own write does not bring it back to the disk
  await world.settle(59_000)
  expect(looks).toBe(1)
  await world.settle(2_000)
  expect(looks).toBe(2)
  const { resourceVersion } = (await dataset()).metadata
  await world.settle(600_000)
  expect((await dataset()).metadata.resourceVersion).toBe(resourceVersion)
})

test('while it is read it says how far, without a digest', async () => {
  now = reading(2.5e9)
  world.control({ reconcilers, sources })
  await create()
  await world.settle()
  expect(await status()).toMatchObject({
    conditions: ['Ready Unknown Reading: 25 % of its bytes are read'],
    bytes: 1e10,
  })
  expect((await status()).digest).toBeUndefined()
  now = reading(5e9)
  await world.settle(6_000)
  expect((await status()).conditions).toEqual(['Ready Unknown Reading: 50 % of its bytes are read'])
  now = read('d1')
  await world.settle(6_000)
  expect(await status()).toMatchObject({ digest: 'd1', conditions: ['Ready True Read: '] })
})

test('files that changed take the digest away at once; the new one comes with an event and a condition', async () => {
  now = read('d1')
  world.control({ reconcilers, sources })
  await create()
  await world.settle()
  now = reading(0)
  await world.settle(61_000)
  expect(await status()).toMatchObject({
    previousDigest: 'd1',
    conditions: ['Ready Unknown Reading: 0 % of its bytes are read'],
  })
  expect((await status()).digest).toBeUndefined()
  expect(await events()).toEqual([])
  now = read('d2')
  await world.settle(6_000)
  const message = 'its files changed: their sha256 was d1 and is d2 now; models made before are of the old ones'
  expect(await status()).toEqual({
    conditions: ['Ready True Read: ', `Changed True FilesChanged: ${message}`],
    digest: 'd2',
    bytes: 10,
    files: 1,
    observedGeneration: 1,
  })
  expect((await events()).map((event) => [event.type, event.message, event.involvedObject.name])).toEqual([
    ['Warning', message, 'book'],
  ])
  await world.settle(300_000)
  expect(await events()).toHaveLength(1)
})

test('files that were only touched, or were away for a while, are the same data', async () => {
  now = read('d1')
  world.control({ reconcilers, sources })
  await create()
  await world.settle()
  now = reading(0)
  await world.settle(61_000)
  now = { kind: 'unusable', reason: 'Missing', message: '/data/book is not there' }
  await world.settle(6_000)
  expect(await status()).toMatchObject({
    previousDigest: 'd1',
    conditions: ['Ready False Missing: /data/book is not there'],
  })
  now = read('d1')
  await world.settle(61_000)
  expect(await status()).toMatchObject({ digest: 'd1', conditions: ['Ready True Read: '] })
  expect((await status()).previousDigest).toBeUndefined()
  expect(await events()).toEqual([])
})

test('another place is another dataset, looked at at once, and nothing is said to have changed', async () => {
  now = read('d1')
  world.control({ reconcilers, sources })
  await create()
  await world.settle()
  now = read('d2')
  await world.store.patch('Dataset', ref, { spec: { uri: 'file:///data/other' } })
  await world.settle()
  expect(await status()).toMatchObject({ digest: 'd2', conditions: ['Ready True Read: '], observedGeneration: 2 })
  expect(await events()).toEqual([])
})

test('a look that takes long is taken seldom', async () => {
  now = read('d1')
  const slow: Sources = {
    ...sources,
    look: async (uri) => {
      await world.clock.sleep(30_000)
      return sources.look(uri)
    },
  }
  world.control({ reconcilers, sources: slow })
  await create()
  await world.settle(31_000)
  expect(looks).toBe(1)
  await world.settle(599_000)
  expect(looks).toBe(1)
  await world.settle(40_000)
  expect(looks).toBe(2)
})

test('what lies in the blob store has the digest of its manifest; where nothing reads files, that is said', async () => {
  const { bytes, digest } = encodeManifest({ version: 1, files: [{ path: 'a', size: 7, sha256: 'a'.repeat(64) }] })
  await world.blobs.put('data/manifest.json', bytes)
  world.control({ reconcilers })
  await create('data/manifest.json')
  await world.settle()
  expect(await status()).toMatchObject({ digest, bytes: 7, files: 1 })
  await world.store.patch('Dataset', ref, { spec: { uri: 'data/none.json' } })
  await world.settle()
  expect((await status()).conditions[0]).toMatch(/^Ready False Missing: there is no manifest data\/none.json/)
  await world.store.patch('Dataset', ref, { spec: { uri: 'file:///data/book' } })
  await world.settle()
  expect((await status()).conditions[0]).toMatch(/^Ready False NotReadHere/)
})

test('a control plane that dies after any of its writes ends with the same status and has said the change', async () => {
  const undisturbed = await lifeOf()
  expect(undisturbed.state).toMatchObject({ digest: 'd2', changed: 1 })
  for (let n = 1; n <= undisturbed.writes; n++) {
    const { state } = await lifeOf(n)
    expect({ n, ...state, changed: Math.min(1, state.changed) }).toEqual({ n, ...undisturbed.state })
  }
})

async function lifeOf(crashAfter = Number.POSITIVE_INFINITY) {
  await world.close()
  world = await createWorld()
  now = read('d1')
  const { writes, until } = mortalControl(world, crashAfter, { reconcilers, sources })
  await create()
  await until(async () => (await status()).digest === 'd1', 'the first digest')
  now = reading(0)
  await until(async () => (await status()).previousDigest === 'd1', 'the change is seen')
  now = read('d2')
  await until(async () => (await status()).digest === 'd2', 'the second digest')
  await world.settle(5_000)
  const state = { ...(await status()), changed: (await events()).length }
  return { writes: writes(), state }
}
