import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createAuthority } from '../api/certificate.fixture.ts'
import { startTestApi, token } from '../api/test-api.ts'
import { millwrightVersion as apiVersion } from '../model/metadata.ts'
import { bin, TestFactory } from './factory.fixture.ts'

const authority = createAuthority()
const factory = new TestFactory()
const kubeconfig = join(factory.dir, 'kc')
const bytes = 20_000_000

/** As from another machine: over TLS, with nothing of the factory's folder. */
const elsewhere = (...words: string[]) => factory.run(['--kubeconfig', kubeconfig, ...words])

beforeAll(async () => {
  const { cert, key } = authority.issue(['127.0.0.1'])
  const files = ['server.crt', 'server.key'].map((name) => join(factory.dir, name)) as [string, string]
  writeFileSync(files[0], cert)
  writeFileSync(files[1], key, { mode: 0o600 })
  await factory.up('--tls-cert', files[0], '--tls-key', files[1])
  writeFileSync(kubeconfig, factory.millwright('kubeconfig').stdout)
  const script = `mkdir -p "$MILLWRIGHT_OUTPUT_DIR/docs"; echo notes > "$MILLWRIGHT_OUTPUT_DIR/docs/notes"
head -c ${bytes} /dev/zero > "$MILLWRIGHT_OUTPUT_DIR/weights.bin"`
  writeFileSync(
    join(factory.dir, 'job.json'),
    JSON.stringify({
      apiVersion,
      kind: 'TrainingJob',
      metadata: { name: 'train' },
      spec: { command: ['sh', '-c', script], output: { model: 'tiny' } },
    }),
  )
  expect(elsewhere('apply', '-f', 'job.json')).toMatchObject({ status: 0 })
  await vi.waitUntil(() => elsewhere('get', 'models', '-o', 'name').stdout === 'model/tiny-v1\n', 60_000)
})
afterAll(() => factory.remove())

it('model pull brings every file of the newest version from wherever the factory is, verified', () => {
  const pulled = elsewhere('model', 'pull', 'tiny', 'into')
  expect(pulled).toMatchObject({ status: 0, stdout: 'into/docs/notes\ninto/weights.bin\n', stderr: '' })
  expect(readFileSync(join(factory.dir, 'into/docs/notes'), 'utf8')).toBe('notes\n')
  expect(statSync(join(factory.dir, 'into/weights.bin')).size).toBe(bytes)
})

it('model pull fetches again only what is not there as it should be', () => {
  const times = () => ['docs/notes', 'weights.bin'].map((name) => statSync(join(factory.dir, 'into', name)).mtimeMs)
  const before = times()
  writeFileSync(join(factory.dir, 'into/docs/notes'), 'NOTES\n')
  expect(elsewhere('model', 'pull', 'tiny-v1', 'into').stdout).toBe('into/docs/notes\ninto/weights.bin\n')
  expect(readFileSync(join(factory.dir, 'into/docs/notes'), 'utf8')).toBe('notes\n')
  expect(times()[1]).toBe(before[1])
})

it('model pull keeps nothing of a file that is damaged in the factory', () => {
  const { spec } = JSON.parse(elsewhere('get', 'model', 'tiny-v1', '-o', 'json').stdout)
  const { sha256 } = spec.files.find(({ path }: { path: string }) => path === 'weights.bin')
  const blob = join(factory.home, 'blobs/sha256', sha256.slice(0, 2), sha256)
  const content = readFileSync(blob)
  content[bytes / 2] = 1
  writeFileSync(blob, content)
  const damaged = elsewhere('model', 'pull', 'tiny', 'damaged')
  expect(damaged).toMatchObject({ status: 1, stderr: expect.stringContaining('its sha256 differs') })
  expect(readdirSync(join(factory.dir, 'damaged'))).toEqual(['docs'])
})

it('model pull keeps nothing of what Ctrl-C cut', async () => {
  let asked = () => {}
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  const api = await startTestApi({
    ports: {
      content: async function* () {
        yield Buffer.from('the first bytes')
        asked()
        await new Promise(() => {}) // and never the next
      },
    },
  })
  const files = [{ path: 'weights.bin', size: 1000, sha256: 'a'.repeat(64) }]
  const spec = { model: 'm', version: 1, manifest: 'k', digest: 'd', bytes: 1000, files }
  await api.client.create('Model', { apiVersion, kind: 'Model', metadata: { name: 'm-v1' }, spec })
  const words = ['--server', api.api.url, '--token', token, 'model', 'pull', 'm-v1', 'cut']
  const child = spawn(process.execPath, [bin, ...words], { cwd: factory.dir })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await isAsked
  await vi.waitUntil(() => readdirSync(join(factory.dir, 'cut')).some((name) => name.endsWith('.part')), 10_000)
  child.kill('SIGINT')
  expect(await ended).toBe(130)
  expect(readdirSync(join(factory.dir, 'cut'))).toEqual([])
  await api.close()
})

it('model pull fetches once more what was cut on its way', async () => {
  const text = 'whole weights'
  let asked = 0
  const content = async function* () {
    asked += 1
    yield Buffer.from(text.slice(0, 5))
    if (asked === 1) throw new Error('the line is dead')
    yield Buffer.from(text.slice(5))
  }
  const api = await startTestApi({ ports: { content } })
  const sha256 = createHash('sha256').update(text).digest('hex')
  const spec = {
    model: 'm',
    version: 1,
    manifest: 'k',
    digest: 'd',
    bytes: 13,
    files: [{ path: 'w', size: 13, sha256 }],
  }
  await api.client.create('Model', { apiVersion, kind: 'Model', metadata: { name: 'm-v1' }, spec })
  const words = ['--server', api.api.url, '--token', token, 'model', 'pull', 'm-v1', 'mended']
  const child = spawn(process.execPath, [bin, ...words], { cwd: factory.dir })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)
  expect(said).toContain('the connection to the factory was cut while reading the file; it is fetched once more')
  expect(readFileSync(join(factory.dir, 'mended/w'), 'utf8')).toBe(text)
  await api.close()
})

it('model pull says that there is no such model, and how to find one', () => {
  expect(elsewhere('model', 'pull', 'none', 'into')).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('`millwright get models` lists them'),
  })
})
