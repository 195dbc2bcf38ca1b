import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type GangState, newState } from '../gangs.ts'
import { NextSeats } from './next-seats.ts'

const seat = (rank: number, id: string, attempt: number) => ({
  pod: `g-worker-${rank}-${attempt}`,
  group: 'worker',
  rank,
  localRank: 0,
  node: 'a',
  devices: [{ id, milli: 1000 }],
  ports: [],
})

/** A gang of two that sits on the first two accelerators of four, and moves onto the second and third. */
function world(labels: Record<string, string> = {}, namespace = 'default') {
  const charged: string[] = []
  const fleet = new Fleet({ add: (queue, model, milli) => charged.push(`${queue} ${model} ${milli}`) })
  const devices = ['g0', 'g1', 'g2', 'g3'].map((id) => ({ id, model: 'H100', healthy: true }))
  const metadata = { name: 'a', annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } }
  const node: Node = { apiVersion: 'v1', kind: 'Node', metadata, status: { allocatable: { cpu: '8', memory: '8Gi' } } }
  fleet.setNode(node)
  const gangs = new Map<string, GangState>()
  const add = (name: string, spec: Partial<Gang['spec']>, more: Partial<GangState> = {}) => {
    const plain = gangNamed(name, [groupOf(2, { ports: 0, accelerators: [{ model: 'gpu', count: 1 }] })], spec)
    const object = { ...plain, metadata: { ...plain.metadata, namespace, uid: `uid-${name}`, labels } }
    const state = { ...newState(`${namespace}/${name}`, object), ...more }
    gangs.set(state.key, state)
    return state
  }
  const moving = { attempt: 2, members: [seat(0, 'g1', 2), seat(1, 'g2', 2)] }
  const seats = { attempt: 1, members: [seat(0, 'g0', 1), seat(1, 'g1', 1)] }
  const mover = add('g', {}, { seats, moving })
  const used = () => [...(fleet.nodes.get('a')?.devices.values() ?? [])].map(({ usedMilli }) => usedMilli)
  return { fleet, gangs, add, mover, used, charged, next: new NextSeats(fleet, gangs) }
}

test('what one that moves does not hold yet is kept for it, and charged to nobody', () => {
  const { next, mover, used, charged } = world()
  next.keep(mover)
  expect(used()).toEqual([0, 0, 1000, 0])
  expect(charged).toEqual([])
  mover.moving = undefined
  next.keep(mover)
  expect(used()).toEqual([0, 0, 0, 0])
  expect(mover.movingPods).toEqual([])
})

test('a replica is charged for both, as the accelerators that they are, until another sits in its place', () => {
  const { next, mover, used, add, charged } = world({ [label.service]: 'chat' })
  next.keep(mover)
  expect(used()).toEqual([0, 0, 1000, 0])
  expect(charged).toEqual(['default H100 1000'])
  const other = add('h', { replaces: { name: 'g', uid: 'uid-g' } })
  next.follow(other)
  expect(used()).toEqual([0, 0, 1000, 0])
  expect(next.replacementOf(mover)).toBe(other)
  other.seats = { attempt: 1, members: [seat(0, 'g2', 1)] }
  next.follow(other)
  expect(used(), 'what it has it counts itself').toEqual([0, 0, 0, 0])
})

test('once who came in its place is gone, its next seats are kept again', () => {
  const { next, mover, gangs, used, add } = world({ [label.service]: 'chat' })
  next.keep(mover)
  const other = add('h', { replaces: { name: 'g', uid: 'uid-g' } }, { seats: { attempt: 1, members: [] } })
  next.follow(other)
  expect(used()).toEqual([0, 0, 0, 0])
  gangs.delete('default/h')
  next.forget(other)
  expect(used()).toEqual([0, 0, 1000, 0])
})

test('one comes in the place of a gang of its namespace that is just the one it names', () => {
  for (const namespace of ['default', 'ml']) {
    const { next, mover, add } = world({}, namespace)
    expect(next.inPlaceOf(add('h', { replaces: { name: 'g', uid: 'uid-g' } }))).toBe(mover)
    expect(next.inPlaceOf(add('h', { replaces: { name: 'g', uid: 'before' } }))).toBeUndefined()
    expect(next.inPlaceOf(add('h', { replaces: { name: 'gone', uid: 'uid-g' } }))).toBeUndefined()
    expect(next.inPlaceOf(add('h', {}))).toBeUndefined()
  }
})

test('who comes in the place of another steps in for it while that one moves, whichever was heard of first', () => {
  const { next, mover, add, used } = world()
  mover.moving = undefined
  const other = add('h', { replaces: { name: 'g', uid: 'uid-g' } }, { seats: { attempt: 1, members: [] } })
  next.follow(other)
  expect(next.stepsIn(other)).toBe(false)
  mover.moving = { attempt: 2, members: [seat(0, 'g1', 2), seat(1, 'g2', 2)] }
  next.keep(mover)
  expect(next.stepsIn(other)).toBe(true)
  expect(next.replacementOf(mover)).toBe(other)
  expect(used(), 'what it has it counts itself').toEqual([0, 0, 0, 0])
})

test('of two that come in its place the one counts that still wants to', () => {
  const { next, mover, add, gangs } = world()
  const first = add('h', { replaces: { name: 'g', uid: 'uid-g' } })
  next.follow(first)
  const second = add('i', { replaces: { name: 'g', uid: 'uid-g' } })
  next.follow(second)
  first.object = { ...first.object, spec: { ...first.object.spec, suspend: true } }
  next.follow(first)
  gangs.delete('default/h')
  next.forget(first)
  expect(next.replacementOf(mover)).toBe(second)
})
