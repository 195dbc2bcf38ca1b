import { execFileSync, spawnSync } from 'node:child_process'
import { seededRandom } from '../../src/base/random.ts'
import { gpuResource, label } from '../../src/model/names.ts'
import { bin, type FactoryProcess, found, trainingJob, withFactory } from '../factory-process.ts'
import type { Row } from '../row.ts'

/**
 * A factory on this machine with more short jobs than it has room for: what a forecast says of their starts and ends, and what
 * then happens. Each declares how long it works; and again, with three times as much, when others that did so have ended.
 */
export async function* liveRows(): AsyncGenerator<Row> {
  yield* await shortRows(1, 0, 'short jobs')
  yield* await shortRows(3, 10, 'that declare three times as much, as did ten before them')
}

function shortRows(times: number, before: number, of: string): Promise<Row[]> {
  const [jobs, slots] = [12, 4]
  return withFactory(['--slots', String(slots), '--nodes', '2'], async (factory) => {
    const { client } = factory
    const random = seededRandom(1)
    const sleeps = (name: string, seconds: number, workers: number) =>
      client.create(
        'TrainingJob',
        trainingJob(name, ['sleep', String(seconds)], workers, { expectedSeconds: times * seconds }),
      )
    for (let index = 0; index < before; index++) await sleeps(`early-${index}`, 2, 1)
    await found('those before to end', 60, async () =>
      (await client.list('TrainingJob')).items.every(({ status }) => status?.completionTime) ? true : undefined,
    )
    for (let index = 0; index < jobs; index++) {
      const seconds = random.int(4, 20)
      await sleeps(`short-${index}`, seconds, random.int(1, 4))
    }
    return rowsOf(factory, 'short-', `${jobs} ${of} on ${2 * slots} slots of a live factory`)
  })
}

/**
 * The same of jobs that train: `examples/pytorch/train.py`, of different lengths, one behind the other on each accelerator of
 * this machine, or on two slots where it has none. How long they work is declared as people know it: from one that ran before.
 */
export async function torchRows(): Promise<Row[]> {
  if (spawnSync('python3', ['-c', 'import torch']).status !== 0) {
    console.error('bench: python3 has no torch here; rows of PyTorch jobs are not run')
    return []
  }
  const slots = 2
  return withFactory(['--slots', String(slots), '--nodes', '1'], async (factory) => {
    const { client } = factory
    const { items: nodes } = await client.list('Node')
    const model = nodes[0]?.metadata.labels?.[label.accelerator] ?? 'cpu'
    const count = model === 'cpu' ? slots : Number(nodes[0]?.status?.allocatable?.[gpuResource])
    const trains = (name: string, steps: number, more: object = {}) =>
      client.create(
        'TrainingJob',
        trainingJob(name, ['python3', 'examples/pytorch/train.py'], 1, {
          workingDir: process.cwd(),
          resources: { accelerators: `${model}:1` },
          env: { STEPS: String(steps), STEP_DELAY: '0.02' },
          ...more,
        }),
      )
    const trialSteps = 200
    /** How long one took that nothing else waited for, and each step of it. */
    const tried = async (name: string) => {
      await trains(name, trialSteps)
      const ref = { name, namespace: 'default' }
      const { startTime = '', completionTime = '' } = await found(`${name} to end`, 300, async () => {
        const { status } = (await client.get('TrainingJob', ref)) ?? {}
        return status?.completionTime === undefined ? undefined : status
      })
      const { stepSeconds = Number.NaN } = (await client.get('Gang', ref))?.status ?? {}
      return { tookSeconds: (Date.parse(completionTime) - Date.parse(startTime)) / 1000, stepSeconds }
    }
    await tried('cold') // reads from disk what the next ones find in memory
    const { tookSeconds, stepSeconds } = await tried('warm')
    const random = seededRandom(1)
    const jobs = 8 * count
    for (let index = 0; index < jobs; index++) {
      const steps = random.int(200, 1000)
      const seconds = Math.max(1, Math.round(tookSeconds + (steps - trialSteps) * stepSeconds))
      await trains(`train-${index}`, steps, { expectedSeconds: seconds })
    }
    return rowsOf(factory, 'train-', `${jobs} PyTorch jobs on ${count} × ${model} of a live factory`)
  })
}

/** What a forecast says of the jobs that are there once the first has started, and how far that is from what then happens. */
async function rowsOf({ dir, client }: FactoryProcess, prefix: string, of: string): Promise<Row[]> {
  const listed = async () => {
    const { items } = await client.list('TrainingJob', { namespace: 'default' })
    return items.filter(({ metadata }) => metadata.name.startsWith(prefix))
  }
  await found('the first to start', 60, async () =>
    (await listed()).some(({ status }) => status?.startTime !== undefined) ? true : undefined,
  )
  const words = ['--dir', dir, 'forecast', '--horizon', '1h', '--node-failures', '0', '-o', 'json']
  const told = JSON.parse(execFileSync(process.execPath, [bin, ...words], { encoding: 'utf8' })) as Told
  const came = await found('all to end', 600, async () => {
    const items = await listed()
    return items.every(({ status }) => status?.completionTime !== undefined) ? items : undefined
  })
  const [starts, ends]: [number[], number[]] = [[], []]
  const nowMs = Date.parse(told.now)
  for (const { metadata, status } of came) {
    const one = told.gangs.find(({ gang }) => gang === `default/${metadata.name}`)?.without
    const after = (time: string | undefined) => Math.max(0, (Date.parse(time ?? '') - nowMs) / 1000)
    // Who had ended before is foretold nothing.
    if (one === undefined) continue
    starts.push(Math.abs(one.starts.median - after(status?.startTime)))
    ends.push(Math.abs(one.ends.median - after(status?.completionTime)))
  }
  const lastMs = came.reduce((last, { status }) => Math.max(last, Date.parse(status?.completionTime ?? '')), 0)
  const spanSeconds = (lastMs - nowMs) / 1000
  return Object.entries({ starts, ends }).map(([what, off]) => {
    const value = off.reduce((sum, one) => sum + one, 0) / Math.max(1, off.length)
    return {
      row: `${off.length} ${what} of ${of}: mean error`,
      value,
      unit: 's',
      bar: '<= 3 s',
      ok: value <= 3,
      peer: `${Math.max(...off).toFixed(1)} s at most; all took ${spanSeconds.toFixed(0)} s`,
    }
  })
}

interface Told {
  now: string
  gangs: { gang: string; without: { starts: { median: number }; ends: { median: number } } }[]
}
