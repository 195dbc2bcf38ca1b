import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { label } from '../model/names.ts'
import { ApiError } from './client.ts'
import { job, pod, startTestApi, type TestApi } from './test-api.ts'

const jobs = '/apis/millwright.dev/v1alpha1/namespaces/default/trainingjobs'
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'

let at: TestApi
beforeEach(async () => {
  at = await startTestApi({ history: 50 })
})
afterEach(() => at.close())

describe('reading', () => {
  it('answers a get, and a 404 Status for what is not there', async () => {
    await at.client.create('TrainingJob', job('a'))
    expect(await at.client.get('TrainingJob', { name: 'a' })).toMatchObject({
      metadata: { name: 'a' },
      spec: { workers: 2 },
    })
    const missing = await at.ask('GET', `${jobs}/b`)
    expect(missing.body).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      reason: 'NotFound',
      code: 404,
      message: 'trainingjobs.millwright.dev "b" not found',
      details: { name: 'b', group: 'millwright.dev', kind: 'trainingjobs' },
    })
  })

  it('lists by namespace, over all of them, by label and by field', async () => {
    await at.client.create('TrainingJob', { ...job('a'), metadata: { name: 'a', labels: { team: 'x' } } })
    await at.client.create('Namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } })
    await at.client.create('TrainingJob', job('b', {}, 'other'))
    const names = async (options: object) =>
      (await at.client.list('TrainingJob', options)).items.map((one) => one.metadata.name)
    expect(await names({})).toEqual(['a', 'b'])
    expect(await names({ namespace: 'other' })).toEqual(['b'])
    expect(await names({ labels: 'team in (x,y)' })).toEqual(['a'])
    expect(await names({ fields: 'metadata.name=b' })).toEqual(['b'])
    expect((await at.ask('GET', `${jobs}?labelSelector=a+in`)).status).toBe(400)
    expect((await at.client.list('Namespace')).items.map((one) => one.metadata.name)).toEqual(['default', 'other'])
  })

  it('pages a list, each page of one revision', async () => {
    for (const name of ['a', 'b', 'c']) await at.client.create('TrainingJob', job(name))
    const first = await at.client.list('TrainingJob', { limit: 2 })
    await at.client.create('TrainingJob', job('d'))
    const second = await at.client.list('TrainingJob', { limit: 2, continue: first.continue })
    expect([...first.items, ...second.items].map((one) => one.metadata.name)).toEqual(['a', 'b', 'c'])
    expect(second.resourceVersion).toBe(first.resourceVersion)
  })

  it('shows tables and bare metadata to those who ask', async () => {
    await at.client.create('TrainingJob', job('a'))
    await at.clock.advance(125_000)
    const { columnDefinitions, rows } = await at.client.table('TrainingJob')
    const cell = (name: string) => rows[0]?.cells[columnDefinitions.findIndex((column) => column.name === name)]
    expect([cell('Name'), cell('Phase'), cell('Workers'), cell('Age')]).toEqual(['a', 'Pending', 2, '2m5s'])
    const one = await at.ask('GET', `${jobs}/a`, { headers: { accept: table } })
    expect(one.body).toMatchObject({ kind: 'Table', rows: [{ object: { kind: 'PartialObjectMetadata' } }] })
    const partial = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'
    const list = await at.ask('GET', jobs, { headers: { accept: partial } })
    expect(list.body).toMatchObject({ kind: 'PartialObjectMetadataList', items: [{ metadata: { name: 'a' } }] })
    expect(list.text).not.toContain('"spec"')
  })
})

