import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Topology } from '../../model/kinds/topology.ts'
import { annotation, label } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type Fit, fitGang, placeGang } from './fit.ts'
import type { FitRequest } from './search.ts'
import { claimsOf, seatsOf } from './seats.ts'
import { nodesToWaitFor } from './shortage.ts'

type Group = Gang['spec']['groups'][number]

interface Machine {
  rack?: string
  block?: string
  gpus?: number
  cpu?: number
  labels?: Record<string, string>
}

/** Nodes by name. */
function fleetOf(machines: Record<string, Machine>): Fleet {
  const fleet = new Fleet()
  for (const [name, { rack, block, gpus = 0, cpu = 64, labels = {} }] of Object.entries(machines)) {
    const devices = Array.from({ length: gpus }, (_, at) => ({ id: `g${at}`, model: 'H100', healthy: true }))
    const places = {
      ...(rack === undefined ? {} : { [label.rack]: rack }),
      ...(block === undefined ? {} : { [label.block]: block }),
    }
    const metadata = {
      name,
      labels: { ...places, ...labels, [label.hostname]: name },
      annotations: { [annotation.nodeDevices]: JSON.stringify(devices), [annotation.portRange]: '20000-20009' },
    }
    const status = { allocatable: { cpu: String(cpu), memory: '64Gi' } }
    const node: Node = { apiVersion: 'v1', kind: 'Node', metadata, status }
    fleet.setNode(node)
  }
  return fleet
}

/** Somebody holds so many accelerators of the node, its last ones. */
function hold(fleet: Fleet, node: string, count: number): void {
  const ids = [...(fleet.nodes.get(node)?.devices.keys() ?? [])].slice(-count)
  const devices = ids.map((id) => ({ id, milli: 1000 }))
  fleet.setClaim(`other/${node}`, 'seat', { node, model: 'H100', devices, cpuMilli: 0, memoryBytes: 0, ports: [] })
}

const group = (name: string, members: number, more: Partial<Group> & { each?: number } = {}): Group => {
  const { each = 1, ...rest } = more
  return groupOf(members, { name, ports: 0, accelerators: [{ model: 'H100', count: each }], ...rest })
}

const unreserved = { of: () => undefined }
const asking = (object: Gang, more: Partial<FitRequest> = {}): FitRequest => ({
  gang: 'default/g',
  object,
  quotaLeft: new Map(),
  reserved: unreserved,
  ...more,
})

/** Group and node of each that is placed, or why not. */
function said(fit: Fit): string[] | string {
  return fit.fits ? fit.placed.map(({ group: index, node }) => `${index}@${node.name}`).toSorted() : fit.shortage.kind
}

const likes = (key: string, value: string) => ({
  nodeAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight: 10, preference: { matchExpressions: [{ key, operator: 'In', values: [value] }] } },
    ],
  },
})

