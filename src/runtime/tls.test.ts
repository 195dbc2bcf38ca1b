import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority } from '../api/certificate.fixture.ts'
import { readIdentity, type TlsConfig } from './tls.ts'

const authority = createAuthority()
const now = Date.parse('2026-01-01T00:00:00Z')
let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millwright-tls-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function put(name: string, text: string, mode = 0o600): string {
  writeFileSync(join(dir, name), text)
  chmodSync(join(dir, name), mode)
  return join(dir, name)
}

function filesFor(names: string[], notAfter?: string): TlsConfig {
  const { cert, key } = authority.issue(names, notAfter)
  return { certFile: put('server.crt', `${cert}${authority.cert}`), keyFile: put('server.key', key) }
}

/** What is said of it, the folder left out. */
function refusal(config: TlsConfig, host = '0.0.0.0'): string {
  try {
    readIdentity(config, host, now)
  } catch (error) {
    expect(error).toMatchObject({ code: 'bad-tls' })
    return error instanceof Error ? error.message.replaceAll(`${dir}/`, '') : ''
  }
  return 'nothing'
}

describe('certificate and key of a server', () => {
  it('are used with whoever signed the certificate, under its names', () => {
    const identity = readIdentity(filesFor(['Factory.Example', '10.0.0.5', '2001:db8::5']), '0.0.0.0', now)
    expect(identity).toMatchObject({ names: ['factory.example', '10.0.0.5', '2001:db8::5'], warnings: [] })
    expect(identity.cert).toContain(authority.cert)
  })

  it('are called as asked first, then by the address that is listened on, by loopback at last', () => {
    const config = filesFor(['localhost', 'a.example', '10.0.0.5', '*.w.example'])
    const names = (host: string, asked?: string[]) => readIdentity({ ...config, names: asked }, host, now).names
    expect(names('0.0.0.0')).toEqual(['a.example', '10.0.0.5', 'localhost'])
    expect(names('10.0.0.5')).toEqual(['10.0.0.5', 'a.example', 'localhost'])
    expect(names('10.0.0.6')).toEqual(['a.example', '10.0.0.5', 'localhost'])
    expect(names('10.0.0.5', ['X.w.example', 'a.example'])).toEqual([
      'x.w.example',
      'a.example',
      '10.0.0.5',
      'localhost',
    ])
  })

  it('whose certificate is for other names, or for none that a client could say, are refused', () => {
    const config = filesFor(['a.example', '*.w.example'])
    expect(refusal({ ...config, names: ['a.example', 'b.example'] })).toBe(
      '--tls-host: b.example is no name of the certificate in server.crt, which is for a.example, *.w.example',
    )
    expect(refusal({ ...config, names: ['10.0.0.5'] })).toContain('--tls-host: 10.0.0.5 is no name')
    expect(refusal(filesFor(['*.w.example']))).toContain(
      'server.crt is for *.w.example; say with --tls-host NAME what clients will call this factory',
    )
    expect(refusal(filesFor([]))).toContain('server.crt is for no name: it needs')
  })

  it('that are missing, mixed up, damaged or not a pair are refused, by flag and file', () => {
    const good = filesFor(['a.example'])
    const none = join(dir, 'none')
    expect(refusal({ ...good, certFile: none })).toBe('--tls-cert: none is not there')
    expect(refusal({ ...good, keyFile: none })).toBe('--tls-key: none is not there')
    expect(refusal({ ...good, keyFile: dir })).toContain('is a folder')
    expect(refusal({ certFile: good.keyFile, keyFile: good.certFile })).toBe(
      '--tls-cert: server.key holds a private key, but no certificate',
    )
    expect(refusal({ ...good, keyFile: good.certFile })).toContain('--tls-key: server.crt holds a certificate, but no')
    const { cert, key } = authority.issue(['a.example'])
    expect(refusal({ ...good, keyFile: put('other.key', key) })).toBe(
      '--tls-key: other.key holds the key of another certificate',
    )
    const damaged = 'holds a certificate that is damaged'
    expect(refusal({ ...good, certFile: put('cut.crt', cert.slice(0, 300)) })).toContain(`cut.crt ${damaged}`)
    expect(refusal({ ...good, certFile: put('torn.crt', cert.replace(/M/g, 'A')) })).toContain(`torn.crt ${damaged}`)
    const second = `${cert}${cert.replace(/M/g, 'A')}`
    expect(refusal({ ...good, certFile: put('chain.crt', second) })).toContain(`chain.crt ${damaged}`)
    expect(refusal({ ...good, certFile: put('empty.crt', '') })).toContain('holds no certificate in PEM form')
    const torn = key.replace(/\n[A-Za-z0-9+/]/, '\n-')
    expect(refusal({ ...good, keyFile: put('torn.key', torn) })).toBe(
      '--tls-key: torn.key holds a private key that is damaged',
    )
  })

  it('are refused with a passphrase, and told how to take it off', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const locked = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
    const config = { ...filesFor(['a.example']), keyFile: put('locked.key', String(locked)) }
    expect(refusal(config)).toContain('locked.key holds a key with a passphrase; write it without one')
  })

  it('are used with a warning when others can read the key, or the certificate is over', () => {
    const config = filesFor(['a.example'], '20251224000000Z')
    chmodSync(config.keyFile, 0o644)
    const { warnings } = readIdentity(config, '0.0.0.0', now)
    expect(warnings).toEqual([
      `the TLS key ${config.keyFile} can be read by other users of this machine (mode 0644); \`chmod 600 ${config.keyFile}\``,
      `the certificate ${config.certFile} expired on Dec 24 00:00:00 2025 GMT: clients will refuse it`,
    ])
    chmodSync(config.keyFile, 0o400)
    expect(readIdentity(config, '0.0.0.0', Date.parse('2025-12-01')).warnings).toEqual([])
    expect(readIdentity(config, '0.0.0.0', Date.parse('2024-12-01')).warnings[0]).toContain('is valid from Jan  1')
  })
})
