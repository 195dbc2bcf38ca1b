import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { TestFactory } from './factory.fixture.ts'

let factory = new TestFactory()
beforeEach(async () => {
  factory = new TestFactory()
  await factory.up()
})
afterEach(() => factory.remove())

/** A job whose worker heeds no SIGTERM. */
async function stubborn(name: string): Promise<void> {
  const script = 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
  factory.millwright('run', '--detach', '--name', name, '--', 'sh', '-c', script)
  await vi.waitUntil(() => factory.millwright('logs', name).stdout === 'ready\n', 30_000)
}

/** A killed process may stay as a zombie until its new parent has a moment. */
function isRunning(pid: number): boolean {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
  return state !== '' && !state.startsWith('Z')
}

it('Ctrl-C of up names the pods that it waits for, and a second one kills them at once', async () => {
  await stubborn('deaf')
  const pid = JSON.parse(factory.millwright('get', 'reports', '-o', 'json').stdout).items[0].status.pid
  const ended = factory.down()
  const named = 'waiting for deaf-worker-0-1 to end; Ctrl-C again kills it'
  await vi.waitUntil(() => factory.said.includes(named), 30_000)
  const before = performance.now()
  factory.signal('SIGINT')
  await ended
  expect(performance.now() - before).toBeLessThan(4000) // the shortest grace is 5 s
  expect(factory.said).toMatch(/killing what still runs\nstopped; /)
  expect(isRunning(pid)).toBe(false)
})

it('up says how many pods ran on since the last factory was killed', async () => {
  expect(factory.said).not.toContain('adopted')
  await stubborn('deaf')
  await factory.crash()
  await factory.up()
  expect(factory.said).toContain('adopted  1 pod that ran on since the last factory was killed')
  expect(factory.millwright('delete', 'job', 'deaf', '--no-wait').status).toBe(0)
  const ended = factory.down()
  factory.signal('SIGINT')
  await ended
})

it('what cannot be stopped cleanly is named, and keeps nothing else up', async () => {
  factory.millwright('run', '--detach', '--name', 'sleeper', '--', 'sleep', '1000')
  await vi.waitUntil(() => factory.millwright('get', 'reports', '-o', 'json').stdout.includes('"pid"'), 30_000)
  const pid = JSON.parse(factory.millwright('get', 'reports', '-o', 'json').stdout).items[0].status.pid
  const connection = join(factory.home, 'factory.json')
  rmSync(connection)
  mkdirSync(connection) // no file that could be removed
  expect(await factory.down()).toBe(1)
  expect(factory.said).toContain('millwright: stopped, but not everything ended as it should: ')
  expect(isRunning(pid)).toBe(false)
})

it('a start that fails at its end leaves the pods that it has adopted to the next', async () => {
  factory.millwright('run', '--detach', '--name', 'sleeper', '--', 'sleep', '1000')
  await vi.waitUntil(() => factory.millwright('get', 'reports', '-o', 'json').stdout.includes('"pid"'), 30_000)
  const pid = JSON.parse(factory.millwright('get', 'reports', '-o', 'json').stdout).items[0].status.pid
  await factory.crash()
  const connection = join(factory.home, 'factory.json')
  rmSync(connection)
  mkdirSync(connection) // no file could take its place
  await expect(factory.up()).rejects.toThrow('millwright: ')
  expect(isRunning(pid)).toBe(true)
  rmSync(connection, { recursive: true })
  await factory.up()
  expect(factory.said).toContain('adopted  1 pod')
})

it('up suspends its work and stops, though nobody reads what it prints any more', async () => {
  const script = 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done'
  factory.millwright('run', '--detach', '--name', 'long', '--', 'sh', '-c', script)
  await vi.waitUntil(() => factory.millwright('logs', 'long').stdout === 'ready\n', 30_000)
  const pid = JSON.parse(factory.millwright('get', 'reports', '-o', 'json').stdout).items[0].status.pid
  factory.stopReading()
  await factory.down('SIGHUP')
  expect(isRunning(pid)).toBe(false)
  expect(existsSync(join(factory.home, 'factory.json'))).toBe(false)
  await factory.up()
  expect(factory.said).toContain('resumed  1 job of the last stop')
})
