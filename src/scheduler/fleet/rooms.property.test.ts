import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeLevel } from '../../model/fabric.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { Packing } from '../packing/packing.ts'
import { pricesOf } from '../packing/prices.ts'
import { demandFor } from './demand.fixture.ts'
import type { Domain } from './fabric.ts'
import { Fleet } from './fleet.ts'
import { bankFor, type Claim, type NodeState } from './nodes.ts'
import { shapeOf } from './ranking.ts'
import { type Demand, roomFor, type Slice } from './rooms.ts'

const models = ['H100', 'T4']

function nodeOf(index: number, model: string, cpu: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `n${index}`,
      labels: {
        [label.block]: `b${index % 2}`,
        ...(index % 5 === 0 ? {} : { [label.rack]: `r${index % 3}` }),
        [label.accelerator]: model,
      },
    },
    spec: {},
    status: { allocatable: { cpu: String(cpu), memory: '8Gi', 'nvidia.com/gpu': '4' }, conditions: [] },
  }
}

const demand = fc
  .record({
    model: fc.constantFrom('H100', 'T4', 'gpu'),
    whole: fc.integer({ min: 0, max: 4 }),
    milli: fc.constantFrom(0, 200, 500, 810),
    cpuMilli: fc.constantFrom(0, 1500, 4000),
    slices: fc.constantFrom<Slice[] | undefined>(
      undefined,
      [{ level: 4, size: 2 }],
      [{ level: 2, size: 3 }],
      [
        { level: 1, size: 4 },
        { level: 4, size: 2 },
      ],
    ),
  })
  .map(({ model, whole, milli, cpuMilli, slices }): Demand => {
    const share = whole > 0 ? 0 : milli
    const rest = { memoryBytes: 0, ports: 0, pods: 1, nodeSelector: {}, tolerations: [], terms: undefined }
    const key = `${model} ${whole} ${share} ${cpuMilli} ${JSON.stringify(slices)}`
    return { key, model, whole, milli: share, cpuMilli, slices, ...rest }
  })
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('take' as const), demand, which: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('give' as const), which: fc.nat(50) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('try' as const), demand, which: fc.nat(50) }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('node' as const), which: fc.nat(9), model: fc.constantFrom(...models) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('gone' as const), which: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('ask' as const), demand }) },
)

test('counters, rankings and whole domains are what a recount says, after any history', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const fleet = new Fleet()
      fleet.packing = new Packing(
        [
          { cpuMilli: 1500, count: 1, milli: 500, models: ['H100'], share: 0.6 },
          { cpuMilli: 4000, count: 2, milli: 1000, models: undefined, share: 0.4 },
        ],
        pricesOf(
          [
            { milli: 500, count: 10 },
            { milli: 1000, count: 5 },
          ],
          20,
        ),
      )
      fleet.expectLarge([{ count: 4, cpuMilli: 5000, members: 2 }], { accelerators: 10, cpuMilli: 15_000 })
      for (let index = 0; index < 8; index++) fleet.setNode(nodeOf(index, models[index % 2] ?? '', 8))
      const held: string[] = []
      for (const [at, one] of steps.entries()) {
        if (one.does === 'node') fleet.setNode(nodeOf(one.which, one.model, 8 + one.which))
        else if (one.does === 'gone') fleet.removeNode(`n${one.which}`)
        else if (one.does === 'give') {
          const [pod] = held.splice(one.which % Math.max(1, held.length), 1)
          if (pod !== undefined) fleet.setClaim(pod, 'seat', undefined)
        } else if (one.does === 'ask') check(fleet, one.demand)
        else {
          const claim = claimOf(fleet, one.demand, one.which)
          if (claim === undefined) continue
          if (one.does === 'take') {
            fleet.setClaim(`p${at}`, 'seat', claim)
            held.push(`p${at}`)
          } else {
            const before = snapshot(fleet)
            fleet.attempt(() => {
              fleet.try(claim)
              check(fleet, one.demand)
            })
            expect(snapshot(fleet)).toEqual(before)
          }
        }
      }
      for (const model of ['H100', 'gpu']) check(fleet, { ...anyDemand, key: `last ${model}`, model })
    }),
    { numRuns: 300 },
  )
})

const anyDemand = demandFor('gpu', { key: 'last' })

function check(fleet: Fleet, wanted: Demand): void {
  const { order, fabric } = fleet
  const rooms = fleet.rooms(wanted)
  const recount = order.map((node) => roomFor(node, wanted))
  expect(order.map((node) => rooms.raw(node))).toEqual(recount)
  const total = (domains: readonly Domain[]) => domains.reduce((sum, one) => sum + wholeSlices(one, recount, wanted), 0)
  expect(rooms.total).toBe(total(fabric.domains[0] ?? []))
  for (const domain of fabric.domains.flat()) {
    expect(rooms.in(domain.level, domain.index)).toBe(total([domain]))
  }
  if (fleet.large.length > 0) expect(fleet.scarce() !== 0).toBe(isFourScarce(fleet))
  if (wanted.whole + wanted.milli === 0 || wanted.slices !== undefined) return
  expect(fleet.best(wanted)?.name).toBe(bestByScan(fleet, wanted)?.name)
}

