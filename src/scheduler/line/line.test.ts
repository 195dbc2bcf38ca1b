import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { demandOf } from '../fit/demand.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { queueNamed } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { goesBefore, Line } from './line.ts'
import { Order } from './order.ts'

interface Told {
  priority: number
  second: number | undefined
  queue: string
  gpus: number
  expectedSeconds?: number | undefined
}

function gangOf(name: string, { priority, second, queue, gpus, expectedSeconds }: Told): Gang {
  const declared = expectedSeconds === undefined ? {} : { expectedSeconds }
  const gang = gangNamed(name, [groupOf(gpus)], { priority, queue, ...declared })
  const created = second === undefined ? {} : { creationTimestamp: new Date(second * 1000).toISOString() }
  return { ...gang, metadata: { ...gang.metadata, ...created } }
}

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const told = fc.record<Told>({
  priority: fc.constantFrom(0, 0, 1),
  second: fc.constantFrom(undefined, 1, 2),
  queue: fc.constantFrom('q', 'r'),
  gpus: fc.constantFrom(1, 2),
  expectedSeconds: fc.constantFrom(undefined, 1, 2, 3),
})
const laneOf = ({ queue, gpus }: Told) => `${queue} ${gpus}`

/** Higher priority, then age, where none is the oldest, then name. */
function inOrder(waiting: ReadonlyMap<string, Told>): string[] {
  return [...waiting.keys()].sort((a, b) => {
    const [x, y] = [waiting.get(a), waiting.get(b)]
    return (y?.priority ?? 0) - (x?.priority ?? 0) || (x?.second ?? 0) - (y?.second ?? 0) || (a < b ? -1 : 1)
  })
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant('put' as const), name: fc.constantFrom(...names), told }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('remove' as const), name: fc.constantFrom(...names) }) },
)

test('lanes are in order after any history, and everybody has the place in line that a sorted list gives him', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const line = new Line()
      const plain = new Map<string, Told>()
      for (const one of steps) {
        if (one.does === 'put') {
          line.put(one.name, gangOf(one.name, one.told), laneOf(one.told))
          plain.set(one.name, one.told)
        } else expect(line.remove(one.name)).toBe(plain.delete(one.name))
        const order = inOrder(plain)
        for (const name of names) {
          expect(line.placeOf(name)).toBe(plain.has(name) ? order.indexOf(name) + 1 : undefined)
          const own = plain.get(name)
          expect(line.laneOf(name)?.key).toBe(own === undefined ? undefined : laneOf(own))
        }
        const lanes = [...line.lanes()]
        expect(new Set(lanes.map(({ key }) => key))).toEqual(new Set([...plain.values()].map(laneOf)))
        for (const { key, waiting, untold, shortestSeconds } of lanes) {
          const there = order.filter((name) => laneOf(plain.get(name) as Told) === key)
          expect(waiting.map((own) => own.key)).toEqual(there)
          expect(waiting.map(({ gang }) => gang)).toEqual(there.map((name) => gangOf(name, plain.get(name) as Told)))
          expect([...untold].every((name) => there.includes(name))).toBe(true)
          const declared = there.map((name) => plain.get(name)?.expectedSeconds ?? Number.POSITIVE_INFINITY)
          expect(shortestSeconds).toBe(Math.min(...declared))
        }
      }
    }),
  )
})

test('who is told anew keeps his place and what his lane waits for; who moves does not', () => {
  const line = new Line()
  const one: Told = { priority: 0, second: 1, queue: 'q', gpus: 1 }
  line.put('a', gangOf('a', one), 'lane')
  line.put('b', gangOf('b', { ...one, second: 2 }), 'lane')
  const lane = line.laneOf('a')
  if (lane === undefined) throw new Error('no lane')
  const block = (head: string) => {
    const seen = { generation: 1, taken: 0, layout: 0, reserved: '', arrivals: 0 }
    lane.blocked = { seen, head, verdict: { kind: 'queue', reason: 'r', message: 'm' } }
  }
  block('a')
  lane.untold.clear()
  line.put('a', { ...gangOf('a', one), status: { conditions: [], checkpoints: [] } }, 'lane')
  expect(lane.waiting[0]?.gang.status).toEqual({ conditions: [], checkpoints: [] })
  expect([lane.blocked?.head, [...lane.untold]]).toEqual(['a', []])
  line.put('b', gangOf('b', { ...one, priority: 1 }), 'lane')
  expect(lane.waiting.map(({ key }) => key)).toEqual(['b', 'a'])
  expect([lane.blocked?.head, [...lane.untold]]).toEqual(['a', ['b']])
  line.remove('a')
  expect(lane.blocked).toBeUndefined()
})

