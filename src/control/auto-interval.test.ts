import { afterEach, beforeEach, expect, test } from 'vitest'
import { agesAt } from '../base/ages.ts'
import { optimalInterval } from '../model/reliability.ts'
import { ranSecondsOf } from './gangs.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
  world.control()
})
afterEach(() => world.close())

const phase = (wanted: string) => world.phase('j', wanted)
const request = async () => (await world.getGang('j')).spec.checkpointRequest
const suspend = (wanted: boolean) =>
  world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec: { suspend: wanted } })

/** A step a second, reported as agents do. Gives back after how many seconds the next checkpoint was asked for. */
async function secondsToNextRequest(pods: readonly string[], fromStep: number, stepSeconds = 1): Promise<number> {
  const before = await request()
  const startMs = world.clock.now()
  for (let second = 0; second < 4000; second++) {
    const done = Math.floor(second / stepSeconds)
    if (second % stepSeconds === 0) {
      for (const pod of pods)
        await world.agent.report(pod, { step: fromStep + done, stepAtMs: world.clock.now(), stepSeconds })
    }
    if (second % 10 === 0) await world.agent.heartbeat()
    await world.settle(1000)
    const now = await request()
    if (now !== undefined && now.step !== before?.step) return (world.clock.now() - startMs) / 1000
  }
  throw new Error('no checkpoint was ever asked for')
}

/** Three ranks killed at once after each other: a job that is known to fail. */
async function failThrice(): Promise<void> {
  for (const attempt of [1, 2, 3]) {
    await world.until(() => world.agent.running().includes(`j-worker-0-${attempt}`), `attempt ${attempt}`)
    await world.agent.report(`j-worker-0-${attempt}`, { step: 1, stepAtMs: world.clock.now() })
    await world.agent.end(`j-worker-0-${attempt}`, { signal: 'SIGKILL' })
  }
  await world.until(() => world.agent.running().includes('j-worker-0-4'), 'attempt 4')
  for (const pod of world.agent.running())
    await world.agent.report(pod, { step: 1, stepAtMs: world.clock.now(), firstStepAtMs: world.clock.now() })
}

test('the interval follows the measured stall and failures: the optimum, from one checkpoint to the next', async () => {
  await world.job('j', { checkpoint: { interval: 'auto' }, maxRestarts: 9 })
  await failThrice()
  const pod = 'j-worker-0-4'
  // Three failures in the first seconds: one every twenty minutes, at an assumed cost of a second until it is measured.
  const first = await secondsToNextRequest([pod], 1)
  expect(first).toBeCloseTo(optimalInterval(1, 3600 / 3), -0.5)
  let step = 1000
  let stalls: number[] = []
  for (const stallSeconds of [0.1, 0.1, 5, 5, 40]) {
    stalls = [...stalls, stallSeconds]
    await world.agent.ship(pod, step, { stallSeconds })
    const ran = ranSecondsOf(await world.getGang('j'), agesAt(world.clock.now()))
    const mean = stalls.reduce((a, b) => a + b) / stalls.length
    const seconds = await secondsToNextRequest([pod], step)
    // It ran on meanwhile, which makes the rate a little smaller and the interval a little longer.
    expect(seconds).toBeGreaterThanOrEqual(optimalInterval(mean, (3600 + ran) / 3) - 1)
    expect(seconds).toBeLessThanOrEqual(optimalInterval(mean, (3600 + ran + seconds) / 3) + 1)
    step += 1000
  }
})

test('shipping that takes longer than the optimum is waited for', async () => {
  await world.job('j', { checkpoint: { interval: 'auto' }, maxRestarts: 9 })
  await failThrice()
  await world.agent.ship('j-worker-0-4', 10, { stallSeconds: 0.01, persistSeconds: 90 })
  expect(await secondsToNextRequest(['j-worker-0-4'], 10)).toBeCloseTo(90, -0.5)
})

test('of ranks that all write, the slowest is what a checkpoint costs', async () => {
  await world.job('j', { workers: 2, checkpoint: { interval: 'auto', ranks: 'all' }, maxRestarts: 9 })
  await failThrice()
  const pods = ['j-worker-0-4', 'j-worker-1-4']
  await world.agent.ship(pods[0] ?? '', 10, { stallSeconds: 0.1 })
  await world.agent.ship(pods[1] ?? '', 10, { stallSeconds: 6 })
  await world.settle()
  expect((await world.getGang('j')).status?.checkpoint?.seconds).toBe(6)
  expect(await secondsToNextRequest(pods, 10)).toBeCloseTo(optimalInterval(6, 3630 / 3), -0.5)
})

