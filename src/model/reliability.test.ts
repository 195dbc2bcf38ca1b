import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  autoInterval,
  dalyInterval,
  effectiveRatio,
  effectiveRatioWithLag,
  elasticRatio,
  nodeRates,
  optimalInterval,
  sparesAt,
  sparesFor,
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

test.each([
  // Its §2.2: 131,072 GPUs at 6.5 failures in 1,000 node-days, and 18 min between failures.
  [811.25, 2, 120, 254.8, 0.931],
  [811.25, 2, 60, 254.8, 0.935],
  [1080, 2, 120, 293.9, 0.9466],
  [1080, 2, 600, 293.9, 0.924],
])('M %d s, stall %d s, restart %d s: elastic per data-parallel group', (mtbf, stall, restart, interval, ratio) => {
  const job = { groups: 32, failureStall: 30, degraded: 300, fullRestarts: 0.05 }
  expect(youngInterval(stall, mtbf / job.fullRestarts)).toBeCloseTo(interval, 0)
  expect(elasticRatio(job, interval, stall, restart, mtbf)).toBeCloseTo(ratio, 3)
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
  const day = 86_400
  const quiet = { stallSeconds: 1, hasCheckpoint: true, failures: 0, runSeconds: 60, nodes: 1 }

  test('is the exact optimum of what was measured, inside its bounds', () => {
    const stalls = fc.double({ min: 0.02, max: 60, noNaN: true })
    const runs = fc.double({ min: 0, max: 100 * day, noNaN: true })
    fc.assert(
      fc.property(stalls, runs, fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 4096 }), (...given) => {
        const [stallSeconds, runSeconds, failures, nodes] = given
        const auto = autoInterval({ stallSeconds, runSeconds, failures, nodes, hasCheckpoint: true })
        const optimum = optimalInterval(stallSeconds, auto.mtbfSeconds)
        expect(auto.seconds).toBeCloseTo(Math.min(3600, Math.max(5, optimum)), 9)
      }),
    )
  })

  test('Llama 3, 54 days in: the measured rate has taken over, and gives the interval of facts/reliability.md §2.1', () => {
    const run = { failures: 419, runSeconds: 54 * day, nodes: 2048, hasCheckpoint: true }
    const auto = autoInterval({ ...run, stallSeconds: 10 })
    expect(auto.mtbfSeconds / mtbf).toBeCloseTo(1, 2)
    expect(auto.seconds).toBeCloseTo(465.3, 0)
    expect(autoInterval({ ...run, stallSeconds: 2 }).seconds).toBeCloseTo(209.7, 0)
    expect(autoInterval({ ...run, stallSeconds: 0.5 }).seconds).toBeCloseTo(105.2, 0)
  })

  test('with no failure known it takes the rate of large fleets, by the nodes that it sits on', () => {
    const prior = (nodes: number) => autoInterval({ ...quiet, runSeconds: 0, nodes }).mtbfSeconds
    expect(prior(1) / day).toBeCloseTo(1000 / 6.5, 6)
    expect(prior(2048) / 3600).toBeCloseTo(1.8, 2) // 16,384 GPUs: Meta projects 1.8 h (facts §1.2)
    expect(prior(0)).toBe(prior(1))
    // An hour that goes well makes nobody reckless.
    expect(autoInterval({ ...quiet, runSeconds: 3600, nodes: 2048 }).mtbfSeconds / prior(2048)).toBeLessThan(1.6)
    expect(autoInterval({ ...quiet, runSeconds: 3600 }).mtbfSeconds / prior(1)).toBeLessThan(1.001)
  })

  test('failures of its own outvote the fleet', () => {
    const failing = (failures: number, runSeconds: number) =>
      autoInterval({ ...quiet, stallSeconds: 0.1, failures, runSeconds })
    expect(failing(1, 10).mtbfSeconds).toBe(3610)
    expect(failing(5, 600).mtbfSeconds).toBe(840)
    expect(failing(5, 600).seconds).toBeCloseTo(12.89, 2) // Daly: 12.89
    // A single one long ago is a rate of its own, too: no longer than what was seen, no shorter than that by much.
    expect(failing(1, 10 * day).mtbfSeconds / day).toBeCloseTo(10, 1)
    // Where fleets fail more often than this job did, the fleet is still heard.
    const lucky = autoInterval({ ...quiet, nodes: 2048, failures: 1, runSeconds: 10 * 3600 })
    expect(lucky.mtbfSeconds / 3600).toBeCloseTo((1.8 + 10) / 2, 1)
  })

  test('dear checkpoints widen it', () => {
    const at = (stallSeconds: number) => autoInterval({ ...quiet, failures: 30, stallSeconds }).seconds
    expect(at(0.1)).toBeLessThan(at(1))
    expect(at(1)).toBeLessThan(at(20))
  })

  test('it stays between five seconds and an hour, and not below what shipping takes', () => {
    expect(autoInterval({ ...quiet, stallSeconds: 1000 }).seconds).toBe(3600)
    expect(autoInterval({ ...quiet, stallSeconds: 0, failures: 1e9 }).seconds).toBe(5)
    expect(autoInterval({ ...quiet, failures: 1e9, persistSeconds: 40 }).seconds).toBe(40)
    expect(autoInterval({ ...quiet, persistSeconds: 5000 }).seconds).toBe(5000)
  })

  test('the first comes after a minute at the latest, at an assumed cost of a second', () => {
    const first = { failures: 0, runSeconds: 0, nodes: 1, hasCheckpoint: false }
    expect(autoInterval(first)).toMatchObject({ seconds: 60, stallSeconds: 1 })
    expect(autoInterval({ ...first, failures: 9 }).seconds).toBeLessThan(60)
    expect(autoInterval({ ...first, hasCheckpoint: true }).seconds).toBe(3600)
  })
})

