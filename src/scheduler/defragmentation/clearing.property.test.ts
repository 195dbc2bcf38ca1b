import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { demandOf } from '../fit/demand.ts'
import { claimsOf } from '../fit/seats.ts'
import { Fleet } from '../fleet/fleet.ts'
import type { Demand } from '../fleet/rooms.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { type GangState, newState } from '../gangs.ts'
import { queueNamed } from '../quota/quota.fixture.ts'
import { QuotaTree } from '../quota/tree.ts'
import { clearingsOf } from './clearing.ts'
import { Movables } from './movable.ts'

/** A gang that sits on the node that is to be cleared. */
interface Holder {
  gpus: number
  cpu: number
  /** How long its work is not saved. */
  hours: number
  mayMove: boolean
}

const nowMs = Date.parse('2026-01-02T00:00:00Z')
const [gpus, cpu] = [8, 16]

const holders = fc.array(
  fc.record<Holder>({
    gpus: fc.integer({ min: 0, max: 3 }),
    cpu: fc.integer({ min: 0, max: 5 }),
    hours: fc.integer({ min: 1, max: 9 }),
    mayMove: fc.constantFrom(true, true, true, false),
  }),
  { maxLength: 6 },
)

test('a node is cleared for one member more at a time, by one gang if one is enough, and by none that is not needed', () => {
  fc.assert(
    fc.property(holders, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 8 }), (drawn, each, cores) => {
      const sitting = seatedOn(drawn)
      const demand = demandOf(groupOf(1, { ports: 0, cpuMilli: cores * 1000 }), { model: 'H100', count: each })
      const { fleet, movables } = sitting
      const [node] = fleet.order
      if (node === undefined) throw new Error('no node')
      const before = JSON.stringify([...node.devices.values(), ...node.claims.keys(), node.cpuMilliFree])
      const cleared = clearingsOf(node, demand, movables, 3)
      expect(JSON.stringify([...node.devices.values(), ...node.claims.keys(), node.cpuMilliFree])).toBe(before)

      const left = new Set(sitting.fits.keys())
      const roomWithout = (gone: readonly number[]) =>
        roomIn(
          [...left].filter((index) => !gone.includes(index)).flatMap((index) => sitting.fits.get(index) ?? []),
          demand,
        )
      const movers = () => [...left].filter((index) => sitting.fits.get(index)?.mayMove === true)
      const priceOf = (index: number) => movables.get(`default/g${index}`)?.price ?? Number.NaN
      for (const { gangs, price, node: on } of cleared) {
        const gone = gangs.map(({ key }) => Number(key.slice('default/g'.length)))
        const room = roomWithout([])
        expect(on).toBe(node)
        expect(price).toBe(gone.reduce((sum, index) => sum + priceOf(index), 0))
        expect(gone.every((index) => movers().includes(index))).toBe(true)
        expect(roomWithout(gone)).toBeGreaterThan(room)
        for (const one of gone) expect(roomWithout(gone.filter((index) => index !== one))).toBe(room)
        const enough = movers().filter((index) => roomWithout([index]) > room)
        if (enough.length > 0) expect([gone.length, price]).toEqual([1, Math.min(...enough.map(priceOf))])
        else {
          // Of the cheapest: nobody goes who is dearer than what is enough without.
          const dearest = Math.max(...gone.map(priceOf))
          const cheaper = movers().filter((index) => priceOf(index) < dearest)
          expect(roomWithout(cheaper)).toBe(room)
        }
        for (const index of gone) left.delete(index)
      }
      if (cleared.length < 3) expect(roomWithout(movers()), 'nobody else would help').toBe(roomWithout([]))
    }),
    { numRuns: 200 },
  )
})

/** Who would go, time after time. */
function cleared(drawn: readonly Holder[], each: number, most: number, elsewhere?: number): string[][] {
  const { fleet, movables } = seatedOn(drawn, elsewhere)
  const [node] = fleet.order
  if (node === undefined) throw new Error('no node')
  const demand = demandOf(groupOf(1, { ports: 0 }), { model: 'H100', count: each })
  return clearingsOf(node, demand, movables, most).map(({ gangs }) => gangs.map(({ key }) => key.slice(-2)).sort())
}

