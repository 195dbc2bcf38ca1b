import { expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import { tightWeights } from '../packing/packing.ts'
import { demandFor } from './demand.fixture.ts'
import { Fleet } from './fleet.ts'
import { Mix } from './mix.ts'

function fleetOf(nodes: number): Fleet {
  const fleet = new Fleet()
  for (let index = 0; index < nodes; index++) {
    const object: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `n${index}`, labels: { [label.accelerator]: 'H100' } },
      spec: {},
      status: { allocatable: { cpu: '96', memory: '1Ti', 'nvidia.com/gpu': '8' }, conditions: [] },
    }
    fleet.setNode(object)
  }
  return fleet
}

const of = (count: number, cpuMilli: number, members: number) =>
  groupOf(members, { accelerators: [{ model: 'gpu', count }], cpuMilli })

test('members of several accelerators are kinds, by their number and, roughly, their cores; the larger are among the smaller', () => {
  const [fleet, mix] = [fleetOf(2), new Mix()]
  mix.set('a', gangNamed('a', [of(8, 88_000, 3), of(8, 80_000, 1), of(8, 32_000, 2)]))
  mix.set('b', gangNamed('b', [of(4, 30_000, 5), of(1, 8_000, 9), of(0.5, 8_000, 7)]))
  mix.teach(fleet)
  expect(fleet.large).toEqual([
    { count: 8, cpuMilli: 88_000, members: 4 },
    { count: 8, cpuMilli: 32_000, members: 6 },
    { count: 4, cpuMilli: 30_000, members: 5 + 2 * 4 + 2 },
  ])
})

test('who asks for cores alone is kept off the idle accelerators that need them, as long as there is another place', () => {
  const best = (large: number) => {
    const [fleet, mix] = [fleetOf(10), new Mix()]
    for (let index = 1; index < 10; index++) {
      const devices = [{ id: 'H100-0', milli: 1000 }]
      const rest = { model: 'H100', cpuMilli: 12_000, memoryBytes: 0, ports: [], gang: undefined, queue: undefined }
      fleet.setClaim(`p${index}`, 'seat', { node: `n${index}`, devices, ...rest })
    }
    mix.set('a', gangNamed('a', [of(8, 88_000, large), of(1, 8_000, 57), of(0, 12_000, 20)]))
    mix.teach(fleet)
    const demand = demandFor('gpu', { key: 'cores', whole: 0, cpuMilli: 12_000 })
    return [fleet.best(demand)?.name, fleet.best(demand, ({ name }) => name === 'n0')?.name]
  }
  expect(best(1)).toEqual(['n0', 'n0']) // room for as many as are to come
  expect(best(3)).toEqual(['n1', 'n0'])
})

test('room for one more is kept once less than four tenths are free, until half are', () => {
  const [fleet, mix] = [fleetOf(5), new Mix()]
  mix.set('a', gangNamed('a', [of(1, 8_000, 40)]))
  const isTight = () => {
    mix.teach(fleet)
    return fleet.packing === fleet.packing.weighed(tightWeights)
  }
  const take = (count: number) => {
    for (let index = 0; index < 40; index++) {
      const claim = { node: `n${index >> 3}`, model: 'H100', devices: [{ id: `H100-${index & 7}`, milli: 1000 }] }
      const rest = { cpuMilli: 8_000, memoryBytes: 0, ports: [], gang: undefined, queue: undefined }
      fleet.setClaim(`p${index}`, 'seat', index < count ? { ...claim, ...rest } : undefined)
    }
    return isTight()
  }
  expect([0, 24, 25, 21, 20, 24].map(take)).toEqual([false, false, true, true, false, false])
})
