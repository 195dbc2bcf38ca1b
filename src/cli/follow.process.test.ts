import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { TestFactory } from './factory.fixture.ts'
import { writeEchoService } from './serve.fixture.ts'

const factory = new TestFactory()
beforeAll(() => factory.up())
afterAll(() => factory.remove())

const countTo = (last: string) => `i=0; while [ $i -lt ${last} ]; do i=$((i+1)); echo $i; sleep 0.1; done`
const has = (text: () => string, part: string) => vi.waitUntil(() => text().includes(part), 30_000)

it('logs -f goes on with the next attempts until the job is over', async () => {
  const go = join(factory.dir, 'go')
  const script = `echo begun; while [ ! -e ${go} ]; do sleep 0.05; done; echo "$(cat ${go})"; echo x >> ${go}; [ "$(wc -l < ${go})" -gt 2 ]`
  factory.millwright('run', '--detach', '--name', 'twice', '--max-restarts', '1', '--', 'sh', '-c', script)
  const logs = factory.begin('logs', '-f', 'twice')
  await has(() => logs.stdout, 'begun')
  writeFileSync(go, 'first\n')
  expect(await logs.ended).toBe(0)
  expect(logs.stdout).toBe('begun\nfirst\nbegun\nfirst\nx\n')
  expect(logs.stderr).toBe('--- attempt 2 ---\n')
})

it('run says once when its job is suspended and when it runs again', async () => {
  const stop = join(factory.dir, 'stop')
  const run = factory.begin('run', '--name', 'long', '--', 'sh', '-c', `until [ -e ${stop} ]; do sleep 0.05; done`)
  await vi.waitUntil(() => factory.millwright('get', 'job', 'long').stdout.includes('Running'), 30_000)
  factory.millwright('suspend', 'long')
  await has(() => run.stderr, 'long is suspended; `millwright resume long` lets it go on\n')
  writeFileSync(stop, '')
  factory.millwright('resume', 'long')
  expect(await run.ended).toBe(0)
  const lines = run.stderr.split('\n')
  expect(lines.filter((line) => line.includes('is suspended;'))).toHaveLength(1)
  expect(lines.filter((line) => line === 'long runs (attempt 2)').length).toBeLessThanOrEqual(1)
})

it('run, logs -f, get -w and status -w outlive a factory that comes back at another port', async () => {
  const run = factory.begin('run', '--name', 'count', '--', 'sh', '-c', countTo('80'))
  await has(() => run.stdout, '5\n')
  const [logs, get, status] = [
    ['logs', '-f', 'count'],
    ['get', 'jobs', '-w'],
    ['status', '-w'],
  ].map((words) => factory.begin(...words)) as [typeof run, typeof run, typeof run]
  for (const follower of [logs, get, status]) await vi.waitUntil(() => follower.stdout !== '', 30_000)
  await factory.crash()
  const lost = 'the factory does not answer; this goes on when it is back\n'
  for (const follower of [run, logs, get, status]) await has(() => follower.stderr, lost)
  await factory.up()
  expect(await run.ended).toBe(0)
  expect(await logs.ended).toBe(0)
  const whole = Array.from({ length: 80 }, (_, i) => `${i + 1}\n`).join('')
  expect(run.stdout).toBe(whole)
  expect(logs.stdout).toBe(whole)
  await has(() => get.stdout, 'Succeeded')
  for (const follower of [get, status]) follower.signal('SIGINT')
  for (const follower of [logs, get, status]) {
    expect(await follower.ended).toBe(0)
    expect(follower.stderr).toBe(`${lost}the factory is back\n`)
  }
}, 120_000)

it('Ctrl-C of run does not claim to have cancelled what it could not reach', async () => {
  const run = factory.begin('run', '--name', 'on', '--', 'sh', '-c', 'sleep 60')
  await vi.waitUntil(() => factory.millwright('get', 'job', 'on').stdout.includes('Running'), 30_000)
  await factory.crash()
  run.signal('SIGINT')
  expect(await run.ended).toBe(4)
  expect(run.stderr).toContain('on could not be cancelled and may go on running: cannot reach the factory')
  expect(run.stderr).toContain('`millwright delete job on` cancels it.')
  await factory.up()
  expect(factory.millwright('get', 'job', 'on').stdout).toContain('Running')
  expect(factory.millwright('delete', 'job', 'on').status).toBe(0)
})

