import { describe, expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { demandFor } from './demand.fixture.ts'
import { Fleet } from './fleet.ts'
import type { Claim } from './nodes.ts'
import type { Demand } from './rooms.ts'

function nodeOf(
  name: string,
  devices: string,
  more: { labels?: Record<string, string>; cpu?: number; cordoned?: boolean } = {},
): Node {
  const [model = '', count] = devices.split(':')
  const list = Array.from({ length: Number(count) }, (_, at) => ({ id: `${model}-${at}`, model, healthy: true }))
  const { labels = {}, cpu = 8, cordoned = false } = more
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels,
      annotations: { [annotation.nodeDevices]: JSON.stringify(list), [annotation.portRange]: '20000-20003' },
    },
    spec: { unschedulable: cordoned },
    status: { allocatable: { cpu: String(cpu), memory: '8Gi' } },
  }
}

const claim = (node: string, ids: string[], more: Partial<Claim> = {}): Claim => ({
  node,
  model: 'H100',
  devices: ids.map((id) => ({ id, milli: 1000 })),
  cpuMilli: 1000,
  memoryBytes: 1024,
  ports: [],
  ...more,
})

function world(nodes: readonly Node[] = [nodeOf('a', 'H100:4'), nodeOf('b', 'H100:4')]) {
  const charged = new Map<string, number>()
  const fleet = new Fleet({
    add: (queue, model, milli, gang) => {
      const key = `${queue} ${model} ${gang}`
      charged.set(key, (charged.get(key) ?? 0) + milli)
    },
  })
  for (const node of nodes) fleet.setNode(node)
  return { fleet, charged: () => Object.fromEntries([...charged].filter(([, milli]) => milli !== 0)) }
}

const node = (fleet: Fleet, name: string) => {
  const found = fleet.nodes.get(name)
  if (found === undefined) throw new Error(`no node ${name}`)
  return found
}

/** All that is seen of the nodes. */
const seen = (fleet: Fleet) =>
  fleet.order.map(({ name, cpuMilliFree, memoryBytesFree, claims, devices, closed, nextPort, portsUsed, index }) => ({
    name,
    cpuMilliFree,
    memoryBytesFree,
    claims: new Set(claims.keys()),
    used: [...devices.values()].map(({ usedMilli }) => usedMilli),
    closed,
    nextPort,
    ports: new Map(portsUsed),
    inUse: fleet.inUse[index],
    room: fleet.rooms(one).on(fleet.order[index] ?? node(fleet, name)),
  }))

const one = demandFor('H100', { key: 'one' })

describe('what pods hold', () => {
  test('is counted once, whether seats say so or the pod; seats win, and the pod remains', () => {
    const { fleet, charged } = world()
    const mine = { gang: 'default/g', queue: 'q' }
    const [seat, pod] = [claim('a', ['H100-0', 'H100-1'], mine), claim('a', ['H100-0'], mine)]
    fleet.setClaim('p', 'pod', pod)
    expect(charged()).toEqual({ 'q H100 default/g': 1000 })
    fleet.setClaim('p', 'seat', seat)
    expect([fleet.claimOf('p'), node(fleet, 'a').claims.size]).toEqual([seat, 1])
    expect(charged()).toEqual({ 'q H100 default/g': 2000 })
    expect(fleet.countOf('H100')).toEqual({ free: 6, total: 8 })
    const { generation } = fleet
    fleet.setClaim('p', 'pod', { ...pod })
    fleet.setClaim('p', 'seat', seat)
    expect(fleet.generation, 'nothing was freed').toBe(generation)
    fleet.setClaim('p', 'seat', undefined)
    expect([...fleet.claims()].map(([key, held]) => [key, held.devices.length])).toEqual([['p', 1]])
    expect(fleet.generation).toBeGreaterThan(generation)
    fleet.setClaim('p', 'pod', undefined)
    expect([[...fleet.claims()], fleet.claimOf('p'), charged()]).toEqual([[], undefined, {}])
    expect(fleet.countOf('H100')).toEqual({ free: 8, total: 8 })
  })

  test('is charged only where it is of a queue and holds accelerators', () => {
    const { fleet, charged } = world()
    fleet.setClaim('stray', 'pod', claim('a', ['H100-0']))
    fleet.setClaim('none', 'pod', claim('a', [], { queue: 'q' }))
    expect(charged()).toEqual({})
  })

  test('of a node that is not there is held when it comes, and while it is away', () => {
    const { fleet, charged } = world([nodeOf('a', 'H100:4')])
    fleet.setClaim('p', 'seat', claim('late', ['H100-0'], { queue: 'q', ports: [20001] }))
    fleet.setClaim('other', 'seat', claim('a', ['H100-0']))
    expect(charged()).toEqual({ 'q H100 undefined': 1000 })
    fleet.setNode(nodeOf('late', 'H100:4'))
    expect([...node(fleet, 'late').claims.keys()]).toEqual(['p'])
    expect(fleet.countOf('H100')).toEqual({ free: 6, total: 8 })
    fleet.removeNode('late')
    expect(fleet.countOf('H100')).toEqual({ free: 3, total: 4 })
    fleet.setClaim('p', 'seat', undefined)
    fleet.setNode(nodeOf('late', 'H100:4'))
    expect(fleet.countOf('H100')).toEqual({ free: 7, total: 8 })
  })

  test('stays when its node changes, and so do the ports that are next', () => {
    const { fleet } = world()
    fleet.setClaim('p', 'seat', claim('a', ['H100-0'], { ports: [20001] }))
    expect(node(fleet, 'a').nextPort).toBe(20002)
    fleet.setNode(nodeOf('a', 'H100:4', { cpu: 16 }))
    expect(node(fleet, 'a')).toMatchObject({ nextPort: 20002, cpuMilliFree: 15_000 })
    expect([...node(fleet, 'a').portsUsed]).toEqual([[20001, 1]])
    fleet.setClaim('q', 'seat', claim('a', ['H100-1'], { ports: [20003] }))
    expect(node(fleet, 'a').nextPort, 'after the last comes the first').toBe(20000)
    fleet.setClaim('r', 'pod', claim('a', ['H100-2'], { ports: [20003, 20001] }))
    expect(node(fleet, 'a').portsUsed.get(20003)).toBe(2)
    fleet.setClaim('q', 'seat', undefined)
    expect(node(fleet, 'a').portsUsed.get(20003)).toBe(1)
    fleet.setClaim('r', 'pod', undefined)
    expect(node(fleet, 'a').portsUsed.has(20003)).toBe(false)
    expect(node(fleet, 'a').nextPort).toBe(20002)
  })
})

