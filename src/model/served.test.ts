import { expect, test } from 'vitest'
import { secondsOfStep, servedSteps, servedStepsMax } from './served.ts'

test('half an accelerator-hour is the first step, and each later one three times as much', () => {
  expect([0, 1799, 1800, 5399, 5400, 16_200].map(servedSteps)).toEqual([0, 0, 1, 1, 2, 3])
  for (let steps = 1; steps <= servedStepsMax; steps++) {
    expect(servedSteps(secondsOfStep(steps))).toBe(steps)
    expect(servedSteps(secondsOfStep(steps) - 1)).toBe(steps - 1)
  }
  expect(servedSteps(Number.MAX_VALUE)).toBe(servedStepsMax)
})
