import { describe, expect, test } from 'vitest'
import { type Candidate, candidateOrder, holdsAny, isAllowed, isPast, type Request } from './candidates.ts'

const candidate = (more: Partial<Candidate> = {}): Candidate => ({
  key: 'default/held',
  uid: 'u',
  queue: 'q',
  priority: 0,
  createdAt: '2026-01-01T00:00:00Z',
  sinceMs: 0,
  leaving: false,
  preemptible: true,
  holds: new Map([['H100', 1000]]),
  price: 0,
  ...more,
})

const request = (more: Partial<Request> = {}): Request => ({
  gang: 'default/new',
  queue: 'q',
  priority: 1,
  createdAt: '2026-01-01T00:00:01Z',
  wants: new Map([['H100', 1000]]),
  ...more,
})

type Policy = Parameters<typeof isAllowed>[0]

describe('whom a policy lets a request displace', () => {
  const older = { createdAt: '2026-01-01T00:00:00Z' }
  const younger = { createdAt: '2026-01-01T00:00:02Z' }
  test.each<[Policy, number, object, boolean, boolean]>([
    ['Never', 0, older, false, true],
    ['Any', 0, older, true, false],
    ['Any', 1, older, true, false],
    ['Any', 2, older, true, false],
    ['LowerPriority', 0, older, true, false],
    ['LowerPriority', 1, younger, false, true],
    ['LowerPriority', 2, younger, false, true],
    ['LowerOrNewerEqualPriority', 0, older, true, false],
    ['LowerOrNewerEqualPriority', 1, older, false, false],
    ['LowerOrNewerEqualPriority', 1, younger, true, false],
    ['LowerOrNewerEqualPriority', 1, { createdAt: request().createdAt }, false, false],
    ['LowerOrNewerEqualPriority', 2, younger, false, true],
  ])('%s, of priority %i against 1, %j: %s; nobody after it either: %s', (policy, priority, age, allowed, past) => {
    const one = candidate({ priority, ...age })
    expect(isAllowed(policy, request(), one)).toBe(allowed)
    expect(isPast(policy, request(), one)).toBe(past)
  })

  test('those who leave already come first whatever their priority, so nothing is known of those after them', () => {
    expect(isPast('LowerPriority', request(), candidate({ priority: 9, leaving: true }))).toBe(false)
    expect(isPast('LowerOrNewerEqualPriority', request(), candidate({ priority: 9, leaving: true }))).toBe(false)
    expect(isPast('Never', request(), candidate({ leaving: true }))).toBe(true)
  })
})

test('candidates hold something of what is contested, or they are none', () => {
  const holds = new Map([
    ['H100', 1000],
    ['T4', 0],
  ])
  expect(holdsAny(candidate({ holds }), ['T4', 'H100'])).toBe(true)
  expect(holdsAny(candidate({ holds }), ['T4', 'A100'])).toBe(false)
  expect(holdsAny(candidate({ holds }), [])).toBe(false)
})

describe('the order of candidates', () => {
  const ordered = (...all: Partial<Candidate>[]) =>
    all
      .map(candidate)
      .toSorted(candidateOrder('own'))
      .map(({ uid }) => uid)

  test.each<[string, Partial<Candidate>, Partial<Candidate>]>([
    ['who leaves already', { leaving: true, queue: 'own', priority: 9 }, {}],
    ['other queues before its own', { priority: 9 }, { queue: 'own' }],
    ['the lower priority', { priority: -1, price: 600 }, { priority: 0 }],
    ['the lower price, in whole minutes', { price: 59.9 }, { price: 60, canShrink: true }],
    ['who can go on with fewer', { canShrink: true, price: 59 }, { sinceMs: 9 }],
    ['who can go on with fewer, before who says no', { canShrink: true, price: 59 }, { canShrink: false, sinceMs: 9 }],
    ['the most recent seats', { sinceMs: 2, price: 59 }, { sinceMs: 1 }],
    ['the uid', { uid: 'a' }, { uid: 'b' }],
  ])('%s', (_, first, second) => {
    const [a, b] = [
      { uid: 'first', ...first },
      { uid: 'second', ...second },
    ]
    expect(ordered(b, a)).toEqual([a.uid, b.uid])
    expect(ordered(a, b)).toEqual([a.uid, b.uid])
  })
})
