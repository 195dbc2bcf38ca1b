import { resolve } from 'node:path'
import type { Report } from '../src/model/kinds/report.ts'
import { type FactoryProcess, found, median, trainingJob, withFactory } from './factory-process.ts'
import type { Row } from './row.ts'
import { percentile } from './statistics.ts'

const kills = 100
const stops = 20
const coldStarts = 7

/** Two ranks of the example trainer, kept small so that the way back is measured and not the arithmetic. */
const trainer = [
  process.execPath,
  resolve('dist/examples/tiny-llama/train.js'),
  ...['--width', '32', '--layers', '1', '--heads', '2', '--ffn', '64', '--context', '32', '--batch', '2'],
  ...['--data', resolve('README.md'), '--steps', '1000000', '--step-delay', '20', '--checkpoint-every', '10'],
]
const restarting = { maxRestarts: 10_000, checkpoint: { keep: 2 } }

/** A rank of a training gang is killed or stopped, again and again, until the gang steps from its last checkpoint. */
export function rows(): Promise<Row[]> {
  return withFactory(['--nodes', '2'], async (factory) => {
    const cold: number[] = []
    for (let round = 0; round < coldStarts; round++) cold.push(await coldStart(factory, `cold-${round}`))
    return [...(await killed(factory, cold)), await stopped(factory)]
  })
}

/** From the job's creation until both ranks have done their first step. */
async function coldStart({ client }: FactoryProcess, name: string): Promise<number> {
  const createdAtMs = Date.now()
  await client.create('TrainingJob', trainingJob(name, trainer, 2, restarting))
  const firstMs = await found('a first step', 60, () => firstStepMs(client, name, 1))
  await client.delete('TrainingJob', { namespace: 'default', name })
  await found('its end', 30, async () =>
    (await ranksOf(client, name, 1)).every(({ status }) => status?.ended !== undefined) ? true : undefined,
  )
  return firstMs - createdAtMs
}

async function killed(factory: FactoryProcess, cold: readonly number[]): Promise<Row[]> {
  const { client } = factory
  const name = 'killed'
  const spawned: number[] = []
  const stepped: number[] = []
  let lostBeyond = 0
  await client.create('TrainingJob', trainingJob(name, trainer, 2, restarting))
  for (let attempt = 1; attempt <= kills; attempt++) {
    await found('a checkpoint of the attempt', 60, async () => {
      const gang = await client.get('Gang', { namespace: 'default', name })
      return gang?.status?.checkpoint?.attempt === attempt ? true : undefined
    })
    const pids = (await ranksOf(client, name, attempt)).flatMap(({ status }) => status?.pid ?? [])
    const killedAtMs = Date.now()
    process.kill(pids[attempt % pids.length] ?? 0, 'SIGKILL')
    // Read after the kill: what was durable at its moment cannot be newer.
    const durable = (await client.get('Gang', { namespace: 'default', name }))?.status?.checkpoint?.step ?? 0
    stepped.push((await found('a step again', 60, () => firstStepMs(client, name, attempt + 1))) - killedAtMs)
    const ranks = await ranksOf(client, name, attempt + 1)
    spawned.push(Math.max(...ranks.map(({ status }) => status?.startedAtMs ?? Number.NaN)) - killedAtMs)
    for (const { status } of ranks) lostBeyond = Math.max(lostBeyond, durable - (status?.restoredStep ?? 0))
  }
  await client.delete('TrainingJob', { namespace: 'default', name })
  const coldMs = median(cold)
  const p99 = percentile(spawned, 0.99)
  const ratio = percentile(stepped, 0.99) / coldMs
  return [
    {
      row: `SIGKILL of a rank, all ranks spawned from the checkpoint, p99 of ${kills}`,
      value: p99,
      unit: 'ms',
      bar: '<= 500 ms',
      ok: p99 <= 500,
      peer: `median ${median(spawned).toFixed(0)} ms`,
    },
    {
      row: '... first step done, p99, of a cold start',
      value: ratio,
      unit: 'x',
      bar: '<= 1.3 x',
      ok: ratio <= 1.3,
      peer: `median ${median(stepped).toFixed(0)} ms; cold start, median of ${cold.length}: ${coldMs.toFixed(0)} ms`,
    },
    {
      row: '... steps lost beyond the last durable checkpoint, most',
      value: lostBeyond,
      unit: 'steps',
      bar: '<= 0',
      ok: lostBeyond <= 0,
    },
  ]
}

/** SIGSTOP of a rank until the gang is given its next attempt; the stopped process is ended by that. */
async function stopped({ client }: FactoryProcess): Promise<Row> {
  const name = 'stopped'
  const late: number[] = []
  const took: number[] = []
  await client.create('TrainingJob', trainingJob(name, trainer, 2, restarting))
  for (let attempt = 1; attempt <= stops; attempt++) {
    const ranks = await found('some steps', 60, async () => {
      const ranks = await ranksOf(client, name, attempt)
      return ranks.length === 2 && ranks.every(({ status }) => (status?.step ?? 0) > (status?.restoredStep ?? 0) + 12)
        ? ranks
        : undefined
    })
    const stepSeconds = Math.max(...ranks.map(({ status }) => status?.stepSeconds ?? 0))
    const stoppedAtMs = Date.now()
    process.kill(ranks[attempt % 2]?.status?.pid ?? 0, 'SIGSTOP')
    await found('the hang', 60, async () => {
      const gang = await client.get('Gang', { namespace: 'default', name })
      return (gang?.spec.attempt ?? 0) > attempt ? true : undefined
    })
    took.push(Date.now() - stoppedAtMs)
    late.push(Date.now() - stoppedAtMs - Math.max(3000 * stepSeconds, 3000))
  }
  await client.delete('TrainingJob', { namespace: 'default', name })
  const most = Math.max(...late)
  return {
    row: `SIGSTOP of a rank, ${stops} times: found, after max(3 mean steps, 3 s), most`,
    value: most,
    unit: 'ms',
    bar: '<= 500 ms',
    ok: most <= 500,
    peer: `found after ${median(took).toFixed(0)} ms, median`,
  }
}

async function firstStepMs(client: FactoryProcess['client'], name: string, attempt: number) {
  const firsts = (await ranksOf(client, name, attempt)).flatMap(({ status }) => status?.firstStepAtMs ?? [])
  return firsts.length === 2 ? Math.max(...firsts) : undefined
}

async function ranksOf(client: FactoryProcess['client'], name: string, attempt: number): Promise<Report[]> {
  const { items } = await client.list('Report', { namespace: 'default' })
  return items.filter(({ spec }) => spec.gang === name && spec.attempt === attempt)
}
