import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { coresFilled } from './cores.ts'
import { Packing, type Weights } from './packing.ts'
import { type Prices, pricesOf } from './prices.ts'
import type { Shape, Typical } from './typical.ts'

const shape = fc.oneof(
  fc.record({ cpuMilli: fc.constantFrom(0, 1000, 3000), count: fc.constantFrom(1, 2, 3), milli: fc.constant(1000) }),
  fc.record({ cpuMilli: fc.constantFrom(0, 1000), count: fc.constant(1), milli: fc.constantFrom(200, 300, 500, 810) }),
  fc.record({ cpuMilli: fc.constantFrom(1000, 2000), count: fc.constant(0), milli: fc.constant(0) }),
)
const models = fc.constantFrom<readonly string[] | undefined>(undefined, ['A'], ['B'], ['A', 'B'])
const shapes = fc.record({ shape, models }).map(({ shape: one, models: of }): Shape => ({ ...one, models: of }))
const typicals = fc
  .array(fc.record({ shape: shapes, part: fc.integer({ min: 1, max: 5 }) }), { minLength: 1, maxLength: 4 })
  .map((drawn): Typical[] => {
    const all = drawn.reduce((sum, { part }) => sum + part, 0)
    return drawn.map(({ shape: one, part }) => ({ ...one, share: part / all }))
  })
const free = fc.array(fc.constantFrom<number>(0, 100, 200, 300, 500, 810, 1000), { maxLength: 5 })
const weight = fc.constantFrom(0, 1, 3)
const weights = fc.record<Weights>({
  fragments: weight,
  starved: weight,
  cores: weight,
  oneMore: weight,
  prices: weight,
})

const prices = pricesOf(
  [
    { milli: 500, count: 10 },
    { milli: 300, count: 10 },
  ],
  6,
)
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)
const allows = ({ count, models: of }: Shape, model: string) => count === 0 || of === undefined || of.includes(model)

/** How many members of one shape the accelerators hold, cores aside. */
function copies({ count, milli }: Shape, holes: readonly number[]): number {
  return milli < 1000
    ? sum(holes.map((hole) => Math.floor(hole / milli)))
    : Math.floor(holes.filter((one) => one >= 1000).length / count)
}

/** What is wasted of what is free, as `Weights` says it. */
function wasteOf(
  typical: readonly Typical[],
  of: Weights,
  cpuMilli: number,
  holes: readonly number[],
  worth: Prices,
): number {
  const total = sum(holes)
  const parts = typical.map((one) => {
    const { cpuMilli: cores, count, milli, share } = one
    if (count === 0) return { fragments: share * total, oneMore: 0 }
    const holds = allows(one, 'A') && copies(one, holes) >= 1 && cpuMilli >= cores
    if (!holds) return { fragments: share * total, oneMore: share * total }
    return { fragments: share * sum(holes.filter((hole) => hole < milli)), oneMore: share * (total - count * milli) }
  })
  const ofGpus = typical.filter(({ count }) => count > 0)
  const mean = (what: (one: Typical) => number) => sum(ofGpus.map((one) => one.share * what(one)))
  const coresEach = ofGpus.length === 0 ? 0 : mean((one) => one.cpuMilli) / mean(({ count, milli }) => count * milli)
  const filled = coresFilled(typical.filter(({ count }) => count === 0).map((one) => one.cpuMilli))(cpuMilli)
  const more = of.oneMore * sum(parts.map(({ oneMore }) => oneMore))
  return (
    of.fragments * sum(parts.map(({ fragments }) => fragments)) +
    (more === 0 ? 0 : more / mean(() => 1)) +
    (coresEach === 0 ? 0 : of.starved * Math.max(0, total - cpuMilli / coresEach)) +
    (coresEach === 0 ? 0 : (of.cores * (cpuMilli - filled)) / coresEach) -
    1000 * of.prices * sum(holes.map((hole) => worth.hole(hole)))
  )
}

test('what is wasted of a node is what each of the weights says', () => {
  fc.assert(
    fc.property(typicals, weights, fc.constantFrom(0, 1000, 2500, 8000), free, (typical, of, cpuMilli, holes) => {
      const packing = new Packing(typical, prices, of)
      expect(packing.state('A', cpuMilli, holes).waste).toBeCloseTo(wasteOf(typical, of, cpuMilli, holes, prices), 6)
    }),
    { numRuns: 300 },
  )
})

