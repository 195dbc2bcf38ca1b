import { describe, expect, test } from 'vitest'
import type { Gang } from '../model/kinds/gang.ts'
import { label } from '../model/names.ts'
import type { Verdict, Victim } from './contract.ts'
import { gangNamed, groupOf } from './gang.fixture.ts'
import {
  hasLeft,
  isElastic,
  isEnough,
  isReplica,
  keptBy,
  movesTo,
  newState,
  nextOf,
  noFewerThanBefore,
  noMoreThanHeld,
  podsOf,
  victimsOf,
  wantsOf,
} from './gangs.ts'

type Status = NonNullable<Gang['status']>
type Seat = NonNullable<Status['seats']>['members'][number]

const at = '2026-01-01T00:00:00.000Z'

const seat = (rank: number, group = 'worker'): Seat => {
  return { pod: `p${rank}`, group, rank, localRank: rank, node: 'a', devices: [], ports: [] }
}
const seatsOf = (attempt: number, members = [seat(0), seat(1)]) => {
  return { attempt, epoch: 1, at, masterAddr: '', masterPort: 1, members }
}
const holdOf = (attempt: number, members = [seat(0), seat(1)], victims: Victim[] = []) => {
  return { attempt, epoch: 1, at, members, victims }
}
const evictionOf = (attempt: number, shrinks?: boolean): NonNullable<Status['eviction']> => {
  return { attempt, by: 'x', reason: 'InQueue', message: '', at, ...(shrinks === undefined ? {} : { shrinks }) }
}

/** In its second attempt. */
function told(status: Partial<Status>, spec: Partial<Gang['spec']> = {}, groups = [groupOf(1, { max: 4 })]): Gang {
  return { ...gangNamed('g', groups, { attempt: 2, ...spec }), status: { conditions: [], checkpoints: [], ...status } }
}

describe('what a gang keeps', () => {
  const ranks = (gang: Gang) => keptBy(gang)?.members.map(({ rank }) => rank)

  test('what is held for its attempt, else its seats, void or not', () => {
    expect(keptBy(told({}))).toBeUndefined()
    const hold = holdOf(2, [seat(7)])
    expect(ranks(told({ hold }))).toEqual([7])
    expect(ranks(told({ hold, seats: seatsOf(2) }))).toEqual([7])
    expect(ranks(told({ hold: holdOf(3), seats: seatsOf(2, [seat(5)]) }))).toEqual([5])
    expect(ranks(told({ seats: seatsOf(1, [seat(4)]) }))).toEqual([4])
  })

  test('nothing of what it was asked to leave once it wants other seats, unless it shrinks', () => {
    expect(ranks(told({ seats: seatsOf(2), eviction: evictionOf(2) })), 'it has not left yet').toEqual([0, 1])
    expect(ranks(told({ seats: seatsOf(1), eviction: evictionOf(1) }))).toBeUndefined()
    expect(ranks(told({ seats: seatsOf(1), eviction: evictionOf(1, false) }))).toBeUndefined()
    expect(ranks(told({ seats: seatsOf(1), eviction: evictionOf(1, true) }))).toEqual([0, 1])
    expect(hasLeft(told({ seats: seatsOf(1), eviction: evictionOf(1, true) }))).toBe(true)
    expect(hasLeft(told({ seats: seatsOf(1) }))).toBe(false)
    expect(hasLeft(told({ seats: seatsOf(2), eviction: evictionOf(2) }))).toBe(false)
    expect(hasLeft(told({ seats: seatsOf(1), eviction: evictionOf(7) }))).toBe(false)
    expect(hasLeft(told({ eviction: evictionOf(1) }))).toBe(false)
  })

  test('what it grows into beside its seats, as long as these are the ones that it grows from', () => {
    const resize = { epoch: 1, at, members: [seat(9)], priceSeconds: 0, gainSeconds: 0, message: '' }
    expect(ranks(told({ seats: seatsOf(2), resize: { ...resize, attempt: 2 } }))).toEqual([0, 1, 9])
    expect(ranks(told({ seats: seatsOf(1), resize: { ...resize, attempt: 1 } }))).toEqual([0, 1, 9])
    expect(ranks(told({ seats: seatsOf(2), resize: { ...resize, attempt: 1 } }))).toEqual([0, 1])
  })

  test('where it moves, while it still sits', () => {
    const hold = holdOf(3)
    expect(movesTo(told({ seats: seatsOf(2), hold }))).toBe(hold)
    expect(movesTo(told({ seats: seatsOf(1), hold }))).toBeUndefined()
    expect(movesTo(told({ hold }))).toBeUndefined()
    expect(movesTo(told({ seats: seatsOf(2), hold: holdOf(2) }))).toBeUndefined()
    expect(movesTo(told({ seats: seatsOf(2) }))).toBeUndefined()
    expect(nextOf(told({})).spec.attempt).toBe(3)
  })
})

