import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority } from '../api/certificate.fixture.ts'
import { kubeconfigFor } from '../api/kubeconfig.ts'
import { readKubeconfig } from './read-kubeconfig.ts'

const authority = createAuthority()
const secret = 'a-token-that-nobody-may-see'
const base64 = (text: string) => Buffer.from(text).toString('base64')

let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millwright-kubeconfig-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** The file's path; `cluster` and `user` are lines below those keys. */
function write(cluster: string[], user: string[]): string {
  const body = (lines: string[]) => lines.map((line) => `      ${line}\n`).join('')
  return put(
    'config',
    `apiVersion: v1
kind: Config
current-context: here
contexts:
  - {name: here, context: {cluster: c, user: u, namespace: team}}
  - {name: there, context: {cluster: d, user: u}}
clusters:
  - name: c
    cluster:
${body(cluster)}  - name: d
    cluster: {server: "https://d.example"}
users:
  - name: u
    user:
${body(user)}`,
  )
}

function put(name: string, text: string): string {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

const server = ['server: https://c.example:6443']
const token = [`token: ${secret}`]

describe('a kubeconfig', () => {
  it('that we wrote ourselves gives back what it was made of', () => {
    const trust = {
      certificateAuthority: authority.cert,
      serverName: 'factory.example',
      clientCertificate: authority.issue([]),
    }
    const text = kubeconfigFor({ server: 'https://10.0.0.5:7070/', token: secret, namespace: 'team', trust })
    expect(readKubeconfig(put('ours', text))).toEqual({
      name: 'millwright',
      server: 'https://10.0.0.5:7070',
      token: secret,
      namespace: 'team',
      trust: { ...trust, insecureSkipTlsVerify: false },
    })
  })

  it('gives its current context, or the one that is asked for', () => {
    const file = write(server, token)
    expect(readKubeconfig(file)).toMatchObject({ name: 'here', server: 'https://c.example:6443', namespace: 'team' })
    expect(readKubeconfig(file, { context: 'there' })).toMatchObject({
      server: 'https://d.example',
      namespace: undefined,
    })
  })

  it('names files from its own folder, and `-data` goes before them', () => {
    const own = authority.issue([])
    mkdirSync(join(dir, 'pki'), { recursive: true })
    put('pki/ca.crt', authority.cert)
    put('pki/own.crt', own.cert)
    put('pki/own.key', own.key)
    put('pki/token', `${secret}\n`)
    const files = ['client-certificate: pki/own.crt', 'client-key: pki/own.key', 'tokenFile: pki/token', 'token: older']
    const fromFiles = readKubeconfig(write([...server, 'certificate-authority: pki/ca.crt'], files))
    expect(fromFiles).toMatchObject({
      token: secret,
      trust: { certificateAuthority: authority.cert, clientCertificate: own },
    })
    const other = createAuthority('another').cert
    const both = ['certificate-authority: pki/none', `certificate-authority-data: ${base64(other)}`]
    expect(readKubeconfig(write([...server, ...both], token)).trust.certificateAuthority).toBe(other)
  })

  it('may say that the server is not to be verified, but not with an authority beside it', () => {
    const skip = 'insecure-skip-tls-verify: true'
    expect(readKubeconfig(write([...server, skip], token)).trust.insecureSkipTlsVerify).toBe(true)
    const both = [...server, skip, `certificate-authority-data: ${base64(authority.cert)}`]
    expect(() => readKubeconfig(write(both, token))).toThrow('insecure-skip-tls-verify contradicts')
  })

  it('leaves its user alone when a token is given', () => {
    const file = write(server, ['exec: {command: aws}'])
    expect(readKubeconfig(file, { token: 'given' })).toMatchObject({ token: 'given' })
  })

  it.each([
    ['exec', 'exec: {command: aws, args: [SECRET]}', 'gets its credentials by running a program'],
    ['auth-provider', 'auth-provider: {name: gcp}', 'gets its credentials from a provider'],
    ['username', 'username: SECRET', 'is a user with a password'],
    ['as', 'as: admin', 'acts as somebody else'],
    ['as-groups', 'as-groups: [admins]', 'acts as somebody else'],
  ])('whose user has %s is refused by that name', (field, line, why) => {
    expect(failure(write(server, [...token, line]))).toMatch(
      new RegExp(`^FILE:17:[0-9]+: users\\[0\\].user.${field} ${why}.*give --token\\.$`),
    )
  })

  it.each<[string, () => string, RegExp]>([
    ['is not there', () => join(dir, 'none'), /^cannot read the kubeconfig \S+none: there is no such file\.$/],
    ['is a folder', () => dir, /it is a folder/],
    ['is empty', () => put('config', '# nothing\n'), /^FILE: the kubeconfig is empty\.$/],
    ['is no YAML', () => put('config', `token: *${secret}\n`), /^FILE:[0-9]+:[0-9]+: .*cannot be read as YAML/],
    ['is two documents', () => put('config', 'kind: Config\n---\nkind: Config\n'), /^FILE:3: .*one document/],
    ['is another kind', () => put('config', 'kind: Secret\n'), /^FILE:1:7: kind must be Config, found "Secret"\.$/],
    ['has no context', () => put('config', 'kind: Config\n'), /current-context is not set; name one with --context\.$/],
    [
      'has lists that are none',
      () => put('config', 'current-context: a\ncontexts: {}\n'),
      /contexts must be a list\.$/,
    ],
    [
      'has no such cluster',
      () => put('config', 'current-context: a\ncontexts: [{name: a, context: {cluster: none}}]\n'),
      /^FILE:2:41: contexts\[0\].context.cluster: the file has no cluster "none"\.$/,
    ],
    ['writes a key twice', () => write([...server, ...server], token), /cannot be read as YAML there/],
    ['has no server', () => write(['server:'], token), /clusters\[0\].cluster.server is required and missing\.$/],
    ['has no address', () => write(['server: c.example'], token), /cluster.server must be an address such as https:/],
    ['has a password in it', () => write([`server: https://u:${secret}@c`], token), /without credentials in it\.$/],
    ['goes by a proxy', () => write([...server, 'proxy-url: http://p'], token), /proxy-url is not followed/],
    ['has a user with nothing', () => write(server, ['other: 1']), /users\[0\].user holds no credentials/],
    [
      'has a number as its token',
      () => write(server, ['token: 12345678']),
      /FILE:16:14: users\[0\].user.token must be/,
    ],
    ['has a token of two words', () => write(server, [`token: ${secret} x`]), /user.token is no token/],
    ['names a token that is not there', () => write(server, ['tokenFile: no']), /^cannot read .*\/no \(users\[0\]/],
    [
      'has data that is not base64',
      () => write([...server, `certificate-authority-data: "%${secret}"`], token),
      /^FILE:11:35: clusters\[0\].cluster.certificate-authority-data must be base64\.$/,
    ],
    [
      'has data that is no certificate',
      () => write([...server, `certificate-authority-data: ${base64(secret)}`], token),
      /certificate-authority-data holds no certificate in PEM form/,
    ],
    [
      'has a damaged certificate',
      () => write([...server, `certificate-authority-data: ${base64(authority.cert.replace('M', 'A'))}`], token),
      /certificate-authority-data holds a certificate that is damaged\.$/,
    ],
    [
      'has a certificate without its key',
      () => write(server, [`client-certificate-data: ${base64(authority.cert)}`]),
      /client-key is missing beside the client-certificate\.$/,
    ],
    [
      'has the key of another certificate',
      () =>
        write(server, [
          `client-certificate-data: ${base64(authority.issue([]).cert)}`,
          `client-key-data: ${base64(authority.issue([]).key)}`,
        ]),
      /client-key-data holds the key of another certificate\.$/,
    ],
  ])('that %s is refused with its place and field, and no secret is shown', (_, make, said) => {
    expect(failure(make())).toMatch(said)
  })

  it('is told the nearest name of a context that it has not', () => {
    const file = write(server, token)
    expect(() => readKubeconfig(file, { context: 'hre' })).toThrow(
      `--context: ${file} has no context "hre"; did you mean "here"?`,
    )
    expect(() => readKubeconfig(file, { context: 'production' })).toThrow('(there is "here", "there")')
    expect(failure(put('config', 'current-context: here\ncontexts: [{name: production}]'))).toBe(
      'FILE:1:18: current-context: the file has no context "here" (there is "production").',
    )
  })
})

/** What is said of it, its path shortened; whatever that is, it shows no secret. */
function failure(file: string): string {
  let said = ''
  try {
    readKubeconfig(file)
  } catch (error) {
    said = error instanceof Error ? error.message : ''
    expect(error).toMatchObject({ code: 2 })
  }
  expect(said).not.toBe('')
  expect(said).not.toContain(secret)
  expect(said).not.toContain('SECRET')
  return said.replaceAll(join(dir, 'config'), 'FILE')
}
