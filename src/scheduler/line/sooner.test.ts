import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { Lane } from './line.ts'
import { allSoonerThan, soonerThan } from './sooner.ts'

const nowMs = 1_000_000

function laneOf(seconds: (number | undefined)[], speed?: number): Lane {
  const accelerators = [{ model: 'gpu', count: 1, ...(speed === undefined ? {} : { speed }) }]
  const lane = new Lane('lane')
  for (const [at, expectedSeconds] of seconds.entries()) {
    const gang = gangNamed(
      `g${at}`,
      [groupOf(1, { accelerators })],
      expectedSeconds === undefined ? {} : { expectedSeconds },
    )
    lane.insert({ key: `g${at}`, gang })
  }
  block(lane, 'behind')
  return lane
}

function block(lane: Lane, kind: 'behind' | 'quota' | 'never' | 'nodes'): void {
  const group = groupOf(1)
  const demand = {} as never
  const shortage = { kind, group, alternative: { model: 'gpu', count: 1 }, demand, membersFit: 0 }
  const seen = { generation: 1, taken: 0, layout: 0, reserved: '', arrivals: 0 }
  lane.blocked = { head: 'g0', verdict: { kind: 'shortage', shortage }, seen }
}

/** Nodes are kept from these times on, in seconds from now. */
const kept = (...fromSeconds: number[]) => ({
  keptFromBefore: (_: Gang, endsAtMs: number) =>
    Math.max(...fromSeconds.map((from) => nowMs + 1000 * from).filter((ms) => ms < endsAtMs), Number.NEGATIVE_INFINITY),
})

test('the first in the lane that ends by then, not the shortest', () => {
  const lane = laneOf([200, undefined, 100, 50, 100])
  const sooner = (at: number, ...from: number[]) => soonerThan(lane, lane.waiting[at], kept(...from), nowMs)
  expect([sooner(0, 100), sooner(0, 99), sooner(0, 49), sooner(0)]).toEqual([2, 3, undefined, undefined])
  expect(sooner(1, 300)).toBe(0)
  expect(sooner(0, 200)).toBeUndefined()
  expect([sooner(0, 100, 60), sooner(2, 100, 60), sooner(3, 100, 60)]).toEqual([2, 3, undefined])
  expect(
    allSoonerThan(lane.waiting.slice(1), { key: 'g0', gang: lane.waiting[0]?.gang as Gang }, kept(100), nowMs),
  ).toEqual([2, 3, 4].map((at) => lane.waiting[at]))
})

test('declared seconds are as long as the slowest accelerator makes them', () => {
  const lane = laneOf([undefined, 50], 0.5)
  const sooner = (from: number) => soonerThan(lane, lane.waiting[0], kept(from), nowMs)
  expect([sooner(99), sooner(100)]).toEqual([undefined, 1])
})

test('nobody is too long for what no time would give him, and a lane that nobody looked at has nobody', () => {
  const lane = laneOf([200, 50])
  for (const kind of ['quota', 'never', 'nodes'] as const) {
    block(lane, kind)
    expect(soonerThan(lane, lane.waiting[0], kept(100), nowMs)).toBeUndefined()
  }
  lane.blocked = undefined
  expect(soonerThan(lane, lane.waiting[0], kept(100), nowMs)).toBeUndefined()
  block(lane, 'behind')
  expect(soonerThan(lane, undefined, kept(100), nowMs)).toBeUndefined()
  expect(soonerThan(lane, lane.waiting[0], kept(100), nowMs)).toBe(1)
})
