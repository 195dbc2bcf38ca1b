import { afterEach, beforeEach, expect, test } from 'vitest'
import { createScheduler } from '../scheduler/scheduler.ts'
import type { Outcome } from './reconciler.ts'
import { builtInReconcilers } from './reconcilers.ts'
import { createScheduling } from './scheduling/scheduling.ts'
import { createTraining } from './training/training.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
})
afterEach(() => world.close())

test('time alone brings no decision where everybody sits, and does where somebody waits', async () => {
  let decisions = 0
  const scheduler = createScheduler()
  const decide = scheduler.decide.bind(scheduler)
  scheduler.decide = (nowMs) => {
    decisions++
    return decide(nowMs)
  }
  const scheduling: typeof createTraining = (context) => createScheduling(context, scheduler)
  world.control({ reconcilers: [scheduling, createTraining] })
  await world.job('j', { workers: 2 })
  await world.phase('j', 'Running')
  await world.settle(5_000)
  decisions = 0
  await world.settle(60_000)
  expect(decisions).toBe(0)
  await world.job('late', { workers: 1 })
  await world.settle(60_000)
  expect(decisions).toBeGreaterThan(5)
})

test('a gang of many members is not looked at for each of them', async () => {
  const outcomes: Outcome[] = []
  const training: typeof createTraining = (context) => {
    const built = createTraining(context)
    const reconcile = async (key: string) => {
      const outcome = await built.reconcile(key)
      outcomes.push(outcome)
      return outcome
    }
    return { ...built, reconcile }
  }
  const isRest = (outcome: Outcome) => outcome.kind === 'again' && outcome.afterMs <= 2
  world.control({ reconcilers: builtInReconcilers.map((one) => (one === createTraining ? training : one)) })
  await world.node('large', 200)
  await world.job('j', { workers: 200 })
  await world.phase('j', 'Running')
  await world.settle(5_000)
  outcomes.length = 0
  for (let index = 0; index < 200; index++) await world.agent.report(`j-worker-${index}-1`, { step: 1 })
  await world.settle(1_900)
  expect(outcomes.filter(isRest).length).toBeGreaterThan(100)
  expect(outcomes.filter((outcome) => !isRest(outcome)).length).toBeLessThan(10)
  expect((await world.getJob('j')).status?.step).toBe(1)
})