test('a place scores what it leaves unwasted and what the member is worth, and says which accelerators are as good', () => {
  fc.assert(
    fc.property(
      typicals,
      weights,
      fc.constantFrom(1000, 2500, 8000),
      free,
      shapes,
      (typical, of, cpuMilli, holes, asked) => {
        const packing = new Packing(typical, prices, of)
        const { score, devices } = packing.outcome(packing.state('A', cpuMilli, holes), asked)
        const { count, milli, cpuMilli: cores } = asked
        const worth = count === 0 ? 0 : milli >= 1000 ? count : prices.worth(milli)
        const before = wasteOf(typical, of, cpuMilli, holes, prices)
        const scoreOf = (left: readonly number[]) => {
          const gain = before - wasteOf(typical, of, cpuMilli - cores, left, prices) + 1000 * of.prices * worth
          return 100 / (1 + Math.exp(-gain / 1000))
        }
        if (!allows(asked, 'A') || cpuMilli < cores || (count > 0 && copies(asked, holes) < 1)) {
          expect([score, devices]).toEqual([-1, []])
        } else if (count === 0) expect(Math.abs(score + 0.5 - scoreOf(holes))).toBeLessThan(0.6)
        else if (milli >= 1000) {
          const whole = holes.filter((hole) => hole >= 1000).length
          const left = [
            ...holes.filter((hole) => hole < 1000),
            ...Array.from({ length: whole }, (_, at) => (at < count ? 0 : 1000)),
          ]
          expect(devices).toEqual([])
          expect(Math.abs(score + 0.5 - scoreOf(left))).toBeLessThan(0.6)
        } else {
          const able = [...new Set(holes.filter((hole) => hole >= milli))].sort((a, b) => a - b)
          const scored = able.map((hole) => scoreOf(holes.with(holes.indexOf(hole), hole - milli)))
          expect(Math.abs(score + 0.5 - Math.max(...scored))).toBeLessThan(0.6)
          expect(devices.every((hole) => able.includes(hole))).toBe(true)
          for (const hole of devices) expect(scored[able.indexOf(hole)]).toBeGreaterThan(Math.max(...scored) - 1.1)
        }
      },
    ),
    { numRuns: 300 },
  )
})

describe('states', () => {
  const packing = () => new Packing([{ cpuMilli: 0, count: 1, milli: 1000, models: undefined, share: 1 }], prices)

  test('are told apart by model, cores and what is free, and found again', () => {
    const one = packing()
    const ids = [
      one.state('A', 1, [500, 1000]),
      one.state('A', 1, [1000, 500]),
      one.state('A', 2, [500, 1000]),
      one.state('B', 1, [500, 1000]),
      one.state('A', 1, [1000]),
      one.state('A', 1, []),
      one.state('A', 1, [500, 500]),
    ].map(({ id }) => id)
    expect(ids).toEqual([0, 0, 1, 2, 3, 4, 5])
    expect([one.size, one.at(3).holes.total]).toEqual([6, 1000])
    expect(one.stateOf('A', 1, Float64Array.of(7, 500, 1000, 9), 1, 3)).toBe(0)
    expect(() => one.at(6)).toThrow('there is no state 6')
  })

  test('are forgotten when there are more than a fleet can have use for', () => {
    const one = packing()
    for (let cpu = 0; cpu < 50; cpu++) one.state('A', cpu, [1000])
    expect([one.isTooLarge(1), one.fresh().size]).toEqual([false, 0])
    expect(one.fresh().typical).toBe(one.typical)
    expect(one.fresh().state('A', 7, [300, 500]).waste).toBe(one.state('A', 7, [300, 500]).waste)
  })

  test('while nothing is known of what comes, the fullest node is best', () => {
    const one = new Packing([], prices)
    const half = { cpuMilli: 0, count: 1, milli: 500, models: undefined }
    const scores = [[500], [1000], [500, 1000], [1000, 1000], [1000, 1000, 1000]].map(
      (holes) => one.outcome(one.state('A', 0, holes), half).score,
    )
    expect(scores).toEqual([100, 99, 99, 98, 97])
  })
})