test('whoever declares another time is looked at anew, and others are not', () => {
  const line = new Line()
  const one: Told = { priority: 0, second: 1, queue: 'q', gpus: 1, expectedSeconds: 9 }
  for (const name of ['a', 'b', 'c']) line.put(name, gangOf(name, one), 'lane')
  const lane = line.laneOf('a')
  if (lane === undefined) throw new Error('no lane')
  const seen = { generation: 1, taken: 0, layout: 0, reserved: '', arrivals: 0 }
  const tried = (head: string) => ({ seen, head, verdict: { kind: 'queue' as const, reason: head, message: 'm' } })
  lane.blocked = tried('a')
  for (const name of ['b', 'c']) lane.sooner.set(name, tried(name))
  expect(names.slice(0, 4).map((name) => lane.triedOf(name)?.head)).toEqual(['a', 'b', 'c', undefined])
  expect(lane.verdictOn('b')).toMatchObject({ reason: 'b' })
  line.put('b', gangOf('b', { ...one, expectedSeconds: 8 }), 'lane')
  line.remove('c')
  expect([lane.triedOf('b'), lane.triedOf('c'), lane.blocked?.head]).toEqual([undefined, undefined, 'a'])
  expect(lane.verdictOn('b')).toMatchObject({ reason: 'a' })
  line.put('a', gangOf('a', { ...one, expectedSeconds: 8 }), 'lane')
  expect(lane.blocked).toBeUndefined()
})

test('what the first could displace, or is kept from by budgets, says nothing about those behind it', () => {
  const line = new Line()
  for (const name of ['a', 'b']) line.put(name, gangOf(name, { priority: 0, second: 1, queue: 'q', gpus: 1 }), 'lane')
  const lane = line.laneOf('a')
  if (lane === undefined) throw new Error('no lane')
  expect(lane.verdictOn('a')).toBeUndefined()
  expect(lane.verdictOn('b')).toBeUndefined()
  const group = groupOf(1)
  const [alternative = { model: 'gpu', count: 1 }] = group.accelerators
  const demand = demandOf(group, alternative)
  const shortage = { kind: 'accelerators', group, alternative, demand, membersFit: 0 } as const
  const seen = { generation: 1, taken: 0, layout: 0, reserved: '', arrivals: 0 }
  const verdict = {
    kind: 'shortage',
    shortage,
    later: { atMs: 1, nodes: new Set<never>() },
    budgets: ['chat'],
  } as const
  lane.blocked = { head: 'a', verdict, seen }
  expect(lane.verdictOn('a')).toBe(verdict)
  expect(lane.verdictOn('b')).toEqual({ kind: 'shortage', shortage })
  const stopped = { kind: 'queue', reason: 'r', message: 'm' } as const
  lane.blocked = { head: 'a', verdict: stopped, seen }
  expect([lane.verdictOn('a'), lane.verdictOn('b')]).toEqual([stopped, stopped])
})

test('who ends at another time is looked at anew, also if he was the first already', () => {
  const line = new Line()
  const told = gangOf('a', { priority: 0, second: 1, queue: 'q', gpus: 1 })
  const endsAfter = (expectedSeconds: number): Gang => ({ ...told, spec: { ...told.spec, expectedSeconds } })
  line.put('a', endsAfter(60), 'lane')
  line.put('b', gangOf('b', { priority: 0, second: 2, queue: 'q', gpus: 1 }), 'lane')
  const lane = line.laneOf('a')
  if (lane === undefined) throw new Error('no lane')
  const seen = { generation: 1, taken: 0, layout: 0, reserved: '', arrivals: 0 }
  const block = (head: string) => {
    lane.blocked = { head, verdict: { kind: 'queue', reason: 'r', message: 'm' }, seen }
  }
  block('a')
  line.put('a', endsAfter(60), 'lane')
  expect(lane.blocked?.head).toBe('a')
  line.put('a', endsAfter(90), 'lane')
  expect(lane.blocked).toBeUndefined()
  block('b')
  line.put('a', endsAfter(60), 'lane')
  expect(lane.blocked?.head, 'that was about another').toBe('b')
})

