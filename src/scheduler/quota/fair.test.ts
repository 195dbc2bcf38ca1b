import { expect, it } from 'vitest'
import type { Spec } from './quota.fixture.ts'
import { type Held, many, World } from './world.fixture.ts'

/** All of 8, owned by nobody but the top, is shared by weight. */
const shared: Record<string, Spec> = {
  all: { nominalQuota: { H100: 8 } },
  a: { parent: 'all' },
  b: { parent: 'all' },
  group: { parent: 'all' },
  leaf: { parent: 'group' },
}

it('whoever has the largest share loses first, as long as his stays no smaller', () => {
  const held = [...many(5, 'b'), ...many(3, 'leaf')]
  const world = new World(8, shared, held)
  expect(world.victims('a', 1)).toEqual(['b4 InCohortFairSharing'])
  expect(world.victims('a', 2)).toEqual(['b4 InCohortFairSharing', 'b3 InCohortFairSharing'])
  expect(world.victims('a', 4), 'then it would have the largest').toBeUndefined()
})

it('of equal shares a group of queues loses before a queue, and of queues who is first asked to leave', () => {
  const held = (queue: string, other: string): Held[] => [
    { key: 'x', queue, gpus: 4, price: 6000 },
    { key: 'y', queue: other, gpus: 4 },
  ]
  expect(new World(8, shared, held('leaf', 'b')).victims('a', 1)).toEqual(['x InCohortFairSharing'])
  expect(new World(8, shared, held('b', 'leaf')).victims('a', 1)).toEqual(['y InCohortFairSharing'])
  const plain = { ...shared, c: { parent: 'all' } }
  expect(new World(8, plain, held('b', 'c')).victims('a', 1)).toEqual(['y InCohortFairSharing'])
  expect(new World(8, plain, held('c', 'b')).victims('a', 1)).toEqual(['y InCohortFairSharing'])
})

it('a large gang goes if its queue’s share was larger, though it will be smaller', () => {
  const world = new World(8, shared, [{ key: 'large', queue: 'b', gpus: 8 }])
  expect(world.victims('a', 3)).toEqual(['large InCohortFairSharing'])
  expect(world.victims('a', 8), 'a would have as large a share: it could be answered in kind').toBeUndefined()
})

it('who leaves already is taken whatever the shares say, and counts for nobody', () => {
  const held: Held[] = [
    { key: 'stays', queue: 'b', gpus: 4 },
    { key: 'goes', queue: 'b', gpus: 4, leaving: true },
  ]
  expect(new World(8, shared, held).victims('a', 2)).toEqual(['goes InCohortFairSharing'])
})

it('its own are taken by priority, whatever the shares say', () => {
  const held: Held[] = [
    { key: 'own', queue: 'a', gpus: 4, priority: -1 },
    { key: 'other', queue: 'b', gpus: 4, priority: -2 },
  ]
  expect(new World(8, shared, held).victims('a', 2)).toEqual(['own InQueue'])
})

it('who borrows nothing loses nothing', () => {
  const owned: Record<string, Spec> = { ...shared, b: { parent: 'all', nominalQuota: { H100: 6 } } }
  const world = new World(14, owned, [...many(6, 'b'), ...many(8, 'leaf')])
  expect(world.victims('a', 2)?.every((line) => line.startsWith('leaf'))).toBe(true)
})
