import fc from 'fast-check'
import { expect, test } from 'vitest'
import { admit } from '../../model/admission.ts'
import { levelNamed, nodeLevel } from '../../model/fabric.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Topology } from '../../model/kinds/topology.ts'
import { annotation, label } from '../../model/names.ts'
import { kinds } from '../../model/registry.ts'
import { Fleet } from '../fleet/fleet.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { fitGang } from './fit.ts'
import type { Placed } from './search.ts'
import { seatsOf } from './seats.ts'

type Spec = Gang['spec']

function nodeOf(name: string, room: number): Node {
  const labels = { [label.block]: name.slice(0, 2), ...(name.includes('r9') ? {} : { [label.rack]: name.slice(2, 4) }) }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels, annotations: { [annotation.portRange]: '20000-20009' } },
    spec: {},
    status: { allocatable: { cpu: '8', memory: '8Gi', 'nvidia.com/gpu': String(room) }, conditions: [] },
  }
}

/** Rack 9 has no label: its nodes are in no rack. */
const fleets = fc.uniqueArray(
  fc.record({
    block: fc.constantFrom('b0', 'b1'),
    rack: fc.constantFrom('r0', 'r1', 'r9'),
    node: fc.constantFrom('n0', 'n1'),
    room: fc.integer({ min: 0, max: 5 }),
  }),
  { minLength: 1, maxLength: 9, selector: ({ block, rack, node }) => block + rack + node },
)
const level = fc.constantFrom('block', 'rack', 'node', undefined)
const slices = fc.constantFrom<Topology['slices']>(
  undefined,
  [{ size: 2, required: 'rack' }],
  [{ size: 2, required: 'node' }],
  [
    { size: 4, required: 'block' },
    { size: 2, required: 'node' },
  ],
)
const flag = fc.constantFrom(true, undefined)
const topologies = fc
  .record({ required: level, preferred: level, slices, balanced: flag, scattered: flag })
  .map((topology): Topology => Object.fromEntries(Object.entries(topology).filter(([, value]) => value !== undefined)))

function gangOf(groups: readonly { members: number; topology: Topology }[], more: Partial<Spec>): Gang {
  const named = groups.map(({ members, topology }, index) => groupOf(members, { name: `group-${index}`, topology }))
  return gangNamed('g', named, more)
}

function fleetOf(nodes: readonly { block: string; rack: string; node: string; room: number }[]): Fleet {
  const fleet = new Fleet()
  for (const { block, rack, node, room } of nodes) fleet.setNode(nodeOf(block + rack + node, room))
  return fleet
}

const fitted = (fleet: Fleet, object: Gang) =>
  fitGang(fleet, { gang: 'default/g', object, quotaLeft: new Map(), reserved: { of: () => undefined } })

test('one group sits exactly if some domain holds it, slices and all, and then as it asked', () => {
  fc.assert(
    fc.property(fleets, fc.constantFrom(2, 4, 6, 8, 10, 12), topologies, (nodes, members, topology) => {
      const fleet = fleetOf(nodes)
      const gang = gangOf([{ members, topology }], {})
      fc.pre('object' in admit(kinds.Gang, gang))
      const found = fitted(fleet, gang)
      expect(found.fits).toBe(
        domainsOf(fleet, topology.required).some((inside) => wholeRoom(fleet, inside, topology) >= members),
      )
      if (found.fits) checkSeats(fleet, gang, found.placed)
      for (const { claims, nextPort } of fleet.order) expect([claims.size, nextPort]).toEqual([0, 20_000])
    }),
    { numRuns: 500 },
  )
})

test('groups and sets of them sit as each asked, or not at all', () => {
  const group = fc.record({ members: fc.constantFrom(1, 2, 4), topology: topologies })
  fc.assert(
    fc.property(fleets, fc.array(group, { minLength: 1, maxLength: 4 }), level, level, (nodes, groups, all, some) => {
      const fleet = fleetOf(nodes)
      const even = groups.map(({ members, topology: { slices: s, ...rest } }) => ({
        members,
        topology: s !== undefined && members % (s[0]?.size ?? 1) === 0 ? { ...rest, slices: s } : rest,
      }))
      const set = { groups: ['group-0', 'group-1'], topology: some === undefined ? {} : { required: some } }
      const together = even.length < 2 ? {} : { together: [set] }
      const gang = gangOf(even, { ...together, topology: all === undefined ? {} : { required: all } })
      const found = fitted(fleet, gang)
      if (found.fits) checkSeats(fleet, gang, found.placed)
    }),
    { numRuns: 500 },
  )
})

/** Sets of nodes of which one must hold all members. */
function domainsOf(fleet: Fleet, required: string | undefined): number[][] {
  const everywhere = fleet.order.map(({ index }) => index)
  if (required === undefined) return [everywhere]
  return (fleet.fabric.domains[levelNamed(required) ?? 0] ?? [])
    .filter(({ isReal }) => isReal)
    .map(({ from, to }) => everywhere.slice(from, to))
}

/** Members in whole slices that some nodes hold, counted from the nodes up. */
function wholeRoom(fleet: Fleet, inside: readonly number[], { slices: asked = [] }: Topology): number {
  let here = new Map(inside.map((index) => [index, fleet.order[index]?.devices.size ?? 0]))
  for (let at = nodeLevel; at >= 0; at--) {
    const size = asked.find(({ required }) => levelNamed(required) === at)?.size ?? 1
    const sums = new Map<number, number>()
    for (const [index, room] of here) {
      const domain = fleet.fabric.domains[at]?.[fleet.fabric.domainOf[at]?.[index] ?? -1]
      if (domain === undefined || (size > 1 && !domain.isReal)) continue
      sums.set(domain.from, (sums.get(domain.from) ?? 0) + room)
    }
    here = new Map([...sums].map(([from, sum]) => [from, sum - (sum % size)]))
  }
  const total = [...here.values()].reduce((a, b) => a + b, 0)
  return total - (total % (asked[0]?.size ?? 1))
}

/** No node holds more than it has; whoever must be together is, and slices are neighbours in rank. */
function checkSeats(fleet: Fleet, { spec, ...gang }: Gang, placed: readonly Placed[]): void {
  const { members } = seatsOf({ spec, ...gang }, placed)
  expect(members.length).toBe(spec.groups.reduce((sum, { max }) => sum + max, 0))
  for (const { name, devices } of fleet.nodes.values()) {
    expect(members.filter(({ node }) => node === name).length).toBeLessThanOrEqual(devices.size)
  }
  const share = (of: typeof members, required: string | undefined) => {
    if (required === undefined) return
    const at = levelNamed(required) ?? 0
    const domains = of.map(({ node }) => fleet.fabric.domainOf[at]?.[fleet.nodes.get(node)?.index ?? -1])
    expect(new Set(domains).size, `${of.map(({ node }) => node).join()} share one ${required}`).toBe(1)
    expect(fleet.fabric.domains[at]?.[domains[0] ?? -1]?.isReal).toBe(true)
  }
  share(members, spec.topology?.required)
  for (const { groups, topology } of spec.together ?? []) {
    share(
      members.filter(({ group }) => groups.includes(group)),
      topology?.required,
    )
  }
  for (const { name, topology } of spec.groups) {
    const own = members.filter(({ group }) => group === name)
    share(own, topology?.required)
    for (const { size, required } of topology?.slices ?? []) {
      for (let from = 0; from < own.length; from += size) share(own.slice(from, from + size), required)
    }
  }
}
