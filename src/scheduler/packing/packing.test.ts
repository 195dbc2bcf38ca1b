import { describe, expect, test } from 'vitest'
import { Packing, roomyWeights, tightWeights, type Weights } from './packing.ts'
import { pricesOf } from './prices.ts'
import { type Typical, typicalOf } from './typical.ts'

const fgd: Weights = { fragments: 1, starved: 0, cores: 0, oneMore: 0, prices: 0 }
const whole = { cpuMilli: 0, count: 1, milli: 1000, models: undefined }

describe('prices', () => {
  test('sizes that fill an accelerator together are worth what they fill', () => {
    const prices = pricesOf(
      [
        { milli: 500, count: 100 },
        { milli: 250, count: 100 },
      ],
      50,
    )
    expect([250, 500, 1000].map((milli) => Math.round(prices.worth(milli) * 1000))).toEqual([250, 500, 1000])
    expect([0, 240, 250, 490, 500, 750, 1000].map((milli) => Math.round(prices.hole(milli) * 1000))).toEqual([
      0, 0, 250, 250, 500, 750, 1000,
    ])
  })

  test('a size whose rest nobody asks for is worth a whole accelerator', () => {
    const prices = pricesOf(
      [
        { milli: 810, count: 50 },
        { milli: 500, count: 100 },
      ],
      80,
    )
    expect(prices.worth(810)).toBeCloseTo(1)
    expect(prices.worth(500)).toBeCloseTo(0.5)
    expect(prices.hole(190)).toBe(0)
    expect(prices.hole(310)).toBe(0)
  })

  test('no sizes have no prices, and one alone is worth its share of what it fills', () => {
    expect(pricesOf([], 8).hole(999)).toBe(0)
    const prices = pricesOf([{ milli: 300, count: 30 }], 10)
    expect(prices.worth(300)).toBeCloseTo(1 / 3)
    expect(prices.hole(600)).toBeCloseTo(2 / 3)
  })
})

describe('typical shapes', () => {
  test('the most frequent until they are 95 in a hundred, with shares that add up to one', () => {
    const shapes = [
      [{ ...whole, cpuMilli: 1 }, 60],
      [{ ...whole, cpuMilli: 2 }, 36],
      [{ ...whole, cpuMilli: 3 }, 4],
    ] as const
    const typical = typicalOf(shapes)
    expect(typical.map(({ cpuMilli }) => cpuMilli)).toEqual([1, 2])
    expect(typical.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
  })

  test('among equals, more cores first, and nothing makes nothing', () => {
    expect(
      typicalOf([
        [{ ...whole, cpuMilli: 1 }, 1],
        [{ ...whole, cpuMilli: 2 }, 1],
      ]).map(({ cpuMilli }) => cpuMilli),
    ).toEqual([2, 1])
    expect(typicalOf([])).toEqual([])
  })
})

describe('packing', () => {
  const typical: Typical[] = [
    { ...whole, cpuMilli: 4000, share: 0.5 },
    { cpuMilli: 0, count: 1, milli: 500, models: ['A'], share: 0.5 },
  ]
  const packing = new Packing(typical, pricesOf([{ milli: 500, count: 10 }], 5), fgd)

  test('fragmentation is what typical members could not use, as FGD defines it', () => {
    expect(packing.state('A', 4000, [1000, 1000]).waste).toBe(0)
    // 300 is too small for either; the whole one is no fragment of anything.
    expect(packing.state('A', 4000, [300, 1000]).waste).toBe(300)
    // Without cores, the whole-accelerator half of them can use nothing.
    expect(packing.state('A', 0, [1000, 1000]).waste).toBe(1000)
    // Another model: half of them may use nothing of it.
    expect(packing.state('B', 4000, [1000, 1000]).waste).toBe(1000)
  })

  test('the score is what is gained, on the logistic scale; 50 is neither gain nor loss', () => {
    const half = { cpuMilli: 0, count: 1, milli: 500, models: undefined }
    const score = (free: number[], shape: Typical | typeof half) => {
      const state = packing.state('A', 8000, free)
      return packing.outcome(state, shape)
    }
    expect(score([1000, 1000], half)).toEqual({ score: 43, devices: [1000] }) // 100 σ(−0.25)
    expect(score([500, 1000], half)).toEqual({ score: 56, devices: [500] }) // 100 σ(+0.25)
    expect(score([400], half)).toEqual({ score: -1, devices: [] })
    expect(score([], { ...whole, cpuMilli: 0, share: 1 }).score).toBe(-1)
    expect(score([0, 1000, 1000], { ...whole, count: 2, share: 1 }).score).toBe(50)
  })

  test('accelerators that the node has no cores left for are wasted', () => {
    const only = { ...fgd, fragments: 0, starved: 1 }
    const starved = new Packing([{ ...whole, cpuMilli: 4000, share: 1 }], pricesOf([], 0), only)
    expect(starved.state('A', 16_000, [1000, 1000, 1000, 1000]).waste).toBe(0)
    expect(starved.state('A', 10_000, [1000, 1000, 1000, 1000]).waste).toBe(1500)
    expect(starved.state('A', 0, [0, 500]).waste).toBe(500)
  })

  test('cores that members without accelerators cannot fill are wasted, at the accelerators that they would serve', () => {
    const only = { ...fgd, fragments: 0, cores: 1 }
    const typical = [
      { ...whole, cpuMilli: 4000, share: 0.5 },
      { cpuMilli: 6000, count: 0, milli: 0, models: undefined, share: 0.5 },
    ]
    const idle = new Packing(typical, pricesOf([], 0), only)
    expect(idle.state('A', 12_000, [0]).waste).toBe(0)
    expect(idle.state('A', 10_000, [0]).waste).toBe(1000)
  })

  test('room for one more counts only where it is tight', () => {
    const typical = [{ ...whole, cpuMilli: 4000, share: 1 }]
    const roomy = new Packing(typical, pricesOf([{ milli: 1000, count: 2 }], 2))
    const tight = roomy.weighed(tightWeights)
    const lost = (packing: Packing) =>
      packing.state('A', 8000, [1000]).waste - packing.state('A', 8000, [1000, 1000]).waste
    expect(lost(tight) - lost(roomy)).toBeCloseTo(-300)
    expect([roomy.weighed(roomyWeights), tight.weighed(tightWeights)]).toEqual([roomy, tight])
    expect(roomy.weighed(roomyWeights)).toBe(roomy)
  })

  test('equal states are one state, whatever the order of the accelerators', () => {
    expect(packing.state('A', 1, [200, 1000])).toBe(packing.state('A', 1, [1000, 200]))
  })
})