describe('writing', () => {
  it('fills in defaults, ignores status, and refuses a second one of the name', async () => {
    const created = await at.client.create('TrainingJob', { ...job('a'), status: { phase: 'Succeeded' } })
    expect(created.spec.maxRestarts).toBe(5)
    expect(created.status).toBeUndefined()
    await expect(at.client.create('TrainingJob', job('a'))).rejects.toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
    })
  })

  it('says everything that is wrong at once, each with its field', async () => {
    const error = await at.client
      .create('TrainingJob', job('a', { wrkers: 1, priority: 'high' }))
      .catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ApiError)
    expect(error.status).toMatchObject({ code: 422, reason: 'Invalid' })
    const fields = error.status.details.causes.map((cause: { field: string }) => cause.field)
    expect(fields).toEqual(expect.arrayContaining(['spec.wrkers', 'spec.priority']))
    expect(error.message).toContain('did you mean "workers"?')
  })

  it('generates a name from generateName', async () => {
    const reply = await at.ask('POST', jobs, {
      body: JSON.stringify({ ...job(''), metadata: { generateName: 'run-' } }),
    })
    expect(reply.body).toMatchObject({ metadata: { name: expect.stringMatching(/^run-[a-z0-9]{5}$/) } })
  })

  it('refuses a body that is not what its path says', async () => {
    const refused = async (body: object) => (await at.ask('POST', jobs, { body: JSON.stringify(body) })).status
    expect(await refused({ ...job('a'), kind: 'Pool' })).toBe(400)
    expect(await refused(job('a', {}, 'other'))).toBe(400)
    expect(await refused([])).toBe(400)
    expect((await at.ask('PUT', `${jobs}/b`, { body: JSON.stringify(job('a')) })).status).toBe(400)
  })

  it('lets a stale update lose, and an unconditional one win', async () => {
    const old = await at.client.create('TrainingJob', job('a'))
    const { metadata, ...rest } = old
    await at.client.update('TrainingJob', { ...old, spec: { ...old.spec, priority: 1 } })
    const stale = at.client.update('TrainingJob', { ...old, spec: { ...old.spec, priority: 2 } })
    await expect(stale).rejects.toMatchObject({ code: 409, reason: 'Conflict' })
    const won = await at.client.update('TrainingJob', {
      ...rest,
      metadata: { name: 'a', namespace: 'default' },
      spec: { ...old.spec, priority: 3 },
    })
    expect(won).toMatchObject({ spec: { priority: 3 }, metadata: { uid: metadata.uid, generation: 3 } })
  })

  it('patches, and a patch that changes nothing writes nothing', async () => {
    const before = await at.client.create('TrainingJob', job('a'))
    const same = await at.client.patch('TrainingJob', { name: 'a' }, { spec: { priority: 0 } })
    expect(same.metadata.resourceVersion).toBe(before.metadata.resourceVersion)
    const after = await at.client.patch(
      'TrainingJob',
      { name: 'a' },
      [{ op: 'replace', path: '/spec/priority', value: 7 }],
      { type: 'json' },
    )
    expect(after.spec.priority).toBe(7)
    const unknown = at.client.patch('TrainingJob', { name: 'a' }, { spec: { prio: 1 } })
    await expect(unknown).rejects.toMatchObject({ code: 422 })
  })

  it('keeps every one of many patches that race', async () => {
    await at.client.create('TrainingJob', job('a'))
    const keys = Array.from({ length: 6 }, (_, index) => `k${index}`)
    await Promise.all(
      keys.map((key) => at.client.patch('TrainingJob', { name: 'a' }, { metadata: { annotations: { [key]: 'x' } } })),
    )
    const { metadata } = (await at.client.get('TrainingJob', { name: 'a' })) ?? {}
    expect(Object.keys(metadata?.annotations ?? {}).sort()).toEqual(keys)
  })

  it('refuses kinds of patches that it does not know, naming those that it does', async () => {
    await at.client.create('TrainingJob', job('a'))
    const patch = (type: string) => at.ask('PATCH', `${jobs}/a`, { headers: { 'content-type': type }, body: '{}' })
    expect((await patch('application/apply-patch+yaml')).body).toMatchObject({
      code: 415,
      message: expect.stringContaining('server-side apply'),
    })
    expect((await patch('application/strategic-merge-patch+json')).body).toMatchObject({
      code: 415,
      message: expect.stringContaining('application/merge-patch+json'),
    })
  })

  it('changes status only through its own door', async () => {
    await at.client.create('TrainingJob', job('a'))
    await at.client.patch('TrainingJob', { name: 'a' }, { status: { phase: 'Running' }, spec: { priority: 1 } })
    const before = await at.client.get('TrainingJob', { name: 'a' })
    expect(before).toMatchObject({ spec: { priority: 1 } })
    expect(before?.status).toBeUndefined()
    const after = await at.client.patch(
      'TrainingJob',
      { name: 'a' },
      { status: { phase: 'Running' }, spec: { priority: 2 } },
      { status: true },
    )
    expect(after).toMatchObject({ status: { phase: 'Running' }, spec: { priority: 1 }, metadata: { generation: 2 } })
  })

  it('writes nothing on a dry run, and still refuses', async () => {
    await at.client.create('TrainingJob', job('a'), { dryRun: true })
    expect(await at.client.get('TrainingJob', { name: 'a' })).toBeUndefined()
    await at.client.create('TrainingJob', job('a'))
    await expect(at.client.create('TrainingJob', job('a'), { dryRun: true })).rejects.toMatchObject({ code: 409 })
    expect(
      (await at.client.patch('TrainingJob', { name: 'a' }, { spec: { priority: 5 } }, { dryRun: true })).spec.priority,
    ).toBe(5)
    expect(await at.client.delete('TrainingJob', { name: 'a' }, { dryRun: true })).toBe('deleted')
    expect((await at.client.get('TrainingJob', { name: 'a' }))?.spec.priority).toBe(0)
  })

  it("puts a secret's stringData into data", async () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { key: 'value' } }
    expect(await at.client.create('Secret', secret)).toMatchObject({ type: 'Opaque', data: { key: 'dmFsdWU=' } })
  })
})

