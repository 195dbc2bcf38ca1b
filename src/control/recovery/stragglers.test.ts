import { expect, test } from 'vitest'
import { type OwnTime, stragglersAmong, whenToLeave } from './stragglers.ts'

/** Ranks in order, each on a node of its own unless it says where. */
const times = (...busy: (number | [node: string, seconds: number, group?: string])[]): OwnTime[] =>
  busy.map((one, rank) => {
    const [node, busySeconds, group = 'worker'] = Array.isArray(one) ? one : [`n${rank}`, one]
    return { rank, node, group, busySeconds }
  })
const slowIn = (all: OwnTime[], ...uneven: number[]) =>
  stragglersAmong(all, new Set(uneven))?.slow.map(({ node }) => node)

test('a rank that takes a third longer than the others do is slow, and one that takes a quarter longer is not', () => {
  expect(slowIn(times(1, 1, 1.34, 1))).toEqual(['n2'])
  expect(slowIn(times(1, 1, 1.25, 1))).toBeUndefined()
  expect(slowIn(times(1, 2))).toEqual(['n1'])
  expect(slowIn(times(1))).toBeUndefined()
})

test('others on its node say nothing of a node: ranks are held against those elsewhere', () => {
  expect(slowIn(times(['a', 2], ['a', 2], ['b', 1]))).toEqual(['a'])
  expect(slowIn(times(['a', 1], ['a', 2]))).toBeUndefined()
})

test('groups do different work, and so are held against themselves alone', () => {
  expect(slowIn(times(1, 1, ['x', 5, 'server'], ['y', 5, 'server']))).toBeUndefined()
  expect(slowIn(times(1, 1, ['x', 5, 'server'], ['y', 9, 'server']))).toEqual(['y'])
})

test('what is slow wherever it sits makes no node slow', () => {
  expect(slowIn(times(1, 1, 2, 1), 2)).toBeUndefined()
  expect(slowIn(times(1, 1, 2, 3, 1, 1), 2)).toEqual(['n3'])
})

test('all wait for the slowest: without it a step takes what the next one takes', () => {
  expect(stragglersAmong(times(1, 1, 2, 1), new Set())?.wasted).toBe(0.5)
  expect(stragglersAmong(times(1, 1, 2, 1.2), new Set())?.wasted).toBeCloseTo(0.4)
  // Two are slow: it takes both to go.
  expect(stragglersAmong(times(1, 1, 2, 2, 1), new Set())).toMatchObject({
    slow: [{ rank: 2 }, { rank: 3 }],
    wasted: 0.5,
  })
  // One that is slow and stays keeps the others waiting as before.
  expect(stragglersAmong(times(1, 1, 2, 2, 1), new Set([2]))).toBeUndefined()
})

test('a node is left when it has cost what leaving costs, and only if more is ahead', () => {
  expect(whenToLeave({ perSecond: 2, slowSeconds: 0, ahead: 1000, price: 100 })).toEqual({ inSeconds: 50 })
  expect(whenToLeave({ perSecond: 2, slowSeconds: 30, ahead: 1000, price: 100 })).toEqual({ inSeconds: 20 })
  expect(whenToLeave({ perSecond: 2, slowSeconds: 50, ahead: 101, price: 100 })).toEqual({ inSeconds: 0 })
  expect(whenToLeave({ perSecond: 2, slowSeconds: 500, ahead: 100, price: 100 })).toBe('does not pay')
  // However little that costs: a node that is closed stays so until somebody looks at it.
  expect(whenToLeave({ perSecond: 2, slowSeconds: 5, ahead: 1000, price: 1 })).toEqual({ inSeconds: 25 })
})