describe('whose turn it is', () => {
  /** Takes them all, as if each that had its turn sat. */
  function turns(quota: QuotaTree, gangs: Record<string, Partial<Told>>, seats = true): string[] {
    const line = new Line()
    for (const [name, one] of Object.entries(gangs)) {
      const whole = { priority: 0, second: 1, queue: 'q', gpus: 1, ...one }
      line.put(name, gangOf(name, whole), laneOf(whole))
    }
    const order = new Order(
      quota,
      [...line.lanes()].map(({ waiting }) => waiting),
    )
    const found: string[] = []
    for (let next = order.next(); next !== undefined; next = order.next()) {
      const { lane, index, head } = next
      found.push(head.key)
      if (seats) quota.add(head.gang.spec.queue, 'gpu', 1000 * (head.gang.spec.groups[0]?.min ?? 0))
      order.enter(lane, index + 1)
    }
    return found
  }

  function treeOf(queues: Record<string, Parameters<typeof queueNamed>[1]>): QuotaTree {
    const tree = new QuotaTree()
    for (const [name, spec] of Object.entries(queues)) tree.set(queueNamed(name, spec))
    tree.setCapacity('gpu', 100_000)
    return tree
  }

  test('of one queue: priority, age, name, whatever their lanes are', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom(...names)),
        fc.array(told, { minLength: 8, maxLength: 8 }),
        (who, all) => {
          const gangs = new Map(who.map((name, at) => [name, { ...(all[at] as Told), queue: 'q' }]))
          expect(turns(treeOf({ q: {} }), Object.fromEntries(gangs))).toEqual(inOrder(gangs))
        },
      ),
    )
  })

  test('of several queues: priority first, then whoever holds the smaller share', () => {
    const gangs = {
      q1: {},
      q2: { second: 2 },
      q3: { second: 3 },
      r1: { queue: 'r', second: 4 },
      r2: { queue: 'r', second: 5 },
    }
    expect(turns(treeOf({ q: {}, r: {} }), gangs)).toEqual(['q1', 'r1', 'q2', 'r2', 'q3'])
    expect(turns(treeOf({ q: { weight: 2 }, r: {} }), gangs)).toEqual(['q1', 'q2', 'r1', 'q3', 'r2'])
    expect(turns(treeOf({ q: {}, r: {} }), { ...gangs, r2: { queue: 'r', priority: 1, second: 5 } })).toEqual([
      'r2',
      'q1',
      'q2',
      'r1',
      'q3',
    ])
  })

  test('where nothing is shared by weight, age alone', () => {
    const unfair = treeOf({ q: { fairSharing: false }, r: {} })
    const gangs = { q1: {}, q2: { second: 2 }, r1: { queue: 'r', second: 3 }, q3: { second: 4 } }
    expect(turns(unfair, gangs)).toEqual(['q1', 'q2', 'r1', 'q3'])
    const other = treeOf({ q: {}, r: { fairSharing: false } })
    expect(turns(other, gangs)).toEqual(['q1', 'q2', 'r1', 'q3'])
  })

  test('where of three each goes before another it is the same one, whoever came into line first', () => {
    const tree = treeOf({ q: {}, r: {}, s: { fairSharing: false } })
    tree.add('q', 'gpu', 5000)
    // By shares r goes before q; by age q before s, and s before r.
    const gangs = { a: { queue: 'q', second: 1 }, b: { queue: 's', second: 2 }, c: { queue: 'r', second: 3 } }
    const { a, b, c } = gangs
    const first = turns(tree, gangs, false)
    for (const other of [
      { b, c, a },
      { c, a, b },
      { c, b, a },
      { b, a, c },
    ])
      expect(turns(tree, other, false)).toEqual(first)
  })

  test('the same turns can be taken twice', () => {
    const line = new Line()
    for (const name of ['b', 'a']) line.put(name, gangOf(name, { priority: 0, second: 1, queue: 'q', gpus: 1 }), 'l')
    line.put('c', gangOf('c', { priority: 1, second: 1, queue: 'r', gpus: 1 }), 'm')
    const order = new Order(
      treeOf({ q: {}, r: {} }),
      [...line.lanes()].map(({ waiting }) => waiting),
    )
    const copy = order.copy()
    const all = (one: Order) => [one.next()?.head.key, one.next()?.head.key, one.next()?.head.key]
    expect(all(order)).toEqual(['c', 'a', undefined])
    expect(all(copy)).toEqual(['c', 'a', undefined])
  })

  test('shares are compared where their branches part, and not with a queue above', () => {
    const queues = { all: {}, x: { parent: 'all' }, y: { parent: 'all' }, x1: { parent: 'x' }, x2: { parent: 'x' } }
    const tree = treeOf(queues)
    tree.add('x1', 'gpu', 5000)
    const gangs = { a: { queue: 'x2' }, b: { queue: 'y', second: 2 }, c: { queue: 'x1', second: 0 } }
    expect(turns(tree, gangs, false)).toEqual(['b', 'a', 'c'])
    const above = treeOf({ all: {}, x: { parent: 'all' } })
    expect(turns(above, { a: { queue: 'x', second: 2 }, b: { queue: 'all' } }, false)).toEqual(['b', 'a'])
  })

  test('goes before is a strict order', () => {
    const one = { key: 'a', gang: gangOf('a', { priority: 0, second: undefined, queue: 'q', gpus: 1 }) }
    expect(goesBefore(one, one)).toBe(false)
    expect(goesBefore(one, { ...one, key: 'b' })).toBe(true)
    expect(goesBefore({ ...one, key: 'b' }, one)).toBe(false)
  })
})
