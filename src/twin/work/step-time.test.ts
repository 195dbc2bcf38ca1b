import { expect, test } from 'vitest'
import { slowestMs, stepMsOf, stepsIn, stretchMs } from './step-time.ts'

test('with fewer members what is shared takes longer, and with more of them less', () => {
  const model = { stepMs: 1000, ranks: 4 }
  expect([8, 4, 2, 1].map((members) => stepMsOf(model, members))).toEqual([500, 1000, 2000, 4000])
  expect([8, 4, 2, 1].map((members) => stepMsOf({ ...model, scaling: 0.5 }, members))).toEqual([750, 1000, 1500, 2500])
  expect(stepMsOf({ ...model, scaling: 0 }, 1)).toBe(1000)
})

/** Means of the largest of n draws of a standard normal (Harter, Biometrika 48, 1961). */
test.each([
  [1, 0],
  [2, 0.56419],
  [3, 0.84628],
  [10, 1.53875],
  [100, 2.50759],
  [400, 2.96818],
])('of %i ranks the slowest is %d deviations slower on average', (count, deviations) => {
  expect((slowestMs(new Map([[1000, count]]), 0.1) - 1000) / 100).toBeCloseTo(deviations, 4)
})

test('a slow rank is waited for most of the time; the mean of the larger of two is as Clark has it', () => {
  // Clark, Operations Research 9 (1961): with a² = 100² + 90², b = 100 / a it is 1000 Φ(b) + 900 Φ(-b) + a φ(b).
  expect(
    slowestMs(
      new Map([
        [1000, 1],
        [900, 1],
      ]),
      0.1,
    ),
  ).toBeCloseTo(1017.85, 2)
  expect(
    slowestMs(
      new Map([
        [1000, 63],
        [1500, 1],
      ]),
      0.01,
    ),
  ).toBeCloseTo(1500, 3)
  expect(
    slowestMs(
      new Map([
        [1000, 63],
        [1500, 1],
      ]),
      0,
    ),
  ).toBe(1500)
})

test.each([0, 80, -80, -990])(
  'so many steps are done as have had their time, where the first is off by %i ms',
  (moreMs) => {
    const stretch = { stepMs: 1000, moreMs }
    for (const steps of [1, 2, 3, 10, 1000, 123_456]) {
      const ms = stretchMs(stretch, steps)
      expect([stepsIn(stretch, ms), stepsIn(stretch, ms - 1)]).toEqual([steps, steps - 1])
    }
    expect(stepsIn(stretch, 0)).toBe(0)
  },
)
