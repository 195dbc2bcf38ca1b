import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { factoryIn, until } from './factory.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'millwright-rejoin-'))
const factory = factoryIn(dir, { flags: ['--nodes', '3', '--slots', '1'] })
afterAll(async () => {
  await factory.stop('SIGINT')
  rmSync(dir, { recursive: true, force: true })
})

const example = join(import.meta.dirname, '../../examples/rejoin')
const get = (kind: string, name: string) =>
  JSON.parse(factory.millwright('get', kind, name, '-o', 'json').stdout || '{}')
const podOf = (rank: number): string =>
  get('gang', 'trio').status?.seats?.members?.find((seat: { rank: number }) => seat.rank === rank)?.pod ?? ''
const report = (pod: string) => get('report', `pod.${pod}`).status ?? {}
const pidOf = (rank: number): number => report(podOf(rank)).pid ?? 0
const status = () => get('job', 'trio').status ?? {}
const isStepping = (rank: number) => report(podOf(rank)).firstStepAtMs !== undefined
const logOf = (rank: number) => factory.millwright('logs', 'trio', '--rank', String(rank)).stdout

it('a worker that is killed is replaced, and gets its state from the others, which run on; when all are, all start again', async () => {
  await factory.up()
  const job = readFileSync(join(example, 'job.yaml'), 'utf8')
    .replaceAll('/path/to/millwright', dir)
    .replace('[node, examples/rejoin/worker.mjs]', `["${process.execPath}", "${join(example, 'worker.mjs')}"]`)
    .replace('"2000"', '"100000"')
    .replace('10s', '2s')
  writeFileSync(join(dir, 'job.yaml'), job)
  writeFileSync(join(dir, 'wrong.yaml'), job.replace('  minWorkers: 1\n', ''))
  expect(factory.millwright('apply', '-f', join(dir, 'wrong.yaml')).stderr).toMatch(
    /failurePolicy\.restart.*minWorkers/s,
  )
  expect(factory.millwright('apply', '-f', join(dir, 'job.yaml'))).toMatchObject({ status: 0, stderr: '' })
  await until(() => [0, 1, 2].every(isStepping))
  const [first, second, third] = [pidOf(0), pidOf(1), pidOf(2)]

  process.kill(second, 'SIGKILL')
  await until(() => status().replacedWorkers === 1 && podOf(1) === 'trio-worker-3-1' && isStepping(1))
  expect([pidOf(0), pidOf(2)]).toEqual([first, third])
  expect(pidOf(1)).not.toBe(second)
  expect(factory.millwright('why', 'trio').stdout).toMatch(/a worker failed: trio-worker-1-1 .*; the others go on/)
  expect(logOf(1)).toMatch(/goes on after step \d+, from rank [02]/)

  process.kill(first, 'SIGKILL')
  await until(() => status().replacedWorkers === 2 && isStepping(0))
  expect(pidOf(2)).toBe(third)
  expect(status()).toMatchObject({ attempt: 1, restarts: 0, phase: 'Running', workers: 3 })
  const { step } = status().checkpoint
  await until(() => status().checkpoint.step > step)

  for (const pid of [pidOf(0), pidOf(1), pidOf(2)]) process.kill(pid, 'SIGKILL')
  await until(() => status().attempt === 2 && [0, 1, 2].every(isStepping))
  expect(status()).toMatchObject({ restarts: 1, replacedWorkers: 2 })
  expect(report(podOf(0)).restoredStep).toBeGreaterThan(step)
}, 240_000)