test('the word on the cost counts though it comes after the commit, and is remembered by the next attempt', async () => {
  await world.job('j', { checkpoint: { interval: 'auto' }, maxRestarts: 9 })
  await failThrice()
  await world.agent.ship('j-worker-0-4', 10, {})
  await world.settle()
  const gang = await world.getGang('j')
  expect(gang.status?.checkpoint).toMatchObject({ step: 10 })
  expect(gang.status?.checkpoint?.seconds).toBeUndefined()
  const report = await world.store.get('Report', { name: 'pod.j-worker-0-4', namespace: 'default' })
  const checkpoints = (report?.status?.checkpoints ?? []).map((one) => ({ ...one, stallSeconds: 9 }))
  await world.agent.report('j-worker-0-4', { checkpoints })
  expect(await secondsToNextRequest(['j-worker-0-4'], 10)).toBeCloseTo(optimalInterval(9, 3700 / 3), -1)
  await world.agent.ship('j-worker-0-4', 500, { stallSeconds: 9 })
  await world.settle()
  await world.agent.end('j-worker-0-4', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('j-worker-0-5'), 'attempt 5')
  const ran = ranSecondsOf(await world.getGang('j'), agesAt(world.clock.now()))
  await world.agent.report('j-worker-0-5', { step: 500, firstStepAtMs: world.clock.now() })
  expect(await secondsToNextRequest(['j-worker-0-5'], 500)).toBeCloseTo(optimalInterval(9, (3600 + ran) / 4), -1)
})

test('a job that never failed is asked for its first checkpoint after a minute, and then every hour', async () => {
  await world.job('j', { checkpoint: { interval: 'auto' } })
  await phase('Running')
  await world.agent.report('j-worker-0-1', { step: 1, firstStepAtMs: world.clock.now() })
  expect(await secondsToNextRequest(['j-worker-0-1'], 1)).toBeCloseTo(60, -0.5)
  await world.agent.ship('j-worker-0-1', 100, { stallSeconds: 2 })
  expect(await secondsToNextRequest(['j-worker-0-1'], 100)).toBeCloseTo(3600, -0.5)
})

test('time without seats is no time that went well', async () => {
  await world.job('j', { checkpoint: { interval: 'auto' }, maxRestarts: 9 })
  const ran = async () => ranSecondsOf(await world.getGang('j'), agesAt(world.clock.now()))
  const live = async (seconds: number) => {
    for (let left = seconds; left > 0; left -= 10) {
      await world.agent.heartbeat()
      await world.settle(10_000)
    }
  }
  await phase('Running')
  await live(100)
  await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'attempt 2')
  await live(50)
  await suspend(true)
  await phase('Suspended')
  const before = await ran()
  expect(before).toBeGreaterThan(149)
  expect(before).toBeLessThan(152)
  await live(500)
  expect(await ran()).toBe(before)
  await suspend(false)
  await phase('Running')
  await live(30)
  expect(await ran()).toBeCloseTo(before + 30, -0.5)
})

test('a request stands until the job has come to it, however slow its steps', async () => {
  await world.job('j', { checkpoint: { interval: '5s' } })
  await phase('Running')
  const pod = 'j-worker-0-1'
  const startMs = world.clock.now()
  await world.agent.report(pod, { step: 1, stepAtMs: startMs, firstStepAtMs: startMs, stepSeconds: 60 })
  await world.settle(6_000)
  const asked = await request()
  expect(asked).toEqual({ step: 3, stop: false })
  for (let step = 2; step <= 3; step++) {
    for (let second = 0; second < 60; second++) {
      if (second % 10 === 0) await world.agent.heartbeat()
      await world.settle(1000)
      expect(await request()).toEqual(asked)
    }
    await world.agent.report(pod, { step, stepAtMs: world.clock.now() })
  }
  await world.settle(1000)
  expect((await request())?.step).toBeGreaterThan(3)
})

test('a job that stands still is not asked for a step far away', async () => {
  await world.job('j', { checkpoint: { interval: '10m' } })
  await phase('Running')
  const startMs = world.clock.now()
  // It did a hundred steps and evaluates since then.
  await world.agent.report('j-worker-0-1', { step: 100, stepAtMs: startMs, firstStepAtMs: startMs, stepSeconds: 0.1 })
  for (let second = 0; second < 601; second += 10) {
    await world.agent.heartbeat()
    await world.settle(10_000)
  }
  expect((await request())?.step).toBe(100 + 150 + 11)
})
