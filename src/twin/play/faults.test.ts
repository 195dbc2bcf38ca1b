import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import { harmOf } from '../../model/faults.ts'
import { fleetOf } from '../scenario/fleet.ts'
import type { Cause } from '../scenario/setup.ts'
import { drawFaults } from './faults.ts'

const dayMs = 86_400_000
const cause = (name: string, over: Partial<Cause> = {}): Cause => ({
  name,
  kind: 'node-loss',
  perNodeDay: 0.5,
  perDomainDay: undefined,
  count: undefined,
  lastsMs: 1000,
  reach: undefined,
  share: 1,
  noticeMs: 0,
  harm: harmOf({}),
  xid: undefined,
  ...over,
})
const shape = { name: 'n', count: 100, accelerators: 'cpu:1', cpu: 1, memory: '1Gi', labels: {}, nodesPerRack: 10 }
const { nodes } = fleetOf([{ ...shape, capacityType: 'reserved' }])
const draw = (causes: readonly Cause[], seed = 7) => drawFaults(seededRandom(seed), causes, nodes, 10 * dayMs)

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

test('a shock strikes a whole rack, as often as racks are said to be struck', () => {
  const shocks = draw([cause('pdu', { reach: 'rack', perNodeDay: undefined, perDomainDay: 5 })])
  // 5 × 10 racks × 10 days = 500 on average, with a standard deviation of 22.
  expect(shocks.length).toBeGreaterThan(400)
  expect(shocks.length).toBeLessThan(600)
  for (const { nodes: struck } of shocks) {
    expect(struck).toHaveLength(10)
    const racks = new Set(struck.map((name) => Math.floor(Number(name.slice(2)) / 10)))
    expect(racks.size).toBe(1)
  }
  expect(new Set(shocks.map(({ nodes: struck }) => struck[0])).size).toBe(10)
})

test('of a rack each node is struck with the probability that was given, and one in any case', () => {
  const half = draw([cause('a', { reach: 'rack', share: 0.5, perNodeDay: 1 })])
  const mean = half.reduce((sum, { nodes: struck }) => sum + struck.length, 0) / half.length
  // Of 1,000 shocks, 10 × 0.5 each with a standard deviation of 1.6: 0.05 of the mean.
  expect(mean).toBeGreaterThan(4.8)
  expect(mean).toBeLessThan(5.2)
  const few = draw([cause('a', { reach: 'rack', share: 0.001, perNodeDay: 1 })])
  expect(few.every(({ nodes: struck }) => struck.length >= 1)).toBe(true)
  expect(few.filter(({ nodes: struck }) => struck.length === 1).length).toBeGreaterThan(0.95 * few.length)
  // Whom it spares moves neither its times nor its places.
  const all = draw([cause('a', { reach: 'rack', perNodeDay: 1 })])
  expect(half.map(({ atMs }) => atMs)).toEqual(all.map(({ atMs }) => atMs))
  expect(half.every(({ nodes: struck }, index) => struck.every((one) => all[index]?.nodes.includes(one)))).toBe(true)
})
