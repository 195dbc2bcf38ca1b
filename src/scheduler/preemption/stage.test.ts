import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { nothingReserved } from '../line/reservations.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { Nodes } from './stage.ts'

/** Two nodes of four, each full with one gang: `a` on the first, `b1` and `b2` on the second; on a third none can help. */
function full() {
  const told = new Story(createScheduler())
  told.queue('default')
  told.node('n0', 'H100:4')
  told.gang('a', '1xH100:4')
  told.decide()
  told.node('n1', 'H100:4')
  told.gang('b1', '1xH100:2')
  told.gang('b2', '1xH100:2')
  told.node('other', 'A100:4')
  told.gang('c', '1xA100:4')
  told.decide()
  return told
}

function gangOf(...groups: [members: number, gpus: number][]): Gang {
  const list = groups.map(([members, count], at) => {
    return groupOf(members, { name: `g${at}`, accelerators: [{ model: 'H100', count }], ports: 0 })
  })
  return gangNamed('w', list)
}

const [a, b1, b2, c] = ['default/a', 'default/b1', 'default/b2', 'default/c']

function tried<T>(object: Gang, work: (nodes: Nodes) => T, looksAgain = false): T {
  const { scheduler } = full()
  const state = scheduler as ReturnType<typeof createScheduler>
  const nodes = new Nodes(state, { key: 'default/w', object, reserved: nothingReserved }, looksAgain)
  return state.fleet.attempt(() => work(nodes))
}

test('who sits where the gang could never sit is of no help', () => {
  tried(gangOf([1, 2]), (nodes) => {
    expect([a, b1, c, 'default/nobody'].map((victim) => nodes.helps(victim))).toEqual([true, true, false, false])
  })
  tried(gangOf([1, 8]), (nodes) => expect(nodes.helps(a)).toBe(false))
  tried(gangOf([1, 8], [1, 4]), (nodes) => expect(nodes.helps(a), 'one of its groups could').toBe(true))
})

test('whoever sits beside what was found is not needed for it', () => {
  tried(gangOf([1, 2]), (nodes) => {
    expect(nodes.fits()).toBe(false)
    nodes.lift(b1)
    expect(nodes.fits()).toBe(true)
    expect([a, b1, b2].map((victim) => nodes.isSpare(victim))).toEqual([true, false, false])
    nodes.putBack(b1)
    nodes.lift(a)
    expect(nodes.fits()).toBe(true)
    expect(
      [a, b1].map((victim) => nodes.isSpare(victim)),
      'it was found elsewhere since',
    ).toEqual([false, true])
  })
})

test('room that was found is still there when one of two is put back, but not when the second is', () => {
  tried(gangOf([1, 2]), (nodes) => {
    for (const victim of [b1, b2]) nodes.lift(victim)
    expect(nodes.fits()).toBe(true)
    nodes.putBack(b2)
    expect(nodes.roomStays(b2)).toBe(true)
    nodes.putBack(b1)
    expect(nodes.roomStays(b1)).toBe(false)
    expect(nodes.roomStays(a), 'nothing was found there').toBe(true)
  })
})

test('all members that were found on a node need their room', () => {
  tried(gangOf([2, 1]), (nodes) => {
    nodes.lift(b1)
    expect(nodes.fits()).toBe(true)
    expect(nodes.roomStays(b1)).toBe(true)
    nodes.putBack(b1)
    expect(nodes.roomStays(b1)).toBe(false)
  })
  tried(gangOf([3, 1]), (nodes) => {
    for (const victim of [b1, b2]) nodes.lift(victim)
    expect(nodes.fits()).toBe(true)
    nodes.putBack(b2)
    expect(nodes.roomStays(b2), 'for two of three').toBe(false)
  })
})

test('where members of two sizes sit side by side, nothing is said of their room', () => {
  tried(gangOf([1, 2], [1, 1]), (nodes) => {
    for (const victim of [b1, b2]) nodes.lift(victim)
    expect(nodes.fits()).toBe(true)
    expect([b1, b2, a].map((victim) => nodes.roomStays(victim))).toEqual([false, false, true])
  })
  tried(gangOf([1, 2], [1, 1], [1, 1]), (nodes) => {
    for (const victim of [b1, b2]) nodes.lift(victim)
    expect(nodes.fits()).toBe(true)
    expect(nodes.roomStays(b1)).toBe(false)
  })
  tried(gangOf([1, 4], [1, 2]), (nodes) => {
    for (const victim of [a, b1]) nodes.lift(victim)
    expect(nodes.fits()).toBe(true)
    expect(
      [a, b1].map((victim) => nodes.roomStays(victim)),
      'each has a node of its own',
    ).toEqual([true, true])
  })
})

test('asked to look again, it takes nothing for granted', () => {
  tried(
    gangOf([1, 2]),
    (nodes) => {
      nodes.lift(b1)
      expect(nodes.fits()).toBe(true)
      expect([nodes.isSpare(a), nodes.roomStays(a)]).toEqual([false, false])
    },
    true,
  )
})

test('what is lifted is back afterwards', () => {
  tried(gangOf([1, 4]), (nodes) => {
    nodes.lift(a)
    expect(nodes.place()?.map(({ node }) => node.name)).toEqual(['n0'])
    nodes.putBack(a)
    expect(nodes.place()).toBeUndefined()
  })
})
