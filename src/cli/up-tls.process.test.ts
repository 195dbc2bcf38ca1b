import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { createAuthority } from '../api/certificate.fixture.ts'
import { TestFactory } from './factory.fixture.ts'
import { writeEchoService } from './serve.fixture.ts'

const authority = createAuthority()
const factory = new TestFactory()
const [cert, key, ca] = ['server.crt', 'server.key', 'ca.crt'].map((name) => join(factory.dir, name)) as [
  string,
  string,
  string,
]
const apiKey = 'a-key-of-the-gateway'
const keys = join(factory.dir, 'keys')
const tls = ['--tls-cert', cert, '--tls-key', key]

afterEach(() => factory.down())
afterAll(() => factory.remove())

/** The fingerprint of what is shown at a URL. */
function certificateAt(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const to = { host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false }
    const socket = connect(to, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

/** Writes what `--tls-cert` and `--tls-key` name. */
function issue(...names: string[]): void {
  const identity = authority.issue(names)
  writeFileSync(cert, identity.cert)
  writeFileSync(key, identity.key, { mode: 0o600 })
  writeFileSync(ca, authority.cert)
}

const connection = () => JSON.parse(readFileSync(join(factory.home, 'factory.json'), 'utf8'))

describe('up on another address', () => {
  it('serves API and gateway over TLS under the names of the certificate, here and elsewhere', async () => {
    issue('factory.example', '127.0.0.1')
    writeFileSync(keys, `${apiKey}\n`, { mode: 0o600 })
    await factory.up('--host', '0.0.0.0', ...tls, '--api-key-file', keys)
    const { url, gatewayUrl } = connection()
    expect([url, gatewayUrl]).toEqual([expect.stringMatching(/^https:\/\/factory\.example:/), expect.any(String)])
    expect(connection().tls).toEqual({ certificateAuthority: readFileSync(cert, 'utf8'), address: '127.0.0.1' })

    // On this machine no name needs to resolve.
    expect(factory.millwright('get', 'nodes', '-o', 'name').status).toBe(0)
    expect(factory.millwright('status').stdout).toMatch(/^factory https:\/\/factory\.example:\d+ +gateway https:/)
    expect(factory.millwright('doctor').stdout).toContain('answers at https://factory.example:')
    const service = writeEchoService(factory.dir, 'echo')
    expect(factory.millwright('apply', '-f', service).status).toBe(0)
    expect(factory.millwright('chat', 'echo', 'hail', '--api-key', apiKey).stdout).toBe('well met\n')
    expect(factory.millwright('chat', 'echo', 'hail')).toMatchObject({ status: 1, stdout: '' })

    // Elsewhere, by address, as no name server knows the name: with the authority, or with a kubeconfig that is handed over.
    const server = `https://127.0.0.1:${new URL(url).port}`
    const token = readFileSync(join(factory.home, 'token'), 'utf8').trim()
    const environment = { MILLWRIGHT_SERVER: server, MILLWRIGHT_TOKEN: token }
    expect(factory.run(['get', 'nodes'], environment)).toMatchObject({ status: 4, stdout: '' })
    expect(factory.run(['get', 'nodes'], { ...environment, MILLWRIGHT_CERTIFICATE_AUTHORITY: ca }).status).toBe(0)
    const gateway = { MILLWRIGHT_GATEWAY: `https://127.0.0.1:${new URL(gatewayUrl).port}`, MILLWRIGHT_API_KEY: apiKey }
    const asked = ['--server', server, '--token', token, '--certificate-authority', ca, 'chat', 'echo', 'hail']
    expect(factory.run(asked, gateway)).toMatchObject({ status: 0, stdout: 'well met\n' })
    const kubeconfig = join(factory.dir, 'kc')
    const text = factory.millwright('kubeconfig').stdout
    expect(text).toContain(`server: "${url}"`)
    writeFileSync(kubeconfig, text.replace(url, server))
    expect(factory.run(['--kubeconfig', kubeconfig, 'get', 'nodes', '-o', 'name']).status).toBe(0)
    expect(factory.run(['--kubeconfig', kubeconfig, 'chat', 'echo', 'hail'], gateway).stdout).toBe('well met\n')
  })

  it('answers to its names and to no other, and to nobody without the token', async () => {
    issue('factory.example', '*.w.example')
    await factory.up('--host', '0.0.0.0', ...tls, '--tls-host', 'f.w.example', '--api-key', apiKey)
    const { url } = connection()
    expect(url).toMatch(/^https:\/\/f\.w\.example:/)
    const token = readFileSync(join(factory.home, 'token'), 'utf8').trim()
    const ask = (host: string, headers: Record<string, string> = {}) => status(url, host, headers)
    const authorization = `Bearer ${token}`
    expect(await ask('f.w.example', { authorization })).toBe(200)
    expect(await ask('factory.example', { authorization })).toBe(200)
    expect(await ask('g.w.example', { authorization })).toBe(403)
    expect(await ask('f.w.example')).toBe(401)
  })

  it('shows a renewed certificate without a restart, once its key is there too', async () => {
    issue('factory.example')
    const first = readFileSync(cert, 'utf8')
    await factory.up('--host', '0.0.0.0', ...tls, '--api-key', apiKey)
    const { url, gatewayUrl } = connection()
    const port = new URL(url).port
    const shown = () => Promise.all([url, gatewayUrl].map(certificateAt))
    const before = await shown()
    const follower = factory.begin('status', '-w')
    await vi.waitUntil(() => follower.stdout.includes('factory'), 30_000)
    const renewed = authority.issue(['factory.example'])
    writeFileSync(cert, renewed.cert)
    await vi.waitUntil(() => readFileSync(join(factory.home, 'millwright.log'), 'utf8').includes('not used'), 30_000)
    expect(await shown()).toEqual(before)
    expect(connection().tls.certificateAuthority).toBe(first)
    writeFileSync(key, renewed.key)
    await vi.waitUntil(() => connection().tls.certificateAuthority === renewed.cert, 30_000)
    const after = await shown()
    expect(after[0]).toBe(after[1])
    expect(after[0]).not.toBe(before[0])
    expect(factory.millwright('get', 'nodes', '-o', 'name').status).toBe(0)
    await factory.crash()
    await vi.waitUntil(() => follower.stderr.includes('does not answer'), 30_000)
    await factory.up('--host', '0.0.0.0', ...tls, '--api-key', apiKey, '--port', port)
    await vi.waitUntil(() => follower.stderr.includes('the factory is back'), 30_000)
    follower.signal('SIGINT')
    await follower.ended
  })

  it('warns of a key that others can read, and goes on', async () => {
    issue('factory.example')
    writeFileSync(`${key}.open`, readFileSync(key), { mode: 0o644 })
    await factory.up('--host', '0.0.0.0', '--tls-cert', cert, '--tls-key', `${key}.open`, '--api-key', apiKey)
    expect(factory.said).toContain(`warning: the TLS key ${key}.open can be read by other users`)
  })
})

describe('what is refused', () => {
  it.each<[string, string[], string]>([
    ['without anything', [], 'give also --tls-cert FILE --tls-key FILE --api-key-file FILE, or listen on 127.0.0.1.'],
    ['without TLS', ['--api-key', apiKey], 'give also --tls-cert FILE --tls-key FILE, or listen on 127.0.0.1.'],
    ['without a key of the gateway', tls, 'give also --api-key-file FILE, or listen on 127.0.0.1.'],
    ['with an empty one', [...tls, '--api-key', ''], 'a key of the gateway (--api-key) is empty'],
    ['with keys that all can read', [...tls, '--api-key-file', cert], 'can be read by other users'],
    ['without the key file', ['--tls-cert', cert], '--tls-cert needs its key; give --tls-key FILE.'],
    ['without the certificate', ['--tls-key', key], '--tls-key needs its certificate; give --tls-cert FILE.'],
    ['with a name alone', ['--tls-host', 'x'], '--tls-host goes with --tls-cert FILE and --tls-key FILE.'],
    ['with a name of nobody', [...tls, '--api-key', apiKey, '--tls-host', 'x'], '--tls-host: x is no name of'],
    [
      'with a file that is not there',
      ['--tls-cert', 'none', '--tls-key', key, '--api-key', apiKey],
      '--tls-cert: none is not there.',
    ],
    ['with them mixed up', ['--tls-cert', key, '--tls-key', cert, '--api-key', apiKey], 'holds a private key, but no'],
  ])('%s: one sentence, and nothing is started or made', (_, words, said) => {
    issue('factory.example')
    const home = join(factory.dir, 'untouched')
    const answer = factory.run([
      '--dir',
      home,
      'up',
      '--host',
      '0.0.0.0',
      '--port',
      '0',
      '--gateway-port',
      '0',
      ...words,
    ])
    expect(answer).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining(said) })
    expect(answer.stderr).toMatch(/^millwright: .*\.\n$/)
    expect(statSync(join(home, 'store'), { throwIfNoEntry: false })).toBeUndefined()
  })
})

/** Of `/api` at the factory's address, under another name. */
function status(url: string, name: string, headers: Record<string, string>): Promise<number | undefined> {
  const { port } = new URL(url)
  const to = { host: '127.0.0.1', port, path: '/api', servername: 'factory.example', ca: authority.cert, agent: false }
  return new Promise((resolve, reject) => {
    const sent = request({ ...to, headers: { host: `${name}:${port}`, ...headers } })
    sent.once('error', reject)
    sent.once('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.end()
  })
}
