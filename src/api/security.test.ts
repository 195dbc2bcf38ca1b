import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../base/log.ts'
import { startApi } from './server.ts'
import { job, startTestApi, type TestApi, token } from './test-api.ts'

const jobs = '/apis/millwright.dev/v1alpha1/namespaces/default/trainingjobs'

let at: TestApi
beforeAll(async () => {
  at = await startTestApi()
  await at.client.create('Secret', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's' },
    data: { key: 'c2VjcmV0' },
  })
})
afterAll(() => at.close())

/** Sends bytes as they are and gives back whatever comes until the server hangs up. */
function tell(text: string): Promise<string> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(at.api.url)
    const socket = connect(Number(port), hostname, () => socket.write(text))
    let heard = ''
    socket.on('data', (chunk) => {
      heard += chunk
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(heard))
  })
}

describe('who may speak', () => {
  it('wants the token for everything but health and version', async () => {
    for (const path of [
      '/api',
      '/apis',
      jobs,
      '/api/v1/secrets',
      '/metrics',
      '/openapi/v3',
      '/',
      '/nothing',
      '/healthz/',
      '//healthz',
    ]) {
      expect((await at.ask('GET', path, { headers: { authorization: '' } })).body).toMatchObject({
        kind: 'Status',
        code: 401,
      })
    }
    for (const path of ['/healthz', '/livez', '/readyz', '/version']) {
      expect((await at.ask('GET', path, { headers: { authorization: '' } })).status).toBe(200)
    }
  })

  it('refuses every token but its own', async () => {
    const wrong = [
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      'Bearer ',
      `Basic ${token}`,
      token,
      `Bearer x ${token}`,
    ]
    for (const authorization of wrong) {
      expect((await at.ask('GET', jobs, { headers: { authorization } })).status).toBe(401)
    }
  })

  it('answers to its own names alone, so that no page can rebind its own to this machine', async () => {
    const { port } = new URL(at.api.url)
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '10.0.0.1',
      '0.0.0.0',
      '127.0.0.1@evil.example',
      '[::2]',
    ]) {
      expect((await at.ask('GET', jobs, { headers: { host } })).status, host).toBe(403)
      expect((await at.ask('GET', '/version', { headers: { host } })).status, host).toBe(403)
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, 'LOCALHOST', 'localhost.']) {
      expect((await at.ask('GET', jobs, { headers: { host } })).status, host).toBe(200)
    }
  })

  it('refuses pages of other origins, a file and a sandbox included', async () => {
    const { host } = new URL(at.api.url)
    for (const origin of [
      'http://evil.example',
      'null',
      'file://',
      `http://127.0.0.1:1`,
      `http://${host}.evil.example`,
    ]) {
      expect((await at.ask('GET', jobs, { headers: { origin } })).status, origin).toBe(403)
    }
    const same = await at.ask('GET', jobs, { headers: { origin: `http://${host}` } })
    expect(same.status).toBe(200)
    expect(same.headers['access-control-allow-origin']).toBeUndefined()
    expect(
      (await at.ask('OPTIONS', jobs, { headers: { origin: 'http://evil.example' } })).status,
    ).toBeGreaterThanOrEqual(400)
  })

  it('is not started open to the network, nor without a token', async () => {
    const options = {
      store: at.store,
      clock: at.clock,
      log: silentLog,
      port: 0,
      ports: { logs: async function* () {}, metrics: async () => '' },
    }
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.com']) {
      await expect(startApi({ ...options, token, host })).rejects.toThrow('without encryption')
    }
    await expect(startApi({ ...options, token: '', host: '127.0.0.1' })).rejects.toThrow('token')
    const port = Number(new URL(at.api.url).port)
    await expect(startApi({ ...options, token, host: '127.0.0.1', port })).rejects.toThrow(`port ${port} is in use`)
  })
})

