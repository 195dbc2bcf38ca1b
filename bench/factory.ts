import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { bin, type FactoryProcess, found, median, trainingJob, withFactory } from './factory-process.ts'
import type { Row } from './row.ts'

/** The built command line against a factory of its own, from outside, as a user meets it. */
export function rows(): Promise<Row[]> {
  return withFactory([], async (factory) => [
    { row: 'up to ready', value: factory.readyMs, unit: 'ms', bar: '<= 1500 ms', ok: factory.readyMs <= 1500 },
    get(factory.dir),
    ...idle(factory.child),
    ...(await shortJobs(factory, 1000)),
  ])
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

async function shortJobs({ client, child }: FactoryProcess, count: number): Promise<Row[]> {
  const started = performance.now()
  const wave = Array.from({ length: count }, (_, index) => index)
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let index = wave.pop(); index !== undefined; index = wave.pop()) {
        await client.create('TrainingJob', trainingJob(`short-${index}`, ['true'], 1))
      }
    }),
  )
  const look = async () => {
    const { items } = await client.list('TrainingJob', { namespace: 'default' })
    if (items.some((one) => one.status?.phase === 'Failed')) throw new Error('a job failed')
    return items.filter((one) => one.status?.phase === 'Succeeded').length === count ? true : undefined
  }
  await found('every short job done', 300, look, 200) // listing a thousand jobs is work of its own
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

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10 // clock ticks of 10 ms on Linux
}

function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}
