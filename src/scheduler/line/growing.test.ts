import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { acceleratorsHeld } from '../../model/seats.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { newState } from '../gangs.ts'
import { createScheduler } from '../scheduler.ts'
import { Story } from '../story.fixture.ts'
import { alternativeInUse, canComeBack, Growth, noFewer, whoWants, worthOf } from './growth.ts'
import { Line } from './line.ts'

type Group = Gang['spec']['groups'][number]
type Seat = NonNullable<NonNullable<Gang['status']>['seats']>['members'][number]

function fleetOf(nodes: Record<string, string>) {
  const scheduler = createScheduler()
  const told = new Story(scheduler)
  told.queue('default')
  for (const [name, devices] of Object.entries(nodes)) told.node(name, devices)
  return { told, scheduler, fleet: scheduler.fleet }
}

function seat(node: string, id: string, group = 'worker'): Seat {
  return { pod: id, group, rank: 0, localRank: 0, node, devices: [{ id, milli: 1000 }], ports: [] }
}

/** It sits since minute 0. */
function sitting(groups: Group[], members: Seat[], spec: Partial<Gang['spec']> = {}, more: Partial<Status> = {}): Gang {
  const seats = { attempt: 1, epoch: 1, at: new Date(0).toISOString(), masterAddr: '', masterPort: 1, members }
  return { ...gangNamed('g', groups, spec), status: { conditions: [], checkpoints: [], seats, ...more } }
}

type Status = NonNullable<Gang['status']>

const groupNamed = (name: string, min: number, max: number, ...models: string[]) =>
  groupOf(min, { name, max, accelerators: models.map((model) => ({ model, count: 1 })) })

describe('what an elastic gang grows by', () => {
  test('on the model that it was given, with no fewer members than it has', () => {
    const { fleet } = fleetOf({ a: 'A100:4', h: 'H100:4' })
    const groups = [groupNamed('x', 1, 8, 'H100', 'A100'), groupNamed('y', 1, 4, 'gpu'), groupNamed('z', 2, 3, 'L40S')]
    const members = [seat('a', 'A100-0', 'x'), seat('a', 'A100-1', 'x'), seat('h', 'H100-0', 'y')]
    const more = noFewer(sitting(groups, members), fleet).spec.groups
    expect(
      more.map(({ name, min, max, accelerators }) => [name, min, max, accelerators.map((one) => one.model)]),
    ).toEqual([
      ['x', 2, 8, ['A100']],
      ['y', 1, 4, ['H100']],
      ['z', 2, 3, ['L40S']],
    ])
    const shrunk = noFewer(sitting([groupNamed('x', 1, 1, 'A100')], members), fleet).spec.groups[0]
    expect(shrunk?.min, 'no more than it may have by now').toBe(1)
  })

  test('which of its alternatives it was given; the first where that is not known', () => {
    const { fleet } = fleetOf({ a: 'A100:4' })
    const accelerators = [
      { model: 'H100', count: 1 },
      { model: 'A100', count: 2 },
    ]
    const group = groupOf(1, { accelerators })
    const inUse = (...members: Seat[]) => {
      const { asked, model } = alternativeInUse(group, members, fleet)
      return [asked?.model, model]
    }
    expect(inUse(seat('a', 'A100-0'))).toEqual(['A100', 'A100'])
    expect(inUse(seat('a', 'A100-0', 'other'))).toEqual(['H100', 'H100'])
    expect(inUse(seat('gone', 'A100-0'))).toEqual(['H100', 'H100'])
    expect(inUse()).toEqual(['H100', 'H100'])
  })

  test('it can come back where nodes take work and its devices are well', () => {
    const { told, fleet } = fleetOf({ a: 'H100:2' })
    told.node('b', 'H100:2', { unschedulable: true })
    expect(canComeBack(fleet, seat('a', 'H100-1'))).toBe(true)
    expect(canComeBack(fleet, seat('a', 'H100-2')), 'no such device').toBe(false)
    expect(canComeBack(fleet, seat('b', 'H100-1')), 'cordoned').toBe(false)
    expect(canComeBack(fleet, seat('c', 'H100-1')), 'no such node').toBe(false)
  })

  test('shares of accelerators add up', () => {
    const half = { ...seat('a', 'H100-0'), devices: [{ id: 'H100-0', milli: 500 }] }
    expect(acceleratorsHeld([half, seat('a', 'H100-1'), half])).toBe(2)
    expect(acceleratorsHeld([])).toBe(0)
  })
})