describe('how many members it may have', () => {
  const sizes = (gang: Gang | undefined) => gang?.spec.groups.map(({ min, max }) => `${min}-${max}`)
  const two = [groupOf(1, { name: 'x', max: 4 }), groupOf(2, { name: 'y', max: 2 })]

  test('it is elastic if one of its groups is', () => {
    expect([isElastic(gangNamed('g', two)), isElastic(gangNamed('g', two.slice(1)))]).toEqual([true, false])
  })

  test('every group needs its fewest', () => {
    const gang = gangNamed('g', two)
    expect(isEnough(gang, [seat(0, 'x'), seat(1, 'y'), seat(2, 'y')])).toBe(true)
    expect(isEnough(gang, [seat(0, 'x'), seat(1, 'x'), seat(2, 'y')])).toBe(false)
    expect(isEnough(gang, [seat(1, 'y'), seat(2, 'y')])).toBe(false)
  })

  test('no fewer than it had in an earlier attempt, within what it may have by now', () => {
    const had = (x: number, y: number) => [
      ...Array.from({ length: x }, (_, at) => seat(at, 'x')),
      ...Array.from({ length: y }, (_, at) => seat(at, 'y')),
    ]
    const kept = (members: Seat[], attempt = 1, groups = two) =>
      sizes(noFewerThanBefore(told({ seats: seatsOf(attempt, members) }, {}, groups)))
    expect(kept(had(3, 2))).toEqual(['3-4', '2-2'])
    expect(kept(had(6, 1))).toEqual(['4-4', '2-2'])
    expect(kept(had(0, 2))).toEqual(['1-4', '2-2'])
    expect(kept(had(3, 2), 2), 'these are its seats').toBeUndefined()
    expect(kept(had(0, 2), 1, two.slice(1)), 'it is not elastic').toBeUndefined()
    expect(noFewerThanBefore(told({}))).toBeUndefined()
  })

  test('no more than are held for it, but its fewest', () => {
    const held = (hold: Status['hold'], groups = two) =>
      sizes(noMoreThanHeld(told(hold === undefined ? {} : { hold }, {}, groups)))
    expect(held(holdOf(2, [seat(0, 'x'), seat(1, 'x'), seat(2, 'y'), seat(3, 'y')]))).toEqual(['1-2', '2-2'])
    expect(held(holdOf(2, []))).toEqual(['1-1', '2-2'])
    expect(held(holdOf(1, [seat(0, 'x')])), 'of an earlier attempt').toEqual(['1-4', '2-2'])
    expect(held(undefined)).toEqual(['1-4', '2-2'])
    const fixed = told({ hold: holdOf(2, []) }, {}, two.slice(1))
    expect(noMoreThanHeld(fixed)).toBe(fixed)
  })

  test('what its fewest members hold of what they prefer, by model', () => {
    const some = (model: string, count: number) => [
      { model, count },
      { model: 'L40S', count: 9 },
    ]
    const groups = [
      groupOf(2, { max: 8, accelerators: some('H100', 0.5) }),
      groupOf(3, { accelerators: some('A100', 2) }),
      groupOf(1, { accelerators: some('H100', 1) }),
    ]
    expect([...wantsOf(gangNamed('g', groups))]).toEqual([
      ['H100', 2000],
      ['A100', 6000],
    ])
  })
})

test('a replica is one of a service', () => {
  const gang = gangNamed('g', [])
  expect(isReplica(gang)).toBe(false)
  expect(isReplica({ ...gang, metadata: { ...gang.metadata, labels: { [label.service]: 'chat' } } })).toBe(true)
})

test('its pods are those of its seats and those that live, each once', () => {
  const state = { ...newState('ns/g', gangNamed('g', [])), seatPods: ['a', 'b'] }
  expect([...podsOf(state, new Set())]).toEqual(['a', 'b'])
  expect([...podsOf(state, new Set(['b', 'c']))]).toEqual(['a', 'b', 'c'])
})

test('who is to leave for it: as decided until it is known what came of that, else as committed for this attempt', () => {
  const victim = (gang: string): Victim => ({ gang, uid: 'u', attempt: 1, reason: 'InQueue', lostSeconds: 0 })
  const about = { gang: 'ns/g', resourceVersion: '1', attempt: 2 }
  const seats = { attempt: 2, masterAddr: '', masterPort: 1, members: [] }
  const preempt: Verdict = { kind: 'preempt', ...about, seats, victims: [victim('new')] }
  const bind: Verdict = { kind: 'bind', ...about, seats }
  const wait: Verdict = { kind: 'wait', ...about, reason: '', message: '' }
  const who = (verdict: Verdict | undefined, attempt = 2) => {
    const state = newState('ns/g', told({ hold: holdOf(attempt, [], [victim('old')]) }))
    if (verdict !== undefined) state.inFlight = { verdict }
    return victimsOf(state).map(({ gang }) => gang)
  }
  expect([who(undefined), who(undefined, 1), who(wait)]).toEqual([['old'], [], ['old']])
  expect([who(preempt), who(bind)]).toEqual([['new'], []])
  expect(victimsOf(newState('ns/g', gangNamed('g', [])))).toEqual([])
})
