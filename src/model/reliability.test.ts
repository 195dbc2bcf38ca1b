import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  autoInterval,
  dalyInterval,
  effectiveRatio,
  effectiveRatioWithLag,
  optimalInterval,
  youngInterval,
} from './reliability.ts'

/** Llama 3's rate at 16,384 GPUs. */
const mtbf = 11_135.08

describe('the values of facts/reliability.md §2.1', () => {
  test.each([
    [10, 600, 465.3, 471.9, 465.27, 0.908, 0.8984, 0.8986],
    [10, 60, 465.3, 471.9, 465.27, 0.9531, 0.9431, 0.9433],
    [2, 30, 209.7, 211.0, 209.71, 0.9785, 0.9739, 0.974],
    [0.5, 15, 105.2, 105.5, 105.19, 0.9892, 0.9869, 0.9869],
  ])('stall %d, restart %d', (stall, restart, optimum, young, daly, best, twice, half) => {
    const interval = optimalInterval(stall, mtbf)
    expect(interval).toBeCloseTo(optimum, 1)
    expect(youngInterval(stall, mtbf)).toBeCloseTo(young, 1)
    expect(dalyInterval(stall, mtbf)).toBeCloseTo(daly, 2)
    expect(effectiveRatio(interval, stall, restart, mtbf)).toBeCloseTo(best, 4)
    expect(effectiveRatio(2 * interval, stall, restart, mtbf)).toBeCloseTo(twice, 4)
    expect(effectiveRatio(interval / 2, stall, restart, mtbf)).toBeCloseTo(half, 4)
  })

  test('long stalls, where Young and Daly part from the optimum', () => {
    expect(optimalInterval(100, mtbf)).toBeCloseTo(1426.41, 2)
    expect(dalyInterval(100, mtbf)).toBeCloseTo(1426.4, 1)
    expect(optimalInterval(1000, mtbf)).toBeCloseTo(4077.4, 1)
    expect(dalyInterval(1000, mtbf)).toBeCloseTo(4076.0, 1)
    expect(dalyInterval(3 * mtbf, mtbf)).toBe(mtbf)
  })

  test('asynchronous shipping costs its lag', () => {
    expect(effectiveRatioWithLag(465.3, 10, 60, 120, mtbf)).toBeCloseTo(0.9434, 4)
    expect(effectiveRatioWithLag(210, 2, 30, 60, mtbf)).toBeCloseTo(0.9734, 4)
  })
})

test('no other interval does better than the optimum', () => {
  const stalls = fc.double({ min: 0.01, max: 1000, noNaN: true })
  const mtbfs = fc.double({ min: 10, max: 1e7, noNaN: true })
  const factors = fc.double({ min: 0.2, max: 5, noNaN: true })
  fc.assert(
    fc.property(stalls, mtbfs, factors, (stall, m, factor) => {
      const best = optimalInterval(stall, m)
      expect(best).toBeGreaterThan(0)
      expect(best).toBeLessThanOrEqual(m * (1 + 1e-12))
      expect(effectiveRatio(factor * best, stall, 0, m)).toBeLessThanOrEqual(effectiveRatio(best, stall, 0, m) + 1e-12)
    }),
  )
})

describe('auto', () => {
  const quiet = { stallSeconds: 1, failures: 0, runSeconds: 60, nodes: 1 }

  test('failures tighten the interval, dear checkpoints widen it', () => {
    const once = autoInterval({ ...quiet, failures: 30 }).seconds
    expect(once).toBeLessThan(autoInterval(quiet).seconds)
    expect(autoInterval({ ...quiet, failures: 30, stallSeconds: 20 }).seconds).toBeGreaterThan(once)
    expect(autoInterval({ ...quiet, nodes: 2048 }).seconds).toBeLessThan(autoInterval(quiet).seconds)
  })

  test('it stays between five seconds and an hour, and not below what shipping takes', () => {
    expect(autoInterval({ ...quiet, stallSeconds: 1000 }).seconds).toBe(3600)
    expect(autoInterval({ ...quiet, stallSeconds: 0, failures: 1e9 }).seconds).toBe(5)
    expect(autoInterval({ ...quiet, failures: 1e9, persistSeconds: 40 }).seconds).toBe(40)
    expect(autoInterval({ failures: 0, runSeconds: 0, nodes: 0 }).stallSeconds).toBe(1)
  })
})
