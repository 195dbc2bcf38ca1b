import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { poolNamed } from '../gang.fixture.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'

type Status = NonNullable<Gang['status']>

/** Gang `g` of three to four members that run, one accelerator each, on two nodes of two; `other` has the fourth. */
function three(spec: Partial<Gang['spec']> = {}): Story {
  const told = new Story(createScheduler())
  told.queue('default')
  for (const name of ['a', 'b']) told.node(name, 'H100:2')
  told.gang('other', '1xH100', {}, { ports: 0 })
  told.decide()
  told.gang('g', '4xH100', { rejoins: true, ...spec }, { min: 1 })
  told.decide()
  told.run('g')
  expect(membersOf(told)).toEqual(['0 g-worker-0-1 a', '1 g-worker-1-1 b', '2 g-worker-2-1 b'])
  told.nowMs += 60_000
  return told
}

function seatsOf(told: Story): NonNullable<Status['seats']> {
  const seats = told.gangs.get('default/g')?.status?.seats
  if (seats === undefined) throw new Error('it does not sit')
  return seats
}

function membersOf(told: Story): string[] {
  return seatsOf(told).members.map(
    ({ rank, pod, node, joined }) => `${rank} ${pod} ${node}${joined === true ? ' joined' : ''}`,
  )
}

/** As recovery writes it. */
function leave(told: Story, ...pods: string[]): void {
  told.change('g', { left: [...(told.gangs.get('default/g')?.spec.left ?? []), ...pods] })
}

/** What is decided after so many seconds, without numbers. */
function later(told: Story, seconds = 0): string[] {
  told.nowMs += seconds * 1000
  return told.decide().map((line) => line.replace(/[:@/].*| 0@.*/, '').replace(/ sits.*/, ' sits'))
}

const eviction = { attempt: 1, by: 'default/x', reason: 'InQueue', message: '', at: '2026-01-01T00:00:00Z' } as const

test('another comes in the place of who has left, with the rank that is free and a name that none had', () => {
  const told = three()
  const before = seatsOf(told)
  expect(before).toMatchObject({ made: 3, size: 3 })
  leave(told, 'g-worker-1-1')
  told.end('g-worker-1-1')
  expect(later(told)).toEqual(['g#1 sits'])
  expect(membersOf(told)).toEqual(['0 g-worker-0-1 a', '1 g-worker-3-1 b joined', '2 g-worker-2-1 b'])
  const { members, ...after } = seatsOf(told)
  expect(after).toMatchObject({ attempt: 1, at: before.at, made: 4, size: 3 })
  expect([members[0], members[2]]).toEqual([before.members[0], before.members[2]])
  told.run('g')
  expect(later(told, 60)).toEqual([])
})

test('nobody comes where all that are left have ended well', () => {
  const told = three()
  for (const index of [0, 2]) told.world.end(`default/g-worker-${index}-1`, 'Succeeded')
  leave(told, 'g-worker-1-1')
  told.end('g-worker-1-1')
  expect(later(told, 60)).toEqual([])
})

test('who comes finds the others where the lowest rank of those listens that were there', () => {
  const told = three()
  const [first, second] = seatsOf(told).members
  expect(seatsOf(told).masterPort).toBe(first?.ports[0])
  leave(told, 'g-worker-0-1')
  told.end('g-worker-0-1')
  expect(later(told)).toEqual(['g#1 sits'])
  expect(membersOf(told)[0]).toBe('0 g-worker-3-1 a joined')
  expect(seatsOf(told).masterPort).toBe(second?.ports[0])
})

test('all that have left are replaced at once, names counted on however often', () => {
  const told = three()
  for (const [gone, come] of [
    [
      ['0', '2'],
      ['3', '4'],
    ],
    [
      ['4', '3'],
      ['5', '6'],
    ],
  ] as const) {
    leave(told, ...gone.map((index) => `g-worker-${index}-1`))
    for (const index of gone) told.end(`g-worker-${index}-1`)
    expect(later(told)).toEqual(['g#1 sits'])
    expect(membersOf(told)).toEqual([
      `0 g-worker-${come[0]}-1 a joined`,
      '1 g-worker-1-1 b',
      `2 g-worker-${come[1]}-1 b joined`,
    ])
    told.run('g')
  }
})

