import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import type { Cause } from '../scenario/setup.ts'
import { drawFaults } from './faults.ts'

const dayMs = 86_400_000
const cause = (name: string, over: Partial<Cause> = {}): Cause => ({
  name,
  kind: 'node-loss',
  perNodeDay: 0.5,
  count: undefined,
  lastsMs: 1000,
  reach: undefined,
  noticeMs: 0,
  slowness: 1,
  ...over,
})
const draw = (causes: readonly Cause[], seed = 7) => drawFaults(seededRandom(seed), causes, 100, 10 * dayMs)

test('another cause moves no fault of the others', () => {
  const alone = draw([cause('a'), cause('b')])
  const beside = draw([cause('c', { perNodeDay: 3 }), cause('a'), cause('b', { kind: 'hang' })])
  expect(beside.filter(({ cause: { name } }) => name === 'a')).toEqual(
    alone.filter(({ cause: { name } }) => name === 'a'),
  )
  expect(alone).not.toEqual(draw([cause('a'), cause('b')], 8))
})

test('a rate comes out as it was given, a count exactly, both in order and before the horizon', () => {
  const faults = draw([cause('a'), cause('few', { perNodeDay: undefined, count: 3 }), cause('none', { perNodeDay: 0 })])
  const times = faults.map(({ atMs }) => atMs)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(Math.max(...times)).toBeLessThan(10 * dayMs)
  expect(faults.filter(({ cause: { name } }) => name === 'few')).toHaveLength(3)
  expect(faults.some(({ cause: { name } }) => name === 'none')).toBe(false)
  // 0.5 × 100 nodes × 10 days = 500 on average, with a standard deviation of 22.
  const many = faults.filter(({ cause: { name } }) => name === 'a').length
  expect(many).toBeGreaterThan(400)
  expect(many).toBeLessThan(600)
})
