import { expect, test } from 'vitest'
import { unscrambled } from './random.fixture.ts'
import { scrambled, seededRandom } from './random.ts'

/** How much of the numbers lies in each tenth from 0 to 1. */
function tenthsOf(numbers: readonly number[]): number[] {
  const tenths = Array.from({ length: 10 }, () => 0)
  for (const number of numbers) tenths[Math.floor(10 * number)] = (tenths[Math.floor(10 * number)] ?? 0) + 1
  return tenths.map((count) => count / numbers.length)
}

test('the first draws of neighbouring seeds, small ones too, lie anywhere', () => {
  const seeds = Array.from({ length: 2000 }, (_, index) => index - 100)
  for (const draw of [(seed: number) => seededRandom(seed), (seed: number) => seededRandom(seed).split('purpose')]) {
    for (const tenth of tenthsOf(seeds.map((seed) => draw(seed).float())))
      expect(Math.abs(tenth - 0.1)).toBeLessThan(0.03)
  }
  const wholes = seeds.map((seed) => (seededRandom(seed).int(0, 9) + 0.5) / 10)
  for (const tenth of tenthsOf(wholes)) expect(Math.abs(tenth - 0.1)).toBeLessThan(0.03)
})

test('a seed gives the same draws, and each purpose its own', () => {
  const drawn = (random: ReturnType<typeof seededRandom>) => [random.float(), random.int(1, 1e9), random.uuid()]
  expect(drawn(seededRandom(7))).toEqual(drawn(seededRandom(7)))
  expect(drawn(seededRandom(7))).not.toEqual(drawn(seededRandom(8)))
  expect(drawn(seededRandom(7).split('a'))).toEqual(drawn(seededRandom(7).split('a')))
  expect(drawn(seededRandom(7).split('a'))).not.toEqual(drawn(seededRandom(7).split('b')))
  const random = seededRandom(7)
  random.split('a').float()
  expect(drawn(random)).toEqual(drawn(seededRandom(7)))
})

test('no two seeds are scrambled to one', () => {
  for (const seed of [0, 1, -1, 3, 1028, 2 ** 31 - 1, -(2 ** 31), 0x9e3779b9 | 0, 123_456_789]) {
    expect(scrambled(unscrambled(seed))).toBe(seed)
    expect(unscrambled(scrambled(seed))).toBe(seed)
  }
})