describe('what that is worth', () => {
  const hour = 3_600_000
  const two = [seat('a', '0'), seat('a', '1')]
  const elastic = [groupNamed('worker', 1, 8, 'H100')]

  test('an hour of the new accelerators, for what stopping loses and for starting with more', () => {
    const worth = worthOf(sitting(elastic, two, {}, { restartSeconds: 60 }), 3, 600_000)
    expect(worth).toMatchObject({ workSeconds: 3600, gainSeconds: 3 * 3600, satSeconds: 600, isRested: true })
    expect(worth?.priceSeconds).toBe(2 * (600 + 60) + 3 * 60)
    expect(worthOf(sitting(elastic, two, {}, { restartSeconds: 60 }), 3, 599_999)?.isRested).toBe(false)
  })

  test('of one that ends, what is left to do is done sooner by more', () => {
    const ends = (expectedSeconds: number) => worthOf(sitting(elastic, two, { expectedSeconds }), 2, hour)?.workSeconds
    expect(ends(3600 + 1000)).toBe(500)
    expect(ends(3600 + 10_000), 'no longer than an hour').toBe(3600)
    expect(ends(3000), 'it has overrun').toBe(0)
  })

  test('nothing of one that does not sit', () => {
    expect(worthOf(gangNamed('g', elastic), 2, hour)).toBeUndefined()
    expect(worthOf(sitting(elastic, two, { attempt: 2 }), 2, hour)).toBeUndefined()
  })
})

describe('who in line could use it', () => {
  function waits(reason: string | undefined, model = 'H100') {
    const line = new Line()
    line.put('w', gangNamed('w', [groupNamed('x', 1, 1, 'L40S'), groupNamed('y', 1, 1, model)]), 'lane')
    line.put('v', gangNamed('v', [groupNamed('x', 1, 1, 'T4')]), 'other')
    const lane = line.laneOf('w')
    if (lane === undefined) throw new Error('no lane')
    const seen = { generation: 0, taken: 0, layout: 0, reserved: '', arrivals: 0 }
    if (reason !== undefined) {
      lane.blocked = { head: 'w', verdict: { kind: 'queue', reason, message: '' }, seen }
    }
    return line
  }
  const more = gangNamed('g', [groupNamed('a', 1, 1, 'A100'), groupNamed('b', 1, 2, 'H100')])

  test('the first who asks for any of its models', () => {
    expect(whoWants(waits(undefined), more)).toEqual({ key: 'w', model: 'H100' })
    expect(whoWants(waits(undefined, 'gpu'), more)).toEqual({ key: 'w', model: 'gpu' })
    expect(whoWants(waits(undefined, 'cpu'), more)).toBeUndefined()
  })

  test('not whom his queue holds back; but who waits for others, or for his own pods, to end', () => {
    expect(whoWants(waits('QueueStopped'), more)).toBeUndefined()
    expect(whoWants(waits('Ending'), more)?.key).toBe('w')
    expect(whoWants(waits('Preempting'), more)?.key).toBe('w')
  })
})

test('nobody is told to grow twice while that is on its way, or while he leaves or moves', () => {
  const { told, scheduler } = fleetOf({ a: 'H100:4' })
  told.gang('e', '1xH100:1', {}, { min: 1, max: 3 })
  told.gang('rest', '1xH100:1')
  told.decide()
  told.change('rest', { suspend: true })
  told.decide()
  const known = scheduler.gangs.get('default/e')
  if (known === undefined) throw new Error('no gang')
  const small = { ...known.object, spec: { ...known.object.spec, groups: [groupNamed('worker', 1, 4, 'H100')] } }
  const at = new Date(told.nowMs).toISOString()
  const nowMs = told.nowMs + 400_000
  const grows = (change: Partial<typeof known>, status: Partial<Status> = {}, spec: Partial<Gang['spec']> = {}) => {
    const object = {
      ...small,
      spec: { ...small.spec, ...spec },
      status: { conditions: [], checkpoints: [], ...small.status, ...status },
    }
    const state = { ...newState('default/e', object), seatPods: known.seatPods, seats: known.seats, ...change }
    const scene = { ...scheduler, gangs: new Map([['default/e', state]]) }
    const growth = new Growth()
    growth.follow(state)
    scene.fleet.generation++
    return [...growth.look(scene, nowMs - 10_000), ...growth.look(scene, nowMs)].map((verdict) =>
      verdict.kind === 'resize' ? `${verdict.from}-${verdict.to}` : verdict.kind,
    )
  }
  expect(grows({})).toEqual(['3-4'])
  expect(grows({ leaving: true })).toEqual([])
  expect(grows({ moving: { attempt: 2, members: [] } })).toEqual([])
  const wait = { kind: 'wait', gang: 'default/e', resourceVersion: '', attempt: 1, reason: '', message: '' } as const
  expect(grows({ inFlight: { verdict: wait } })).toEqual([])
  const resize = { attempt: 1, epoch: 1, at, members: [], priceSeconds: 0, gainSeconds: 0, message: '' }
  expect(grows({}, { resize })).toEqual([])
  expect(grows({}, { resize: { ...resize, attempt: 7 } })).toEqual(['3-4'])
  expect(grows({}, { eviction: { attempt: 1, by: '', reason: 'InQueue', message: '', at } })).toEqual([])
  expect(grows({}, {}, { suspend: true })).toEqual([])
  expect(grows({}, {}, { groups: [groupNamed('worker', 3, 3, 'H100')] }), 'it has all that it may have').toEqual([])
})
