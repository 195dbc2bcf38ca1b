import { expect, test } from 'vitest'
import { lemonScore, type NodeFailure, withFailure } from './lemons.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const failedAt = (...failures: [gang: string, atMs: number][]) =>
  failures.reduce<readonly NodeFailure[]>(
    (before, [gang, atMs]) => withFailure(before, { gang, atMs, kind: 'lost' }),
    [],
  )
const isLemon = (failures: readonly NodeFailure[], nowMs: number) => lemonScore(failures, nowMs).isLemon

test('five failures in seven days make a lemon', () => {
  const failures = failedAt(['a', 0], ['b', hourMs], ['c', dayMs], ['d', 2 * dayMs], ['e', 6 * dayMs])
  expect(isLemon(failures, 6 * dayMs)).toBe(true)
  expect(isLemon(failures, 7 * dayMs)).toBe(false)
  expect(isLemon(failures.slice(1), 6 * dayMs)).toBe(false)
})

test('what fails wherever it runs makes no lemon of its nodes', () => {
  const failures = failedAt(['a', 0], ['a', hourMs], ['a', 2 * hourMs], ['a', 3 * hourMs], ['a', 4 * hourMs])
  expect(failures.length).toBe(2)
})

test('a node that takes eight gangs along has failed once', () => {
  const gangs = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  expect(failedAt(...gangs.map((gang, index): [string, number] => [gang, 100 * index])).length).toBe(1)
})

test('failures of more than seven days ago are forgotten', () => {
  expect(failedAt(['a', 0], ['b', 8 * dayMs])).toEqual([{ gang: 'b', atMs: 8 * dayMs, kind: 'lost' }])
})

test('what happened to no gang counts as well, and what comes together once', () => {
  const failures = [...failedAt(['a', 0], ['b', hourMs]), { gang: 'c', atMs: dayMs, kind: 'gpu', alone: true }]
  const closed = withFailure(failures, { gang: '', atMs: dayMs + 5_000, kind: 'xid' })
  expect(closed).toBe(failures)
  expect(lemonScore(failures, dayMs)).toEqual({
    points: 3,
    isLemon: false,
    isNear: true,
    said: '3 of 5 points within 7d: 1 failed alone, 2 failed among others',
  })
  const more = [2, 3].reduce<readonly NodeFailure[]>(
    (before, day) => withFailure(before, { gang: '', atMs: day * dayMs, kind: day === 2 ? 'xid' : 'closed' }),
    failures,
  )
  expect(lemonScore(more, 3 * dayMs)).toMatchObject({ points: 5, isLemon: true })
  expect(lemonScore(failures.slice(1), dayMs).isNear).toBe(false)
})
