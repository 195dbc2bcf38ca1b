import { expect, test } from 'vitest'
import { queueNamed, type Spec } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { fairShares } from './fair-shares.ts'

function shares(
  queues: Record<string, Spec>,
  wanted: Record<string, number>,
  capacity: number,
): Record<string, number> {
  const tree = new QuotaTree()
  for (const [name, spec] of Object.entries(queues)) tree.set(queueNamed(name, spec))
  tree.setCapacity('H100', capacity * 1000)
  const milli = Object.entries(wanted).map(([queue, count]) => ({ queue, milli: count * 1000 }))
  const held = fairShares(tree, 'H100', milli, capacity * 1000)
  return Object.fromEntries([...held].map(([queue, amount]) => [queue, amount / 1000]))
}

test('everybody gets its own first, and what is over goes by weight', () => {
  const queues = {
    all: { nominalQuota: { H100: 0 } },
    a: { parent: 'all', nominalQuota: { H100: 4 } },
    b: { parent: 'all', nominalQuota: { H100: 4 }, weight: 3 },
    idle: { parent: 'all', nominalQuota: { H100: 8 } },
  }
  expect(shares(queues, { a: 20, b: 20 }, 16)).toEqual({ a: 6, b: 10 })
  expect(shares(queues, { a: 20, b: 5 }, 16)).toEqual({ a: 11, b: 5 })
})

test('limits and lenders hold', () => {
  const queues = {
    all: { nominalQuota: { H100: 0 } },
    a: { parent: 'all', nominalQuota: { H100: 2 }, borrowingLimit: { H100: 1 } },
    b: { parent: 'all', nominalQuota: { H100: 8 }, lendingLimit: { H100: 3 } },
    c: { parent: 'all' },
    alone: { nominalQuota: { H100: 3 } },
  }
  expect(shares(queues, { a: 9, c: 9, alone: 9 }, 13)).toEqual({ a: 3, c: 2, alone: 3 })
})

test('shares are those of whole branches', () => {
  const queues = {
    all: { nominalQuota: { H100: 8 } },
    x: { parent: 'all' },
    y: { parent: 'all' },
    x1: { parent: 'x' },
    x2: { parent: 'x' },
  }
  expect(shares(queues, { x1: 8, x2: 8, y: 8 }, 8)).toEqual({ x1: 2, x2: 2, y: 4 })
})

test('queues without any quota share the fleet', () => {
  expect(shares({ a: {}, b: { weight: 3 } }, { a: 20, b: 20 }, 16)).toEqual({ a: 4, b: 12 })
})

test('many accelerators are handed out as evenly as few', () => {
  const queues = { a: {}, b: {}, c: { weight: 3 } }
  expect(shares(queues, { a: 50_000, b: 50_000, c: 50_000 }, 50_000)).toEqual({ a: 10_000, b: 10_000, c: 30_000 })
})
