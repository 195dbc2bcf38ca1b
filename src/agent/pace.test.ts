import { expect, test } from 'vitest'
import { createPace, type Pace } from './pace.ts'

/** Steps that take so many milliseconds each, from time 0. */
function paceOf(
  add: ReturnType<typeof createPace>,
  steps: Iterable<number>,
  from = { step: 0, atMs: 0 },
): Pace | undefined {
  let { step, atMs } = from
  let known: Pace | undefined
  add(step, atMs)
  for (const ms of steps) {
    atMs += ms
    known = add(++step, atMs) ?? known
  }
  return known
}

test('an even pace has no spread', () => {
  expect(paceOf(createPace(), Array(100).fill(2_000))).toEqual({ mean: 2, low: 2, high: 2 })
})

test('it is not known from fewer than four stretches, nor from steps that took no second together', () => {
  expect(paceOf(createPace(), Array(3).fill(2_000))).toBeUndefined()
  expect(paceOf(createPace(), Array(4).fill(2_000))).toBeDefined()
  expect(paceOf(createPace(), Array(39).fill(100))).toBeUndefined()
  expect(paceOf(createPace(), Array(40).fill(100))?.mean).toBeCloseTo(0.1)
})

test('an uneven one lies between its quickest and its slowest tenth', () => {
  const pace = paceOf(
    createPace(),
    Array.from({ length: 60 }, (_, index) => (index % 5 === 0 ? 4_000 : 1_000)),
  )
  expect(pace).toEqual({ mean: 1.6, low: 1, high: 4 })
})

test('a pause that is too rare for a tenth is in the mean, which is never outside', () => {
  const pace = paceOf(createPace(), [...Array(30).fill(1_000), 100_000, ...Array(10).fill(1_000)])
  expect(pace?.mean).toBeCloseTo(140 / 41)
  expect(pace?.high).toBe(pace?.mean)
  expect(pace?.low).toBe(1)
})

test('it follows a job that becomes slower within as long as it has run', () => {
  const hour = 3_600
  const pace = paceOf(createPace(), [...Array(hour).fill(1_000), ...Array(hour).fill(3_000)])
  expect(pace?.mean).toBeCloseTo(3)
})
