import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../model/conditions.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Work of higher priority displaces what may be displaced: a checkpoint first, then the line again. */

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
})
afterEach(() => world.close())

const phase = (name: string, wanted: string, of = world) => of.phase(name, wanted)
const runs = async (name: string, spec: Record<string, unknown>) => {
  await world.job(name, spec)
  await phase(name, 'Running')
}
/** Long enough to see that nobody was displaced for it. */
const waits = async (name: string, spec: Record<string, unknown>) => {
  await world.job(name, spec)
  await phase(name, 'Waiting')
  await world.settle(5_000)
}
const kept = (name: string) =>
  world.until(async () => (await world.getGang(name)).status?.hold !== undefined, `seats are kept for ${name}`)
const scheduled = async (name: string, of = world) =>
  conditionOf((await of.getGang(name)).status?.conditions, 'Scheduled')

test('it checkpoints, leaves, stands in line again and goes on; no restart is counted', async () => {
  world.control()
  await world.job('low', { workers: 2, maxRestarts: 0 })
  await phase('low', 'Running')
  world.agent.onStop(async (pod) => {
    await world.agent.ship(pod.metadata.name, 7)
    await world.clock.sleep(3_000)
  })
  await world.job('high', { workers: 1, priority: 10 })
  await kept('high')
  expect(await scheduled('high')).toMatchObject({
    status: 'False',
    reason: 'Preempting',
    message: expect.stringContaining('it sits when default/low has left'),
  })
  await phase('high', 'Running')
  await phase('low', 'Waiting')
  const { status } = await world.getJob('low')
  expect(status).toMatchObject({ restarts: 0, attempt: 2, checkpoint: { step: 7, attempt: 1 } })
  const gang = await world.getGang('high')
  expect(gang.status?.hold).toBeUndefined()
  await world.agent.end('high-worker-0-1', { exitCode: 0 })
  await world.until(() => world.agent.running().includes('low-worker-1-2'), 'low goes on')
  expect((await world.getGang('low')).status?.eviction).toBeUndefined()
  expect((await world.getJob('low')).status).toMatchObject({ restarts: 0, attempt: 2 })
})

const pod = 'low-worker-0-1'
/** Somebody asks for the seats of one whose own checkpoints of steps 1 and 2 were half a minute apart, so long after the last. */
async function askedAfter(ms: number): Promise<void> {
  world.control()
  await runs('low', { workers: 1 })
  for (const step of [1, 2]) {
    await world.settle(30_000)
    await world.agent.heartbeat()
    await world.agent.ship(pod, step)
  }
  await world.settle(ms)
  await world.job('high', { workers: 2, priority: 10 })
  await kept('high')
}
const request = async () => (await world.getGang('low')).spec.checkpointRequest

test('a checkpoint that a job is about to write of itself is waited for', async () => {
  await askedAfter(20_000)
  await world.settle(5_000)
  expect(await request(), 'it is left alone').toBeUndefined()
  expect(world.agent.running()).toEqual([pod])
  await world.settle(5_000)
  await world.agent.ship(pod, 3)
  await phase('high', 'Running')
  expect((await world.getJob('low')).status?.checkpoint).toMatchObject({ step: 3, attempt: 1 })
})

test('not for longer than it is late by a tenth of its time, and not where its last one is nearer', async () => {
  await askedAfter(20_000)
  await world.settle(12_000)
  expect(await request(), 'two seconds late').toBeUndefined()
  await world.settle(2_000)
  expect(await request(), 'four').toMatchObject({ stop: true })
})

test('whose last checkpoint is nearer than its next stops at once', async () => {
  await askedAfter(10_000)
  await world.settle(1_000)
  expect(await request()).toMatchObject({ stop: true })
})

test('what may not be displaced stays, and so does what is of the same priority', async () => {
  world.control()
  await runs('firm', { workers: 1, preemptible: false })
  await runs('equal', { workers: 1, priority: 10 })
  await waits('high', { workers: 1, priority: 10 })
  expect(world.agent.running()).toEqual(['equal-worker-0-1', 'firm-worker-0-1'])
})

test('seats that may be taken do not become such that may not; the next ones do', async () => {
  world.control()
  await runs('low', { workers: 2 })
  const ref = { name: 'low', namespace: 'default' }
  await world.store.patch('TrainingJob', ref, { spec: { preemptible: false } })
  await world.job('high', { workers: 2, priority: 10 })
  await phase('high', 'Running')
  await world.until(async () => !(await world.getGang('low')).spec.preemptible, 'its next seats are its own')
})

test('whoever sits keeps its seats for its minimum run time, and is displaced soon after', async () => {
  await keepsFor(60)
  world.control()
  await runs('low', { workers: 2 })
  const { at = '' } = (await world.getGang('low')).status?.seats ?? {}
  const ends = new Date(Date.parse(at) + 60_000).toISOString()
  await waits('high', { workers: 2, priority: 10 })
  expect(await scheduled('high')).toMatchObject({
    reason: 'MinimumRunTime',
    message: `needs 2 × cpu:1 at once; displaces job/low when it has had its minimum run time, at ${ends}`,
  })
  await phase('high', 'Running')
  const lateMs = Date.parse((await world.getGang('high')).status?.seats?.at ?? '') - Date.parse(ends)
  expect(lateMs).toBeGreaterThanOrEqual(0)
  expect(lateMs, 'within a round of the control loop').toBeLessThanOrEqual(6_000)
})

