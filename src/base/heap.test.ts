import { expect, test } from 'vitest'
import { Heap } from './heap.ts'
import { seededRandom } from './random.ts'

test('the least comes out first, equals in the order they went in', () => {
  const random = seededRandom(3)
  const items = Array.from({ length: 500 }, (_, order) => ({ rank: random.int(0, 40), order }))
  const heap = new Heap<{ rank: number; order: number }>((a, b) => a.rank - b.rank)
  for (const item of items) heap.push(item)
  const sorted = [...items].sort((a, b) => a.rank - b.rank || a.order - b.order)
  expect(heap.peek()).toBe(sorted[0])
  expect(Array.from({ length: 500 }, () => heap.pop())).toEqual(sorted)
  expect(heap.pop()).toBeUndefined()
})

test('what is retained comes out as it would have', () => {
  const random = seededRandom(4)
  const items = Array.from({ length: 500 }, (_, order) => ({ rank: random.int(0, 40), order }))
  const heap = new Heap<{ rank: number; order: number }>((a, b) => a.rank - b.rank)
  for (const item of items) heap.push(item)
  heap.retain(({ order }) => order % 3 === 0)
  const sorted = items.filter(({ order }) => order % 3 === 0).sort((a, b) => a.rank - b.rank || a.order - b.order)
  expect(Array.from({ length: heap.size }, () => heap.pop())).toEqual(sorted)
})
