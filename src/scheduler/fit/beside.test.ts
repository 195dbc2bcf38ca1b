import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeLevel } from '../../model/fabric.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import { groupOf } from '../gang.fixture.ts'
import { costTo, distanceTo, least, lostTo, nearTo, roomBeside } from './beside.ts'
import { claimOn } from './claims.ts'
import { demandOf } from './demand.ts'
import { nodeWith } from './node.fixture.ts'
import type { Placed } from './search.ts'

const here = { gang: 'default/g', queue: 'default', occupant: undefined }

interface Machine {
  zone?: string | undefined
  block?: string | undefined
  rack?: string | undefined
  /** What is there of each model, well, in use, and ill. */
  gpus?: Record<string, { idle: number; used?: number; ill?: number }>
  cpu?: number
  gib?: number
}

function nodeOf(name: string, { zone, block, rack, gpus = {}, cpu, gib }: Machine): Node {
  const devices = Object.entries(gpus).flatMap(([model, { idle, used = 0, ill = 0 }]) => [
    ...Array.from({ length: used + idle }, (_, at) => ({ id: `${model}-${at}`, model, healthy: true })),
    ...Array.from({ length: ill }, (_, at) => ({ id: `${model}-ill-${at}`, model, healthy: false })),
  ])
  const labels = { [label.zone]: zone, [label.block]: block, [label.rack]: rack }
  return nodeWith(name, labels, devices, { cpu, gib })
}

function fleetOf(machines: readonly Machine[]): Fleet {
  const fleet = new Fleet()
  for (const [index, machine] of machines.entries()) {
    fleet.setNode(nodeOf(`n${index}`, machine))
    for (const [model, { used = 0 }] of Object.entries(machine.gpus ?? {})) {
      const devices = Array.from({ length: used }, (_, at) => ({ id: `${model}-${at}`, milli: 1000 }))
      if (used === 0) continue
      const nothing = { node: `n${index}`, model, cpuMilli: 0, memoryBytes: 0, ports: [] }
      fleet.setClaim(`other/${index}-${model}`, 'seat', { ...nothing, devices })
    }
  }
  return fleet
}

const asking = (model: string, count: number, cpuMilli = 0, gib = 0) =>
  demandOf(groupOf(1, { cpuMilli, memoryBytes: gib * 2 ** 30, ports: 0 }), { model, count })

const counts = fc.record({
  idle: fc.integer({ min: 0, max: 6 }),
  used: fc.integer({ min: 0, max: 2 }),
  ill: fc.integer({ min: 0, max: 2 }),
})
const machines = fc.array(
  fc.record({
    gpus: fc.record({ H100: counts, A100: counts }),
    cpu: fc.integer({ min: 1, max: 12 }),
    gib: fc.integer({ min: 1, max: 12 }),
  }),
  { minLength: 1, maxLength: 3 },
)
const demandOfAny = (shares: readonly number[]) =>
  fc
    .record({
      model: fc.constantFrom('H100', 'A100', 'gpu'),
      count: fc.constantFrom(...shares),
      cpuMilli: fc.constantFrom(0, 1000, 2500),
      gib: fc.constantFrom(0, 1, 3),
    })
    .map(({ model, count, cpuMilli, gib }) => asking(model, count, cpuMilli, gib))

test('what one member costs others on a node, and leaves them, is what they find once it sits there', () => {
  const others = fc.array(demandOfAny([0, 0.5, 1, 1.5, 2]), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(machines, demandOfAny([0, 1, 2, 3]), others, (sizes, demand, rest) => {
      const fleet = fleetOf(sizes)
      const room = (node: NodeState) => rest.reduce((sum, one) => sum + fleet.rooms(one).on(node), 0)
      const [cost, left] = [costTo(rest, demand), roomBeside(rest, demand)]
      for (const node of fleet.order) {
        if (fleet.rooms(demand).on(node) === 0) continue
        const before = room(node)
        const told = [cost(node), left(node)]
        const after = fleet.attempt(() => {
          fleet.try(claimOn(fleet, node, demand, here))
          return room(node)
        })
        expect(told).toEqual([before - after, after])
        expect(room(node), 'it only asked').toBe(before)
      }
    }),
    { numRuns: 300 },
  )
})

