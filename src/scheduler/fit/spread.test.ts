import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeLevel } from '../../model/fabric.ts'
import { label } from '../../model/names.ts'
import type { Domain } from '../fleet/fabric.ts'
import { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import type { Demand } from '../fleet/rooms.ts'
import { groupOf } from '../gang.fixture.ts'
import { nearTo } from './beside.ts'
import { demandOf } from './demand.ts'
import { evenness, likedBy, openRoom, type Spread, spread } from './spread.ts'

interface Machine {
  block: string
  rack: string
  node: string
  room: number
  isLiked: boolean
  isClosed: boolean
  isNear: boolean
}

const machines = fc.uniqueArray(
  fc.record<Machine>({
    block: fc.constantFrom('b0', 'b1'),
    rack: fc.constantFrom('r0', 'r1', 'r2'),
    node: fc.constantFrom('n0', 'n1', 'n2'),
    room: fc.integer({ min: 0, max: 5 }),
    isLiked: fc.boolean(),
    isClosed: fc.constantFrom(true, false, false, false),
    isNear: fc.constantFrom(true, false, false),
  }),
  { minLength: 1, maxLength: 14, selector: ({ block, rack, node }) => block + rack + node },
)

/** Nodes named for where they are, `b0r1n2`. */
function fleetOf(nodes: readonly (Partial<Machine> & { block: string; rack: string; node: string })[]): Fleet {
  const fleet = new Fleet()
  for (const { block, rack, node, room = 0, isLiked = false } of nodes) {
    const labels = { [label.block]: block, [label.rack]: rack, ...(isLiked ? { disk: 'nvme' } : {}) }
    fleet.setNode({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: block + rack + node, labels },
      status: { allocatable: { 'nvidia.com/gpu': String(room) } },
    })
  }
  return fleet
}

const preference = { matchExpressions: [{ key: 'disk', operator: 'In', values: ['nvme'] }] }
const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, preference }] } }
const plain = demandOf(groupOf(1, { ports: 0 }), { model: 'gpu', count: 1 })
const wishing = demandOf(groupOf(1, { ports: 0, affinity }), { model: 'gpu', count: 1 })

function asking(fleet: Fleet, demand: Demand, more: Partial<Spread> = {}): Spread {
  const room = openRoom(fleet, demand, undefined)
  const loose = openRoom(fleet, { ...demand, slices: undefined, key: 'loose' }, undefined)
  const { slices } = demand
  const nothing = { domain: undefined, isBalanced: false, isScattered: false, isNear: undefined, liked: undefined }
  return { ...nothing, room, loose, slices, ...more }
}

/** Members by node, `n0:2 n1:1`. */
function seats(nodes: readonly NodeState[]): string {
  const taken = new Map<string, number>()
  for (const { name } of nodes) taken.set(name.slice(-2), (taken.get(name.slice(-2)) ?? 0) + 1)
  return [...taken].map(([name, count]) => `${name}:${count}`).join(' ')
}

const inOneRack = (...rooms: number[]): Fleet =>
  fleetOf(rooms.map((room, index) => ({ block: 'b0', rack: 'r0', node: `n${index}`, room })))

interface Share {
  place: Domain
  room: number
  taken: number
  isNear: boolean
  liked: number
}

/** Wherever members of one domain are parted among those in it. */
function partings(fleet: Fleet, nodes: readonly NodeState[], { room, isNear, liked }: Spread): Share[][] {
  const takenIn = ({ from, to }: Domain) => nodes.filter(({ index }) => index >= from && index < to).length
  const shares = (places: readonly Domain[]) =>
    places.map((place) => ({
      place,
      room: room.in(place),
      taken: takenIn(place),
      isNear: isNear?.(place) === true,
      liked: liked?.(place) ?? 0,
    }))
  const parted = fleet.fabric.domains.slice(0, nodeLevel).flat().filter(takenIn)
  return [shares(fleet.fabric.domains[0] ?? []), ...parted.map(({ children }) => shares(children))]
}

