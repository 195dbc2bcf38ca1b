import { expect, test } from 'vitest'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

const even = { mean: 2, low: 2, high: 2 }

/** What rank 0 says after so many of its 1,000 steps. */
function report(world: World, attempt: number, step: number, pace?: { mean: number; low: number; high: number }) {
  const stepAtMs = world.clock.now()
  return world.agent.report(`j-worker-0-${attempt}`, { step, steps: 1000, stepAtMs, ...(pace && { pace }) })
}

async function runningJob(): Promise<World> {
  const world = await createWorld()
  await world.node('a', 4)
  world.control()
  await world.job('j', { workers: 2, expectedSeconds: 3600 })
  await world.until(() => world.agent.running().length === 2, 'the job runs')
  return world
}

/** In seconds from now. */
async function endOf(world: World) {
  const { status } = await world.getGang('j')
  const { earliest, latest } = status?.expectedEndRange ?? {}
  const from = (time: string | undefined) =>
    time === undefined ? undefined : (Date.parse(time) - world.clock.now()) / 1000
  return { earliest: from(earliest), end: from(status?.expectedEnd), latest: from(latest) }
}

test('a gang is expected to end when its steps are done at its pace, and between its quickest and its slowest', async () => {
  const world = await runningJob()
  await report(world, 1, 10)
  await world.settle()
  expect(await endOf(world)).toEqual({ earliest: undefined, end: undefined, latest: undefined })
  await report(world, 1, 100, { mean: 2, low: 1.5, high: 3 })
  await world.settle()
  expect(await endOf(world)).toEqual({ earliest: 1350, end: 1800, latest: 2700 })
  const job = await world.getJob('j')
  expect(job.status).toMatchObject({ steps: 1000, expectedEnd: (await world.getGang('j')).status?.expectedEnd })
  await world.close()
})

test('it is written again only when it is off by a tenth of what is left', async () => {
  const world = await runningJob()
  await report(world, 1, 100, even)
  await world.settle()
  const before = await world.getGang('j')
  for (const mean of [2.1, 1.9, 2.19]) {
    await report(world, 1, 100, { ...even, mean })
    await world.settle()
  }
  expect((await world.getGang('j')).metadata.resourceVersion).toBe(before.metadata.resourceVersion)
  await report(world, 1, 100, { ...even, mean: 2.3 })
  await world.settle()
  expect((await endOf(world)).end).toBe(2070)
  await world.close()
})

test('the last seconds of a job are not worth a write', async () => {
  const world = await runningJob()
  await report(world, 1, 990, even)
  await world.settle()
  const before = await world.getGang('j')
  await report(world, 1, 994, even)
  await world.settle()
  expect((await world.getGang('j')).metadata.resourceVersion).toBe(before.metadata.resourceVersion)
  await world.close()
})

test('a new attempt has no pace yet: what was foretold of the one before is void, and it is as declared', async () => {
  const world = await runningJob()
  await report(world, 1, 100, even)
  await world.settle()
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'attempt 2 runs')
  await world.settle()
  expect((await endOf(world)).end).toBeUndefined()
  const { startTime = '', expectedEnd = '' } = (await world.getJob('j')).status ?? {}
  expect(Date.parse(expectedEnd) - Date.parse(startTime)).toBe(3_600_000)
  await report(world, 2, 50, even)
  await world.settle()
  expect((await endOf(world)).end).toBe(1900)
  await world.close()
})

test('a control plane that dies after any of its writes foretells the same end', async () => {
  const undisturbed = await lifeOf()
  expect(undisturbed.state).toEqual({ attempt: 2, end: 1900 })
  for (let n = 1; n <= undisturbed.writes; n++)
    expect({ n, ...(await lifeOf(n)).state }).toEqual({ n, attempt: 2, end: 1900 })
}, 60_000)

async function lifeOf(crashAfter = Number.POSITIVE_INFINITY) {
  const world = await createWorld({ seed: 7 })
  await world.node('a', 2)
  const { until, writes } = mortalControl(world, crashAfter)
  await world.job('j', { workers: 2 })
  await until(() => world.agent.running().length === 2, 'attempt 1 runs')
  await report(world, 1, 100, even)
  await until(async () => (await world.getGang('j')).status?.expectedEnd !== undefined, 'its end is foretold')
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await until(() => world.agent.running().includes('j-worker-0-2'), 'attempt 2 runs')
  await until(async () => (await world.getGang('j')).status?.expectedEnd === undefined, 'nothing is foretold of it')
  await report(world, 2, 50, even)
  const reportedAtMs = world.clock.now()
  await until(async () => (await world.getGang('j')).status?.expectedEnd !== undefined, 'its end is foretold again')
  await world.settle(2_000)
  const { spec, status } = await world.getGang('j')
  await world.close()
  const end = (Date.parse(status?.expectedEnd ?? '') - reportedAtMs) / 1000
  return { state: { attempt: spec.attempt, end }, writes: writes() }
}
