import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pricesOf } from './prices.ts'
import { nameOf, type Shape, typicalOf } from './typical.ts'

/** What each size is worth when so many of it are expected on so many accelerators. */
function worths(demand: readonly [milli: number, count: number][], accelerators: number): number[] {
  const prices = pricesOf(
    demand.map(([milli, count]) => ({ milli, count })),
    accelerators,
  )
  return demand.map(([milli]) => Math.round(prices.worth(milli) * 10_000) / 10_000)
}

describe('what a size of share is worth', () => {
  test('is nothing where there is room for all of it', () => {
    expect(worths([[300, 3]], 10)).toEqual([0])
  })

  test('is all of an accelerator that nothing scarce fits beside, and nothing of one that is left over beside others', () => {
    expect(
      worths(
        [
          [600, 20],
          [400, 10],
        ],
        20,
      ),
    ).toEqual([1, 0])
    expect(
      worths(
        [
          [900, 20],
          [100, 10],
        ],
        20,
      ),
    ).toEqual([1, 0])
    expect(worths([[505, 10]], 8)).toEqual([1])
  })

  test('is its part of what fills an accelerator', () => {
    // 600 + 400 and 400 + 400: as many of 400 as there are, half of them have one of 600 beside them.
    expect(
      worths(
        [
          [600, 20],
          [400, 40],
        ],
        20,
      ),
    ).toEqual([0.5, 0.5])
    expect(
      worths(
        [
          [500, 20],
          [330, 30],
        ],
        20,
      ),
    ).toEqual([0.5, 0.3333])
    // 4 × 250, 250 + 2 × 350, 250 + 350 + 400.
    expect(
      worths(
        [
          [250, 100],
          [350, 60],
          [400, 50],
        ],
        60,
      ),
    ).toEqual([0.25, 0.375, 0.375])
  })

  test('of which too little can be placed is dear: each that is short costs ten accelerators', () => {
    const [scarce = 0, other = 0] = worths(
      [
        [700, 100],
        [300, 10],
      ],
      10,
    )
    expect(scarce).toBeCloseTo((0.7 + 10) / (0.7 + 10 + 0.3), 4)
    expect(other).toBeCloseTo(0.3 / (0.7 + 10 + 0.3), 4)
  })

  test('that no accelerator has, or of which none come, changes nothing', () => {
    const prices = pricesOf(
      [
        { milli: 1200, count: 10 },
        { milli: 0, count: 5 },
        { milli: 500, count: 0 },
        { milli: 400, count: 4 },
      ],
      2,
    )
    expect([400, 450, 500, 800, 1000, 1200].map((milli) => prices.hole(milli))).toEqual([0.5, 0.5, 0.5, 1, 1, 1])
    // Nobody asked for that size: what the hole that it needs is worth.
    expect([395, 401, 333, 1200].map((milli) => prices.worth(milli))).toEqual([0.5, 0.5, 0, 1])
  })

  const demands = fc.uniqueArray(
    fc.record({
      milli: fc.integer({ min: 2, max: 100 }).map((tens) => 10 * tens),
      count: fc.integer({ min: 1, max: 60 }),
    }),
    { minLength: 1, maxLength: 6, selector: ({ milli }) => milli },
  )

  test('never makes a filling worth more than the accelerator, and the best one is worth just that', () => {
    fc.assert(
      fc.property(demands, fc.integer({ min: 1, max: 20 }), (demand, accelerators) => {
        const prices = pricesOf(demand, accelerators)
        const sizes = demand.map(({ milli }) => ({ milli, worth: prices.worth(milli) }))
        /** The most that sizes are worth together in so much room: tried one by one. */
        const best = (room: number): number =>
          sizes.reduce(
            (most, { milli, worth }) => (milli > room ? most : Math.max(most, worth + best(room - milli))),
            0,
          )
        for (const { worth } of sizes) expect(worth).toBeGreaterThan(-1e-9)
        if (sizes.some(({ milli }) => milli < 150)) return // too many fillings to try
        for (const room of [200, 350, 500, 770, 990]) expect(prices.hole(room)).toBeCloseTo(best(room), 6)
        if (sizes.some(({ worth }) => worth > 1e-9)) expect(best(1000)).toBeCloseTo(1, 6)
      }),
    )
  })
})

describe('typical shapes', () => {
  const shape = (more: Partial<Shape>): Shape => ({ cpuMilli: 0, count: 1, milli: 1000, models: undefined, ...more })

  test('that are the same are counted together', () => {
    const typical = typicalOf([
      [shape({ cpuMilli: 1 }), 2],
      [shape({ cpuMilli: 2 }), 3],
      [shape({ cpuMilli: 1 }), 2],
    ])
    expect(typical.map(({ cpuMilli, share }) => [cpuMilli, share])).toEqual([
      [1, 4 / 7],
      [2, 3 / 7],
    ])
  })

  test('that are as frequent: more cores, larger shares, more accelerators, the last model first', () => {
    const shapes = [
      shape({ models: ['A100', 'B200'] }),
      shape({ count: 2 }),
      shape({ models: ['H100'] }),
      shape({ cpuMilli: 1, milli: 500 }),
      shape({ models: undefined }),
      shape({ milli: 500 }),
      shape({ models: ['A100', 'H100'] }),
    ]
    const expected = [3, 1, 2, 6, 0, 4, 5].map((at) => nameOf(shapes[at] ?? shape({})))
    const orders = [shapes, shapes.toReversed(), [...shapes.slice(3), ...shapes.slice(0, 3)]]
    for (const order of orders) {
      expect(typicalOf(order.map((one) => [one, 1] as const)).map(nameOf)).toEqual(expected)
    }
  })

  test('are named by all that they ask for', () => {
    const one = shape({})
    const others = [
      { cpuMilli: 1 },
      { count: 2 },
      { milli: 500 },
      { models: [] },
      { models: ['A'] },
      { models: ['A', 'B'] },
    ]
    expect(new Set([one, ...others.map(shape)].map(nameOf)).size).toBe(7)
    expect(nameOf(shape({}))).toBe(nameOf(one))
  })
})