test('a node where its pod still ends is waited for ten seconds, then it comes elsewhere', () => {
  const told = three()
  leave(told, 'g-worker-1-1')
  expect(later(told)).toEqual([])
  told.change('other', { suspend: true })
  expect(later(told, 5)).toEqual(['other gives its seats back'])
  expect(later(told, 4)).toEqual([])
  expect(later(told, 1)).toEqual(['g#1 sits'])
  expect(membersOf(told)[1]).toBe('1 g-worker-3-1 a joined')
})

test('nothing is waited for on a node that takes no work, or is gone', () => {
  const told = three()
  told.node('c', 'H100:2')
  told.node('b', 'H100:2', { unschedulable: true })
  expect(later(told)).toEqual([])
  leave(told, 'g-worker-1-1')
  expect(later(told)).toEqual(['g#1 sits'])
  expect(membersOf(told)[1]).toBe('1 g-worker-3-1 c joined')
  told.apply({ kind: 'Node', deleted: 'b' })
  expect(later(told)).toEqual([])
  leave(told, 'g-worker-2-1')
  expect(later(told)).toEqual(['g#1 sits'])
  expect(membersOf(told)[2]).toBe('2 g-worker-4-1 c joined')
})

test('before whoever waits in line it has what it had, and no more', () => {
  const told = three()
  told.gang('next', '1xH100', {}, { ports: 0 })
  expect(later(told)).toEqual(['next waits'])
  leave(told, 'g-worker-1-1')
  told.end('g-worker-1-1')
  expect(later(told)).toEqual(['g#1 sits'])
  told.run('g')
  leave(told, 'g-worker-2-1')
  told.end('g-worker-2-1')
  told.node('c', 'H100:1')
  expect(later(told), 'two are free').toEqual(['g#1 sits', 'next#1 sits'])
  expect(membersOf(told)).toHaveLength(3)
})

test('it has back as many as there is room for, and the rest when there is', () => {
  const told = three()
  leave(told, 'g-worker-1-1', 'g-worker-2-1')
  told.end('g-worker-1-1')
  told.end('g-worker-2-1')
  told.node('b', 'H100:1')
  expect(later(told)).toEqual(['g#1 sits'])
  expect(membersOf(told)).toEqual(['0 g-worker-0-1 a', '1 g-worker-3-1 b joined'])
  told.run('g')
  told.node('b', 'H100:2')
  expect(later(told)).toEqual(['g#1 sits'])
  expect(membersOf(told)[2]).toBe('2 g-worker-4-1 b joined')
  expect(seatsOf(told)).toMatchObject({ made: 5, size: 3 })
})

test('whoever goes before it and could use the same comes first, and it has the place when he has gone', () => {
  const told = three()
  told.gang('urgent', '2xH100', { priority: 1, preemptionPolicy: 'Never' }, { ports: 0 })
  expect(later(told)).toEqual(['urgent waits'])
  leave(told, 'g-worker-1-1')
  told.end('g-worker-1-1')
  expect(later(told), 'one is not enough for him').toEqual(['urgent waits'])
  told.change('urgent', { suspend: true })
  expect(later(told)).toEqual(['g#1 sits'])
})

test('who could not use it, or cannot be helped with it, keeps nothing from it', () => {
  const told = three()
  told.node('c', 'A100:1')
  told.gang('first', '1xA100', { preemptible: false }, { ports: 0 })
  told.decide()
  told.gang('elsewhere', '1xA100', { priority: 1 }, { ports: 0 })
  told.queue('shut', { stopPolicy: 'Hold' })
  told.gang('held', '1xH100', { priority: 1, queue: 'shut' }, { ports: 0 })
  expect(later(told).toSorted()).toEqual(['elsewhere waits', 'held waits'])
  leave(told, 'g-worker-1-1')
  told.end('g-worker-1-1')
  expect(later(told)).toEqual(['g#1 sits'])
})

