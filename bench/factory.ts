import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '../src/api/client.ts'
import type { Row } from './row.ts'

/** The built command line against a factory of its own, from outside, as a user meets it. */
const bin = 'dist/bin/millwright.js'

export async function rows(): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'bench-factory-'))
  const factory = await up(dir)
  try {
    return [
      { row: 'up to ready', value: factory.readyMs, unit: 'ms', bar: '<= 1500 ms', ok: factory.readyMs <= 1500 },
      get(dir),
      ...idle(factory.child),
      ...(await shortJobs(dir, factory.child, 1000)),
      ...(await killed(dir, 100)),
    ]
  } finally {
    factory.child.kill('SIGINT')
    await new Promise((done) => factory.child.once('exit', done))
    rmSync(dir, { recursive: true, force: true })
  }
}

async function up(dir: string): Promise<{ child: ChildProcess; readyMs: number }> {
  const started = performance.now()
  const child = spawn(process.execPath, [bin, '--dir', dir, 'up', '--port', '0', '--gateway-port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  await new Promise<void>((done, failed) => {
    child.once('exit', () => failed(new Error('the factory ended at its start')))
    child.stdout?.on('data', (chunk) => {
      output += chunk
      if (output.includes('Next:')) done()
    })
  })
  child.removeAllListeners('exit')
  return { child, readyMs: performance.now() - started }
}

function get(dir: string): Row {
  const took = Array.from({ length: 11 }, () => {
    const started = performance.now()
    spawnSync(process.execPath, [bin, '--dir', dir, 'get', 'nodes'])
    return performance.now() - started
  })
  const value = median(took)
  return {
    row: "get, Node's start included (median of 11)",
    value,
    unit: 'ms',
    bar: '<= 250 ms',
    ok: value <= 250,
    peer: `node -e 0: ${median(bareNode()).toFixed(0)} ms`,
  }
}

function bareNode(): number[] {
  return Array.from({ length: 11 }, () => {
    const started = performance.now()
    spawnSync(process.execPath, ['-e', '0'])
    return performance.now() - started
  })
}

/** Linux only: /proc has the CPU time and memory of another process. */
function idle(child: ChildProcess): Row[] {
  if (process.platform !== 'linux' || child.pid === undefined) return []
  execFileSync('sleep', ['3'])
  const before = cpuMs(child.pid)
  execFileSync('sleep', ['20'])
  const share = (cpuMs(child.pid) - before) / 20_000
  const mb = residentMb(child.pid)
  return [
    {
      row: 'idle factory, share of one core over 20 s',
      value: share * 100,
      unit: '%',
      bar: '<= 1 %',
      ok: share <= 0.01,
    },
    { row: 'idle factory, resident', value: mb, unit: 'MB', bar: '<= 150 MB', ok: mb <= 150 },
  ]
}

async function shortJobs(dir: string, child: ChildProcess, count: number): Promise<Row[]> {
  const client = clientOf(dir)
  const started = performance.now()
  const wave = Array.from({ length: count }, (_, index) => index)
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let index = wave.pop(); index !== undefined; index = wave.pop()) {
        await client.create('TrainingJob', job(`short-${index}`, ['true'], 1))
      }
    }),
  )
  for (;;) {
    const { items } = await client.list('TrainingJob', { namespace: 'default' })
    const done = items.filter((one) => one.status?.phase === 'Succeeded').length
    if (items.some((one) => one.status?.phase === 'Failed')) throw new Error('a job failed')
    if (done === count) break
    await new Promise((next) => setTimeout(next, 100))
  }
  const rate = count / ((performance.now() - started) / 1000)
  const rowsOut: Row[] = [
    {
      row: `${count} jobs (true) through the whole path`,
      value: rate,
      unit: 'jobs/s',
      bar: '>= 50 jobs/s',
      ok: rate >= 50,
    },
  ]
  if (process.platform === 'linux' && child.pid !== undefined) {
    const mb = residentMb(child.pid)
    rowsOut.push({ row: '... control plane, resident', value: mb, unit: 'MB', bar: '<= 300 MB', ok: mb <= 300 })
  }
  return rowsOut
}

/** SIGKILL of a rank of a gang of two, until both ranks run again as the next attempt. */
async function killed(dir: string, times: number): Promise<Row[]> {
  const client = clientOf(dir)
  const spec = job('victims', ['sleep', '100000'], 2)
  await client.create('TrainingJob', { ...spec, spec: { ...spec.spec, maxRestarts: 10_000 } })
  const took: number[] = []
  const ranks = async (attempt: number) => {
    const { items } = await client.list('Report', { namespace: 'default' })
    return items.filter(
      (one) =>
        one.spec.gang === 'victims' &&
        one.spec.attempt === attempt &&
        one.status?.pid !== undefined &&
        one.status.ended === undefined,
    )
  }
  for (let attempt = 1; attempt <= times; attempt++) {
    let running = await ranks(attempt)
    while (running.length < 2) running = await ranks(attempt)
    const startedAt = performance.now()
    process.kill(running[0]?.status?.pid ?? 0, 'SIGKILL')
    while ((await ranks(attempt + 1)).length < 2);
    took.push(performance.now() - startedAt)
  }
  await client.delete('TrainingJob', { namespace: 'default', name: 'victims' })
  took.sort((a, b) => a - b)
  const p99 = took[Math.ceil(times * 0.99) - 1] ?? 0
  return [
    {
      row: `SIGKILL of a rank, both ranks spawned again, p99 of ${times}`,
      value: p99,
      unit: 'ms',
      bar: '<= 500 ms',
      ok: p99 <= 500,
      peer: `median ${median(took).toFixed(0)} ms; without a checkpoint to restore`,
    },
  ]
}

function job(name: string, command: string[], workers: number) {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: { command, workers, resources: { accelerators: 'cpu:1' } },
  }
}

function clientOf(dir: string) {
  const { url } = JSON.parse(readFileSync(join(dir, 'factory.json'), 'utf8')) as { url: string }
  return createClient({ server: url, token: readFileSync(join(dir, 'token'), 'utf8').trim() })
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10 // clock ticks of 10 ms on Linux
}

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