test('who does not ask why not is placed where who asks is, and leaves the fleet as it was', () => {
  const machines = fc.array(
    fc.record({
      rack: fc.constantFrom('r0', 'r1', 'r2'),
      block: fc.constantFrom('b0', 'b1'),
      gpus: fc.integer({ min: 0, max: 4 }),
      cpu: fc.integer({ min: 1, max: 6 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  const topology = fc.constantFrom<Topology>(
    {},
    { required: 'rack' },
    { required: 'node' },
    { preferred: 'rack' },
    { slices: [{ size: 2, required: 'rack' }] },
  )
  const groups = fc.array(
    fc.record({
      members: fc.constantFrom(1, 2, 2, 4),
      more: fc.constantFrom(0, 0, 2),
      each: fc.constantFrom(0, 1, 1, 2),
      cpuMilli: fc.constantFrom(0, 1000, 2000),
      topology,
    }),
    { minLength: 1, maxLength: 4 },
  )
  const sets = fc.constantFrom<NonNullable<Gang['spec']['together']>>(
    [],
    [{ groups: ['g0', 'g1'], topology: { required: 'rack' } }],
    [
      { groups: ['g0', 'g1'], topology: {} },
      { groups: ['g2', 'g3'], topology: { required: 'block' } },
    ],
  )
  const whole = fc.constantFrom<Topology | undefined>(undefined, undefined, { required: 'block' })
  fc.assert(
    fc.property(machines, groups, sets, whole, fc.nat(8), (drawn, asked, together, all, shut) => {
      const fleet = fleetOf(Object.fromEntries(drawn.map((one, index) => [`n${index}`, one])))
      const even = asked.map(({ members, more, each, cpuMilli, topology: { slices, ...rest } }, index) => {
        const own = slices !== undefined && members % 2 === 0 ? { ...rest, slices } : rest
        return group(`g${index}`, members, { max: members + more, each, cpuMilli, topology: own })
      })
      const object = gangNamed('g', even, { together, ...(all === undefined ? {} : { topology: all }) })
      const closed = new Set(fleet.order.filter(({ index }) => index === shut))
      const reserved = {
        of: (model: string) => (model === 'H100' ? { gang: 'default/first', nodes: closed } : undefined),
      }
      const fit = fitGang(fleet, asking(object, { reserved }))
      const placed = placeGang(fleet, asking(object, { reserved }))
      expect(placed === undefined ? undefined : said({ fits: true, placed: [...placed] })).toEqual(
        fit.fits ? said(fit) : undefined,
      )
      if (fit.fits) {
        for (const { node, claim } of fit.placed) expect(claim.devices.length > 0 && closed.has(node)).toBe(false)
      }
      for (const { claims, devices } of fleet.order) {
        expect(
          [claims.size, ...[...devices.values()].map(({ usedMilli }) => usedMilli)].every((one) => one === 0),
        ).toBe(true)
      }
    }),
    { numRuns: 120 },
  )
})

test('slices inside what is no level of the fabric are nowhere', () => {
  const fleet = fleetOf({ a: { gpus: 4, labels: { row: 'x' } } })
  const slices = [{ size: 2, required: 'row' }]
  expect(said(fitGang(fleet, asking(gangNamed('g', [group('w', 2, { topology: { slices } })]))))).toBe('topology')
  expect(said(fitGang(fleet, asking(gangNamed('g', [group('w', 2)]))))).toEqual(['0@a', '0@a'])
})

describe('a leader among its workers', () => {
  const rack = { required: 'rack' }
  const set = (leader: Partial<Group>) =>
    gangNamed('g', [group('leader', 1, leader), group('worker', 2, { each: 2 })], {
      together: [{ groups: ['leader', 'worker'], topology: rack }],
    })

  test('is where it would rather be, of nodes where it costs them as much', () => {
    const fleet = fleetOf({ a: { rack: 'r0', gpus: 3 }, b: { rack: 'r0', gpus: 3 }, c: { rack: 'r0', gpus: 3 } })
    const leaderOn = (name: string) => said(fitGang(fleet, asking(set({ affinity: likes(label.hostname, name) }))))[0]
    expect(['a', 'b', 'c'].map(leaderOn)).toEqual(['0@a', '0@b', '0@c'])
  })

  test('is not where it would rather be, if that costs them a place', () => {
    const fleet = fleetOf({ a: { rack: 'r0', gpus: 2 }, b: { rack: 'r0', gpus: 3 } })
    expect(said(fitGang(fleet, asking(set({ affinity: likes(label.hostname, 'a') }))))).toEqual(['0@b', '1@a', '1@b'])
  })

  test('is beside most of them, of nodes where it costs them as much', () => {
    const fleet = fleetOf({ a: { rack: 'r0', gpus: 3 }, b: { rack: 'r0', gpus: 5 }, c: { rack: 'r0', gpus: 1 } })
    expect(said(fitGang(fleet, asking(set({}))))).toEqual(['0@b', '1@b', '1@b'])
  })
})

describe('members that come to others', () => {
  /** A gang that runs on the first nodes, and what it gets as one of another size while it holds its seats. */
  function grown(fleet: Fleet, from: number, to: number, at: string): string[] | string {
    const gang = (members: number) => gangNamed('g', [group('worker', members)])
    const first = fitGang(
      fleet,
      asking(gangNamed('g', [group('worker', from, { nodeSelector: { [label.hostname]: at } })])),
    )
    if (!first.fits) throw new Error('there is room')
    const { members } = seatsOf(gang(from), first.placed)
    for (const [pod, claim] of claimsOf(gang(from), { members }, () => 'H100')) fleet.setClaim(pod, 'seat', claim)
    return fleet.attempt(() => {
      for (let index = 0; index < from; index++) fleet.lift(`default/g-worker-${index}-1`)
      return said(fitGang(fleet, asking(gang(to), { before: { members, mayMove: false } })))
    })
  }
  const machines = {
    a: { rack: 'r0', gpus: 2 },
    b: { rack: 'r1', gpus: 4 },
    c: { rack: 'r1', gpus: 3 },
    d: { rack: 'r2', gpus: 1 },
  }

  test('one goes beside them, or into their rack, though another place would be tighter', () => {
    expect(grown(fleetOf(machines), 2, 3, 'b')).toEqual(['0@b', '0@b', '0@b'])
    expect(grown(fleetOf(machines), 4, 5, 'b')).toEqual(['0@b', '0@b', '0@b', '0@b', '0@c'])
  })

  test('several do, too', () => {
    expect(grown(fleetOf(machines), 4, 6, 'b')).toEqual(['0@b', '0@b', '0@b', '0@b', '0@c', '0@c'])
    expect(grown(fleetOf(machines), 3, 5, 'c')).toEqual(['0@b', '0@b', '0@c', '0@c', '0@c'])
  })
})

describe('who starts again', () => {
  const seat = (rank: number, node: string): Seat => ({
    pod: `g-worker-${rank}-1`,
    group: 'worker',
    rank,
    localRank: 0,
    node,
    devices: [{ id: `g${rank}`, milli: 1000 }],
    ports: [],
  })
  const again = (fleet: Fleet, object: Gang, ...nodes: string[]) =>
    said(
      fitGang(
        fleet,
        asking(object, { before: { members: nodes.map((node, rank) => seat(rank, node)), mayMove: true } }),
      ),
    )

  test('leaves nodes that are gone, or that its group does not want any more', () => {
    const fleet = fleetOf({ a: { gpus: 2, labels: { at: 'x' } }, b: { gpus: 2, labels: { at: 'x' } }, c: { gpus: 1 } })
    const two = (more: Partial<Group> = {}) => gangNamed('g', [group('worker', 2, more)])
    expect(again(fleet, two(), 'b', 'b')).toEqual(['0@b', '0@b'])
    expect(again(fleet, two(), 'gone', 'b')).toEqual(['0@b', '0@b'])
    expect(again(fleet, two({ nodeSelector: { at: 'x' } }), 'c', 'a')).toEqual(['0@a', '0@a'])
  })

  test('stays on a node that one of its alternatives still wants', () => {
    const fleet = fleetOf({ a: { gpus: 2 }, b: { gpus: 2 } })
    const accelerators = [
      { model: 'B200', count: 1 },
      { model: 'H100', count: 1 },
    ]
    expect(again(fleet, gangNamed('g', [group('worker', 1, { accelerators })]), 'b')).toEqual(['0@b'])
  })

  test('stays where there is room for it yet, and only those go elsewhere who have none any more', () => {
    const fleet = fleetOf({ a: { gpus: 1 }, b: { gpus: 1 }, c: { gpus: 1 }, d: { gpus: 1 } })
    hold(fleet, 'b', 1)
    expect(again(fleet, gangNamed('g', [group('worker', 2)]), 'b', 'd')).toEqual(['0@a', '0@d'])
  })

  test('does not move to where it would be further apart', () => {
    const fleet = fleetOf({ a: { rack: 'r0', gpus: 1 }, b: { rack: 'r1', gpus: 1 }, c: { rack: 'r2', gpus: 3 } })
    const scattered = gangNamed('g', [group('worker', 2, { topology: { scattered: true } })])
    expect(said(fitGang(fleet, asking(scattered)))).toEqual(['0@a', '0@b'])
    expect(again(fleet, scattered, 'c', 'c')).toEqual(['0@c', '0@c'])
  })

  test('with a rack that it must share stays in the rack where its members are left', () => {
    const fleet = fleetOf({ a: { rack: 'r0', gpus: 2 }, b: { rack: 'r1', gpus: 3 }, c: { rack: 'r1', gpus: 3 } })
    const two = gangNamed('g', [group('worker', 2)], { topology: { required: 'rack' } })
    expect(again(fleet, two, 'c', 'c')).toEqual(['0@c', '0@c'])
    expect(again(fleet, two, 'gone', 'c')).toEqual(['0@c', '0@c'])
  })
})

describe('members that keep apart, one after the other', () => {
  const apart = (key: string) => ({
    labels: { app: 'g' },
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: key, labelSelector: { matchLabels: { app: 'g' } } },
        ],
      },
    },
  })
  const beside = (key: string) => ({
    labels: { app: 'g' },
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: key, labelSelector: { matchLabels: { app: 'g' } } },
        ],
      },
    },
  })
  const racks = { a: { rack: 'r0', gpus: 4 }, b: { rack: 'r1', gpus: 2 }, c: { rack: 'r2', gpus: 1 } }

  test('are charged to the quota that the next group shares', () => {
    const groups = [group('apart', 2, apart(label.rack)), group('next', 2)]
    const fits = (milli: number) =>
      said(fitGang(fleetOf(racks), asking(gangNamed('g', groups), { quotaLeft: new Map([['H100', milli]]) })))
    expect(fits(4000)).toHaveLength(4)
    expect(fits(3999)).toBe('quota')
  })

  test('are as many as it may have, or wait', () => {
    const members = (min: number, max: number, quota?: number) =>
      said(
        fitGang(
          fleetOf(racks),
          asking(gangNamed('g', [group('apart', min, { ...apart(label.rack), max })]), {
            quotaLeft: new Map(quota === undefined ? [] : [['H100', quota]]),
          }),
        ),
      )
    expect(members(2, 5)).toEqual(['0@a', '0@b', '0@c'])
    expect(members(1, 5, 2000)).toHaveLength(2)
    expect(members(4, 5)).toBe('never')
  })

  test('who want each other gather where they find the tightest place, inside the domain that they must share', () => {
    const gathered = (members: number, topology: Topology = {}) =>
      said(fitGang(fleetOf(racks), asking(gangNamed('g', [group('w', members, beside(label.rack))], { topology }))))
    expect(gathered(1)).toEqual(['0@c'])
    expect(gathered(2)).toEqual(['0@b', '0@b'])
    expect(gathered(3)).toEqual(['0@a', '0@a', '0@a'])
    expect(gathered(2, { required: 'node' })).toEqual(['0@b', '0@b'])
    const fleet = fleetOf({
      ...racks,
      a: { rack: 'r0', block: 'b0', gpus: 4 },
      d: { rack: 'r3', block: 'b0', gpus: 3 },
    })
    const inBlock = gangNamed('g', [group('w', 2, beside(label.rack))], { topology: { required: 'block' } })
    expect(said(fitGang(fleet, asking(inBlock)))).toEqual(['0@d', '0@d'])
  })
})

