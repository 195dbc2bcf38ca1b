import { describe, expect, test } from 'vitest'
import { compareShares, noShare } from './account.ts'
import { queueNamed, type Spec } from './quota.fixture.ts'
import { QuotaTree } from './tree.ts'

function treeOf(queues: Record<string, Spec>, capacity: Record<string, number> = {}): QuotaTree {
  const tree = new QuotaTree()
  for (const [name, spec] of Object.entries(queues)) tree.set(queueNamed(name, spec))
  for (const [model, count] of Object.entries(capacity)) tree.setCapacity(model, count * 1000)
  return tree
}

const of = (H100: number) => ({ H100 })
const root = { nominalQuota: of(0) }

describe('what a queue may hold', () => {
  test('is its own, and what it may borrow of what others lend and do not use', () => {
    const tree = treeOf({
      all: root,
      a: { parent: 'all', nominalQuota: of(4), lendingLimit: of(1) },
      b: { parent: 'all', nominalQuota: of(4), borrowingLimit: of(2) },
      c: { parent: 'all' },
    })
    const available = () => ['a', 'b', 'c'].map((queue) => tree.available(queue, 'H100') / 1000)
    expect(available()).toEqual([8, 5, 5])
    tree.add('a', 'H100', 2000) // of what it does not lend
    expect(available()).toEqual([6, 5, 5])
    tree.add('a', 'H100', 2000) // the last of it is what it would have lent
    expect(available()).toEqual([4, 4, 4])
    tree.add('c', 'H100', 3000)
    expect(available()).toEqual([1, 1, 1])
    tree.add('c', 'H100', 2000) // beyond what anybody has
    expect(available()).toEqual([-1, -1, -1])
    tree.add('c', 'H100', -5000)
    tree.add('a', 'H100', -4000)
    expect(available()).toEqual([8, 5, 5])
  })

  test('is what it owns where it stands alone, and lends to nobody', () => {
    const tree = treeOf({ alone: { nominalQuota: of(4) }, open: {} }, { H100: 8 })
    expect(tree.available('alone', 'H100')).toBe(4000)
    tree.add('alone', 'H100', 5000)
    expect(tree.available('alone', 'H100')).toBe(-1000)
    expect(tree.share('alone')).toEqual(noShare)
    expect(tree.isBorrowing('alone', ['H100'])).toBe(true)
    expect(tree.available('open', 'H100')).toBe(Number.POSITIVE_INFINITY)
    // For a model that it says nothing of it borrows of the fleet.
    expect(tree.available('alone', 'T4')).toBe(Number.POSITIVE_INFINITY)
  })

  test('is limited on each level of the tree', () => {
    const tree = treeOf({
      all: root,
      x: { parent: 'all', borrowingLimit: of(1) },
      x1: { parent: 'x', nominalQuota: of(2) },
      x2: { parent: 'x', nominalQuota: of(1), lendingLimit: of(0) },
      y: { parent: 'all', nominalQuota: of(9) },
    })
    expect(tree.available('x1', 'H100')).toBe(3000)
    expect(tree.available('x2', 'H100')).toBe(4000)
    tree.add('x2', 'H100', 2000)
    expect(tree.available('x1', 'H100')).toBe(2000)
    expect(tree.nominalLeft('x2', 'H100')).toBe(-1000)
    expect(tree.isBorrowing('x2', ['T4', 'H100'])).toBe(true)
    expect(tree.isBorrowing('x1', ['H100'])).toBe(false)
    expect(tree.isBorrowing('x1', ['H100'], new Map([['H100', 2000]]))).toBe(false)
    expect(tree.isBorrowing('x1', ['H100'], new Map([['H100', 2001]]))).toBe(true)
    expect(tree.fits('x1', new Map([['H100', 2000]]))).toBe(true)
    expect(tree.fits('x1', new Map([['H100', 2001]]))).toBe(false)
  })
})

describe('a share', () => {
  test('is what is borrowed, of what could be lent, by weight; of several models the largest', () => {
    const tree = treeOf({
      all: { nominalQuota: { H100: 4, T4: 8 } },
      a: { parent: 'all', nominalQuota: { H100: 4 }, weight: 2 },
      b: { parent: 'all' },
    })
    tree.add('a', 'H100', 4000)
    expect(tree.share('a')).toEqual(noShare)
    tree.add('a', 'H100', 1000)
    expect(tree.share('a')).toEqual({ perMille: 62.5, ratio: 125, model: 'H100' })
    tree.add('a', 'T4', 2000)
    expect(tree.share('a')).toEqual({ perMille: 125, ratio: 250, model: 'T4' })
    expect(tree.share('a', new Map([['H100', 1000]]))).toEqual({ perMille: 125, ratio: 250, model: 'H100' })
    expect(tree.share('b', new Map([['T4', 800]]))).toEqual({ perMille: 100, ratio: 100, model: 'T4' })
    expect(tree.share('b', new Map([['new', 800]])).model).toBe('new')
    expect(tree.share('b')).toEqual(noShare)
  })

  test('of models that are one resource is of their sum', () => {
    const tree = new QuotaTree((model) => (model.startsWith('H') ? 'hopper' : model))
    tree.set(queueNamed('all', { nominalQuota: { H100: 4, H200: 4 } }))
    tree.set(queueNamed('a', { parent: 'all' }))
    tree.add('a', 'H100', 1000)
    tree.add('a', 'H200', 1000)
    expect(tree.share('a')).toEqual({ perMille: 250, ratio: 250, model: 'hopper' })
  })

  test('at weight 0 is infinite, and two such are compared before the weight', () => {
    const tree = treeOf({
      all: { nominalQuota: of(10) },
      a: { parent: 'all', weight: 0 },
      b: { parent: 'all', weight: 0 },
    })
    tree.add('a', 'H100', 1000)
    tree.add('b', 'H100', 2000)
    const [a, b] = [tree.share('a'), tree.share('b')]
    expect(a).toEqual({ perMille: Number.POSITIVE_INFINITY, ratio: 100, model: 'H100' })
    expect(compareShares(a, b)).toBeLessThan(0)
    expect(compareShares(b, a)).toBeGreaterThan(0)
    expect(compareShares(a, a)).toBe(0)
    expect(compareShares(noShare, a)).toBe(-1)
    expect(compareShares(a, noShare)).toBe(1)
    expect(compareShares({ ...noShare, ratio: 5 }, noShare)).toBe(0)
  })

  test('of what nobody has any more is great', () => {
    const tree = treeOf({ a: {} })
    tree.add('a', 'H100', 1000)
    expect(tree.share('a').ratio).toBe(1_000_000)
  })
})

test('what a tree says of its queues', () => {
  const tree = treeOf({
    top: { fairSharing: false },
    mid: { parent: 'top', fairSharing: true },
    low: { parent: 'mid', preemption: { withinQueue: 'Never', reclaimWithinCohort: 'LowerPriority' } },
    other: {},
  })
  expect(tree.ancestorsOf('low')).toEqual(['mid', 'top'])
  expect(['low', 'mid', 'top', 'other', 'unknown'].map((queue) => tree.isFair(queue))).toEqual([
    false,
    false,
    false,
    true,
    true,
  ])
  expect(tree.policyOf('low').withinQueue).toBe('Never')
  expect(tree.policyOf('other')).toMatchObject({ withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any' })
  tree.set(queueNamed('top', { fairSharing: true }))
  expect(tree.isFair('low')).toBe(true)
  tree.set(queueNamed('mid', { weight: 3 }))
  expect(tree.ancestorsOf('low')).toEqual(['mid'])
})