/** What of a domain slices can use, counted from its nodes up. */
function wholeSlices(domain: Domain, recount: readonly number[], wanted: Demand): number {
  const { level, from, children, isReal } = domain
  const sum =
    level === nodeLevel
      ? (recount[from] ?? 0)
      : children.reduce((total, child) => total + wholeSlices(child, recount, wanted), 0)
  const size = wanted.slices?.find((slice) => slice.level === level)?.size ?? 1
  return size > 1 && !isReal ? 0 : Math.floor(sum / size) * size
}

/** What the ranking promises, looked up node by node. */
function bestByScan(fleet: Fleet, wanted: Demand): NodeState | undefined {
  const { packing, order } = fleet
  const shape = shapeOf(wanted)
  const isScarce = fleet.large.length > 0 && isFourScarce(fleet)
  const ranked = order
    .filter((node) => roomFor(node, wanted) > 0)
    .map((node) => {
      const bank = bankFor(node, wanted.model)
      const free = bank.map(({ usedMilli }) => 1000 - usedMilli)
      const state = packing.state(bank[0]?.model ?? wanted.model, node.cpuMilliFree, free)
      const { score, devices } = packing.outcome(state, shape)
      const taken = wanted.whole > 0 ? wanted.whole : devices.length === 1 && devices[0] === 1000 ? 1 : 0
      const isLarge = wanted.whole >= 4 && wanted.cpuMilli >= 5000
      const breaks = !isLarge && holdsFour(node) && (taken > 0 || node.cpuMilliFree - wanted.cpuMilli < 5000)
      return { node, rank: (isScarce && breaks ? -1000 : 0) + score * 4 + inUse(fleet, node) }
    })
  const most = ranked.reduce((best, { rank }) => Math.max(best, rank), Number.NEGATIVE_INFINITY)
  return ranked.find(({ rank }) => rank === most)?.node
}

function holdsFour(node: NodeState): boolean {
  return bankFor(node, 'gpu').filter(({ usedMilli }) => usedMilli <= 0).length === 4 && node.cpuMilliFree >= 5000
}

/** As many nodes of four free accelerators with five cores as will come, by what `expectLarge` was told, until what is free is used up, or fewer. */
function isFourScarce({ order }: Fleet): boolean {
  let [free, cores, fours] = [0, 0, 0]
  for (const node of order) {
    const bank = bankFor(node, 'gpu')
    for (const { usedMilli } of bank) free += 1 - usedMilli / 1000
    cores += node.cpuMilliFree / 1000
    if (holdsFour(node)) fours++
  }
  return fours <= 2 * Math.min(free / 10, (0.6 * cores) / 15) + 1e-9
}

function inUse(fleet: Fleet, node: NodeState): number {
  const within = (level: number) => {
    const domain = fleet.fabric.domains[level]?.[fleet.fabric.domainOf[level]?.[node.index] ?? -1]
    if (domain?.isReal !== true) return true
    return fleet.order.slice(domain.from, domain.to).some(({ claims }) => claims.size > 0)
  }
  return (within(1) ? 1 : 0) + (within(2) ? 2 : 0)
}

function claimOf(fleet: Fleet, wanted: Demand, which: number): Claim | undefined {
  const able = fleet.order.filter((node) => roomFor(node, wanted) > 0)
  const node = able[which % Math.max(1, able.length)]
  if (node === undefined || wanted.whole + wanted.milli === 0) return undefined
  const bank = bankFor(node, wanted.model)
  const devices =
    wanted.whole > 0
      ? bank
          .filter(({ usedMilli }) => usedMilli <= 0)
          .slice(0, wanted.whole)
          .map(({ id }) => ({ id, milli: 1000 }))
      : bank
          .filter(({ usedMilli }) => usedMilli + wanted.milli <= 1000)
          .slice(0, 1)
          .map(({ id }) => ({ id, milli: wanted.milli }))
  const { cpuMilli, memoryBytes } = wanted
  return { node: node.name, model: bank[0]?.model ?? '', devices, cpuMilli, memoryBytes, ports: [] }
}

function snapshot(fleet: Fleet): unknown {
  return fleet.order.map(({ name, cpuMilliFree, claims, devices }) => [
    name,
    cpuMilliFree,
    claims.size,
    [...devices.values()].map(({ usedMilli }) => usedMilli),
  ])
}

test('the journal of touched nodes is bounded, and who is further behind than it remembers misses nothing', () => {
  const fleet = new Fleet()
  for (let index = 0; index < 8; index++) fleet.setNode(nodeOf(index, 'H100', 8))
  const { journal } = fleet
  for (let index = 0; index < 30_000; index++) {
    const claim = claimOf(fleet, anyDemand, index)
    if (claim !== undefined) fleet.setClaim(`p${index}`, 'seat', claim)
    fleet.setClaim(`p${index - 5}`, 'seat', undefined)
    if (index % 9_997 === 0) check(fleet, anyDemand)
  }
  check(fleet, anyDemand)
  expect(fleet.journal).toBe(journal)
  expect(journal.remembers(journal.end - 30_000)).toBe(false)
})