describe('nodes to wait for', () => {
  const waitsFor = (fleet: Fleet, object: Gang): string => {
    const fit = fitGang(fleet, asking(object))
    if (fit.fits) return 'fits'
    const { shortage } = fit
    const nodes = [...nodesToWaitFor(fleet, shortage)].map(({ name }) => name)
    return `${shortage.kind}: ${nodes.toSorted().join(' ')}`
  }

  test('are of the rack with most room free, and where that is alike with most accelerators', () => {
    const racks = {
      a: { rack: 'r0', gpus: 4 },
      b: { rack: 'r0', gpus: 4 },
      c: { rack: 'r1', gpus: 4 },
      d: { rack: 'r1', gpus: 4 },
      e: { rack: 'r2', gpus: 4 },
      f: { gpus: 8 },
    }
    const wide = gangNamed('g', [group('wide', 2, { each: 4, nodeSelector: { wide: 'yes' } })], {
      topology: { required: 'rack' },
    })
    const fleetWith = (held: Record<string, number>) => {
      const fleet = fleetOf(
        Object.fromEntries(
          Object.entries(racks).map(([name, one]) => [name, { ...one, labels: { wide: name === 'f' ? 'no' : 'yes' } }]),
        ),
      )
      for (const [name, count] of Object.entries(held)) hold(fleet, name, count)
      return fleet
    }
    expect(waitsFor(fleetWith({ b: 3, d: 1 }), wide)).toBe('topology: c d')
    expect(waitsFor(fleetWith({ b: 1, d: 3 }), wide)).toBe('topology: a b')
    expect(waitsFor(fleetWith({ a: 1, b: 1, d: 3 }), wide)).toBe('topology: c d')
    expect(waitsFor(fleetWith({ b: 1, d: 1 }), wide)).toBe('topology: a b')
  })

  test('are none of those that it keeps away from, nor those that it has no use for', () => {
    const fleet = fleetOf({ a: { gpus: 2 }, b: { gpus: 2 }, c: { gpus: 2 }, d: { gpus: 0 } })
    for (const name of ['a', 'b', 'c']) hold(fleet, name, 2)
    const loud = gangNamed('loud', [group('worker', 1, { labels: { app: 'loud' } })])
    const members = [{ pod: 'loud', group: 'worker', rank: 0, localRank: 0, node: 'a', devices: [], ports: [] }]
    for (const [pod, claim] of claimsOf(loud, { members }, () => 'H100')) fleet.setClaim(pod, 'seat', claim)
    const labelSelector = { matchLabels: { app: 'loud' } }
    const podAntiAffinity = {
      requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: label.hostname, labelSelector }],
    }
    const quiet = (count: number) => gangNamed('g', [group('w', count, { affinity: { podAntiAffinity } })])
    expect(waitsFor(fleet, quiet(3))).toBe('accelerators: b c')
    expect(waitsFor(fleet, quiet(2))).toBe('accelerators: b')
    expect(waitsFor(fleet, gangNamed('g', [group('w', 3)]))).toBe('accelerators: a b')
    expect(waitsFor(fleet, gangNamed('g', [group('w', 6)]))).toBe('accelerators: a b c')
    expect(waitsFor(fleet, gangNamed('g', [group('w', 2, { nodeSelector: { [label.hostname]: 'c' } })]))).toBe(
      'accelerators: c',
    )
  })
})

test('of alternatives the first is said to be short that could ever fit', () => {
  const fleet = fleetOf({ a: { gpus: 2 } })
  hold(fleet, 'a', 2)
  const short = (...models: string[]) => {
    const accelerators = models.map((model) => ({ model, count: 1 }))
    const fit = fitGang(fleet, asking(gangNamed('g', [group('worker', 1, { accelerators })])))
    return fit.fits ? 'fits' : `${fit.shortage.alternative.model}: ${fit.shortage.kind}`
  }
  expect(short('B200', 'H100')).toBe('H100: accelerators')
  expect(short('B200', 'A100')).toBe('B200: never')
})

test('one and a half accelerators are charged as such', () => {
  const fits = (milli: number) => {
    const object = gangNamed('g', [group('worker', 2, { each: 1.5 })])
    return said(fitGang(fleetOf({ a: { gpus: 8 } }), asking(object, { quotaLeft: new Map([['H100', milli]]) })))
  }
  expect([fits(2999), fits(3000)]).toEqual(['quota', ['0@a', '0@a']])
})