describe('what the fleet has', () => {
  test('is counted by model; what is closed, ill or in use is not free', () => {
    const { fleet } = world([
      nodeOf('a', 'H100:4'),
      nodeOf('b', 'A100:2', { cpu: 4 }),
      nodeOf('c', 'H100:2', { cordoned: true, cpu: 2 }),
      nodeOf('d', 'cpu:8', { cpu: 64 }),
    ])
    fleet.setClaim('p', 'seat', claim('a', [], { devices: [{ id: 'H100-0', milli: 250 }] }))
    fleet.setClaim('over', 'pod', claim('b', ['A100-0']))
    fleet.setClaim('more', 'pod', claim('b', ['A100-0']))
    expect(fleet.countOf('H100')).toEqual({ free: 3.75, total: 6 })
    expect(fleet.countOf('A100')).toEqual({ free: 1, total: 2 })
    expect(fleet.countOf('gpu')).toEqual({ free: 4.75, total: 8 })
    expect(fleet.countOf('B200')).toEqual({ free: 0, total: 0 })
    expect(fleet.models()).toEqual(['A100', 'H100', 'cpu'])
    expect(fleet.accelerators()).toBe(8)
    fleet.removeNode('b')
    expect([fleet.models(), fleet.accelerators(), fleet.countOf('gpu').total]).toEqual([['H100', 'cpu'], 6, 6])
    fleet.setNode(nodeOf('e', 'B200:1'))
    expect([fleet.models(), fleet.accelerators()]).toEqual([['B200', 'H100', 'cpu'], 7])
  })

  test('is in the order of the fabric, laid out anew when nodes come, go or change', () => {
    const at = (block: string, rack: string) => ({ labels: { [label.block]: block, [label.rack]: rack } })
    const { fleet } = world([
      nodeOf('z', 'H100:1', at('b0', 'r0')),
      nodeOf('y', 'H100:1', at('b1', 'r0')),
      nodeOf('x', 'H100:1', at('b0', 'r1')),
      nodeOf('w', 'H100:1'),
    ])
    const names = () => fleet.order.map(({ name }) => name)
    expect(names()).toEqual(['w', 'z', 'x', 'y'])
    const { layout } = fleet
    expect([names(), fleet.layout]).toEqual([['w', 'z', 'x', 'y'], layout])
    fleet.setNode(nodeOf('z', 'H100:1', at('b2', 'r0')))
    expect(names()).toEqual(['w', 'x', 'y', 'z'])
    expect(fleet.layout).toBe(layout + 1)
    fleet.removeNode('y')
    expect([names(), fleet.layout]).toEqual([['w', 'x', 'z'], layout + 2])
  })

  test('of racks and blocks says which are in use, by whoever sits there', () => {
    const at = (block: string, rack: string) => ({ labels: { [label.block]: block, [label.rack]: rack } })
    const { fleet } = world([
      nodeOf('a', 'H100:1', at('b0', 'r0')),
      nodeOf('b', 'H100:1', at('b0', 'r1')),
      nodeOf('c', 'H100:1', at('b1', 'r2')),
      nodeOf('d', 'H100:1'),
    ])
    const inUse = () => Object.fromEntries(fleet.order.map(({ name, index }) => [name, fleet.inUse[index]]))
    expect(inUse()).toEqual({ a: 0, b: 0, c: 0, d: 3 })
    fleet.setClaim('p', 'seat', claim('a', ['H100-0']))
    fleet.setClaim('q', 'seat', claim('c', []))
    expect(inUse()).toEqual({ a: 3, b: 1, c: 0, d: 3 })
    fleet.setNode(nodeOf('e', 'H100:1', at('b0', 'r1')))
    expect(inUse()).toEqual({ a: 3, b: 1, e: 1, c: 0, d: 3 })
    fleet.setClaim('p', 'seat', undefined)
    expect(inUse()).toEqual({ a: 0, b: 0, e: 0, c: 0, d: 3 })
  })
})

