import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OperatingError } from '../base/errors.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { startTestApi, type TestApi } from './test-api.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const [weights, notes, gone, torn, elsewhere] = ['weights', 'notes', 'gone', 'torn', 'elsewhere'].map(sha256) as [
  string,
  string,
  string,
  string,
  string,
]
const models = '/apis/millwright.dev/v1alpha1/namespaces/default/models'

let at: TestApi
beforeAll(async () => {
  at = await startTestApi({ ports: { content } })
  const files = [
    { path: 'model.gguf', size: 7, sha256: weights },
    { path: 'docs/notes', size: 5, sha256: notes },
    { path: 'gone', size: 4, sha256: gone },
    { path: 'torn', size: 4, sha256: torn },
  ]
  await at.client.create('Model', model('m-v1', files))
  await at.client.create('Model', model('other-v1', [{ path: 'a', size: 9, sha256: elsewhere }]))
})
afterAll(() => at.close())

function model(name: string, files: object[]) {
  const spec = { model: 'm', version: 1, manifest: 'k', digest: weights, bytes: 16, files }
  return { apiVersion: millwrightVersion, kind: 'Model', metadata: { name, namespace: 'default' }, spec }
}

async function* content(sha: string): AsyncGenerator<Uint8Array> {
  if (sha === gone) throw new OperatingError('not-found', 'give-up', 'the content is not there any more')
  if (sha === torn) {
    yield Buffer.from('to')
    throw new Error('the disk is broken')
  }
  for (const letter of sha === weights ? 'weights' : sha === notes ? 'notes' : 'elsewhere') yield Buffer.from(letter)
}

async function read(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of chunks) text += Buffer.from(chunk).toString()
  return text
}

describe('the files of a model', () => {
  it('come by their checksum', async () => {
    expect(await read(at.client.modelFile({ name: 'm-v1' }, weights))).toBe('weights')
    expect(await read(at.client.modelFile({ name: 'm-v1', namespace: 'default' }, notes))).toBe('notes')
    const raw = await at.ask('GET', `${models}/m-v1/files/${weights}`)
    expect([raw.status, raw.headers['content-type'], raw.text]).toEqual([200, 'application/octet-stream', 'weights'])
  })

  it('are for whoever holds the token', async () => {
    const refused = await at.ask('GET', `${models}/m-v1/files/${weights}`, { headers: { authorization: 'Bearer x' } })
    expect([refused.status, refused.text.includes('weights')]).toEqual([401, false])
  })

  it('are those that this model names, and nothing else', async () => {
    for (const path of [
      `m-v1/files/${elsewhere}`,
      `other-v1/files/${weights}`,
      `none-v1/files/${weights}`,
      `m-v1/files/${weights.toUpperCase()}`,
      'm-v1/files/model.gguf',
      'm-v1/files/..%2f..%2ftoken',
      'm-v1/files',
      `m-v1/files/${weights}/more`,
      `m-v1/status/${weights}`,
    ])
      expect((await at.ask('GET', `${models}/${path}`)).status, path).toBe(404)
    const inOther = `/apis/millwright.dev/v1alpha1/namespaces/other/models/m-v1/files/${weights}`
    expect((await at.ask('GET', inOther)).status).toBe(404)
    expect((await at.ask('DELETE', `${models}/m-v1/files/${weights}`)).status).toBe(405)
  })

  it('that cannot be read are an answer before the first byte, and a cut after it', async () => {
    expect((await at.ask('GET', `${models}/m-v1/files/${gone}`)).body).toMatchObject({
      kind: 'Status',
      code: 404,
      message: 'the content is not there any more',
    })
    await expect(read(at.client.modelFile({ name: 'm-v1' }, torn))).rejects.toThrow('was cut while reading the file')
  })

  it('stop coming when nobody wants them any more', async () => {
    const stop = new AbortController()
    stop.abort()
    await expect(read(at.client.modelFile({ name: 'm-v1' }, weights, stop.signal))).rejects.toThrow(/abort/i)
  })
})