it('a factory that hangs is not waited for, and a follower goes on once it goes on', async () => {
  const follower = factory.begin('status', '-w', '--request-timeout', '500ms')
  await has(() => follower.stdout, 'factory')
  factory.signal('SIGSTOP')
  const { status, stderr } = factory.millwright('get', 'jobs', '--request-timeout', '500ms')
  await has(() => follower.stderr, 'the factory does not answer; this goes on when it is back\n')
  factory.signal('SIGCONT')
  await has(() => follower.stderr, 'the factory is back\n')
  follower.signal('SIGINT')
  expect(await follower.ended).toBe(0)
  expect(status).toBe(4)
  expect(stderr).toMatch(/^millwright: the factory at http.* took the connection but said nothing for 0.5 s; look at /)
  expect(factory.millwright('get', 'jobs', '--request-timeout', 'soon')).toMatchObject({ status: 2 })
})

it('run shows nothing of an older job of its name that is still ending', async () => {
  const slow =
    "trap 'sleep 2; exit 0' TERM; [ -e failed ] || { touch failed; exit 1; }; echo old; while :; do sleep 0.1; done"
  factory.millwright('run', '--detach', '--name', 'again', '--max-restarts', '1', '--', 'sh', '-c', slow)
  await vi.waitUntil(() => factory.millwright('logs', 'again').stdout === 'old\n', 30_000) // attempt 2
  factory.millwright('delete', 'job', 'again', '--no-wait')
  const run = factory.begin('run', '--name', 'again', '--', 'sh', '-c', 'echo new; sleep 1')
  expect(await run.ended).toBe(0)
  expect(run.stdout).toBe('new\n')
})

it('logs -f of a service follows the replicas that come later, until it is deleted', async () => {
  const file = writeEchoService(factory.dir, 'many')
  writeFileSync(file, readFileSync(file, 'utf8').replace('maxReplicas: 1', 'maxReplicas: 2'))
  factory.millwright('apply', '-f', file)
  const logs = factory.begin('logs', '-f', 'many')
  const replicas = () => new Set([...logs.stdout.matchAll(/^\[(.*)\] listens$/gm)].map(([, pod]) => pod)).size
  await vi.waitUntil(() => replicas() === 1, 30_000)
  writeFileSync(file, readFileSync(file, 'utf8').replace('minReplicas: 1', 'minReplicas: 2'))
  factory.millwright('apply', '-f', file)
  await vi.waitUntil(() => replicas() === 2, 30_000)
  factory.millwright('delete', 'isvc', 'many')
  expect(await logs.ended).toBe(0)
})

/** The factory behind a door that refuses what a pod prints; its URL. */
async function refusing(isRefused: (path: string) => boolean): Promise<{ url: string; close(): void }> {
  const { url: behind } = JSON.parse(readFileSync(join(factory.home, 'factory.json'), 'utf8'))
  const door = createServer((asked, answer) => {
    const { method = 'GET', url = '/', headers } = asked
    if (isRefused(url)) return answer.writeHead(500).end('{"kind": "Status", "code": 500, "message": "not today"}')
    const on = request(`${behind}${url}`, { method, headers }, (found) => {
      answer.writeHead(found.statusCode ?? 502, found.headers)
      found.pipe(answer)
    })
    answer.on('close', () => on.destroy())
    on.on('error', () => answer.destroy())
    asked.pipe(on)
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(door.address() as AddressInfo).port}`, close: () => door.closeAllConnections() }
}

it('logs -f says at once whose output is refused, shows that of the others, and fails at the end', async () => {
  const door = await refusing((path) => path.includes('/two-worker-0-1/log'))
  const go = join(factory.dir, 'over')
  const script = `echo begun; while [ ! -e ${go} ]; do sleep 0.05; done; echo over`
  factory.millwright('run', '--detach', '--name', 'two', '--workers', '2', '--', 'sh', '-c', script)
  const token = readFileSync(join(factory.home, 'token'), 'utf8').trim()
  const logs = factory.begin('--server', door.url, '--token', token, 'logs', '-f', 'two')
  await has(() => logs.stdout, '[two-worker-1-1] begun\n')
  await has(() => logs.stderr, 'millwright: the output of two-worker-0-1: not today\n')
  writeFileSync(go, '')
  expect(await logs.ended).toBe(1)
  expect(logs.stdout).toContain('[two-worker-1-1] over\n')
  expect(logs.stderr.split('\n')).toHaveLength(2)
  door.close()
})

it('logs of a job with many workers warns of nothing', async () => {
  const words = ['--workers', '12', '--accelerators', 'cpu:0.25', '--', 'echo', 'here']
  factory.millwright('run', '--name', 'many-workers', ...words)
  const { stdout, stderr } = factory.millwright('logs', 'many-workers')
  expect(stdout.match(/here/g)).toHaveLength(12)
  expect(stderr).toBe('')
})
