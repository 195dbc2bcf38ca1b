import { expect, test } from 'vitest'
import type { Clock } from './clock.ts'
import { createLiveness } from './liveness.ts'
import { createManualClock } from './manual-clock.ts'

test('silence is told once, when its time is over, and again after a sign', async () => {
  const clock = createManualClock(0)
  const told: number[] = []
  const listening = createLiveness(clock).watch(
    'n',
    () => 1000,
    (sinceMs) => told.push(sinceMs),
  )
  await clock.advance(999)
  expect(told).toEqual([])
  await clock.advance(1)
  expect(told).toEqual([0])
  await clock.advance(5000)
  expect(told).toEqual([0])
  listening.heard()
  await clock.advance(1000)
  expect(told).toEqual([0, 6000])
})

test('setting the clock makes nobody silent, and hides no silence', async () => {
  for (const jumpMs of [3_600_000, -3_600_000]) {
    const clock = createManualClock()
    const told: number[] = []
    createLiveness(clock).watch(
      'a',
      () => 40_000,
      () => void told.push(clock.steadyMs()),
    )
    const startMs = clock.steadyMs()
    await clock.advance(10_000)
    clock.jump(jumpMs)
    await clock.advance(29_000)
    expect(told).toEqual([])
    await clock.advance(11_000)
    expect(told).toEqual([startMs + 40_000])
  }
})

test('every sign starts the count anew', async () => {
  const clock = createManualClock(0)
  const told: number[] = []
  const listening = createLiveness(clock).watch(
    'n',
    () => 1000,
    (sinceMs) => told.push(sinceMs),
  )
  for (let beat = 0; beat < 20; beat++) {
    await clock.advance(700)
    listening.heard()
  }
  expect(told).toEqual([])
  await clock.advance(1000)
  expect(told).toEqual([14_000])
})

test('whoever slept counts anew, also when he woke just before the end', async () => {
  for (const wakesAtMs of [900, 940, 980, 1000, 1500, 100_000]) {
    const clock = createManualClock(0)
    const told: number[] = []
    const missed: (() => void)[] = []
    const isAsleep = () => clock.now() >= 800 && clock.now() < wakesAtMs
    const sleepy: Clock = {
      ...clock,
      after: (ms, run) => clock.after(ms, () => (isAsleep() ? missed.push(run) : run())),
    }
    createLiveness(sleepy).watch(
      'n',
      () => 1000,
      (sinceMs) => told.push(sinceMs),
    )
    await clock.advance(wakesAtMs)
    for (const run of missed) run()
    await clock.advance(Math.max(0, 1000 - wakesAtMs))
    const slept = wakesAtMs > 950
    expect(told, `slept until ${wakesAtMs}`).toEqual(slept ? [] : [0])
    await clock.advance(1000)
    expect(told).toEqual([slept ? wakesAtMs : 0])
  }
})

test('who may be silent as long as he likes is not counted', async () => {
  const clock = createManualClock(0)
  const told: number[] = []
  let patience: number | undefined
  const listening = createLiveness(clock).watch(
    'n',
    () => patience,
    (sinceMs) => told.push(sinceMs),
  )
  await clock.advance(10_000)
  expect(clock.pending).toBe(0)
  patience = 500
  listening.heard()
  await clock.advance(500)
  expect(told).toEqual([10_000])
  listening.stop()
  listening.heard()
  expect(clock.pending).toBe(0)
})

test('who has less patience after a sign than before it looks sooner', async () => {
  const clock = createManualClock(0)
  const told: number[] = []
  let patienceMs = 600_000
  const listening = createLiveness(clock).watch(
    'first steps',
    () => patienceMs,
    (sinceMs) => told.push(sinceMs),
  )
  await clock.advance(5000)
  patienceMs = 3000
  listening.heard()
  await clock.advance(2999)
  expect(told).toEqual([])
  await clock.advance(1)
  expect(told).toEqual([5000])
})

test('when the last sign was heard is known, and counting anew is no sign', async () => {
  const clock = createManualClock(0)
  const listening = createLiveness(clock).watch(
    'n',
    () => 1000,
    () => {},
  )
  await clock.advance(300)
  expect(listening.heardMs()).toBeUndefined()
  listening.heard()
  await clock.advance(5000)
  expect(listening.heardMs()).toBe(300)
})