describe('paths', () => {
  it('lead nowhere but to resources', async () => {
    const paths = [
      `${jobs}/..%2f..%2fsecrets`,
      `${jobs}/../../default/trainingjobs`,
      `${jobs}/%2e%2e`,
      `${jobs}/a%00b`,
      `${jobs}/a%2fb`,
      `${jobs}/A`,
      `${jobs}/${'a'.repeat(300)}`,
      '/apis/millwright.dev/v1alpha1/namespaces/..%2f..%2fetc/trainingjobs',
      '/apis/millwright.dev/v1alpha1/namespaces//trainingjobs',
      '/api/v1/namespaces/default/nodes',
      '/apis/__proto__/v1/x',
      '/api/v1/constructor',
      '/openapi/v3/apis/..%2f..%2fetc',
      `${jobs}/a/status/more`,
      `${jobs}/%zz`,
    ]
    for (const path of paths) {
      const { body, status } = await at.ask('GET', path)
      expect([400, 404], path).toContain(status)
      expect(body, path).toMatchObject({ kind: 'Status', status: 'Failure' })
    }
  })

  it('refuses names that could leave their place', async () => {
    for (const name of ['../x', 'a/b', '.', '..', 'a\u0000', '$(id)', '-a', 'a'.repeat(254), '__proto__']) {
      expect((await at.ask('POST', jobs, { body: JSON.stringify(job(name)) })).status, name).toBe(422)
    }
  })
})

describe('bodies', () => {
  const post = (body: string | Buffer, type = 'application/json') =>
    at.ask('POST', jobs, { body, headers: { 'content-type': type } })

  it('with __proto__ in them are refused, however it is spelled, and change no prototype', async () => {
    const spellings = ['"__proto__"', '"__pro\\u0074o__"', '"\\u005f_proto__"']
    for (const spelling of spellings) {
      expect((await post(`{"metadata":{"name":"p"},"spec":{${spelling}:{"polluted":true}}}`)).body).toMatchObject({
        code: 400,
      })
    }
    await at.client.create('TrainingJob', job('proto'))
    const paths = [
      { op: 'add', path: '/__proto__/polluted', value: 1 },
      { op: 'add', path: '/constructor/prototype/polluted', value: 1 },
    ]
    for (const operation of paths) {
      const refused = at.client.patch('TrainingJob', { name: 'proto' }, [operation], { type: 'json' })
      await expect(refused).rejects.toMatchObject({ code: 400 })
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('nested without end, with a key twice, or of another language are refused', async () => {
    const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
    expect((await post(deep(100_000))).body).toMatchObject({
      code: 400,
      message: expect.stringContaining('nested deeper'),
    })
    expect((await post('['.repeat(1_000_000))).status).toBe(400)
    expect((await post('{"spec":{"workers":1,"workers":2}}')).body).toMatchObject({
      message: expect.stringContaining('"workers" twice'),
    })
    expect((await post('{"spec":{"workers":1,"work\\u0065rs":2}}')).status).toBe(400)
    expect((await post('{"a":')).status).toBe(400)
    expect((await post('{"a":NaN}')).status).toBe(400)
    expect((await post('"just a text"')).status).toBe(400)
    expect((await post(Buffer.from([0x22, 0xff, 0x22]))).body).toMatchObject({ message: 'the body is not UTF-8' })
    expect((await post('<a/>', 'application/xml')).status).toBe(415)
    expect((await post('k8s\u0000garbage', 'application/vnd.kubernetes.protobuf')).status).toBe(400)
    expect((await post('')).status).toBe(400)
  })

  it('too large are refused before they are read', async () => {
    const big = Buffer.alloc(5 * 1024 * 1024, 0x20)
    const refused = await post(big).catch((error: NodeJS.ErrnoException) => error.code)
    expect([413, 'EPIPE', 'ECONNRESET']).toContain(typeof refused === 'object' ? refused.status : refused)
  })

  it('that would copy themselves into gigabytes are refused', async () => {
    await at.client.create('TrainingJob', job('copy'))
    const copies = Array.from({ length: 60 }, (_, index) => ({
      op: 'copy',
      from: '/metadata',
      path: `/metadata/c${index}`,
    }))
    const refused = at.client.patch('TrainingJob', { name: 'copy' }, copies, { type: 'json' })
    await expect(refused).rejects.toMatchObject({ code: 400, message: expect.stringContaining('copies too much') })
  })
})

describe('connections', () => {
  it('with headers too large, or that speak no HTTP, are closed', async () => {
    const huge = `GET /version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${'x'.repeat(10_000_000)}\r\n\r\n`
    expect(await tell(huge)).toMatch(/^(HTTP\/1\.1 431 |$)/)
    expect(await tell('\u0000\u0001\u0002 nonsense\r\n\r\n')).toMatch(/^(HTTP\/1\.1 400 |$)/)
    expect(await tell('\u0016\u0003\u0001\u0000\u0005hello')).not.toContain('HTTP')
    expect(await tell('GET /version HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n')).toContain(' 403 ')
    const smuggled =
      'POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /'
    expect(await tell(smuggled)).not.toContain(' 200 ')
    expect((await at.ask('GET', '/healthz')).text).toBe('ok')
  })
})
