import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { bin, TestFactory } from './factory.fixture.ts'
import { whyUnusable } from './folder.ts'
import { writeEchoService } from './serve.fixture.ts'

const factory = new TestFactory()
beforeAll(() => factory.up())
afterAll(() => factory.remove())

const queue = (name: string) =>
  `{apiVersion: millwright.dev/v1alpha1, kind: Queue, metadata: {name: ${name}}, spec: {}}`

it('apply -f of a folder reads its YAML and JSON files in the order of their names', () => {
  const folder = join(factory.dir, 'several')
  mkdirSync(join(folder, 'below'), { recursive: true })
  expect(factory.millwright('apply', '-f', folder)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('holds no *.yaml'),
  })
  writeFileSync(join(folder, '2.yaml'), queue('second'))
  writeFileSync(join(folder, '1.yml'), queue('first'))
  writeFileSync(
    join(folder, '3.json'),
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } }),
  )
  writeFileSync(join(folder, 'notes.txt'), 'not a resource')
  writeFileSync(join(folder, 'below', 'not.yaml'), queue('not-read'))
  const made = factory.millwright('apply', '-f', folder, '-o', 'name').stdout.trim().split('\n')
  expect(made.filter((name) => name.startsWith('queue/'))).toEqual(['queue/first', 'queue/second'])
  expect(made).toHaveLength(3)
})

it('chat prints no prompts for piped lines, and says that an answer is empty', async () => {
  const file = writeEchoService(factory.dir, 'mute', 'default', '')
  factory.millwright('apply', '-f', file)
  await vi.waitUntil(() => factory.millwright('get', 'isvc', 'mute').stdout.includes('Ready'), 30_000)
  const piped = spawnSync(process.execPath, [bin, '--dir', factory.home, 'chat', 'mute'], {
    input: 'one\n'.repeat(12), // more than listeners of one kind may be
    encoding: 'utf8',
  })
  expect(piped).toMatchObject({ status: 0, stdout: '\n'.repeat(12) })
  expect(piped.stderr).toBe('(the model ended at once)\n'.repeat(12))
  expect(factory.millwright('chat', 'mute', 'hi', '--temperature', 'hot')).toMatchObject({
    status: 2,
    stderr: 'millwright: --temperature: found "hot"; allowed are numbers from 0, e.g. 0.6.\n',
  })
})

it('Ctrl-C on a terminal ends a chat in the middle of an answer', async () => {
  const file = writeEchoService(factory.dir, 'endless')
  const script = join(factory.dir, 'endless.mjs')
  writeFileSync(script, readFileSync(script, 'utf8').replace("response.end('data", "response.write('data"))
  factory.millwright('apply', '-f', file)
  await vi.waitUntil(() => factory.millwright('get', 'isvc', 'endless').stdout.includes('Ready'), 30_000)
  const asOnTerminal = 'data:text/javascript,process.stdin.isTTY=process.stderr.isTTY=true'
  const words = ['--import', asOnTerminal, bin, '--dir', factory.home, 'chat', 'endless']
  const chat = spawn(process.execPath, words, { stdio: 'pipe' })
  let said = ''
  chat.stdout.on('data', (chunk) => {
    said += chunk
  })
  const ended = new Promise((resolve) => chat.once('close', resolve))
  chat.stdin.write('hello\r')
  await vi.waitUntil(() => said === 'well met', 30_000)
  chat.stdin.write('\u0003')
  expect(await ended).toBe(130)
})