test('a minimum run time is no longer for a clock that is set back meanwhile', async () => {
  await keepsFor(60)
  world.control()
  await runs('low', { workers: 2 })
  const beganMs = world.clock.steadyMs()
  world.clock.jump(-7_200_000)
  await world.job('high', { workers: 2, priority: 10 })
  await phase('high', 'Running')
  const first = world.clock.steadyMs() - beganMs
  expect(first).toBeGreaterThanOrEqual(58_000)
  expect(first).toBeLessThanOrEqual(66_000)
  // What is written from then on, too.
  const { at = '' } = (await world.getGang('high')).status?.seats ?? {}
  expect(Math.abs(Date.parse(at) - world.clock.now()), 'by the clock as it is').toBeLessThanOrEqual(2_000)
  await world.job('higher', { workers: 2, priority: 20 })
  await phase('higher', 'Running')
  const second = world.clock.steadyMs() - beganMs - first
  expect(second).toBeGreaterThanOrEqual(58_000)
  expect(second).toBeLessThanOrEqual(66_000)
})

test('a leader to whom seats are of hours to come lets them have their minimum run time from when it sees them', async () => {
  await keepsFor(60)
  const first = world.control()
  await runs('low', { workers: 2 })
  const stopped = first.stop()
  await world.settle(1_000)
  await stopped
  world.clock.jump(-7_200_000)
  world.control()
  await world.job('high', { workers: 2, priority: 10 })
  await phase('high', 'Running')
})

const keepsFor = (minRunSeconds: number) => {
  const preemption = { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any', minRunSeconds }
  return world.store.patch('Queue', { name: 'default' }, { spec: { preemption } })
}

test('nobody is displaced when that would not let it start', async () => {
  world.control()
  await runs('low', { workers: 1 })
  await runs('firm', { workers: 1, preemptible: false })
  await waits('wide', { workers: 2, priority: 10 })
  expect(world.agent.running()).toEqual(['firm-worker-0-1', 'low-worker-0-1'])
})

test('what leaves is kept for whom it left, also from those who come meanwhile', async () => {
  world.control()
  await runs('low', { workers: 2 })
  world.agent.onStop(() => world.clock.sleep(4_000))
  await world.job('high', { workers: 2, priority: 10 })
  await kept('high')
  await world.job('sneaky', { workers: 1, priority: 5 })
  await phase('high', 'Running')
  await phase('sneaky', 'Waiting')
})

test('one that is displaced and wants no more seats has given them up all the same', async () => {
  world.control()
  await runs('low', { workers: 2 })
  world.agent.onStop(() => world.clock.sleep(4_000))
  await world.job('high', { workers: 2, priority: 10 })
  await kept('high')
  await world.store.patch('TrainingJob', { name: 'high', namespace: 'default' }, { spec: { suspend: true } })
  await world.until(async () => (await world.getGang('high')).status?.hold === undefined, 'nothing is kept')
  await world.until(() => world.agent.running().includes('low-worker-1-2'), 'low goes on')
})

test('a control plane that dies after any of its writes displaces it once, and loses nobody', async () => {
  const writes = await life()
  for (let n = 1; n <= writes; n++) await life(n)
}, 120_000)

async function life(crashAfter = Number.POSITIVE_INFINITY): Promise<number> {
  const own = await createWorld({ seed: 3 })
  await own.node('a', 2)
  own.agent.onStop(() => own.clock.sleep(5_000)) // the next control plane is there by then
  const { writes, until } = mortalControl(own, crashAfter)
  await own.job('low', { workers: 2, maxRestarts: 0 })
  await until(() => own.agent.running().length === 2, 'low runs')
  await own.job('high', { workers: 1, priority: 10, maxRestarts: 0 })
  await until(() => own.agent.running().join() === 'high-worker-0-1', 'high runs, and low has left')
  await own.agent.end('high-worker-0-1', { exitCode: 0 })
  await until(() => own.agent.running().length === 2, 'low runs again')
  for (const name of own.agent.running()) await own.agent.end(name, { exitCode: 0 })
  await until(async () => (await own.getJob('low')).status?.phase === 'Succeeded', 'low ends')
  expect((await own.getJob('low')).status).toMatchObject({ restarts: 0, attempt: 2 })
  await own.close()
  return writes()
}

test('a job that fails again and again displaces others up to its third try, and once more after a checkpoint', async () => {
  world.control()
  await runs('high', { workers: 2, priority: 10, maxRestarts: 9 })
  await world.node('b', 2)
  await runs('low', { workers: 2 })
  for (const attempt of [1, 2, 3]) {
    await world.until(() => world.agent.running().includes(`high-worker-0-${attempt}`), `attempt ${attempt} of high`)
    await world.agent.end(`high-worker-0-${attempt}`, { signal: 'SIGKILL' })
  }
  await world.until(async () => (await scheduled('high'))?.reason === 'FailsRepeatedly', 'high waits')
  expect((await world.store.get('Node', { name: 'a' }))?.spec?.unschedulable).toBe(true)
  expect((await scheduled('high'))?.message).toContain('job/low would have to leave, and it displaces nobody')
  expect((await world.getGang('low')).status?.eviction).toBeUndefined()
  for (const rank of [0, 1]) await world.agent.end(`low-worker-${rank}-1`, { exitCode: 0 })
  await world.until(() => world.agent.running().includes('high-worker-0-4'), 'attempt 4 of high')
  await world.agent.ship('high-worker-0-4', 7)
  await world.until(async () => (await world.getGang('high')).spec.preemptionPolicy === undefined, 'it may again')
  await world.agent.end('high-worker-0-4', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('high-worker-0-5'), 'attempt 5 of high')
  expect((await world.getGang('high')).spec.preemptionPolicy).toBeUndefined()
})