const holding = (count: number, hours: number): Holder => ({ gpus: count, cpu: 0, hours, mayMove: true })

test('several go together where none alone is enough, the cheapest, without those that turn out not to be needed', () => {
  expect(cleared([holding(3, 1), holding(3, 2), holding(2, 3)], 5, 3)).toEqual([['g0', 'g2']])
  expect(cleared([holding(1, 1), holding(3, 2), holding(4, 9)], 7, 3)).toEqual([['g1', 'g2']])
  expect(cleared([holding(2, 1), holding(2, 2), holding(2, 3), holding(2, 4)], 2, 3)).toEqual([['g0'], ['g1'], ['g2']])
  expect(cleared([holding(2, 1), holding(2, 1)], 6, 3)).toEqual([['g0']])
})

test('where nobody has room elsewhere, nobody is asked to go', () => {
  expect(cleared([holding(5, 1)], 6, 1)).toEqual([['g0']])
  expect(cleared([holding(5, 1)], 6, 1, 0)).toEqual([])
  expect(cleared([holding(4, 1), holding(4, 1)], 8, 1, 3)).toEqual([])
})

/** As many members as the node has room for beside those who sit there. */
function roomIn(sitting: readonly Holder[], { whole, cpuMilli }: Demand): number {
  const rest = (all: number, of: (one: Holder) => number) => all - sitting.reduce((sum, one) => sum + of(one), 0)
  const byGpus = Math.floor(rest(gpus, (one) => one.gpus) / whole)
  const cores = rest(cpu, (one) => one.cpu) * 1000
  return cpuMilli === 0 ? byGpus : Math.min(byGpus, Math.floor(cores / cpuMilli))
}

/** Those of the holders that the node holds, one after the other, and another node where as many accelerators are free. */
function seatedOn(drawn: readonly Holder[], elsewhere = 8) {
  const fleet = new Fleet()
  fleet.setNode(nodeNamed('a', gpus))
  fleet.setNode(nodeNamed('b', elsewhere))
  const quota = new QuotaTree()
  quota.set(queueNamed('default'))
  const gangs = new Map<string, GangState>()
  const fits = new Map<number, Holder>()
  let [used, cores] = [0, 0]
  for (const [index, holder] of drawn.entries()) {
    if (used + holder.gpus > gpus || cores + holder.cpu > cpu) continue
    const devices = Array.from({ length: holder.gpus }, (_, at) => ({ id: `g${used + at}`, milli: 1000 }))
    used += holder.gpus
    cores += holder.cpu
    fits.set(index, holder)
    const members = [{ pod: `g${index}`, group: 'worker', rank: 0, localRank: 0, node: 'a', devices, ports: [] }]
    const at = new Date(nowMs - holder.hours * 3_600_000).toISOString()
    const seats = { attempt: 1, masterAddr: '127.0.0.1', masterPort: 1, epoch: 1, at, members }
    const accelerators = [{ model: 'H100', count: holder.gpus }]
    const asked = groupOf(1, { ports: 0, cpuMilli: holder.cpu * 1000, accelerators })
    const plain = gangNamed(`g${index}`, [asked], { preemptible: holder.mayMove })
    const object: Gang = { ...plain, status: { conditions: [], checkpoints: [], seats } }
    for (const [pod, claim] of claimsOf(object, seats, () => 'H100')) fleet.setClaim(pod, 'seat', claim)
    const key = `default/g${index}`
    gangs.set(key, { ...newState(key, object), seats })
  }
  const scene = {
    fleet,
    quota,
    queues: new Map([['default', queueNamed('default')]]),
    gangs,
    livePodsOf: () => new Set<string>(),
  }
  return { fleet, fits, movables: new Movables(scene, gangNamed('waits', [groupOf(1)]), nowMs) }
}

function nodeNamed(name: string, count: number): Node {
  const devices = Array.from({ length: count }, (_, at) => ({ id: `g${at}`, model: 'H100', healthy: true }))
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } },
    status: { allocatable: { cpu: String(cpu), memory: '8Gi' } },
  }
}