describe('an attempt', () => {
  test('leaves all as it was: what was tried, lifted and opened', () => {
    const { fleet, charged } = world([nodeOf('a', 'H100:4'), nodeOf('b', 'H100:4', { cordoned: true })])
    fleet.setClaim('p', 'seat', claim('a', ['H100-0'], { queue: 'q', ports: [20000] }))
    const [before, owed, { generation }] = [seen(fleet), charged(), fleet]
    const answer = fleet.attempt(() => {
      fleet.try(claim('a', ['H100-1'], { ports: [20001, 20002], queue: 'q' }))
      expect(node(fleet, 'a').nextPort).toBe(20003)
      fleet.lift('p')
      expect(charged()).toEqual({})
      fleet.open(node(fleet, 'b'))
      expect(seen(fleet).map(({ room }) => room)).toEqual([3, 4])
      return 'answer'
    })
    expect([answer, seen(fleet), charged(), fleet.generation]).toEqual(['answer', before, owed, generation])
    expect(() =>
      fleet.attempt(() => {
        fleet.lift('p')
        throw new Error('no')
      }),
    ).toThrow('no')
    expect([seen(fleet), charged()]).toEqual([before, owed])
  })

  test('inside another takes back only what is its own', () => {
    const { fleet, charged } = world()
    fleet.setClaim('p', 'seat', claim('a', ['H100-0'], { queue: 'q' }))
    fleet.attempt(() => {
      fleet.lift('p')
      fleet.try(claim('b', ['H100-0']))
      const outer = seen(fleet)
      fleet.attempt(() => {
        fleet.lift('p')
        fleet.putBack('p')
        expect(charged(), 'the outer one lifted it').toEqual({})
        fleet.try(claim('b', ['H100-1']))
      })
      expect(seen(fleet)).toEqual(outer)
      fleet.putBack('p')
      expect(charged()).toEqual({ 'q H100 undefined': 1000 })
      fleet.lift('p')
    })
    expect(charged()).toEqual({ 'q H100 undefined': 1000 })
    expect(node(fleet, 'b').claims.size).toBe(0)
  })

  test('takes the last tries back, ports and all, and keeps the first', () => {
    const { fleet } = world()
    fleet.attempt(() => {
      fleet.try(claim('a', ['H100-0'], { ports: [20000] }))
      const first = seen(fleet)
      fleet.try(claim('a', ['H100-1'], { ports: [20001] }))
      fleet.try(claim('b', ['H100-0'], { ports: [20000] }))
      fleet.untry(2)
      expect(seen(fleet)).toEqual(first)
      fleet.untry(0)
      expect(seen(fleet)).toEqual(first)
    })
  })

  test('is where things are tried, and nowhere else', () => {
    const { fleet } = world()
    const message = 'what is tried is taken back'
    expect(() => fleet.try(claim('a', []))).toThrow(message)
    expect(() => fleet.lift('p')).toThrow(message)
    expect(() => fleet.open(node(fleet, 'a'))).toThrow(message)
    fleet.attempt(() => {
      fleet.lift('nobody')
      fleet.putBack('nobody')
      fleet.open(node(fleet, 'a'))
      fleet.try(claim('nowhere', ['H100-0']))
    })
    expect(seen(fleet).map(({ room }) => room)).toEqual([4, 4])
  })

  test('no pod holds two things of one node at once', () => {
    const { fleet } = world()
    expect(() => fleet.setClaim('p', 'seat', claim('a', ['H100-0']))).not.toThrow()
    node(fleet, 'b').claims.set('p', claim('b', []))
    expect(() => fleet.setClaim('p', 'seat', claim('b', ['H100-0']))).toThrow('pod p claims on node b twice')
    node(fleet, 'a').claims.delete('q')
    fleet.setClaim('q', 'seat', claim('a', ['H100-1']))
    node(fleet, 'a').claims.delete('q')
    expect(() => fleet.setClaim('q', 'seat', undefined)).toThrow('pod q gives back what it never held on node a')
  })
})

test('demands that are not asked about for long are forgotten, and known again when they are', () => {
  const { fleet } = world()
  const demand = (at: number): Demand => ({ ...one, key: `d${at}` })
  const first = fleet.rooms(demand(0))
  expect(fleet.rooms(demand(0))).toBe(first)
  const second = fleet.rooms(demand(1))
  for (let at = 2; at < 256; at++) fleet.rooms(demand(at))
  expect(fleet.rooms(demand(0)), 'so many are known').toBe(first)
  fleet.rooms(demand(256))
  fleet.rooms(demand(257))
  expect(fleet.rooms(demand(0)), 'it was asked about lately').toBe(first)
  expect(fleet.rooms(demand(1)), 'longest not asked about').not.toBe(second)
  expect(fleet.rooms(demand(1)).total).toBe(8)
})
