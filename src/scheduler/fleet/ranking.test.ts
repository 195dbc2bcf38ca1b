import { expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { Packing } from '../packing/packing.ts'
import { pricesOf } from '../packing/prices.ts'
import { demandFor } from './demand.fixture.ts'
import { Fleet } from './fleet.ts'
import { modelsAllowed, shapeOf } from './ranking.ts'
import type { Demand } from './rooms.ts'

const demand = (more: Partial<Demand>) => demandFor('H100', { cpuMilli: 500, ...more })

test('packing sees whole accelerators, a share as a whole one beside others, or a share alone', () => {
  const models = ['H100']
  expect(shapeOf(demand({ whole: 2 }))).toEqual({ cpuMilli: 500, count: 2, milli: 1000, models })
  expect(shapeOf(demand({ whole: 2, milli: 250 }))).toEqual({ cpuMilli: 500, count: 3, milli: 1000, models })
  expect(shapeOf(demand({ whole: 0, milli: 250 }))).toEqual({ cpuMilli: 500, count: 1, milli: 250, models })
  expect(shapeOf(demand({ whole: 0 }))).toEqual({ cpuMilli: 500, count: 0, milli: 0, models: undefined })
})

test('any GPU is any model, or those that its affinity names', () => {
  const terms = [[{ key: 'millwright.dev/accelerator', operator: 'In', values: ['H100', 'H200'] }]]
  expect(modelsAllowed('H100', terms)).toEqual(['H100'])
  expect(modelsAllowed('gpu', undefined)).toBeUndefined()
  expect(modelsAllowed('gpu', [[{ ...terms[0]?.[0], key: 'disk' } as never]])).toBeUndefined()
})

test('nodes are ranked anew when packing has learnt what members mostly ask for', () => {
  const fleet = new Fleet()
  const nodeOf = (name: string, gpus: number): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'millwright.dev/accelerator': 'H100' } },
    status: { allocatable: { cpu: '8', memory: '8Gi', 'nvidia.com/gpu': gpus } },
  })
  fleet.setNode(nodeOf('whole', 1))
  fleet.setNode(nodeOf('broken', 3))
  const half = demand({ key: 'half', whole: 0, milli: 500, cpuMilli: 0 })
  const devices = [{ id: 'H100-0', milli: 500 }]
  fleet.setClaim('p', 'seat', { node: 'broken', model: 'H100', devices, cpuMilli: 0, memoryBytes: 0, ports: [] })
  expect(fleet.best(half)?.name, 'the fullest').toBe('whole')
  const typical = [{ cpuMilli: 0, count: 1, milli: 1000, models: undefined, share: 1 }]
  fleet.packing = new Packing(typical, pricesOf([{ milli: 500, count: 1 }], 1))
  expect(fleet.best(half)?.name, 'where nothing whole is broken').toBe('broken')
  fleet.packing = new Packing([], pricesOf([], 0))
  expect(fleet.best(half)?.name).toBe('whole')
})