describe('deleting', () => {
  it('says whether the object is gone or going', async () => {
    const made = await at.client.create('TrainingJob', {
      ...job('a'),
      metadata: { name: 'a', finalizers: ['x.dev/y'] },
    })
    expect(await at.client.delete('TrainingJob', { name: 'a' }, { uid: 'another' }).catch((error) => error.code)).toBe(
      409,
    )
    expect(await at.client.delete('TrainingJob', { name: 'a' }, { uid: made.metadata.uid })).toBe('deleting')
    expect((await at.client.get('TrainingJob', { name: 'a' }))?.metadata.deletionTimestamp).toBeDefined()
    await at.client.patch('TrainingJob', { name: 'a' }, { metadata: { finalizers: null } })
    expect(await at.client.delete('TrainingJob', { name: 'a' })).toBe('missing')
  })

  it('deletes the part of a collection that a selector names', async () => {
    for (const name of ['a', 'b'])
      await at.client.create('TrainingJob', { ...job(name), metadata: { name, labels: { name } } })
    await at.ask('DELETE', `${jobs}?labelSelector=name%3Da`)
    expect((await at.client.list('TrainingJob')).items.map((one) => one.metadata.name)).toEqual(['b'])
  })
})

describe('subresources', () => {
  it('scales a service and a suspended job', async () => {
    const service = {
      apiVersion: 'millwright.dev/v1alpha1',
      kind: 'InferenceService',
      metadata: { name: 's' },
      spec: { command: ['x'] },
    }
    await at.client.create('InferenceService', service)
    const path = '/apis/millwright.dev/v1alpha1/namespaces/default/inferenceservices/s/scale'
    const merge = { 'content-type': 'application/merge-patch+json' }
    const reply = await at.ask('PATCH', path, { headers: merge, body: '{"spec":{"replicas":3}}' })
    expect(reply.body).toMatchObject({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 3 } })
    expect(await at.client.get('InferenceService', { name: 's' })).toMatchObject({
      spec: { minReplicas: 3, maxReplicas: 3 },
    })

    await at.client.create('TrainingJob', job('a', { suspend: true }))
    const scale = (await at.ask('GET', `${jobs}/a/scale`)).text
    await at.ask('PUT', `${jobs}/a/scale`, { body: scale.replace('"replicas":2', '"replicas":5') })
    expect((await at.client.get('TrainingJob', { name: 'a' }))?.spec.workers).toBe(5)
    const none = await at.ask('PATCH', `${jobs}/a/scale`, { headers: merge, body: '{"spec":{"replicas":0}}' })
    expect(none.body).toMatchObject({ code: 400, message: expect.stringContaining('suspend') })
  })

  it('binds a pod once, and evicts it by uid', async () => {
    const { metadata } = await at.client.create('Pod', pod('p'))
    const binding = JSON.stringify({
      metadata: { name: 'p', annotations: { rank: '1' } },
      target: { kind: 'Node', name: 'n' },
    })
    const bind = async (query = '') =>
      (await at.ask('POST', `/api/v1/namespaces/default/pods/p/binding${query}`, { body: binding })).status
    expect(await bind('?dryRun=All')).toBe(201)
    expect((await at.client.get('Pod', { name: 'p' }))?.spec.nodeName).toBeUndefined()
    expect(await bind()).toBe(201)
    expect(await bind()).toBe(409)
    expect(await bind('?dryRun=All')).toBe(409)
    expect(await at.client.get('Pod', { name: 'p' })).toMatchObject({
      spec: { nodeName: 'n' },
      metadata: { annotations: { rank: '1' } },
    })
    const evict = (uid: string) =>
      at.ask('POST', '/api/v1/namespaces/default/pods/p/eviction', {
        body: JSON.stringify({ deleteOptions: { preconditions: { uid } } }),
      })
    expect((await evict('another')).status).toBe(409)
    expect((await evict(metadata.uid ?? '')).status).toBe(201)
    expect((await at.client.get('Pod', { name: 'p' }))?.metadata.deletionTimestamp).toBeDefined()
  })

  it('refuses doors that a kind does not have, and methods that a door does not take', async () => {
    await at.client.create('TrainingJob', job('a'))
    expect((await at.ask('GET', `${jobs}/a/nothing`)).status).toBe(404)
    expect((await at.ask('DELETE', `${jobs}/a/scale`)).status).toBe(405)
    expect((await at.ask('PUT', jobs, { body: '{}' })).status).toBe(405)
  })
})