test('a share of an accelerator counts as the whole one: it is not known yet which it takes', () => {
  const [node] = fleetOf([{ gpus: { H100: { idle: 4 } } }]).order
  if (node === undefined) throw new Error('no node')
  const whole = asking('H100', 1)
  expect(costTo([whole], asking('H100', 0.5))(node)).toBe(1)
  expect(costTo([whole], asking('H100', 1.5))(node)).toBe(2)
  expect(roomBeside([whole], asking('H100', 1.5))(node)).toBe(2)
})

test('where whole accelerators are placed, it is counted exactly how many of another group find no room any more', () => {
  const seats = fc.array(fc.nat(2), { maxLength: 10 })
  fc.assert(
    fc.property(machines, demandOfAny([0, 1, 2, 3]), demandOfAny([0, 1, 1.5, 2]), seats, (sizes, first, next, on) => {
      const fleet = fleetOf(sizes)
      const roomOf = () => fleet.order.reduce((sum, node) => sum + fleet.rooms(next).on(node), 0)
      const before = roomOf()
      const placed: Placed[] = []
      const after = fleet.attempt(() => {
        for (const index of on.toSorted((a, b) => a - b)) {
          const node = fleet.order[index]
          if (node === undefined || fleet.rooms(first).on(node) === 0) continue
          const claim = claimOn(fleet, node, first, here)
          placed.push({ group: 0, node, claim })
          fleet.try(claim)
        }
        return roomOf()
      })
      // Nothing that it asks for is limited: then nothing is known to be lost.
      expect(lostTo(fleet, placed, next, () => true)).toBe(before - after)
    }),
    { numRuns: 300 },
  )
})

describe('how far', () => {
  const name = fc.constantFrom('a', 'b', undefined)
  const places = fc.array(fc.record({ zone: name, block: name, rack: name }), { minLength: 2, maxLength: 8 })
  /** The names of its domains from the widest in, as far as the level; undefined where labels do not say. */
  const pathOf = (node: NodeState, level: number) => {
    const names = [...node.place, node.name].slice(0, level + 1)
    return names.at(-1) === '' ? undefined : names.join('/')
  }

  test('a node is from others: levels up to the narrowest domain that it shares with one, beyond all where it shares none', () => {
    fc.assert(
      fc.property(places, fc.uniqueArray(fc.nat(7), { maxLength: 3 }), (drawn, chosen) => {
        const fleet = fleetOf(drawn)
        const near = new Set(chosen.flatMap((index) => fleet.order[index] ?? []))
        const distance = distanceTo(fleet, near)
        const isShared = (node: NodeState, level: number) =>
          pathOf(node, level) !== undefined && [...near].some((one) => pathOf(one, level) === pathOf(node, level))
        for (const node of fleet.order) {
          const levels = [0, 1, 2, 3, 4].filter((level) => isShared(node, level))
          expect(distance(node)).toBe(nodeLevel - Math.max(-1, ...levels))
        }
      }),
      { numRuns: 200 },
    )
  })

  test('a domain is near if one of them is in it; where nobody is, near says nothing', () => {
    const fleet = fleetOf([{ rack: 'a' }, { rack: 'a' }, { rack: 'b' }])
    const [first] = fleet.order
    if (first === undefined) throw new Error('no node')
    const isNear = nearTo(fleet, new Set([first]))
    const racks = fleet.fabric.domains[2] ?? []
    expect(racks.map((rack) => isNear?.(rack))).toEqual([true, false])
    expect((fleet.fabric.domains[nodeLevel] ?? []).map((node) => isNear?.(node))).toEqual([true, false, false])
    expect([nearTo(fleet, new Set()), nearTo(fleet, undefined)]).toEqual([undefined, undefined])
  })
})

test('of nodes those are left of which the wish is least, in their order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -2, max: 2 }), { maxLength: 8 }), (values) => {
      const { order } = fleetOf(values.map(() => ({})))
      const smallest = Math.min(...values)
      const wish = ({ index }: NodeState) => values[index] ?? 0
      expect(least(order, wish)).toEqual(order.filter((node) => wish(node) === smallest))
    }),
    { numRuns: 100 },
  )
})