test('with what is borrowed whoever of another queue comes first, whatever his priority', () => {
  const firstWith = (own: number) => {
    const told = three()
    told.queue('default', { nominalQuota: { H100: own } })
    told.queue('theirs', { nominalQuota: { H100: 2 } })
    told.gang('next', '2xH100', { queue: 'theirs', priority: -1, preemptionPolicy: 'Never' }, { ports: 0 })
    later(told)
    leave(told, 'g-worker-1-1')
    told.end('g-worker-1-1')
    return later(told)
  }
  expect(firstWith(4)).toEqual(['g#1 sits'])
  expect(firstWith(3)).toEqual([])
})

test('a spare stands in for who has left, as for who starts again, and nobody grows into one', () => {
  const comes = (spec: Partial<Gang['spec']>) => {
    const told = new Story(createScheduler())
    const labels = { [label.pool]: 'p' }
    told.queue('default')
    for (const name of ['a', 'b', 'c', 'd']) told.node(name, 'H100:1', { labels })
    told.world.put(poolNamed('p', 2))
    told.gang('g', '3xH100', { rejoins: true }, { min: 1 })
    told.decide()
    told.run('g')
    expect(membersOf(told)).toEqual(['0 g-worker-0-1 c', '1 g-worker-1-1 d'])
    told.node('d', 'H100:1', { labels, unschedulable: true })
    told.change('g', { left: ['g-worker-1-1'], ...spec })
    const said = later(told)
    told.run('g')
    return [...said, ...later(told, 20), ...later(told, 20)]
  }
  expect(comes({ spareAttempt: 1 })).toEqual(['g#1 sits'])
  expect(comes({ spareAttempt: 0 })).toEqual([])
})

test('nobody comes while it is asked to leave, is suspended, or does not rejoin', () => {
  const comesTo = (spec: Partial<Gang['spec']>, status: Partial<Status> = {}) => {
    const told = three()
    told.world.edit('default/g', { left: ['g-worker-1-1'], ...spec }, status)
    told.end('g-worker-1-1')
    return later(told)
  }
  expect(comesTo({})).toEqual(['g#1 sits'])
  expect(comesTo({}, { eviction })).toEqual([])
  expect(comesTo({}, { eviction: { ...eviction, attempt: 0 } })).toEqual(['g#1 sits'])
  expect(comesTo({ suspend: true })).toEqual(['g gives its seats back'])
  expect(comesTo({ rejoins: false })).toEqual([])
})

test('it grows by who joins it, once room has been idle for ten seconds', () => {
  const told = three()
  told.change('other', { suspend: true })
  expect(later(told)).toEqual(['other gives its seats back'])
  expect(later(told, 9)).toEqual([])
  expect(later(told, 1)).toEqual(['g#1 sits'])
  expect(membersOf(told)).toEqual([
    '0 g-worker-0-1 a',
    '1 g-worker-1-1 b',
    '2 g-worker-2-1 b',
    '3 g-worker-3-1 a joined',
  ])
  expect(seatsOf(told)).toMatchObject({ made: 4, size: 4 })
})

test('one that sits where it could not sit again is joined elsewhere', () => {
  const told = three()
  told.change('other', { suspend: true })
  told.decide()
  told.node('b', 'H100:2', { unschedulable: true })
  leave(told, 'g-worker-2-1')
  told.end('g-worker-2-1')
  expect(later(told)).toEqual(['g#1 sits'])
  expect(membersOf(told)).toEqual(['0 g-worker-0-1 a', '1 g-worker-1-1 b', '2 g-worker-3-1 a joined'])
})
