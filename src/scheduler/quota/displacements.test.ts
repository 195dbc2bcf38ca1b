import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Displacements } from './displacements.ts'
import { Shortlist } from './shortlist.ts'

it('who displaced a gang is spared by it, and so is who displaced that one', () => {
  const displaced = new Displacements()
  displaced.record('b', ['a'])
  displaced.record('c', ['b', 'x'])
  expect([...displaced.displacersOf('a')]).toEqual(['b', 'c'])
  expect([...displaced.displacersOf('c')]).toEqual([])
  displaced.forget('b')
  expect([...displaced.displacersOf('a')]).toEqual([])
  expect([...displaced.displacersOf('x')]).toEqual(['c'])
  displaced.clear()
  expect(displaced.displacersOf('x').size).toBe(0)
})

it('a lender takes back what is his once, and is not displaced by that', () => {
  const displaced = new Displacements()
  displaced.record('borrower', ['lender'])
  expect(displaced.wasExcepted('lender', 'borrower')).toBe(false)
  displaced.record('lender', ['borrower'])
  expect(displaced.wasExcepted('lender', 'borrower')).toBe(true)
  expect(displaced.displacersOf('lender').size).toBe(0)
  expect([...displaced.displacersOf('borrower')]).toEqual(['lender'])
})

it('says of one that is forgotten whether others had to spare somebody because of it', () => {
  const displaced = new Displacements()
  displaced.record('b', ['a'])
  expect(displaced.forget('a'), 'only itself').toBe(false)
  displaced.record('b', ['a'])
  expect(displaced.forget('b')).toBe(true)
  expect(displaced.forget('b')).toBe(false)
})

it('the replicas of a service are one: who comes in the place of one that was displaced spares whom that one had to spare', () => {
  const displaced = new Displacements()
  for (const replica of ['s-0', 's-1']) displaced.join(replica, 's')
  displaced.record('job', ['s-1'])
  displaced.join('s-2', 's')
  expect(displaced.end('s-1')).toBe(false)
  expect([...displaced.displacersOf('s-2')]).toEqual(['job'])
  displaced.record('s-2', ['other', 's-0'])
  expect([...displaced.displacersOf('other')]).toEqual(['s', 'job'])
  expect([...displaced.displacersOf('s-0')]).toEqual(['job'])
})

it('what replicas were to others is forgotten when one ends that nobody displaced, or the last', () => {
  const displaced = new Displacements()
  for (const replica of ['s-0', 's-1']) displaced.join(replica, 's')
  displaced.record('s-1', ['job'])
  displaced.record('high', ['s-1'])
  expect(displaced.end('s-1'), 'it was displaced').toBe(false)
  expect([...displaced.displacersOf('job')]).toEqual(['s', 'high'])
  displaced.join('s-2', 's')
  expect(displaced.end('s-2'), 'it was not').toBe(true)
  expect([...displaced.displacersOf('job')]).toEqual([])
  displaced.record('high', ['s-0'])
  displaced.record('s-0', ['job'])
  expect(displaced.end('s-0'), 'the last').toBe(true)
  displaced.join('s-3', 's')
  expect([...displaced.displacersOf('s-3')]).toEqual([])
})

it('that a replica was displaced may be heard before it is known as one', () => {
  const displaced = new Displacements()
  displaced.record('job', ['s-0'])
  displaced.join('s-0', 's')
  displaced.join('s-1', 's')
  displaced.end('s-0')
  expect([...displaced.displacersOf('s-1')]).toEqual(['job'])
})

it('nobody is ever among those who displaced him', () => {
  const gang = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
  fc.assert(
    fc.property(fc.array(fc.tuple(gang, fc.array(gang, { maxLength: 3 })), { maxLength: 40 }), (steps) => {
      const displaced = new Displacements()
      for (const [by, victims] of steps) {
        const displacers = displaced.displacersOf(by)
        const fine = victims.filter((victim) => !displacers.has(victim) || !displaced.wasExcepted(by, victim))
        displaced.record(by, fine)
        for (const one of ['a', 'b', 'c', 'd', 'e', 'f']) expect(displaced.displacersOf(one).has(one)).toBe(false)
      }
    }),
  )
})

it('a short list gives all items in order, however many are asked for', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer(), { maxLength: 2000, size: 'max' }), fc.nat(2000), (items, count) => {
      const list = new Shortlist(items, (a, b) => a - b)
      const sorted = items.toSorted((a, b) => a - b)
      for (const expected of sorted.slice(0, count)) {
        expect(list.peek()).toBe(expected)
        expect(list.pop()).toBe(expected)
      }
      expect(list.left().toSorted((a, b) => a - b)).toEqual(sorted.slice(count))
      expect(list.isEmpty).toBe(count >= items.length)
    }),
    { numRuns: 30 },
  )
})
