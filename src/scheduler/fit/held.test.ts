import { describe, expect, test } from 'vitest'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import type { Claim } from '../fleet/nodes.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { queueNamed } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { heldPlaces, isHeld } from './held.ts'
import { claimsOf } from './seats.ts'

function nodeOf(name: string, more: Partial<Node> = {}): Node {
  const devices = ['g0', 'g1'].map((id) => ({ id, model: 'H100', healthy: true }))
  const annotations = { [annotation.nodeDevices]: JSON.stringify(devices), [annotation.portRange]: '20000-20009' }
  const status = { allocatable: { cpu: '4', memory: '4Gi' } }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations }, status, ...more }
}

const seat = (rank: number, node: string, id: string, more: Partial<Seat> = {}): Seat => ({
  pod: `g-worker-${rank}-1`,
  group: 'worker',
  rank,
  localRank: 0,
  node,
  devices: [{ id, milli: 1000 }],
  ports: [20000 + rank],
  ...more,
})

const at = '2026-01-01T00:00:00Z'
const asked = { accelerators: [{ model: 'H100', count: 1 }], cpuMilli: 2000, memoryBytes: 2 ** 31 }

function gangWith(members: Seat[], groups = [groupOf(2, asked)], attempt = 1): Gang {
  const gang = gangNamed('g', groups)
  const victim = { gang: 'default/v', uid: 'v', attempt: 1, reason: 'InQueue' as const, lostSeconds: 0 }
  const hold = { attempt, epoch: 1, at, members, victims: [victim] }
  return { ...gang, status: { conditions: [], checkpoints: [], hold } }
}

interface World {
  fleet: Fleet
  quota: QuotaTree
  gang: Gang
}

/** Two members are kept for the gang on `a` and `b`, and nobody else is there. */
function world(gang = gangWith([seat(0, 'a', 'g0'), seat(1, 'b', 'g1')])): World {
  const quota = new QuotaTree()
  const fleet = new Fleet({ add: (queue, model, milli) => quota.add(queue, model, milli) })
  quota.set(queueNamed('default', { nominalQuota: { H100: 2 } }))
  for (const name of ['a', 'b', 'c']) fleet.setNode(nodeOf(name))
  const hold = gang.status?.hold
  for (const [pod, claim] of claimsOf(gang, hold ?? { members: [] }, () => 'H100')) fleet.setClaim(pod, 'seat', claim)
  return { fleet, quota, gang }
}

/** The nodes on which it can sit at once. */
function places({ fleet, quota, gang }: World): string[] | undefined {
  return heldPlaces(fleet, quota, gang)?.map(
    ({ group, node, claim }) => `${group}@${node.name}/${claim.devices[0]?.id}`,
  )
}

const held: Claim = { node: 'b', model: 'H100', devices: [], cpuMilli: 0, memoryBytes: 0, ports: [] }

