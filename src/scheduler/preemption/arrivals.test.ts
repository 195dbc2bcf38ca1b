import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { queueNamed, type Spec } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { type Arrival, Arrivals, isWithinReach } from './arrivals.ts'

type Policy = NonNullable<Spec['preemption']>

/** Two queues that own 4 of each model; `q` is the one that waits. */
function reach(arrival: Partial<Arrival>, { policy = {}, held = {}, asks = 'H100' }: Told = {}): boolean {
  const preemption = { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any', minRunSeconds: 0, ...policy } as const
  const own = { parent: 'all', nominalQuota: { H100: 4, A100: 4 } }
  const tree = new QuotaTree()
  tree.set(queueNamed('all'))
  tree.set(queueNamed('q', { ...own, preemption }))
  tree.set(queueNamed('other', own))
  for (const [model, count] of Object.entries(held)) tree.add('other', model, 1000 * count)
  return isWithinReach(tree, waiting(asks), { queue: 'q', priority: 0, models: ['H100'], ...arrival })
}

interface Told {
  policy?: Partial<Policy>
  held?: Record<string, number>
  asks?: string
}

function waiting(model: string): Gang {
  return gangNamed('w', [groupOf(1, { accelerators: [{ model, count: 1 }] })], { queue: 'q', priority: 5 })
}

test('in its own queue a gang reaches those of lower priority, and equal ones where the queue says so', () => {
  expect(reach({ priority: 4 })).toBe(true)
  expect(reach({ priority: 5 })).toBe(false)
  const policy = { withinQueue: 'LowerOrNewerEqualPriority' } as const
  expect(reach({ priority: 5 }, { policy })).toBe(true)
  expect(reach({ priority: 6 }, { policy })).toBe(false)
  expect(reach({ priority: 4 }, { policy: { withinQueue: 'Never' } })).toBe(false)
})

test('of another queue it reaches whoever has come while that holds more than it owns', () => {
  const arrival = { queue: 'other', priority: 9 }
  expect(reach(arrival, { held: { H100: 5 } })).toBe(true)
  expect(reach(arrival, { held: { H100: 4 } })).toBe(false)
  expect(reach(arrival, { held: { H100: 5 }, policy: { reclaimWithinCohort: 'Never' } })).toBe(false)
})

test('only what it asks for counts, any GPU if it asks for that', () => {
  expect(reach({}, { asks: 'A100' })).toBe(false)
  expect(reach({}, { asks: 'gpu' })).toBe(true)
  const both = { queue: 'other', models: ['A100', 'H100'] }
  expect(reach(both, { held: { H100: 5 } })).toBe(true)
  expect(reach(both, { held: { A100: 5 } }), 'the other holds too much of something else').toBe(false)
})

test('who came is told since any moment, of those that are alike the last', () => {
  const arrivals = new Arrivals()
  const one: Arrival = { queue: 'q', priority: 0, models: ['H100'] }
  const came = (since: number) => {
    const found: string[] = []
    arrivals.someSince(since, ({ queue, priority, models }) => {
      found.push(`${queue} ${priority} ${models.join('+')}`)
      return false
    })
    return found
  }
  arrivals.note(one)
  arrivals.note({ ...one, queue: 'r' })
  arrivals.note({ ...one, priority: 1 })
  arrivals.note({ ...one, models: ['H100', 'A100'] })
  expect(arrivals.count).toBe(4)
  expect(came(0)).toEqual(['q 0 H100', 'r 0 H100', 'q 1 H100', 'q 0 H100+A100'])
  expect(came(2)).toEqual(['q 1 H100', 'q 0 H100+A100'])
  arrivals.note(one)
  expect(came(4)).toEqual(['q 0 H100'])
  expect(came(5)).toEqual([])
  expect(arrivals.someSince(3, ({ queue }) => queue === 'q')).toBe(true)
  expect(arrivals.someSince(3, ({ queue }) => queue === 'r')).toBe(false)
})
