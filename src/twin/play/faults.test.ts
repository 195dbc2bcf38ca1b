import { expect, test } from 'vitest'
import { seededRandom } from '../../base/random.ts'
import { harmOf } from '../../model/faults.ts'
import type { Cause } from '../scenario/causes.ts'
import { fleetOf } from '../scenario/fleet.ts'
import { drawFaults } from './faults.ts'

const dayMs = 86_400_000
const cause = (name: string, over: Partial<Cause> = {}): Cause => ({
  name,
  kind: 'node-loss',
  perNodeDay: 0.5,
  perDomainDay: undefined,
  count: undefined,
  atMs: undefined,
  everyMs: undefined,
  pools: undefined,
  lastsMs: 1000,
  reach: undefined,
  share: 1,
  lemons: undefined,
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

test('a lemon is struck again and again, and all nodes together as often as was said', () => {
  const lemons = { share: 0.02, times: 99 }
  const counts = (seed: number) => {
    const struck = draw([cause('a', { lemons }), cause('b')], seed).filter((one) => one.cause.name === 'a')
    const byNode = new Map<string, number>()
    for (const { nodes: at } of struck) byNode.set(at[0] ?? '', (byNode.get(at[0] ?? '') ?? 0) + 1)
    return byNode
  }
  // Where all are struck 500 times, one that is no lemon is 1.7 times, and a lemon 167 times.
  const bad = (byNode: Map<string, number>) => [...byNode].filter(([, count]) => count > 60).map(([name]) => name)
  const seeds = Array.from({ length: 30 }, (_, seed) => counts(seed))
  const all = seeds.flatMap((byNode) => [...byNode.values()]).reduce((sum, count) => sum + count, 0)
  const lemonsSeen = seeds.reduce((sum, byNode) => sum + bad(byNode).length, 0)
  // 2 of 100 nodes on average in each of 30 seeds, with a standard deviation of 7.7.
  expect(lemonsSeen).toBeGreaterThan(40)
  expect(lemonsSeen).toBeLessThan(80)
  expect(all / lemonsSeen).toBeGreaterThan(167)
  for (const byNode of seeds)
    for (const [name, count] of byNode) if (!bad(byNode).includes(name)) expect(count).toBeLessThan(15)
  expect(new Set(seeds.map((byNode) => bad(byNode).join())).size).toBeGreaterThan(20)
  const alone = draw([cause('b')])
  expect(draw([cause('a', { lemons }), cause('b')]).filter((one) => one.cause.name === 'b')).toEqual(alone)
})

test('windows come when they were said to, over one rack after the other', () => {
  const hourMs = 3_600_000
  const windows = (over: Partial<Cause>, seed = 7) =>
    draw([cause('window', { perNodeDay: undefined, atMs: 2 * hourMs, reach: 'rack', ...over })], seed)
  const once = windows({})
  expect(once.map(({ atMs, nodes: struck }) => [atMs, struck.length])).toEqual([[2 * hourMs, 10]])
  const round = windows({ everyMs: 24 * hourMs })
  expect(round.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 10 }, (_, day) => (2 + 24 * day) * hourMs))
  expect(new Set(round.flatMap(({ nodes: struck }) => struck)).size).toBe(100)
  const racks = round.map(({ nodes: struck }) => Math.floor(Number(struck[0]?.slice(2)) / 10))
  expect(racks.slice(1).every((rack, index) => rack === ((racks[index] ?? 0) + 1) % 10)).toBe(true)
  expect(windows({ everyMs: 24 * hourMs, count: 3 })).toEqual(
    round.slice(0, 3).map((one) => ({ ...one, cause: expect.anything() })),
  )
  expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => windows({}, seed)[0]?.nodes[0])).size).toBeGreaterThan(2)
  expect(windows({ atMs: 11 * dayMs })).toEqual([])
})

test('what strikes some pools alone leaves the others, and comes as often as their nodes say', () => {
  const two = fleetOf(['n', 's'].map((name) => ({ ...shape, name, capacityType: 'reserved' as const }))).nodes
  const struck = drawFaults(seededRandom(7), [cause('a', { pools: ['s'] })], two, 10 * dayMs)
  expect(struck.every(({ nodes: at }) => at[0]?.startsWith('s-') === true)).toBe(true)
  expect(struck.length).toBeGreaterThan(400)
  expect(struck.length).toBeLessThan(600)
  expect(drawFaults(seededRandom(7), [cause('a', { pools: ['t'] })], two, 10 * dayMs)).toEqual([])
})

test('an NVLink domain is struck as one', () => {
  const domains = fleetOf([{ ...shape, nodesPerNvlink: 5, capacityType: 'reserved' }]).nodes
  const struck = drawFaults(seededRandom(7), [cause('tray', { reach: 'nvlink' })], domains, 10 * dayMs)
  const groups = struck.map(({ nodes: at }) => [
    at.length,
    ...new Set(at.map((name) => Math.floor(Number(name.slice(2)) / 5))),
  ])
  expect(groups.every((group) => group.length === 2 && group[0] === 5)).toBe(true)
  expect(new Set(groups.map(([, domain]) => domain)).size).toBe(20)
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
