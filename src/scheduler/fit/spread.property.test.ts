import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeLevel } from '../../model/fabric.ts'
import type { Topology } from '../../model/kinds/topology.ts'
import { label } from '../../model/names.ts'
import type { Domain } from '../fleet/fabric.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { fitGang } from './fit.ts'

const fleets = fc.uniqueArray(
  fc.record({
    block: fc.constantFrom('b0', 'b1', 'b2'),
    rack: fc.constantFrom('r0', 'r1', 'r2'),
    node: fc.constantFrom('n0', 'n1', 'n2'),
    room: fc.integer({ min: 0, max: 5 }),
  }),
  { minLength: 1, maxLength: 16, selector: ({ block, rack, node }) => block + rack + node },
)
/** A single one goes where packing wants it. */
const members = fc.integer({ min: 2, max: 24 })

interface Drawn {
  block: string
  rack: string
  node: string
  room: number
}

function fleetOf(nodes: readonly Drawn[]): Fleet {
  const fleet = new Fleet()
  for (const { block, rack, node, room } of nodes) {
    const labels = { [label.block]: block, [label.rack]: `${block}-${rack}` }
    fleet.setNode({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `${block}${rack}${node}`, labels },
      status: { allocatable: { 'nvidia.com/gpu': String(room) } },
    })
  }
  return fleet
}

/** How many members sit on each node, by index; undefined when they don't fit. */
function placed(fleet: Fleet, count: number, topology: Topology = {}): Map<number, number> | undefined {
  const object = gangNamed('g', [groupOf(count, { ports: 0, topology })])
  const fit = fitGang(fleet, { gang: 'default/g', object, quotaLeft: new Map(), reserved: { of: () => undefined } })
  if (!fit.fits) return undefined
  const taken = new Map<number, number>()
  for (const { node } of fit.placed) taken.set(node.index, (taken.get(node.index) ?? 0) + 1)
  return taken
}

const roomOf = (fleet: Fleet, index: number) => fleet.order[index]?.devices.size ?? 0
const inside = ({ from, to }: Domain, of: (index: number) => number) =>
  Array.from({ length: to - from }, (_, at) => of(from + at)).reduce((sum, one) => sum + one, 0)

interface Share {
  place: Domain
  room: number
  taken: number
}

/** Wherever members of one domain are parted among those in it: what each has room for and takes. */
function partings(fleet: Fleet, taken: ReadonlyMap<number, number>): Share[][] {
  const shares = (places: readonly Domain[]) =>
    places.map((place) => ({
      place,
      room: inside(place, (index) => roomOf(fleet, index)),
      taken: inside(place, (index) => taken.get(index) ?? 0),
    }))
  const all = fleet.fabric.domains.slice(0, nodeLevel).flat()
  const within = all.filter((place) => inside(place, (index) => taken.get(index) ?? 0) > 0)
  return [shares(fleet.fabric.domains[0] ?? []), ...within.map(({ children }) => shares(children))]
}

const total = (shares: readonly Share[], of: 'room' | 'taken') => shares.reduce((sum, one) => sum + one[of], 0)

test('members are on as few domains as can be at every level, the tightest that holds them, or all but one full', () => {
  fc.assert(
    fc.property(fleets, members, (nodes, count) => {
      const fleet = fleetOf(nodes)
      const taken = placed(fleet, count)
      const rooms = nodes.reduce((sum, { room }) => sum + room, 0)
      expect(taken !== undefined).toBe(rooms >= count)
      if (taken === undefined) return
      for (const shares of partings(fleet, taken)) {
        const wanted = total(shares, 'taken')
        const used = shares.filter((one) => one.taken > 0)
        const able = shares.filter(({ room }) => room >= wanted)
        if (able.length > 0) {
          const tightest = Math.min(...able.map(({ room }) => room))
          expect(used.map(({ place }) => place.from)).toEqual([able.find(({ room }) => room === tightest)?.place.from])
          continue
        }
        const most = shares.map(({ room }) => room).sort((a, b) => b - a)
        let fewest = 0
        for (let sum = 0; sum < wanted; fewest++) sum += most[fewest] ?? 0
        expect(used.length).toBe(fewest)
        const rest = used.filter((one) => one.taken < one.room)
        expect(rest.length).toBeLessThanOrEqual(1)
        const [last] = rest
        if (last === undefined) continue
        // What the full ones leave over goes where it fits most tightly.
        const others = shares.filter((one) => one.taken === 0 && one.room >= last.taken)
        for (const { room } of others) expect(room).toBeGreaterThanOrEqual(last.room)
      }
    }),
    { numRuns: 300 },
  )
})

describe('members that are', () => {
  test('balanced are as even as can be where they are first parted', () => {
    fc.assert(
      fc.property(fleets, members, (nodes, count) => {
        const fleet = fleetOf(nodes)
        const taken = placed(fleet, count, { balanced: true })
        if (taken === undefined) return
        const parted = partings(fleet, taken).find((shares) => shares.filter((one) => one.taken > 0).length > 1)
        const used = (parted ?? []).filter((one) => one.taken > 0)
        const full = used.filter((one) => one.taken === one.room)
        const open = used.filter((one) => one.taken < one.room).map((one) => one.taken)
        // Whoever has fewer than another has no room for more.
        expect(Math.max(0, ...open) - Math.min(...open, Math.max(0, ...open))).toBeLessThanOrEqual(1)
        for (const one of full) for (const other of open) expect(one.taken).toBeLessThanOrEqual(other + 1)
      }),
      { numRuns: 300 },
    )
  })

  test('scattered are on the fullest nodes', () => {
    fc.assert(
      fc.property(fleets, members, (nodes, count) => {
        const fleet = fleetOf(nodes)
        const taken = placed(fleet, count, { scattered: true })
        if (taken === undefined) return
        const free = fleet.order
          .map(({ index }) => ({ index, room: roomOf(fleet, index) }))
          .filter(({ room }) => room > 0)
        const expected = new Map<number, number>()
        let left = count
        for (const { index, room } of free.sort((a, b) => a.room - b.room || a.index - b.index)) {
          if (left > 0) expected.set(index, Math.min(room, left))
          left -= Math.min(room, left)
        }
        expect(taken).toEqual(expected)
      }),
      { numRuns: 300 },
    )
  })

  test('required in one rack are in the tightest that holds them', () => {
    fc.assert(
      fc.property(fleets, members, (nodes, count) => {
        const fleet = fleetOf(nodes)
        const taken = placed(fleet, count, { required: 'rack' })
        const racks = (fleet.fabric.domains[2] ?? []).map((place) => inside(place, (index) => roomOf(fleet, index)))
        const able = racks.filter((room) => room >= count)
        expect(taken !== undefined).toBe(able.length > 0)
        if (taken === undefined) return
        const used = (fleet.fabric.domains[2] ?? []).filter(
          (place) => inside(place, (index) => taken.get(index) ?? 0) > 0,
        )
        expect(used.map((place) => inside(place, (index) => roomOf(fleet, index)))).toEqual([Math.min(...able)])
      }),
      { numRuns: 300 },
    )
  })
})
