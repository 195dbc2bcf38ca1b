import { expect, test } from 'vitest'
import { divergenceAfter, suspectsOf, type Told } from './divergence.ts'
import { recoveryOf } from './record.ts'

const member = (node: string, isSpike: boolean, step?: number): Told => ({ node, step, isSpike })
const hourMs = 3_600_000
const before = (spikesMs: number[], suspects: string[]) => ({ ...recoveryOf(undefined), spikesMs, suspects })

test('all may be to blame but those that told the step with a loss as usual', () => {
  expect(suspectsOf([member('a', true, 9), member('b', true, 9)], 7)).toEqual(['a', 'b'])
  expect(suspectsOf([member('a', true, 9), member('b', false, 8)], 7)).toEqual(['a'])
  // It tells nothing, or has not come to that step.
  expect(suspectsOf([member('a', true, 9), member('b', false), member('c', false, 6)], 7)).toEqual(['a', 'b', 'c'])
  // Of two ranks on a node one told it.
  expect(suspectsOf([member('a', true, 9), member('a', false, 9), member('b', false, 9)], 7)).toEqual(['a'])
})

test('the first time nobody is blamed, the second time who was there both times, if it is one', () => {
  expect(divergenceAfter(before([], []), ['a'], 0)).toEqual({
    record: { spikesMs: [0], suspects: ['a'] },
    isJobs: false,
  })
  expect(divergenceAfter(before([0], ['a', 'b']), ['b', 'c'], hourMs)).toMatchObject({ blamed: 'b', isJobs: false })
  const two = divergenceAfter(before([0], ['a', 'b', 'c']), ['b', 'c', 'd'], hourMs)
  expect(two).toEqual({ record: { spikesMs: [0, hourMs], suspects: ['b', 'c'] }, isJobs: false })
  expect(divergenceAfter(before([0], ['a']), ['b'], hourMs).record.suspects).toEqual(['b'])
})

test('a third time within a day it is the job', () => {
  expect(divergenceAfter(before([0, hourMs], ['a']), ['a'], 2 * hourMs)).toMatchObject({ isJobs: true })
  expect(divergenceAfter(before([0, hourMs], ['a']), ['a'], 2 * hourMs)).not.toHaveProperty('blamed')
  expect(divergenceAfter(before([0, hourMs], ['a']), ['a'], 25.5 * hourMs)).toMatchObject({
    isJobs: false,
    blamed: 'a',
  })
})
