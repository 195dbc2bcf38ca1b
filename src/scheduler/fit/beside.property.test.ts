import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { Fleet } from '../fleet/fleet.ts'
import type { NodeState } from '../fleet/nodes.ts'
import { groupOf } from '../gang.fixture.ts'
import { lostTo } from './beside.ts'
import { claimOn } from './claims.ts'
import { demandOf, type Group } from './demand.ts'
import type { Placed } from './search.ts'

function nodeOf(name: string, gpus: number, cpu: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: {},
    status: { allocatable: { cpu: String(cpu), memory: '16Gi', 'nvidia.com/gpu': String(gpus) }, conditions: [] },
  }
}

const groups = fc
  .record({
    count: fc.constantFrom(0, 0.25, 0.5, 1, 1.5, 2, 4),
    cpuMilli: fc.constantFrom(0, 1000, 3000),
    memoryBytes: fc.constantFrom(0, 2 ** 30, 3 * 2 ** 30),
  })
  .map(({ count, ...asked }): Group => {
    return { ...groupOf(1, {}), ...asked, accelerators: [{ model: 'gpu', count }] }
  })

test('what is counted as lost beside others is lost: no more room is denied than they take', () => {
  const nodes = fc.array(fc.record({ gpus: fc.integer({ min: 0, max: 8 }), cpu: fc.integer({ min: 1, max: 12 }) }), {
    minLength: 1,
    maxLength: 4,
  })
  const here = { gang: 'default/g', queue: 'default', occupant: undefined }
  let denied = 0
  fc.assert(
    fc.property(nodes, groups, groups, fc.array(fc.nat(5), { maxLength: 12 }), (sizes, placedGroup, group, seats) => {
      const fleet = new Fleet()
      for (const [index, { gpus, cpu }] of sizes.entries()) fleet.setNode(nodeOf(`n${index}`, gpus, cpu))
      const [first, second] = [demandOf(placedGroup, one(placedGroup)), demandOf(group, one(group))]
      const isOpen = ({ index }: NodeState) => index !== 2
      const roomOf = () => fleet.order.reduce((sum, node) => sum + (isOpen(node) ? fleet.rooms(second).on(node) : 0), 0)
      fleet.attempt(() => {
        const before = roomOf()
        const wanted = seats.map((seat) => seat % sizes.length).sort((a, b) => a - b)
        const nodesWanted = wanted.flatMap((index) => fleet.order[index] ?? [])
        // Claimed one by one, so that each takes devices of its own, and all at once given back.
        const placed: Placed[] = []
        fleet.attempt(() => {
          for (const node of nodesWanted) {
            if (fleet.rooms(first).on(node) === 0) continue
            const claim = claimOn(fleet, node, first, here)
            placed.push({ group: 0, node, claim })
            fleet.try(claim)
          }
        })
        const lost = lostTo(fleet, placed, second, isOpen)
        for (const { claim } of placed) fleet.try(claim)
        expect(lost).toBeLessThanOrEqual(before - roomOf())
        denied += lost
      })
    }),
    { numRuns: 400 },
  )
  expect(denied).toBeGreaterThan(0)
})

test('cores, memory and whole accelerators that are taken are told to the member', () => {
  const fleet = new Fleet()
  for (const name of ['a', 'b']) fleet.setNode(nodeOf(name, 8, 12))
  const here = { gang: 'default/g', queue: 'default', occupant: undefined }
  const asking = (count: number, cpuMilli: number, gib: number): Group => {
    const memoryBytes = gib * 2 ** 30
    return { ...groupOf(1, {}), cpuMilli, memoryBytes, ports: 0, accelerators: [{ model: 'gpu', count }] }
  }
  const lost = (members: number, first: Group, second: Group, isOpen = () => true) =>
    fleet.attempt(() => {
      const node = fleet.order[0]
      if (node === undefined) throw new Error('no node')
      const placed: Placed[] = []
      for (let member = 0; member < members; member++) {
        placed.push({ group: 0, node, claim: claimOn(fleet, node, demandOf(first, one(first)), here) })
        fleet.try(claimOn(fleet, node, demandOf(first, one(first)), here))
      }
      fleet.untry(members)
      return lostTo(fleet, placed, demandOf(second, one(second)), isOpen)
    })
  expect(lost(2, asking(0, 3000, 0), asking(0, 4000, 0)), 'of 12 cores 6 are left').toBe(2)
  expect(lost(1, asking(0, 0, 7), asking(0, 0, 4)), 'of 16 GiB 9 are left').toBe(2)
  expect(lost(2, asking(3, 0, 0), asking(2, 0, 0)), 'of 8 accelerators 2 are left').toBe(3)
  expect(lost(1, asking(3, 0, 0), asking(1.5, 0, 0)), 'beside a share goes a whole one').toBe(2)
  expect(lost(2, asking(3, 4000, 0), asking(0, 0, 4)), 'nothing of what it asks for').toBe(0)
  expect(
    lost(2, asking(3, 0, 0), asking(2, 0, 0), () => false),
    'not where it may not go anyway',
  ).toBe(0)
})

function one({ accelerators }: Group) {
  const [first] = accelerators
  if (first === undefined) throw new Error('a group names an accelerator')
  return first
}
