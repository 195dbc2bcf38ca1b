import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createAuthority } from '../api/certificate.fixture.ts'
import { kubeconfigFor } from '../api/kubeconfig.ts'
import { choose } from './connect.ts'

const authority = createAuthority()
const variables = ['SERVER', 'TOKEN', 'KUBECONFIG', 'CERTIFICATE_AUTHORITY', 'DIR', 'GATEWAY'].map(
  (name) => `MILLWRIGHT_${name}`,
)
const before = new Map([...variables, 'KUBECONFIG'].map((name) => [name, process.env[name]]))

let dir = ''
let kubeconfig = ''
let ca = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millwright-connect-'))
  kubeconfig = put(
    'kc',
    kubeconfigFor({ server: 'https://k.example', token: 'k', namespace: 'team', trust: { serverName: 'k' } }),
  )
  ca = put('ca.crt', authority.cert)
})
beforeEach(() => {
  for (const name of before.keys()) delete process.env[name]
  process.env['MILLWRIGHT_DIR'] = join(dir, 'home')
})
afterAll(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  rmSync(dir, { recursive: true, force: true })
})

function put(name: string, text: string): string {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

function runningIn(name: string, more: object = {}): string {
  mkdirSync(join(dir, name), { recursive: true })
  put(`${name}/token`, 'from-the-folder\n')
  put(`${name}/factory.json`, JSON.stringify({ url: `http://${name}`, gatewayUrl: `http://${name}-gateway`, ...more }))
  return join(dir, name)
}

/** Where the choice leads, in short. */
async function reached(options: Parameters<typeof choose>[0]) {
  const choice = await choose(options)
  const { url, token } = choice.reach()
  return [url, token, choice.namespace]
}

describe('the factory that a command talks to', () => {
  it('is what the command line names before what the environment names, and the folder at last', async () => {
    runningIn('home')
    const other = runningIn('other')
    expect(await reached({})).toEqual(['http://home', 'from-the-folder', 'default'])
    process.env['MILLWRIGHT_KUBECONFIG'] = kubeconfig
    expect(await reached({})).toEqual(['https://k.example', 'k', 'team'])
    expect(await reached({ dir: other })).toEqual(['http://other', 'from-the-folder', 'default'])
    process.env['MILLWRIGHT_TOKEN'] = 'of-the-environment'
    expect(await reached({ server: 'http://s' })).toEqual(['http://s', 'of-the-environment', 'default'])
    expect(await reached({})).toEqual(['https://k.example', 'k', 'team'])
    delete process.env['MILLWRIGHT_KUBECONFIG']
    process.env['MILLWRIGHT_SERVER'] = 'http://e'
    expect(await reached({})).toEqual(['http://e', 'of-the-environment', 'default'])
    expect(await reached({ kubeconfig, dir: other })).toEqual(['https://k.example', 'k', 'team'])
    expect(await reached({ server: 'http://s', dir: other, token: 't' })).toEqual(['http://s', 't', 'default'])
  })

  it('is never one of kubectl that nobody named', async () => {
    process.env['KUBECONFIG'] = kubeconfig
    const { how, dir: chosen } = await choose({})
    expect([how, chosen]).toEqual(['MILLWRIGHT_DIR', join(dir, 'home')])
  })

  it('says how it came to be this one', async () => {
    const how = async (options: Parameters<typeof choose>[0]) => (await choose(options)).how
    expect(await how({ kubeconfig })).toBe(`--kubeconfig ${kubeconfig}, context millwright`)
    expect(await how({ server: 'http://s' })).toBe('--server')
    expect(await how({ dir })).toBe('--dir')
    process.env['MILLWRIGHT_KUBECONFIG'] = kubeconfig
    expect(await how({})).toBe(`MILLWRIGHT_KUBECONFIG=${kubeconfig}, context millwright`)
    process.env['MILLWRIGHT_KUBECONFIG'] = ''
    process.env['MILLWRIGHT_DIR'] = ''
    expect(await how({})).toBe('the default folder')
  })

  it('works in the namespace of the option, else of the kubeconfig, else in default', async () => {
    expect((await reached({ kubeconfig, namespace: 'mine' }))[2]).toBe('mine')
    expect((await reached({ kubeconfig }))[2]).toBe('team')
    expect((await reached({ server: 'http://s' }))[2]).toBe('default')
  })

  it('is verified with the authority of the option, the variable, the kubeconfig or the folder', async () => {
    const trust = async (options: Parameters<typeof choose>[0]) => (await choose(options)).reach()
    const server = 'https://s'
    const given = { certificateAuthority: authority.cert }
    expect(await trust({ server, certificateAuthority: ca })).toMatchObject({ trust: given, gateway: { trust: given } })
    process.env['MILLWRIGHT_CERTIFICATE_AUTHORITY'] = ca
    expect(await trust({ server })).toMatchObject({ trust: given })
    expect((await trust({ server: 'http://s' })).trust.certificateAuthority).toBeUndefined()
    expect((await trust({ kubeconfig })).trust).toMatchObject({ certificateAuthority: undefined, serverName: 'k' })
    expect((await trust({ kubeconfig, certificateAuthority: ca })).trust).toMatchObject({ ...given, serverName: 'k' })
    const tls = { certificateAuthority: 'PEM', address: '127.0.0.1' }
    expect(await trust({ dir: runningIn('tls', { tls }) })).toMatchObject({ trust: tls, gateway: { trust: tls } })
  })

  it('shows the gateway neither the name nor the certificate that are for the API', async () => {
    const identity = authority.issue([])
    const trust = { certificateAuthority: authority.cert, serverName: 'k', clientCertificate: identity }
    const file = put('mutual', kubeconfigFor({ server: 'https://k.example', trust }))
    const choice = (await choose({ kubeconfig: file })).reach()
    expect(choice.trust.clientCertificate).toEqual(identity)
    expect(choice.gateway.trust).toEqual({ certificateAuthority: authority.cert, insecureSkipTlsVerify: false })
  })

  it('verifies again when an authority is given to a kubeconfig that says not to', async () => {
    const trust = { insecureSkipTlsVerify: true }
    const file = put('insecure', kubeconfigFor({ server: 'https://k', token: 'k', trust }))
    expect((await choose({ kubeconfig: file })).reach().trust.insecureSkipTlsVerify).toBe(true)
    const verified = (await choose({ kubeconfig: file, certificateAuthority: ca })).reach()
    expect(verified.trust.insecureSkipTlsVerify).toBe(false)
  })
})

describe('what contradicts itself', () => {
  it.each<[string, () => Parameters<typeof choose>[0], string]>([
    ['two factories', () => ({ server: 'http://s', kubeconfig }), '--server and --kubeconfig both name a factory'],
    ['a context of nothing', () => ({ context: 'x' }), '--context goes with a kubeconfig'],
    ['a context of a server', () => ({ context: 'x', server: 'http://s' }), '--context goes with a kubeconfig'],
    ['an authority of a folder', () => ({ certificateAuthority: ca }), '--certificate-authority goes with --server'],
    [
      'an authority of a server without TLS',
      () => ({ server: 'http://s', certificateAuthority: ca }),
      'http://s speaks no TLS',
    ],
    [
      'an authority that is none',
      () => ({ server: 'https://s', certificateAuthority: kubeconfig }),
      'kc holds no certificate in PEM form',
    ],
    [
      'an authority that is not there',
      () => ({ server: 'https://s', certificateAuthority: join(dir, 'none') }),
      'none (--certificate-authority): there is no such file',
    ],
  ])('%s is a wrong command line', async (_, options, said) => {
    await expect(choose(options())).rejects.toMatchObject({ code: 2, message: expect.stringContaining(said) })
  })

  it('in the environment is an error as well, unless the command line decides', async () => {
    process.env['MILLWRIGHT_SERVER'] = 'http://e'
    process.env['MILLWRIGHT_KUBECONFIG'] = kubeconfig
    await expect(choose({})).rejects.toThrow('MILLWRIGHT_SERVER and MILLWRIGHT_KUBECONFIG both name a factory')
    expect((await choose({ server: 'http://s' })).how).toBe('--server')
  })
})
