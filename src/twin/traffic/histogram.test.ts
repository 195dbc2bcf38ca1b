import fc from 'fast-check'
import { expect, test } from 'vitest'
import { distributionOf } from '../report/distribution.ts'
import { Histogram } from './histogram.ts'

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram()
  for (const value of values) histogram.add(value)
  return histogram
}

const values = fc.array(fc.double({ min: 0.01, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 300 })

test('quantiles are within one percent of what occurred, the mean is exact, and merged is as if added one by one', () => {
  fc.assert(
    fc.property(values, values, (some, others) => {
      const merged = histogramOf(some)
      merged.merge(histogramOf(others))
      const exact = distributionOf([...some, ...others])
      if (exact === undefined) throw new Error('nothing')
      expect(merged.count).toBe(exact.count)
      expect(merged.max).toBe(exact.max)
      expect(merged.mean / exact.mean).toBeCloseTo(1, 9)
      for (const [share, value] of [
        [0.5, exact.median] as const,
        [0.9, exact.p90] as const,
        [0.99, exact.p99] as const,
      ])
        expect(Math.abs((merged.at(share) ?? 0) / value - 1)).toBeLessThanOrEqual(0.01 + 1e-9)
    }),
  )
})

test('of nothing there is no quantile', () => {
  expect(new Histogram().at(0.5)).toBeUndefined()
})