describe('logs', () => {
  it('streams those of a pod, and of rank 0 of the newest attempt of a job', async () => {
    await at.close()
    const asked: unknown[] = []
    at = await startTestApi({
      ports: {
        logs: async function* (of, options) {
          asked.push([of.metadata.name, options.follow, options.tailLines])
          yield Buffer.from('one\n')
          yield Buffer.from('two\n')
        },
      },
    })
    await at.client.create('TrainingJob', job('a'))
    const none = await at.ask('GET', `${jobs}/a/log`)
    expect(none.body).toMatchObject({ code: 404, message: expect.stringContaining('no pods yet') })
    for (const [name, attempt, rank] of [
      ['a-0-1', '1', '0'],
      ['a-0-2', '2', '1'],
      ['a-1-2', '2', '0'],
    ] as const) {
      const labels = { [label.job]: 'a', [label.attempt]: attempt }
      await at.client.create('Pod', pod(name, { labels, annotations: { 'millwright.dev/rank': rank } }))
    }
    const chunks: Uint8Array[] = []
    for await (const chunk of at.client.logs({ name: 'a' }, { job: true, follow: true, tailLines: 5 }))
      chunks.push(chunk)
    expect(Buffer.concat(chunks).toString()).toBe('one\ntwo\n')
    expect((await at.ask('GET', '/api/v1/namespaces/default/pods/a-0-1/log?container=main')).text).toBe('one\ntwo\n')
    expect((await at.ask('GET', '/api/v1/namespaces/default/pods/a-0-1/log?container=other')).status).toBe(400)
    expect(asked).toEqual([
      ['a-1-2', true, 5],
      ['a-0-1', false, undefined],
    ])
  })

  it('answers with a Status when the log cannot be read, and cuts a stream that fails halfway', async () => {
    await at.close()
    at = await startTestApi({
      ports: {
        logs: async function* (of) {
          if (of.metadata.name === 'late') yield Buffer.from('half')
          throw new Error('the disk is gone')
        },
      },
    })
    for (const name of ['early', 'late']) await at.client.create('Pod', pod(name))
    expect((await at.ask('GET', '/api/v1/namespaces/default/pods/early/log')).body).toMatchObject({ code: 500 })
    await expect(at.ask('GET', '/api/v1/namespaces/default/pods/late/log')).rejects.toThrow()
  })

  it('tells the port when the reader has gone', async () => {
    await at.close()
    let gone: (() => void) | undefined
    const wasTold = new Promise<void>((resolve) => {
      gone = resolve
    })
    at = await startTestApi({
      ports: {
        logs: async function* (_pod, options) {
          yield Buffer.from('first\n')
          await new Promise<void>((resolve) => options.signal?.addEventListener('abort', () => resolve()))
          gone?.()
        },
      },
    })
    await at.client.create('Pod', pod('p'))
    for await (const _ of at.client.logs({ name: 'p' }, { follow: true })) break
    await wasTold
  })
})
