import { expect, test } from 'vitest'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type GangState, newState } from '../gangs.ts'
import type { Candidate } from '../quota/candidates.ts'
import { queueNamed } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { Budgets } from './budgets.ts'
import { Sparing } from './sparing.ts'

const nowMs = 1_000_000

/** Queue `q` keeps seats for a minute, `r` does not. */
function limits() {
  const quota = new QuotaTree()
  const preemption = { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any', minRunSeconds: 60 } as const
  quota.set(queueNamed('q', { preemption }))
  quota.set(queueNamed('r'))
  const gangs = new Map<string, GangState>()
  const budgets = new Budgets(gangs, new Map())
  /** A replica that is ready, or another gang. */
  const seat = (name: string, of: string | undefined, minAvailable = 0) => {
    const budget = of === undefined ? {} : { disruptionBudget: { of, minAvailable } }
    const gang = gangNamed(name, [groupOf(1)], budget)
    const seats = { attempt: 1, epoch: 1, at: '', masterAddr: '', masterPort: 1, members: [] }
    const state = newState(`default/${name}`, { ...gang, status: { conditions: [], checkpoints: [], seats } })
    gangs.set(state.key, state)
    budgets.follow(state)
    return state
  }
  return { quota, budgets, seat }
}

function candidate({ key }: GangState, more: Partial<Candidate> = {}): Candidate {
  const plain = { uid: 'u', queue: 'q', priority: 0, createdAt: '', sinceMs: 0, leaving: false, preemptible: true }
  return { key, ...plain, holds: new Map(), price: 0, ...more }
}

test('whoever has not had his minimum run time is spared, and when that ends is remembered', () => {
  const { quota, budgets, seat } = limits()
  const one = seat('one', undefined)
  const sparing = new Sparing({ quota, budgets }, 'q', nowMs)
  const spared = (more: Partial<Candidate>) => sparing.limit(candidate(one, more), one).spared === true
  expect(spared({ sinceMs: nowMs - 59_999 })).toBe(true)
  expect(spared({ sinceMs: nowMs - 60_000 })).toBe(false)
  expect(spared({ sinceMs: nowMs - 1_000, queue: 'r' }), 'nobody stands above both').toBe(false)
  expect(spared({ sinceMs: nowMs - 1_000, leaving: true }), 'he leaves anyway').toBe(false)
  expect([...sparing.ends]).toEqual([nowMs + 1])
})

test('it is remembered whether somebody of another queue came into question', () => {
  const { quota, budgets, seat } = limits()
  const one = seat('one', undefined)
  const sparing = new Sparing({ quota, budgets }, 'q', nowMs)
  sparing.limit(candidate(one), one)
  expect(sparing.hasMetOthers).toBe(false)
  sparing.limit(candidate(one, { queue: 'r', leaving: true }), one)
  expect(sparing.hasMetOthers).toBe(true)
})

test('those that share a budget share what it lets go; who has none is not limited', () => {
  const { quota, budgets, seat } = limits()
  const [a, b, other, free] = [seat('a', 'chat', 1), seat('b', 'chat', 1), seat('c', 'other', 1), seat('d', undefined)]
  const sparing = new Sparing({ quota, budgets }, 'r', nowMs)
  const allowance = sparing.limit(candidate(a), a).allowance
  expect(allowance).toEqual({ left: 1, isUsedUp: false, usedBy: new Set() })
  expect(sparing.limit(candidate(b), b)).toMatchObject({ isReady: true })
  expect(sparing.limit(candidate(b), b).allowance).toBe(allowance)
  expect(sparing.limit(candidate(other), other).allowance?.left).toBe(0)
  expect(sparing.limit(candidate(free), free).allowance).toBeUndefined()
  expect(sparing.limit(candidate(a, { leaving: true }), a).allowance).toBeUndefined()
  b.leaving = true
  expect(sparing.limit(candidate(b), b).isReady).toBe(false)
})

test('budgets can be passed: those of other queues, or all', () => {
  const { quota, budgets, seat } = limits()
  const a = seat('a', 'chat', 1)
  const sparing = new Sparing({ quota, budgets }, 'q', nowMs)
  const isLimited = (by: Sparing, queue: string) => by.limit(candidate(a, { queue }), a).allowance !== undefined
  expect([isLimited(sparing, 'q'), isLimited(sparing, 'r')]).toEqual([true, true])
  const others = sparing.passing('others')
  expect([isLimited(others, 'q'), isLimited(others, 'r')]).toEqual([true, false])
  const all = sparing.passing('all')
  expect([isLimited(all, 'q'), isLimited(all, 'r')]).toEqual([false, false])
  expect(others.limit(candidate(a, { sinceMs: nowMs }), a).spared, 'run times are not').toBe(true)
})

test('others are passed once, and only when a budget was in the way', () => {
  const { quota, budgets, seat } = limits()
  const [a, b] = [seat('a', 'chat', 1), seat('b', 'more', 1)]
  const sparing = new Sparing({ quota, budgets }, 'q', nowMs)
  const useUp = (by: Sparing) => {
    for (const one of [b, a]) by.limit(candidate(one), one)
    const { allowance } = by.limit(candidate(a), a)
    if (allowance !== undefined) allowance.isUsedUp = true
  }
  expect([sparing.hasBudgetsInTheWay, sparing.mayPassOthers]).toEqual([false, false])
  useUp(sparing)
  expect([sparing.hasBudgetsInTheWay, sparing.mayPassOthers]).toEqual([true, true])
  const others = sparing.passing('others')
  useUp(others)
  expect([others.hasBudgetsInTheWay, others.mayPassOthers]).toEqual([true, false])
})

test('those who used a budget up in vain are left out the next time, sixteen at most', () => {
  const { quota, budgets, seat } = limits()
  const replicas = Array.from({ length: 17 }, (_, at) => seat(`r${at}`, 'chat', 0))
  const sparing = new Sparing({ quota, budgets }, 'r', nowMs)
  const isSpared = (at: number) => replicas.slice(at, at + 1).map((one) => sparing.limit(candidate(one), one).spared)[0]
  const use = (from: number, to: number) => {
    for (const one of replicas.slice(from, to)) sparing.limit(candidate(one), one).allowance?.usedBy.add(one.key)
  }
  expect(sparing.barThoseInVain(), 'nobody').toBe(false)
  use(0, 1)
  expect(sparing.barThoseInVain()).toBe(true)
  expect([isSpared(0), isSpared(1)]).toEqual([true, false])
  expect(sparing.barThoseInVain(), 'nobody else').toBe(false)
  use(1, 16)
  expect(sparing.barThoseInVain(), 'sixteen').toBe(true)
  use(16, 17)
  expect(sparing.barThoseInVain(), 'one too many').toBe(false)
  sparing.unbar()
  expect(isSpared(0)).toBe(false)
  use(2, 3)
  expect(sparing.barThoseInVain()).toBe(true)
})
