import { expect, it } from 'vitest'
import { contestsOf, couldFit, isOverBelow } from './pool.ts'
import { queueNamed, type Spec } from './quota.fixture.ts'
import { QuotaTree } from './tree.ts'

/** What a request is about: the models it misses, and below whom they may be. */
function contests(queues: Record<string, Spec>, used: Record<string, [string, number]>, wants: Record<string, number>) {
  const tree = new QuotaTree()
  for (const [name, spec] of Object.entries(queues)) tree.set(queueNamed(name, spec))
  for (const model of ['H100', 'A100']) tree.setCapacity(model, 16_000)
  for (const [queue, [model, count]] of Object.entries(used)) tree.add(queue, model, 1000 * count)
  const milli = new Map(Object.entries(wants).map(([model, count]) => [model, 1000 * count]))
  const request = { gang: 'new', queue: 'q', priority: 0, createdAt: '', wants: milli }
  return contestsOf(tree, request).map(({ models, scope }) => `${models.join('+')} in ${scope.queue || 'the fleet'}`)
}

const cohort: Record<string, Spec> = {
  all: { nominalQuota: { H100: 8, A100: 8 } },
  q: { parent: 'all' },
  r: { parent: 'all' },
}

it('while its quota suffices a request contests all that it wants, in the whole fleet', () => {
  expect(contests(cohort, { r: ['H100', 4] }, { H100: 4, A100: 1 })).toEqual(['H100+A100 in the fleet'])
  expect(contests(cohort, { r: ['H100', 4] }, { H100: 4, A100: 0 }), 'it wants none').toEqual(['H100 in the fleet'])
})

it('what its quota lacks is contested first, among those who borrow from the same', () => {
  expect(contests(cohort, { r: ['H100', 5] }, { H100: 4, A100: 1 })).toEqual(['H100 in all', 'H100+A100 in the fleet'])
  expect(contests(cohort, { r: ['H100', 5] }, { H100: 4 })).toEqual(['H100 in all', 'H100 in the fleet'])
})

it('what the fleet lends is contested in the fleet once, unless only a part is missing', () => {
  const open: Record<string, Spec> = { other: { nominalQuota: { H100: 12 } }, q: {}, r: {} }
  expect(contests(open, { r: ['H100', 4] }, { H100: 1 })).toEqual(['H100 in the fleet'])
  const own = { q: { nominalQuota: { H100: 2, A100: 8 } }, r: {} }
  expect(contests(own, { q: ['H100', 2] }, { H100: 1, A100: 1 })).toEqual(['H100 in q', 'H100+A100 in the fleet'])
})

it('of what is lent by the fleet a part that is missing is contested first, all of it once', () => {
  const limited = { q: { borrowingLimit: { H100: 1 } }, other: { nominalQuota: { H100: 2 } }, r: {} }
  expect(contests(limited, { r: ['H100', 4] }, { H100: 2, A100: 1 })).toEqual([
    'H100 in the fleet',
    'H100+A100 in the fleet',
  ])
  expect(contests(limited, { r: ['H100', 4] }, { H100: 2 })).toEqual(['H100 in the fleet'])
})

it('who holds too much of one model gives nothing of another that is its own', () => {
  const tree = new QuotaTree()
  const quota = { nominalQuota: { H100: 2, A100: 2 } }
  for (const name of ['q', 'r']) tree.set(queueNamed(name, { parent: 'all', ...quota }))
  tree.set(queueNamed('all'))
  tree.add('r', 'H100', 3000)
  tree.add('r', 'A100', 2000)
  const plain = { uid: 'u', priority: 0, createdAt: '', sinceMs: 0, leaving: false, preemptible: true, price: 0 }
  const gives = (holds: Record<string, number>, above = tree.subtreeOf('all')) =>
    isOverBelow(tree.accountOf('r'), above, { key: 'g', queue: 'r', ...plain, holds: new Map(Object.entries(holds)) }, [
      'H100',
      'A100',
    ])
  expect([gives({ H100: 1000 }), gives({ A100: 1000 }), gives({ H100: 0, A100: 1000 })]).toEqual([true, false, false])
  expect(gives({ H100: 1000, A100: 1000 })).toBe(true)
  expect(gives({ A100: 1000 }, tree.accountOf('r')), 'nobody stands between').toBe(true)
})

it('a request could fit what would be its queue’s if nobody held anything', () => {
  const tree = new QuotaTree()
  tree.setCapacity('H100', 4000)
  tree.set(queueNamed('q', { nominalQuota: { H100: 2 } }))
  tree.set(queueNamed('open'))
  tree.add('q', 'H100', 2000)
  const could = (queue: string, milli: number) =>
    couldFit(tree, { gang: 'new', queue, priority: 0, createdAt: '', wants: new Map([['H100', milli]]) })
  expect([could('q', 2000), could('q', 2001), could('open', 9000)]).toEqual([true, false, true])
})
