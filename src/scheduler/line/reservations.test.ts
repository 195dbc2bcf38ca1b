import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { demandOf } from '../fit/demand.ts'
import type { Shortage } from '../fit/shortage.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import type { Start } from './line.ts'
import { endIfStarted, endOf, type LastKept, Reservations } from './reservations.ts'

const minute = 60_000
const at = (minutes: number) => new Date(minutes * minute).toISOString()

describe('when a gang that sits is expected to end', () => {
  function sitting(status: Partial<NonNullable<Gang['status']>>, spec: Partial<Gang['spec']> = {}): Gang {
    const seats = { attempt: 1, epoch: 1, at: at(10), masterAddr: '', masterPort: 1, members: [] }
    return { ...gangNamed('g', [groupOf(1)], spec), status: { conditions: [], checkpoints: [], seats, ...status } }
  }

  test('as declared, at the speed of what it was given', () => {
    const declared = { expectedSeconds: 600 }
    const end = { atMs: 20 * minute, earliestMs: 20 * minute, latestMs: 20 * minute, basis: 'declared' }
    expect(endOf(sitting({}, declared))).toEqual(end)
    const slow = { attempt: 1, epoch: 1, at: at(10), masterAddr: '', masterPort: 1, members: [], speed: 0.5 }
    expect(endOf(sitting({ seats: slow }, declared))?.atMs).toBe(30 * minute)
    expect(endOf(sitting({}))).toBeUndefined()
    expect(endOf(sitting({}, { ...declared, attempt: 2 })), 'its seats are void').toBeUndefined()
  })

  test('by its pace, where it has one: one from before it sat down is of an attempt before', () => {
    const range = { earliest: at(15), latest: at(40) }
    expect(endOf(sitting({ expectedEnd: at(30), expectedEndRange: range }, { expectedSeconds: 600 }))).toEqual({
      atMs: 30 * minute,
      earliestMs: 15 * minute,
      latestMs: 40 * minute,
      basis: 'pace',
    })
    const plain = endOf(sitting({ expectedEnd: at(30) }))
    expect(plain).toMatchObject({ atMs: 30 * minute, earliestMs: 30 * minute, latestMs: 30 * minute })
    expect(endOf(sitting({ expectedEnd: at(10) }, { expectedSeconds: 600 }))?.basis).toBe('declared')
    expect(endOf(sitting({ expectedEnd: at(9) }))).toBeUndefined()
    expect(endOf(sitting({ expectedEnd: 'soon' }, { expectedSeconds: 600 }))?.basis).toBe('declared')
  })

  test('of one that does not sit yet, at the slowest of what it may get', () => {
    const accelerators = [
      { model: 'H100', count: 1 },
      { model: 'A100', count: 1, speed: 0.5 },
    ]
    const gang = gangNamed('g', [groupOf(1), groupOf(1, { accelerators })], { expectedSeconds: 60 })
    expect(endIfStarted(gang, minute)?.atMs).toBe(3 * minute)
    expect(endIfStarted(gang, minute, 1)?.atMs).toBe(2 * minute)
    expect(endIfStarted(gangNamed('g', [groupOf(1)]), minute)).toBeUndefined()
  })
})

