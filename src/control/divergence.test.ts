import { afterEach, expect, test } from 'vitest'
import { trainingJob } from '../model/kinds/training-job.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { keptAmong, trustedAmong } from './training/poison.ts'
import { createWorld, type World } from './world.fixture.ts'

/** A job whose loss rises goes back to before what may have caused it, and leaves a node that it happens on again. */

let world: World | undefined
afterEach(() => world?.close())

async function start(failurePolicy: object): Promise<World> {
  const made = await createWorld()
  world = made
  await made.node('n0', 1)
  made.control()
  await made.job('j', { failurePolicy, maxRestarts: 9, checkpoint: { keep: 1 } })
  await made.phase('j', 'Running')
  return made
}
/** Checkpoints of these steps, ten minutes apart. */
async function saves(one: World, attempt: number, ...steps: number[]): Promise<void> {
  for (const step of steps) {
    await one.agent.ship(`j-worker-0-${attempt}`, step)
    await one.until(async () => (await one.getGang('j')).status?.checkpoint?.step === step, `step ${step} is durable`)
    await one.pass(600)
  }
}
const spike = (one: World, attempt: number, step: number) =>
  one.agent.report(`j-worker-0-${attempt}`, { step, lossSpike: { step, atMs: one.clock.now() } })
const runs = (one: World, attempt: number) =>
  one.until(() => one.agent.running().includes(`j-worker-0-${attempt}`), `attempt ${attempt} runs`)
const closed = async (one: World) =>
  (await one.store.list('Node')).items.flatMap(({ metadata, spec }) =>
    spec?.unschedulable === true ? metadata.name : [],
  )

test('it goes back to a checkpoint from before the time in which that may have gone unseen', async () => {
  const one = await start({ lossSpike: { latency: '25m' } })
  await saves(one, 1, 10, 20, 30, 40)
  await spike(one, 1, 45)
  await runs(one, 2)
  const { status } = await one.getGang('j')
  // 40 was written 10 minutes ago, 30 20, 20 30.
  expect(status?.checkpoint?.step).toBe(20)
  expect((await one.getJob('j')).status).toMatchObject({ restarts: 1, lastFailure: { reason: 'LossSpike' } })
  expect((await one.getJob('j')).status?.lastFailure?.message).toBe(
    'j-worker-0-1 (rank 0 on n0): its loss became no number, at step 45; attempt 2 goes on from step 20',
  )
  const struck = (await one.store.list('Event')).items.filter(({ reason }) => reason === 'CheckpointsStruck')
  expect(struck.map(({ message }) => message)).toEqual([
    'the loss rose at step 45, and checkpoints of a while before may hold wrong results; the one of step 20 is used',
  ])
})

test('what the rank still ships of the attempt is not committed any more', async () => {
  const one = await start({ lossSpike: { latency: '25m' } })
  await saves(one, 1, 10, 20, 30)
  await spike(one, 1, 45)
  await one.agent.ship('j-worker-0-1', 46)
  await runs(one, 2)
  expect((await one.getGang('j')).status?.checkpoint?.step).toBe(10)
})

test('where none is old enough the oldest is tried, and then the beginning', async () => {
  const one = await start({ lossSpike: {} })
  await saves(one, 1, 10, 20)
  await spike(one, 1, 25)
  await runs(one, 2)
  expect((await one.getGang('j')).status?.checkpoint?.step).toBe(10)
  await one.agent.report('j-worker-0-2', { restoredStep: 10 })
  await spike(one, 2, 25)
  await one.until(async () => (await one.getGang('j')).spec.attempt === 3, 'it starts again')
  expect((await one.getGang('j')).status?.checkpoint).toBeUndefined()
})

test('the second time its node is closed, and a third time it is the job', async () => {
  const one = await start({ lossSpike: { latency: '5m' } })
  await saves(one, 1, 10)
  await spike(one, 1, 15)
  await runs(one, 2)
  expect(await closed(one)).toEqual([])
  await one.node('n1', 1)
  await spike(one, 2, 16)
  await runs(one, 3)
  expect(await closed(one)).toEqual(['n0'])
  expect((await one.getGang('j')).status?.seats?.members[0]?.node).toBe('n1')
  await spike(one, 3, 16)
  await one.phase('j', 'Failed')
  expect((await one.getJob('j')).status?.message).toMatch(
    /its loss became no number, at step 16, again and again; look at the job$/,
  )
})

const jobWith = (checkpoint: object, lossSpike?: object) =>
  trainingJob.parse({
    apiVersion: millwrightVersion,
    kind: 'TrainingJob',
    metadata: { name: 'j' },
    spec: { command: ['train'], checkpoint, failurePolicy: lossSpike === undefined ? {} : { lossSpike } },
  }).spec
const startMs = Date.parse('2026-01-01T00:00:00Z')
const at = (minute: number) => ({
  step: minute,
  attempt: 1,
  at: new Date(startMs + 60_000 * minute).toISOString(),
  digest: '',
  bytes: 0,
  manifests: [],
})
const minutes = (kept: readonly { step: number }[]) => kept.map(({ step }) => step)

test('one is always kept that is older than the time in which wrong results may go unseen, and not many between', () => {
  const spec = jobWith({ keep: 2 }, { latency: '1h' })
  let kept: ReturnType<typeof keptAmong> = []
  for (let minute = 0; minute <= 600; minute++) {
    kept = keptAmong([at(minute), ...kept], spec)
    expect(kept.length).toBeLessThanOrEqual(9)
    if (minute > 60) expect(Math.min(...minutes(kept))).toBeLessThan(minute - 60)
    if (minute > 60) expect(Math.min(...minutes(kept))).toBeGreaterThan(minute - 100)
  }
  expect(minutes(kept).slice(0, 2)).toEqual([600, 599])
})

test('of those that are far apart each is kept until it is old, and of a job that asks for nothing no more than it keeps', () => {
  const all = [200, 170, 140, 110, 80, 50].map(at)
  expect(minutes(keptAmong(all, jobWith({ keep: 1 }, { latency: '1h' })))).toEqual([200, 170, 140, 110])
  expect(minutes(keptAmong(all, jobWith({ keep: 2 })))).toEqual([200, 170])
})

test('only what is older than that may be trusted', () => {
  const spikedMs = startMs + 200 * 60_000
  expect(minutes(trustedAmong([190, 141, 140, 90].map(at), { latency: '1h' }, spikedMs, undefined))).toEqual([140, 90])
  expect(minutes(trustedAmong([190, 150].map(at), { latency: '1h' }, spikedMs, undefined))).toEqual([150])
  expect(minutes(trustedAmong([190, 150].map(at), { latency: '1h' }, spikedMs, at(150)))).toEqual([])
})