/** As few as hold them; of those that hold all the best liked, then the tightest; else all but one are full. */
function checkFewest(shares: readonly Share[], wanted: number): void {
  if (wanted === 0) return
  const used = shares.filter(({ taken }) => taken > 0)
  const able = shares.filter(({ room }) => room >= wanted)
  const fewest = (places: readonly Share[]) => {
    let count = 0
    const most = places.map(({ room }) => room).sort((a, b) => b - a)
    for (let sum = 0; sum < wanted; count++) sum += most[count] ?? 0
    return count
  }
  expect(used.length).toBe(fewest(shares))
  if (able.length > 0) {
    const [best] = able.toSorted((a, b) => b.liked - a.liked || a.room - b.room || a.place.from - b.place.from)
    expect(used[0]?.place.name).toBe(best?.place.name)
  } else expect(used.filter(({ room, taken }) => taken < room).length).toBeLessThanOrEqual(1)
}

describe('members', () => {
  test('fill what is near first, and are on as few domains as can be, near and further away', () => {
    fc.assert(
      fc.property(machines, fc.integer({ min: 2, max: 16 }), (nodes, wanted) => {
        const fleet = fleetOf(nodes)
        const byName = new Map(nodes.map((node) => [node.block + node.rack + node.node, node]))
        const near = new Set(fleet.order.filter(({ name }) => byName.get(name)?.isNear === true))
        const asked = asking(fleet, plain, { isNear: nearTo(fleet, near) })
        fc.pre(near.size > 0 && asked.room.total >= wanted)
        const placed = spread(fleet, wanted, asked)
        expect(placed.length).toBe(wanted)
        for (const shares of partings(fleet, placed, asked)) {
          const sum = shares.reduce((all, { taken }) => all + taken, 0)
          const [close, far] = [shares.filter(({ isNear }) => isNear), shares.filter(({ isNear }) => !isNear)]
          const closeRoom = close.reduce((all, { room }) => all + room, 0)
          const inClose = close.reduce((all, { taken }) => all + taken, 0)
          expect(inClose).toBe(Math.min(sum, closeRoom))
          checkFewest(close, inClose)
          checkFewest(far, sum - inClose)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('are where they would rather be, where that takes no more domains', () => {
    fc.assert(
      fc.property(machines, fc.integer({ min: 2, max: 16 }), (nodes, wanted) => {
        const fleet = fleetOf(nodes)
        const room = openRoom(fleet, wishing, undefined)
        fc.pre(room.total >= wanted)
        const asked = asking(fleet, wishing, { liked: likedBy(fleet, wishing, room) })
        const placed = spread(fleet, wanted, asked)
        for (const shares of partings(fleet, placed, asked)) {
          checkFewest(
            shares,
            shares.reduce((all, { taken }) => all + taken, 0),
          )
        }
      }),
      { numRuns: 300 },
    )
  })

  test('like a domain as its nodes weigh by the room that is open there', () => {
    fc.assert(
      fc.property(machines, (nodes) => {
        const fleet = fleetOf(nodes)
        const byName = new Map(nodes.map((node) => [node.block + node.rack + node.node, node]))
        const drawn = ({ name }: NodeState) => byName.get(name)
        const closed = new Set(fleet.order.filter((node) => drawn(node)?.isClosed === true))
        const room = openRoom(fleet, wishing, closed)
        const liked = likedBy(fleet, wishing, room)
        const open = (node: NodeState) => (closed.has(node) ? 0 : (drawn(node)?.room ?? 0))
        const sum = (of: readonly NodeState[], weigh: (node: NodeState) => number) =>
          of.reduce((all, node) => all + weigh(node), 0)
        expect(room.total).toBe(sum(fleet.order, open))
        for (const domain of fleet.fabric.domains.flat()) {
          const inside = fleet.order.slice(domain.from, domain.to)
          const rooms = sum(inside, open)
          const weight = sum(inside, (node) => (drawn(node)?.isLiked === true ? 10 * open(node) : 0))
          expect(room.in(domain)).toBe(rooms)
          expect(liked?.(domain)).toBe(rooms === 0 ? 0 : weight / rooms)
        }
        expect(likedBy(fleet, plain, room)).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  test('scattered ones would rather be somewhere, too, before they fill what is fullest', () => {
    const room = { n0: 3, n1: 1, n2: 2 }
    const fleet = fleetOf(
      Object.entries(room).map(([node, count]) => ({
        block: 'b0',
        rack: 'r0',
        node,
        room: count,
        isLiked: node === 'n2',
      })),
    )
    const liked = likedBy(fleet, wishing, openRoom(fleet, wishing, undefined))
    expect(seats(spread(fleet, 4, asking(fleet, wishing, { isScattered: true, liked })))).toBe('n2:2 n1:1 n0:1')
    expect(seats(spread(fleet, 4, asking(fleet, plain, { isScattered: true })))).toBe('n1:1 n2:2 n0:1')
  })

  test('scattered inside a domain stay in it', () => {
    const fleet = fleetOf([
      { block: 'b0', rack: 'r0', node: 'n0', room: 1 },
      { block: 'b0', rack: 'r1', node: 'n1', room: 3 },
      { block: 'b0', rack: 'r1', node: 'n2', room: 2 },
      { block: 'b0', rack: 'r2', node: 'n3', room: 1 },
    ])
    const domain = fleet.fabric.domains[2]?.[1]
    expect(seats(spread(fleet, 3, asking(fleet, plain, { isScattered: true, domain })))).toBe('n2:2 n1:1')
  })
})

describe('slices of two', () => {
  const slices = [{ size: 2, level: nodeLevel }]
  const pairs = demandOf(groupOf(1, { ports: 0 }), { model: 'gpu', count: 1 }, slices)

  test('go where least is left over, of places that hold as many of them', () => {
    const placed = (members: number, ...rooms: number[]) => {
      const fleet = inOneRack(...rooms)
      return seats(spread(fleet, members, asking(fleet, pairs)))
    }
    expect(placed(4, 5, 4)).toBe('n1:4')
    expect(placed(8, 5, 4, 4)).toBe('n1:4 n2:4')
    expect(placed(6, 5, 4, 2)).toBe('n1:4 n2:2')
  })

  test('are as even as whole slices can be', () => {
    const placed = (members: number, ...rooms: number[]) => {
      const fleet = inOneRack(...rooms)
      return seats(spread(fleet, members, asking(fleet, pairs, { isBalanced: true })))
    }
    expect(placed(6, 4, 4)).toBe('n0:4 n1:2')
    expect(placed(8, 7, 4, 5)).toBe('n1:4 n2:4')
    expect(placed(10, 6, 4, 5)).toBe('n1:4 n0:6')
    expect(placed(12, 7, 4, 5)).toBe('n1:4 n2:4 n0:4')
  })
})

describe('balanced members', () => {
  const placed = (members: number, ...rooms: number[]) => {
    const fleet = inOneRack(...rooms)
    return seats(spread(fleet, members, asking(fleet, plain, { isBalanced: true })))
  }

  test('are on the tightest of as few nodes as hold them that leave them as even', () => {
    expect(placed(4, 6, 3, 2, 2)).toBe('n0:4')
    expect(placed(6, 5, 5, 3, 3)).toBe('n2:3 n3:3')
    expect(placed(8, 6, 5, 4, 1)).toBe('n2:4 n1:4')
    expect(placed(7, 4, 4)).toBe('n0:4 n1:3')
  })

  test('how even they would be is told: the fewest that one node takes, and how many more the fullest does', () => {
    const even = (members: number, ...rooms: number[]) => {
      const fleet = inOneRack(...rooms)
      const [rack] = fleet.fabric.domains[2] ?? []
      if (rack === undefined) throw new Error('no rack')
      return evenness(rack, members, asking(fleet, plain, { isBalanced: true }))
    }
    expect(even(6, 3, 3)).toEqual({ least: 3, more: 0 })
    expect(even(7, 4, 4)).toEqual({ least: 3, more: 1 })
    expect(even(8, 7, 1)).toEqual({ least: 1, more: 6 })
    expect(even(5, 8, 4)).toEqual({ least: 5, more: 0 })
  })
})
