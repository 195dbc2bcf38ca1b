import { expect, test } from 'vitest'
import { coresFilled } from './cores.ts'

test('the most that members without accelerators make of free cores, whatever was asked before', () => {
  const filled = coresFilled([12_000, 8_000, 8_000])
  expect([40_000, 7_999, 8_000, 11_900, 12_000, 19_000, 20_000, 23_000].map(filled)).toEqual([
    40_000, 0, 8_000, 8_000, 12_000, 16_000, 20_000, 20_000,
  ])
})

test('a part of a step counts as a whole one, and more than there is fills nothing', () => {
  expect([100, 149, 200, 300].map(coresFilled([150]))).toEqual([0, 0, 150, 150])
  expect(coresFilled([1_000])(-500)).toBe(0)
  expect(coresFilled([0])(5_000)).toBe(0)
})