it('a node is cordoned and uncordoned, and only a silent one is given up', () => {
  const [name = ''] = factory.millwright('get', 'nodes', '-o', 'name').stdout.trim().split('\n')
  const node = name.replace(/^.*\//, '')
  expect(factory.millwright('cordon', node)).toMatchObject({
    status: 0,
    stdout: `node ${node} takes no new work, what runs there goes on; \`millwright uncordon ${node}\` opens it again\n`,
  })
  expect(factory.millwright('status').stdout).toContain('True, cordoned')
  expect(factory.millwright('cordon', node, '--gone')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`node ${node} is heard of`),
  })
  const closed = { annotations: { 'millwright.dev/cordoned-because': 'slow', 'millwright.dev/slow': '{}' } }
  const annotated = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node, ...closed },
    spec: { unschedulable: true },
  }
  writeFileSync(join(factory.dir, 'closed.json'), JSON.stringify(annotated))
  factory.millwright('apply', '-f', join(factory.dir, 'closed.json'))
  expect(factory.millwright('status').stdout).toContain('was closed by recovery')
  expect(factory.millwright('drain', node).stdout).toContain('what runs there leaves')
  expect(factory.millwright('status').stdout).not.toContain('was closed by recovery')
  expect(factory.millwright('get', 'node', node, '-o', 'yaml').stdout).toContain('millwright.dev/leaving')
  expect(factory.millwright('cordon', node).stdout).toContain('what runs there goes on')
  expect(factory.millwright('get', 'node', node, '-o', 'yaml').stdout).not.toContain('millwright.dev/leaving')
  expect(factory.millwright('uncordon', name)).toMatchObject({ status: 0, stdout: `node ${node} takes work again\n` })
  expect(factory.millwright('status').stdout).not.toContain('cordoned')
  expect(factory.millwright('uncordon', 'nowhere')).toMatchObject({
    status: 3,
    stderr: expect.stringContaining(`there is no node "nowhere"; there`),
  })
})

it('suspend of a service says that it drains', () => {
  factory.millwright('apply', '-f', writeEchoService(factory.dir, 'drained'))
  const said = factory.millwright('suspend', 'drained').stdout
  expect(said).toContain('finishes those that it has')
  expect(said).not.toContain('checkpoint')
})

it('run says how a shell reads what only a shell can', () => {
  const refused = factory.millwright('run', '--', "echo $HOME | tr a-z 'A-Z'")
  expect(refused).toMatchObject({ status: 2, stdout: '' })
  expect(refused.stderr).toContain("millwright run -- sh -c 'echo $HOME | tr a-z '\\''A-Z'\\'''\n")
  const program = join(factory.dir, 'my program')
  writeFileSync(program, '#!/bin/sh\necho it runs\n')
  chmodSync(program, 0o755)
  expect(factory.millwright('run', '--', program)).toMatchObject({ status: 0, stdout: 'it runs\n' })
})

it('a backup is not made inside the factory that it is of, and a restore says what is not in it', () => {
  const other = (...words: string[]) => factory.run(['--dir', join(factory.dir, 'other'), ...words])
  expect(other('backup', join(factory.dir, 'other', 'backup'))).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('name one outside'),
  })
})

it('a restore says that models and checkpoints are not in a backup', async () => {
  await factory.down()
  expect(factory.millwright('backup', 'kept')).toMatchObject({ status: 0 })
  const { stdout } = factory.millwright('restore', 'kept')
  expect(stdout).toContain(`Models and checkpoints are not in a backup: ${join(factory.home, 'blobs')} must hold`)
  await factory.up()
})

it('a restore is refused while a factory runs, and not because one was killed', async () => {
  await factory.down()
  factory.millwright('backup', 'kept-too')
  await factory.up()
  const refused = factory.millwright('restore', 'kept-too')
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/is in use by process \d+: stop it first/) })
  await factory.crash()
  expect(factory.millwright('restore', 'kept-too')).toMatchObject({ status: 0 })
  await factory.up()
})

it.each([
  ['a file', () => 'file', 'is not a folder'],
  ['below a file', () => 'file/below', 'is not a folder'],
  ['in /proc', () => '/proc/millwright', '/proc/millwright'],
])('up in what is %s is a sentence', (_, dir, sentence) => {
  writeFileSync(join(factory.dir, 'file'), '')
  const { status, stderr } = factory.run(['--dir', dir(), 'up', '--port', '0', '--gateway-port', '0'])
  expect(status).toBe(1)
  expect(stderr).toContain(sentence)
  expect(stderr).toMatch(/^millwright: .*; choose another folder with --dir\.\n$/)
})

it('says of a folder why it cannot be used', () => {
  expect(whyUnusable('/d', { code: 'EROFS' })).toBe('/d is on a disk that is mounted read-only')
  expect(whyUnusable('/d', { code: 'EACCES' })).toBe('/d may not be used by this user')
})

it.skipIf(process.getuid?.() !== 0)('a folder that may not be read is not one in which no factory runs', () => {
  chmodSync(factory.dir, 0o755)
  const nobody = { uid: 65534, gid: 65534, encoding: 'utf8' as const, cwd: '/' }
  const { status, stderr } = spawnSync(process.execPath, [bin, '--dir', factory.home, 'status'], nobody)
  expect(status).toBe(4)
  expect(stderr).toContain('its files may not be read by this user')
})
