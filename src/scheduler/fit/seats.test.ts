import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { claimOf, claimOn } from './claims.ts'
import { demandOf } from './demand.ts'
import { fitGang } from './fit.ts'
import { claimsOf, seatsJoined, seatsOf } from './seats.ts'

/** Nodes with so many accelerators of a model each, `a: '2 H100'`. */
function fleetOf(nodes: Record<string, string>): Fleet {
  const fleet = new Fleet()
  for (const [name, said] of Object.entries(nodes)) {
    const [count = '0', model = 'cpu'] = said.split(' ')
    const devices = Array.from({ length: Number(count) }, (_, at) => ({ id: `${model}-${at}`, model, healthy: true }))
    const annotations = { [annotation.nodeDevices]: JSON.stringify(devices), [annotation.portRange]: '20000-20004' }
    const status = { allocatable: { cpu: '8', memory: '8Gi' } }
    const node: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations }, status }
    fleet.setNode(node)
  }
  return fleet
}

function placesIn(fleet: Fleet, gang: Gang) {
  const fit = fitGang(fleet, {
    gang: 'default/g',
    object: gang,
    quotaLeft: new Map(),
    reserved: { of: () => undefined },
  })
  if (!fit.fits) throw new Error(`does not fit: ${fit.shortage.kind}`)
  return fit.placed
}

function seatsIn(fleet: Fleet, gang: Gang) {
  return seatsOf(gang, placesIn(fleet, gang))
}

test('slots of one node are counted up, since they are all alike; of accelerators each member sees only its own', () => {
  const ofModel = (model: string) => gangNamed('g', [groupOf(5, { accelerators: [{ model, count: 1 }], ports: 0 })])
  const ranks = (nodes: Record<string, string>, model: string) =>
    seatsIn(fleetOf(nodes), ofModel(model)).members.map(({ rank, node, localRank }) => `${rank}${node}${localRank}`)
  expect(ranks({ a: '3 cpu', b: '2 cpu' }, 'cpu')).toEqual(['0a0', '1a1', '2a2', '3b0', '4b1'])
  expect(ranks({ a: '3 H100', b: '2 H100' }, 'H100')).toEqual(['0a0', '1a0', '2a0', '3b0', '4b0'])
})

test('who joins is numbered after all that there were, and has the place of one that left', () => {
  const gang = (members: number, accelerators: { model: string; count: number; speed?: number }[]) =>
    gangNamed('g', [groupOf(members, { accelerators })], { rejoins: true })
  const joined = (model: string, left: readonly number[], speed = 1) => {
    const accelerators = [{ model, count: 1, speed }]
    const fleet = fleetOf({ a: `4 ${model}` })
    const seats = seatsIn(fleet, gang(4, [{ model, count: 1 }]))
    const members = seats.members.filter(({ rank }) => !left.includes(rank))
    const at = '2026-01-01T00:00:00Z'
    const sits: Gang = {
      ...gang(4, accelerators),
      status: { conditions: [], checkpoints: [], seats: { ...seats, members, epoch: 1, at } },
    }
    return seatsJoined(sits, placesIn(fleet, gang(left.length, accelerators)), (node) => `address of ${node}`)
  }
  const said = (...[model, left]: Parameters<typeof joined>) =>
    joined(model, left).members.map(({ pod, rank, localRank }) => `${pod} ${rank} ${localRank}`)
  expect(said('cpu', [1, 2])).toEqual(['g-worker-0-1 0 0', 'g-worker-4-1 1 2', 'g-worker-5-1 2 1', 'g-worker-3-1 3 3'])
  expect(said('H100', [0])[0]).toBe('g-worker-4-1 0 0')
  expect(joined('H100', [0])).toMatchObject({ masterAddr: 'address of a', masterPort: 20_001, made: 5, size: 4 })
  expect(joined('H100', [0])).not.toHaveProperty('speed')
  expect(joined('H100', [0], 0.5).speed, 'all wait for it').toBe(0.5)
})

test('pods are numbered within their group, ranks go on through all of them', () => {
  const groups = ['learner', 'actor'].map((name) => groupOf(2, { name }))
  const { members, masterPort } = seatsIn(fleetOf({ a: '4 H100' }), gangNamed('g', groups))
  expect(members.map(({ pod, rank }) => `${pod} ${rank}`)).toEqual([
    'g-learner-0-1 0',
    'g-learner-1-1 1',
    'g-actor-0-1 2',
    'g-actor-1-1 3',
  ])
  expect(masterPort).toBe(20_000)
  expect(seatsIn(fleetOf({ a: '4 H100' }), gangNamed('g', [groupOf(1, { ports: 0 })])).masterPort).toBe(29_500)
})