describe('what is kept for a gang', () => {
  test('is where it sits once the others have left', () => {
    expect(places(world())).toEqual(['0@a/g0', '0@b/g1'])
  })

  test('is for this attempt only, and nothing where nothing is kept', () => {
    const members = [seat(0, 'a', 'g0'), seat(1, 'b', 'g1')]
    expect(isHeld(gangWith(members))).toBe(true)
    expect(isHeld(gangWith(members, undefined, 2))).toBe(false)
    expect(isHeld(gangNamed('g', []))).toBe(false)
    expect(places(world(gangWith(members, undefined, 2)))).toBeUndefined()
    expect(places(world(gangNamed('g', [groupOf(2, asked)])))).toBeUndefined()
  })

  test.each<[string, Partial<Claim>]>([
    ['its accelerator', { devices: [{ id: 'g1', milli: 1 }] }],
    ['its cores', { cpuMilli: 2001 }],
    ['its memory', { memoryBytes: 2 ** 31 + 1 }],
    ['its port', { ports: [20001] }],
  ])('is of no use while somebody else holds %s', (_, more) => {
    const { fleet, ...rest } = world()
    fleet.setClaim('default/other', 'pod', { ...held, ...more })
    expect(places({ fleet, ...rest })).toBeUndefined()
    fleet.setClaim('default/other', 'pod', undefined)
    expect(places({ fleet, ...rest })).toHaveLength(2)
  })

  test('is of no use if one of its ports is taken, or one of its members has no place', () => {
    const ports = [20001, 20005]
    const one = world(gangWith([seat(0, 'a', 'g0'), seat(1, 'b', 'g1', { ports })]))
    expect(places(one)).toHaveLength(2)
    one.fleet.setClaim('default/other', 'pod', { ...held, ports: [20005] })
    expect(places(one)).toBeUndefined()
  })

  test('is of use beside whoever holds no more than the rest', () => {
    const { fleet, ...rest } = world()
    const more = { devices: [{ id: 'g0', milli: 1000 }], cpuMilli: 2000, memoryBytes: 2 ** 31, ports: [20002] }
    fleet.setClaim('default/other', 'pod', { ...held, ...more })
    expect(places({ fleet, ...rest })).toHaveLength(2)
  })

  test('is of no use on a node that takes no work, is gone, or has lost the accelerator', () => {
    const closed = world()
    closed.fleet.setNode(nodeOf('b', { spec: { unschedulable: true } }))
    expect(places(closed)).toBeUndefined()
    const gone = world()
    gone.fleet.removeNode('b')
    expect(places(gone)).toBeUndefined()
    const ill = world()
    const devices = [
      { id: 'g0', model: 'H100', healthy: true },
      { id: 'g1', model: 'H100', healthy: false },
    ]
    ill.fleet.setNode(
      nodeOf('b', { metadata: { name: 'b', annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } } }),
    )
    expect(places(ill)).toBeUndefined()
    const other = world()
    other.fleet.setNode(nodeOf('b', { metadata: { name: 'b' } }))
    expect(places(other)).toBeUndefined()
  })

  test('is of no use if one of several accelerators is taken', () => {
    const both = {
      devices: [
        { id: 'g0', milli: 1000 },
        { id: 'g1', milli: 1000 },
      ],
    }
    const one = world(gangWith([seat(0, 'b', 'g0', both)], [groupOf(1, asked)]))
    expect(places(one)).toEqual(['0@b/g0'])
    one.fleet.setClaim('default/other', 'pod', { ...held, devices: [{ id: 'g1', milli: 500 }] })
    expect(places(one)).toBeUndefined()
  })

  test('is of use beside half a device that one leaves and that is kept for another meanwhile', () => {
    const half = { devices: [{ id: 'g1', milli: 500 }] }
    const { fleet, quota, gang } = world(gangWith([seat(0, 'a', 'g0'), seat(1, 'b', 'g1', half)]))
    fleet.setClaim('default/leaver-0', 'pod', { ...held, ...half, gang: 'default/leaver' })
    fleet.setClaim('default/waiter-0', 'seat', { ...held, ...half, gang: 'default/waiter' })
    const leaversFor = (leavers: Record<string, string[]>) =>
      heldPlaces(fleet, quota, gang, (one) => leavers[one] ?? [])?.length
    expect(leaversFor({ 'default/waiter': ['default/leaver'] })).toBe(2)
    expect(leaversFor({})).toBeUndefined()
    expect(leaversFor({ 'default/waiter': ['default/elsewhere'] })).toBeUndefined()
    fleet.setClaim('default/other-0', 'pod', { ...held, devices: [{ id: 'g1', milli: 1 }], gang: 'default/other' })
    expect(leaversFor({ 'default/waiter': ['default/leaver'] }), 'a thousandth too much').toBeUndefined()
  })

  test('is of no use if its queue may not hold as much', () => {
    const { quota, ...rest } = world()
    quota.set(queueNamed('default', { nominalQuota: { H100: 1 } }))
    expect(places({ quota, ...rest })).toBeUndefined()
  })

  test('is charged by the accelerators that it is, whichever its group asks for first', () => {
    const one = (model: string, count: number) => [{ model, count }]
    const groups = [
      groupOf(1, { ...asked, name: 'learner', accelerators: [...one('A100', 1), ...one('H100', 1)] }),
      groupOf(1, { ...asked, accelerators: [...one('H100', 1), ...one('A100', 1)] }),
    ]
    const gang = gangWith([seat(0, 'a', 'g0', { group: 'learner' }), seat(1, 'd', 'g0')], groups)
    const placesBy = (nominalQuota: Record<string, number>) => {
      const quota = new QuotaTree()
      const fleet = new Fleet({ add: (queue, model, milli) => quota.add(queue, model, milli) })
      quota.set(queueNamed('default', { nominalQuota }))
      fleet.setNode(nodeOf('a'))
      const devices = [{ id: 'g0', model: 'A100', healthy: true }]
      const annotations = { [annotation.nodeDevices]: JSON.stringify(devices), [annotation.portRange]: '20000-20009' }
      fleet.setNode(nodeOf('d', { metadata: { name: 'd', annotations } }))
      const modelOf = (node: string, id: string) => fleet.nodes.get(node)?.devices.get(id)?.model
      for (const [pod, claim] of claimsOf(gang, gang.status?.hold ?? { members: [] }, modelOf)) {
        fleet.setClaim(pod, 'seat', claim)
      }
      return heldPlaces(fleet, quota, gang)?.map(({ claim }) => claim.model)
    }
    expect(placesBy({ H100: 1, A100: 1 })).toEqual(['H100', 'A100'])
    expect(placesBy({ H100: 1, A100: 0 })).toBeUndefined()
    expect(placesBy({ H100: 0, A100: 1 })).toBeUndefined()
  })

  test('is as many members of each group as it wants', () => {
    const members = [seat(0, 'a', 'g0'), seat(1, 'b', 'g1')]
    const wants = (min: number, max: number) => places(world(gangWith(members, [groupOf(min, { ...asked, max })])))
    expect(wants(3, 4)).toBeUndefined()
    expect(wants(1, 1)).toBeUndefined()
    expect(wants(1, 2)).toHaveLength(2)
    expect(wants(2, 3)).toHaveLength(2)
    const groups = [groupOf(1, { ...asked, name: 'learner' }), groupOf(1, asked)]
    expect(places(world(gangWith([seat(0, 'a', 'g0', { group: 'learner' }), seat(1, 'b', 'g1')], groups)))).toEqual([
      '0@a/g0',
      '1@b/g1',
    ])
    expect(places(world(gangWith(members, groups)))).toBeUndefined()
    const renamed = [seat(0, 'a', 'g0'), seat(1, 'b', 'g1', { group: 'gone' })]
    expect(places(world(gangWith(renamed, [groupOf(1, asked)])))).toBeUndefined()
  })
})
