import { expect, test } from 'vitest'
import { assert } from '../../base/errors.ts'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type Fit, fitGang } from './fit.ts'
import { claimsOf, seatsOf } from './seats.ts'

const gangOf = (min: number, max: number): Gang => gangNamed('g', [groupOf(min, { max })])

const request = { gang: 'default/g', quotaLeft: new Map(), reserved: { of: () => undefined } }

/** A gang of three that runs on `a` and `b`, and what it gets as one of another size while it holds its seats. */
function resized(min: number, max: number, gone?: string): { held: Seat[]; fit: Fit; seats: Seat[] } {
  const fleet = new Fleet()
  for (const [name, gpus] of Object.entries({ a: '2', b: '2', c: '2' })) {
    fleet.setNode({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, annotations: { 'millwright.dev/port-range': '20000-20009' } },
      status: { allocatable: { cpu: '8', memory: '8Gi', 'nvidia.com/gpu': gpus }, conditions: [] },
    })
  }
  const gang = gangOf(3, 3)
  const first = fitGang(fleet, { ...request, object: gang })
  assert(first.fits, 'there is room for three')
  const seats = seatsOf(gang, first.placed)
  const claims = claimsOf(gang, seats, () => 'gpu')
  for (const [pod, claim] of claims) fleet.setClaim(pod, 'seat', claim)
  if (gone !== undefined) fleet.removeNode(gone)
  const object = gangOf(min, max)
  const fit = fleet.attempt(() => {
    for (const [pod] of claims) fleet.lift(pod)
    return fitGang(fleet, { ...request, object, before: { members: seats.members, mayMove: false } })
  })
  return { held: seats.members, fit, seats: fit.fits ? seatsOf(object, fit.placed).members : [] }
}

const nodes = (seats: readonly Seat[]) => seats.map(({ node }) => node)
const kept = (seats: readonly Seat[]) => seats.map(({ node, devices, ports }) => ({ node, devices, ports }))

test('who grows keeps the very seats that it has, and only the others are placed, next to them', () => {
  const { held, seats } = resized(3, 4)
  expect(nodes(held)).toEqual(['a', 'a', 'b'])
  expect(kept(seats).slice(0, 3)).toEqual(kept(held))
  expect(nodes(seats)).toEqual(['a', 'a', 'b', 'b'])
  expect(nodes(resized(3, 9).seats)).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
})

test('who shrinks keeps the first of its seats', () => {
  const { held, seats } = resized(2, 2)
  expect(kept(seats)).toEqual(kept(held).slice(0, 2))
})

test('who has lost a node neither grows nor moves', () => {
  expect(resized(3, 4, 'b').fit.fits).toBe(false)
})