test('all go as slowly as the slowest of their accelerators', () => {
  const accelerators = [
    { model: 'H100', count: 1 },
    { model: 'A100', count: 1, speed: 0.5 },
  ]
  const gang = (members: number) => gangNamed('g', [groupOf(members, { accelerators })])
  const fleet = fleetOf({ a: '2 H100', b: '3 A100' })
  expect(seatsIn(fleet, gang(2)).speed).toBeUndefined()
  expect(seatsIn(fleet, gang(3)).speed).toBe(0.5)
  const slow = groupOf(1, { name: 'slow', accelerators: accelerators.slice(1) })
  expect(seatsIn(fleet, gangNamed('g', [groupOf(1, { accelerators }), slow])).speed).toBe(0.5)
})

test('what any GPU turned out to be is what is claimed', () => {
  const fleet = fleetOf({ a: '2 H100', b: '1 cpu' })
  const [a, b] = fleet.order
  if (a === undefined || b === undefined) throw new Error('no nodes')
  const here = { gang: 'default/g', queue: 'default', occupant: undefined }
  const any = demandOf(groupOf(1), { model: 'gpu', count: 1 })
  const none = demandOf(groupOf(1), { model: 'gpu', count: 0 })
  expect(claimOn(fleet, a, any, here)).toMatchObject({ model: 'H100', devices: [{ id: 'H100-0', milli: 1000 }] })
  expect(claimOn(fleet, b, none, here)).toMatchObject({ model: 'gpu', devices: [] })
  const seat = { pod: 'p', group: 'worker', rank: 0, localRank: 0, node: 'a', ports: [20_001] }
  expect(claimOf({ ...seat, devices: [{ id: 'H100-1', milli: 1000 }] }, a, any, here)).toMatchObject({ model: 'H100' })
  expect(claimOf({ ...seat, devices: [{ id: 'gone', milli: 1000 }] }, a, any, here)).toMatchObject({ model: 'gpu' })
  expect(claimOf({ ...seat, devices: [] }, a, none, here)).toMatchObject({ model: 'gpu', ports: [20_001] })
})

test('a share takes the first device that has as much left, and never one that is ill or taken whole beside it', () => {
  const fleet = fleetOf({ a: '3 H100' })
  const [a] = fleet.order
  if (a === undefined) throw new Error('no node')
  const here = { gang: 'default/g', queue: 'default', occupant: undefined }
  const asking = (count: number) => demandOf(groupOf(1, { ports: 0 }), { model: 'H100', count })
  const taking = (...counts: number[]) =>
    fleet.attempt(() =>
      counts.map((count) => {
        const claim = claimOn(fleet, a, asking(count), here)
        fleet.try(claim)
        return claim.devices.map(({ id, milli }) => `${id.slice(-1)}:${milli}`).join('+')
      }),
    )
  expect(taking(0.75, 0.5, 0.25)).toEqual(['0:750', '1:500', '0:250'])
  expect(taking(1.5, 0.75)).toEqual(['0:1000+1:500', '2:750'])
})

test('ports are given in turn, and begin again where the range ends', () => {
  const fleet = fleetOf({ a: '5 H100' })
  const asked = demandOf(groupOf(1, { ports: 2 }), { model: 'H100', count: 1 })
  const here = { gang: 'default/g', queue: 'default', occupant: undefined }
  const claimOnce = (pod: string) => {
    const [a] = fleet.order
    if (a === undefined) throw new Error('no node')
    const claim = claimOn(fleet, a, asked, here)
    fleet.setClaim(pod, 'seat', claim)
    return claim.ports
  }
  expect(claimOnce('one')).toEqual([20_000, 20_001])
  fleet.setClaim('one', 'seat', undefined)
  expect(claimOnce('two')).toEqual([20_002, 20_003])
  expect(claimOnce('three')).toEqual([20_004, 20_000])
})

test('neighbours in rank are neighbours: by node, then by device, in whichever order they were found', () => {
  const gang = gangNamed('g', [groupOf(4, { ports: 0, accelerators: [{ model: 'H100', count: 1 }] })])
  const request = { gang: 'default/g', object: gang, quotaLeft: new Map(), reserved: { of: () => undefined } }
  const fit = fitGang(fleetOf({ a: '2 H100', b: '2 H100' }), request)
  if (!fit.fits) throw new Error('there is room')
  const places = (placed: typeof fit.placed) =>
    seatsOf(gang, placed).members.map(({ node, devices }) => `${node} ${devices[0]?.id}`)
  expect(places(fit.placed)).toEqual(['a H100-0', 'a H100-1', 'b H100-0', 'b H100-1'])
  expect(places(fit.placed.toReversed())).toEqual(places(fit.placed))
})

test('each member claims what its own group asks for', () => {
  const groups = [groupOf(1, { name: 'learner', cpuMilli: 1000 }), groupOf(1, { name: 'actor', memoryBytes: 2 ** 30 })]
  const gang = gangNamed('g', groups)
  const claims = claimsOf(gang, seatsIn(fleetOf({ a: '2 H100' }), gang), () => 'H100')
  expect(claims.map(([pod, { cpuMilli, memoryBytes }]) => [pod, cpuMilli, memoryBytes])).toEqual([
    ['default/g-learner-0-1', 1000, 0],
    ['default/g-actor-0-1', 0, 2 ** 30],
  ])
})
