import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { queueNamed, type Spec } from './quota.fixture.ts'
import { QuotaTree } from './tree.ts'

function treeOf(queues: Record<string, Spec>): QuotaTree {
  const tree = new QuotaTree()
  for (const [name, spec] of Object.entries(queues)) tree.set(queueNamed(name, spec))
  return tree
}

describe('the accounts of the queues', () => {
  it('lends what is not used and takes it back from what is available', () => {
    const tree = treeOf({
      all: { nominalQuota: { H100: 0 } },
      a: { parent: 'all', nominalQuota: { H100: 4 } },
      b: { parent: 'all', nominalQuota: { H100: 4 } },
    })
    tree.add('a', 'H100', 6000)
    expect(tree.available('a', 'H100')).toBe(2000)
    expect(tree.available('b', 'H100')).toBe(2000)
    expect(tree.nominalLeft('a', 'H100')).toBe(-2000)
    expect(tree.isBorrowing('a', ['H100'])).toBe(true)
    expect(tree.share('a')).toEqual({ perMille: 250, ratio: 250, model: 'H100' })
    tree.add('a', 'H100', -6000)
    expect(tree.available('b', 'H100')).toBe(8000)
  })

  it('lets what is not preemptible hold what its queue owns, and no more', () => {
    const tree = treeOf({
      all: {},
      a: { parent: 'all', nominalQuota: { H100: 4 } },
      b: { parent: 'all', nominalQuota: { A100: 1 } },
      other: {},
    })
    tree.setCapacity('H100', 10_000)
    expect(tree.firmLeft('a', 'H100')).toBe(4000)
    expect(tree.firmLeft('a', 'L40S'), 'nobody owns any').toBe(Number.POSITIVE_INFINITY)
    tree.addFirm('a', 'H100', 3000)
    expect(tree.firmLeft('a', 'H100')).toBe(1000)
    expect(tree.firmLeft('b', 'H100'), 'what no queue owns').toBe(6000)
    tree.addFirm('other', 'H100', 2000)
    expect(tree.firmLeft('b', 'H100'), 'it is for all who own none').toBe(4000)
    expect(tree.firmLimit('b', 'H100')).toBe(6000)
    tree.addFirm('gone', 'H100', 1000)
    expect(tree.firmLeft('b', 'H100'), 'also what a queue holds that is gone').toBe(3000)
  })

  it('gives what is not preemptible nothing of a tree that stands alone, but to its owners', () => {
    const tree = treeOf({ all: { nominalQuota: { H100: 4 } }, a: { parent: 'all' } })
    tree.setCapacity('H100', 10_000)
    expect(tree.firmLeft('all', 'H100')).toBe(4000)
    expect(tree.firmLeft('a', 'H100')).toBe(0)
  })

  it('knows for how long seats are kept from whom: the nearest Queue of both that says it', () => {
    const says = (minRunSeconds: number) => ({
      preemption: { withinQueue: 'Never', reclaimWithinCohort: 'Never', minRunSeconds } as const,
    })
    const tree = treeOf({
      all: says(60),
      a: { parent: 'all', ...says(10) },
      b: { parent: 'all' },
      c: { parent: 'b' },
      other: says(30),
    })
    expect(tree.minRunSeconds('a', 'a')).toBe(10)
    expect(tree.minRunSeconds('a', 'b')).toBe(60)
    expect(tree.minRunSeconds('c', 'c'), 'its own parents say it').toBe(60)
    expect(tree.minRunSeconds('all', 'a'), 'work in the parent itself').toBe(60)
    expect(tree.minRunSeconds('a', 'other'), 'nobody stands above both').toBe(0)
  })

  it('limits borrowing and lending', () => {
    const tree = treeOf({
      all: { nominalQuota: { H100: 0 } },
      a: { parent: 'all', nominalQuota: { H100: 4 }, borrowingLimit: { H100: 1 } },
      b: { parent: 'all', nominalQuota: { H100: 4 }, lendingLimit: { H100: 3 } },
    })
    expect(tree.available('a', 'H100')).toBe(5000)
    expect(tree.available('b', 'H100')).toBe(8000)
    tree.add('b', 'H100', 8000)
    expect(tree.available('a', 'H100')).toBe(0)
  })

  it('does not limit who has no quota, and measures his share by what the others leave of the fleet', () => {
    const tree = treeOf({ alone: { nominalQuota: { H100: 4 } }, a: {}, b: { weight: 2 } })
    tree.setCapacity('H100', 12_000)
    tree.add('a', 'H100', 4000)
    tree.add('b', 'H100', 4000)
    expect(tree.available('a', 'H100')).toBe(Number.POSITIVE_INFINITY)
    expect(tree.available('alone', 'H100')).toBe(4000)
    expect(tree.share('a').perMille).toBe(500)
    expect(tree.share('b').perMille).toBe(250)
  })

  it('a borrowing limit without a quota is a limit', () => {
    const tree = treeOf({ a: { borrowingLimit: { H100: 2 } } })
    tree.setCapacity('H100', 12_000)
    tree.add('a', 'H100', 1000)
    expect(tree.available('a', 'H100')).toBe(1000)
  })

  it('a Queue with children has its own quota for its own work, and lends it to them', () => {
    const tree = treeOf({ lab: { nominalQuota: { H100: 2 } }, a: { parent: 'lab', nominalQuota: { H100: 4 } } })
    tree.add('a', 'H100', 5000)
    expect(tree.available('lab', 'H100')).toBe(1000)
    expect(tree.nominalLeft('lab', 'H100')).toBe(2000)
    tree.add('lab', 'H100', 1000)
    expect(tree.available('a', 'H100')).toBe(0)
    expect(tree.isBorrowing('lab', ['H100'])).toBe(false)
    expect(tree.usage('lab', 'H100')).toBe(1000)
  })

  it('counts what is held in the name of a queue that does not exist yet', () => {
    const tree = new QuotaTree()
    tree.add('late', 'H100', 3000)
    expect(tree.available('late', 'H100')).toBe(Number.POSITIVE_INFINITY)
    tree.set(queueNamed('late', { nominalQuota: { H100: 2 } }))
    expect(tree.available('late', 'H100')).toBe(-1000)
    tree.remove('late')
    expect(tree.usage('late', 'H100')).toBe(3000)
  })

  it('who misses his parent, or is his own, stands without one and is told', () => {
    const tree = treeOf({
      orphan: { parent: 'nobody' },
      a: { parent: 'b' },
      b: { parent: 'a' },
      below: { parent: 'a' },
      self: { parent: 'self' },
    })
    expect(tree.problemOf('orphan')).toBe(
      'its parent nobody does not exist; it stands without one until queue nobody is there',
    )
    expect(tree.problemOf('a')).toContain('its parents form a cycle (a → b → a)')
    expect(tree.problemOf('self')).toContain('cycle (self → self)')
    expect(tree.problemOf('below')).toBeUndefined()
    expect(tree.ancestorsOf('below')).toEqual(['a'])
    expect(tree.ancestorsOf('a')).toEqual([])
    tree.set(queueNamed('b'))
    expect(tree.problemOf('a')).toBeUndefined()
    expect(tree.ancestorsOf('below')).toEqual(['a', 'b'])
  })

  it('ten thousand queues below each other are told, not followed', () => {
    const tree = new QuotaTree()
    for (let at = 0; at < 10_000; at++) tree.set(queueNamed(`q${at}`, at === 0 ? {} : { parent: `q${at - 1}` }))
    tree.add('q9999', 'H100', 1000)
    expect(tree.problemOf('q64')).toContain('nested more than 64 deep')
    expect(tree.available('q9999', 'H100')).toBe(Number.POSITIVE_INFINITY)
  })

  it('says the same after any history as a tree that was told only how things are', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const model = fc.constantFrom('H100', 'T4')
    const counts = fc.dictionary(model, fc.integer({ min: 0, max: 9 }))
    const spec = fc.record(
      {
        parent: name,
        nominalQuota: counts,
        borrowingLimit: counts,
        lendingLimit: counts,
        weight: fc.integer({ min: 0, max: 3 }),
      },
      { requiredKeys: ['weight'] },
    )
    const step = fc.oneof(
      fc.record({ does: fc.constant('set' as const), name, spec }),
      fc.record({ does: fc.constant('remove' as const), name }),
      fc.record({ does: fc.constant('add' as const), name, model, milli: fc.integer({ min: -3000, max: 9000 }) }),
      fc.record({ does: fc.constant('capacity' as const), model, milli: fc.integer({ min: 0, max: 50_000 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const tree = new QuotaTree()
        const queues = new Map<string, Spec>()
        const used = new Map<string, number>()
        const capacity = new Map<string, number>()
        for (const one of steps) {
          if (one.does === 'set') {
            const { parent, ...rest } = one.spec
            queues.set(one.name, parent === undefined ? rest : one.spec)
            tree.set(queueNamed(one.name, queues.get(one.name)))
          } else if (one.does === 'remove') {
            queues.delete(one.name)
            tree.remove(one.name)
          } else if (one.does === 'capacity') {
            capacity.set(one.model, one.milli)
            tree.setCapacity(one.model, one.milli)
          } else {
            const key = `${one.name} ${one.model}`
            const before = used.get(key) ?? 0
            const milli = Math.max(-before, one.milli)
            used.set(key, before + milli)
            tree.add(one.name, one.model, milli)
          }
          tree.share(one.does === 'capacity' ? 'a' : one.name)
        }
        const fresh = new QuotaTree()
        for (const [queue, own] of queues) fresh.set(queueNamed(queue, own))
        for (const [of, milli] of capacity) fresh.setCapacity(of, milli)
        for (const [key, milli] of used) {
          const [queue = '', of = ''] = key.split(' ')
          fresh.add(queue, of, milli)
        }
        for (const queue of ['a', 'b', 'c', 'd', 'e']) {
          for (const of of ['H100', 'T4']) expect(tree.available(queue, of)).toBe(fresh.available(queue, of))
          expect(tree.share(queue)).toEqual(fresh.share(queue))
        }
      }),
      { numRuns: 300 },
    )
  })
})