describe('what the first in line keeps', () => {
  function fleet() {
    const scheduler = createScheduler()
    const told = new Story(scheduler)
    for (const name of ['n0', 'n1']) told.node(name, 'H100:4')
    told.node('other', 'A100:4')
    scheduler.countCapacity()
    return { told, fleet: scheduler.fleet }
  }

  function shortageOf(model: string, kind: Shortage['kind'] = 'accelerators'): Shortage {
    const alternative = { model, count: 4 }
    const group = groupOf(1, { accelerators: [alternative] })
    return { kind, group, alternative, demand: demandOf(group, alternative), membersFit: 0 }
  }

  const asking = (model: string, spec: Partial<Gang['spec']> = {}) =>
    gangNamed('behind', [groupOf(1, { accelerators: [{ model, count: 1 }] })], spec)

  function keeping(starts: Record<string, Start>, last?: LastKept, world = fleet()) {
    const reservations = new Reservations(
      world.fleet,
      (gang) => starts[gang],
      () => false,
      last,
    )
    const add = (gang: string, shortage: Shortage) => reservations.add({ kind: 'shortage', shortage }, gang)
    const nodes = (model: string, spec?: Partial<Gang['spec']>, nowMs = 0) => {
      const kept = reservations.for(asking(model, spec), nowMs).of(model)
      return kept === undefined ? undefined : [kept.gang, ...[...kept.nodes].map(({ name }) => name)].join(' ')
    }
    return { reservations, add, nodes, fleet: world.fleet, told: world.told }
  }

  test('only the first for a model keeps nodes, and only if nodes are what it waits for', () => {
    const { reservations, add, nodes } = keeping({})
    for (const kind of ['quota', 'never', 'nodes'] as const) add('no', shortageOf('H100', kind))
    reservations.add({ kind: 'queue', reason: 'r', message: 'm' }, 'no')
    expect(nodes('H100')).toBeUndefined()
    add('first', shortageOf('H100'))
    add('second', shortageOf('H100', 'cpu'))
    add('third', shortageOf('A100', 'topology'))
    expect([nodes('H100'), nodes('A100')]).toEqual(['first n0', 'third other'])
    expect([...reservations.heads()].map(({ gang }) => gang)).toEqual(['first', 'third'])
    const others = reservations.ofOthersThan('first')
    expect([others.of('H100'), others.of('A100')?.gang, others.of('L40S')]).toEqual([undefined, 'third', undefined])
  })

  test('whoever ends before it can start may use them: just in time is soon enough', () => {
    const { fleet } = keeping({})
    const n1 = fleet.nodes.get('n1')
    if (n1 === undefined) throw new Error('no node')
    const { add, nodes } = keeping({ first: { atMs: 10 * minute, nodes: new Set([n1]) } })
    add('first', shortageOf('H100'))
    expect(nodes('H100')).toBe('first n1')
    expect(nodes('H100', { expectedSeconds: 600 })).toBeUndefined()
    expect(nodes('H100', { expectedSeconds: 601 })).toBe('first n1')
    expect(nodes('H100', { expectedSeconds: 600 }, 1)).toBe('first n1')
    const unknown = keeping({})
    unknown.add('first', shortageOf('H100'))
    expect(unknown.nodes('H100', { expectedSeconds: 1 }), 'nobody knows when it starts').toBe('first n0')
  })

  test('it has another word whenever other nodes are kept, by others, or from another time on', () => {
    const world = fleet()
    const [n0, n1] = ['n0', 'n1'].map((name) => world.fleet.nodes.get(name))
    if (n0 === undefined || n1 === undefined) throw new Error('no node')
    const last: LastKept = new Map()
    const shortage = shortageOf('H100')
    const word = (gang: string, start: Start, model = 'H100') => {
      const one = keeping({ [gang]: start }, last, world)
      one.add(gang, shortage)
      world.fleet.generation++
      return one.reservations.versionFor(asking(model))
    }
    const start: Start = { atMs: minute, nodes: new Set([n0]) }
    const first = word('g', start)
    expect(word('g', { ...start, nodes: new Set([n0]) })).toBe(first)
    const words = [
      first,
      word('g', { ...start, atMs: 2 * minute }),
      word('g', { atMs: 2 * minute, nodes: new Set([n1]) }),
      word('g', { atMs: 2 * minute, nodes: new Set([n1, n0]) }),
      word('other', { atMs: 2 * minute, nodes: new Set([n1, n0]) }),
    ]
    expect(new Set(words).size).toBe(5)
    expect(word('g', start, 'A100'), 'nothing of its own is kept').toBe('')
    expect(keeping({}).reservations.versionFor(asking('H100'))).toBe('')
  })

  test('it is worked out anew only when something on the nodes, or what is waited for, has changed', () => {
    const { fleet: known } = fleet()
    const last: LastKept = new Map()
    let asked = 0
    const look = (shortage: Shortage) => {
      const startOf = () => {
        asked++
        return undefined
      }
      const reservations = new Reservations(known, startOf, () => false, last)
      reservations.add({ kind: 'shortage', shortage }, 'g')
      const before = asked
      for (let times = 0; times < 3; times++) reservations.for(asking('H100'), 0).of('H100')
      return asked - before
    }
    const shortage = shortageOf('H100')
    expect([look(shortage), look(shortage)]).toEqual([1, 0])
    for (const change of [() => known.generation++, () => known.taken++]) {
      change()
      expect([look(shortage), look(shortage)]).toEqual([1, 0])
    }
    expect(look({ ...shortage }), 'it waits for something else').toBe(1)
    known.expectLarge([{ count: 4, cpuMilli: 0, members: 1 }], { accelerators: 4, cpuMilli: 0 })
    expect([look(shortage), look(shortage)]).toEqual([1, 0])
  })
})