describe('how many nodes are kept as spares', () => {
  test('as many as are out at once, with the probability asked for (facts §2.3)', () => {
    const out = (hours: number) => (2048 * 3.79 * hours) / 24 / 1000
    expect(out(24)).toBeCloseTo(7.8, 1)
    expect([sparesAt(out(24), 0.99), sparesAt(out(24), 0.999)]).toEqual([15, 18])
    expect([sparesAt(out(72), 0.99), sparesAt(out(72), 0.999)]).toEqual([35, 40])
    expect(sparesAt(0, 0.99)).toBe(0)
    expect(Math.abs(sparesAt(5000, 0.99) - (5000 + 2.326 * Math.sqrt(5000)))).toBeLessThan(2)
  })

  test('by the rate of large fleets and a day for each repair; of a small pool none, for one would be much of it', () => {
    expect([1, 4, 5, 16, 128, 2048].map((nodes) => sparesFor(nodes))).toEqual([0, 0, 1, 1, 4, 22]) // ByteRobust: 4 of 128
  })

  const day = 86_400
  const seen = (nodeDays: number, failures: number, outDays = 0, repairs = 0) => ({
    nodeSeconds: nodeDays * day,
    failures,
    outSeconds: outDays * day,
    repairs,
  })

  test('a pool that has been seen for long has its own rates; one that was not, those of a large fleet', () => {
    const prior = nodeRates()
    expect([(1000 * day) / prior.mtbfSeconds, prior.repairSeconds]).toEqual([expect.closeTo(6.5, 9), day])
    expect(nodeRates(seen(0, 0))).toEqual(prior)
    // Gamma(1, 1000/6.5 days) and four failures in a thousand node-days: five in all of it.
    expect(nodeRates(seen(1000, 4)).mtbfSeconds / day).toBeCloseTo((1000 / 6.5 + 1000) / 5, 9)
    expect(nodeRates(seen(1000, 4, 8, 3)).repairSeconds / day).toBeCloseTo(9 / 4, 9)
    const long = nodeRates(seen(1e6, 2340, 1170, 2340))
    expect(1000 / (long.mtbfSeconds / day)).toBeCloseTo(2.34, 2)
    expect(long.repairSeconds / day).toBeCloseTo(0.5, 2)
    // Meta's other cluster, and repairs of half a day: a sixth of the nodes are out.
    expect([sparesFor(2048), sparesFor(2048, seen(1e6, 2340, 1170, 2340))]).toEqual([22, 7])
    expect(sparesFor(128, seen(2000, 60, 120, 60))).toBe(14)
  })

  test('one that never failed needs fewer the longer it does not, and a repair that is not over counts with its time', () => {
    const of = (nodeDays: number) => sparesFor(2048, seen(nodeDays, 0))
    expect([of(0), of(154), of(500), of(1e9)]).toEqual([22, 13, 8, 5])
    expect(sparesFor(128, seen(154, 1, 6, 0))).toBeGreaterThan(sparesFor(128, seen(154, 1, 1, 0)))
  })

  test('rates are never more than ten times off, spares never more than a fifth, and what is no number is passed over', () => {
    expect(nodeRates(seen(1, 1e6)).mtbfSeconds).toBeCloseTo(nodeRates().mtbfSeconds / 10, 6)
    expect(nodeRates(seen(1e12, 0)).mtbfSeconds).toBeCloseTo(nodeRates().mtbfSeconds * 10, 6)
    expect(nodeRates(seen(0, 0, 1e6)).repairSeconds).toBe(10 * day)
    expect(sparesFor(100, seen(1, 1e6, 1e6))).toBe(20)
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, -1])
      expect(nodeRates(seen(wrong, 3))).toEqual(nodeRates())
  })
})
