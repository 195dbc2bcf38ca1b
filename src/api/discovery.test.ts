import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type KindInfo, kinds } from '../model/registry.ts'
import { loopbackIdentity } from './certificate.ts'
import { createClient } from './client.ts'
import { targetOf } from './path.ts'
import { pathOfAll, pathOfOne } from './places.ts'
import { job, startTestApi, type TestApi, token } from './test-api.ts'

let at: TestApi
beforeAll(async () => {
  at = await startTestApi()
})
afterAll(() => at.close())

const infos: KindInfo[] = Object.values(kinds)

describe('the client and the server', () => {
  it.each(infos)('agree on where $kind is', (info) => {
    const namespace = info.namespaced ? 'ns' : undefined
    const place = namespace === undefined ? {} : { namespace }
    expect(targetOf(pathOfAll(info.kind, namespace).slice(1).split('/'))).toEqual({ info, ...place })
    expect(targetOf(pathOfOne(info.kind, { name: 'x', namespace }).slice(1).split('/'))).toEqual({
      info,
      ...place,
      name: 'x',
    })
  })
})

describe('discovery', () => {
  it('names every kind, in the old form and the new', async () => {
    const old = await Promise.all(
      ['/api/v1', '/apis/millwright.dev/v1alpha1', '/apis/coordination.k8s.io/v1'].map((path) => at.ask('GET', path)),
    )
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
    const fresh = await Promise.all(['/api', '/apis'].map((path) => at.ask('GET', path, { headers: { accept } })))
    const [oldText, newText] = [old, fresh].map((replies) => replies.map((reply) => reply.text).join())
    for (const { plural, kind } of infos) {
      expect(oldText).toContain(`"name":"${plural}"`)
      expect(newText).toContain(`"resource":"${plural}"`)
      expect(newText).toContain(`"kind":"${kind}"`)
    }
    expect(fresh[0]?.headers['content-type']).toMatch(/as="?APIGroupDiscoveryList/)
    expect((await at.ask('GET', '/apis')).body).toMatchObject({
      kind: 'APIGroupList',
      groups: expect.arrayContaining([expect.objectContaining({ name: 'millwright.dev' })]),
    })
    expect((await at.ask('GET', '/apis/nothing.dev/v1')).status).toBe(404)
  })

  it('has an OpenAPI document for every version in the index', async () => {
    const { body } = await at.ask('GET', '/openapi/v3')
    expect(body).toMatchObject({
      paths: {
        'api/v1': {},
        'apis/millwright.dev/v1alpha1': { serverRelativeURL: '/openapi/v3/apis/millwright.dev/v1alpha1' },
      },
    })
    const document = await at.ask('GET', '/openapi/v3/apis/millwright.dev/v1alpha1')
    expect(document.body).toMatchObject({
      paths: { '/apis/millwright.dev/v1alpha1/namespaces/{namespace}/trainingjobs/{name}': { patch: {} } },
      components: { schemas: { 'dev.millwright.v1alpha1.TrainingJob': { type: 'object' } } },
    })
  })
})

describe('TLS on loopback', () => {
  it('shows a certificate that follows from the token, on the port that also speaks HTTP', async () => {
    const { port } = new URL(at.api.url)
    const { cert } = loopbackIdentity(token)
    await at.client.create('TrainingJob', job('tls'))
    for (const host of ['127.0.0.1', 'localhost']) {
      const client = createClient({ server: `https://${host}:${port}`, token, certificateAuthority: cert })
      expect((await client.list('TrainingJob')).items).toHaveLength(1)
      client.close()
    }
    const other = createClient({
      server: `https://127.0.0.1:${port}`,
      token,
      certificateAuthority: loopbackIdentity('another token').cert,
    })
    await expect(other.list('TrainingJob')).rejects.toThrow('cannot reach')
    other.close()
  })

  it('refuses versions of TLS that are too old', async () => {
    const { port } = new URL(at.api.url)
    const refused = new Promise((resolve) => {
      const socket = connect({
        port: Number(port),
        host: '127.0.0.1',
        maxVersion: 'TLSv1.1',
        minVersion: 'TLSv1',
        rejectUnauthorized: false,
      })
      socket.once('error', resolve)
      socket.once('secureConnect', () => resolve('connected'))
    })
    expect(await refused).toBeInstanceOf(Error)
  })
})
