import { expect, test } from 'vitest'
import type { Gang } from './kinds/gang.ts'
import { withoutLeft } from './seats.ts'

const metadata = { name: 'g', namespace: 'default' }

/** A gang of three that sits; these have left. */
function gang(left?: readonly string[]): Gang {
  const members = ['a', 'b', 'c'].map((pod, rank) => {
    return { pod, group: 'worker', rank, localRank: 0, node: 'n', devices: [], ports: [] }
  })
  const seats = { attempt: 1, epoch: 1, at: '2026-01-01T00:00:00Z', masterAddr: '', masterPort: 1, members }
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata,
    spec: {
      attempt: 1,
      queue: 'default',
      priority: 0,
      preemptible: true,
      suspend: false,
      groups: [],
      ...(left === undefined ? {} : { left: [...left] }),
    },
    status: { conditions: [], checkpoints: [], restartSeconds: 5, seats },
  }
}

const seated = (one: Gang) => withoutLeft(one).status?.seats?.members.map(({ pod, rank }) => `${pod}${rank}`)

test('the seats of members that have left are void; the others keep theirs', () => {
  const one = gang(['b', 'of an earlier attempt'])
  expect(seated(one)).toEqual(['a0', 'c2'])
  const { members: _, ...seats } = one.status?.seats ?? { members: [] }
  expect(withoutLeft(one)).toMatchObject({ metadata, spec: one.spec, status: { restartSeconds: 5, seats } })
  expect(one.status?.seats?.members, 'what was given is left as it was').toHaveLength(3)
})

test('where nobody sits who has left it is the same object', () => {
  const { status: _, ...without } = gang(['a'])
  for (const one of [gang(), gang([]), gang(['d']), without]) expect(withoutLeft(one)).toBe(one)
})

test('of the same gang it is always the same object', () => {
  const one = gang(['a'])
  expect(withoutLeft(one)).toBe(withoutLeft(one))
  expect(seated({ ...one, spec: { ...one.spec, left: ['a', 'b'] } })).toEqual(['c2'])
})
