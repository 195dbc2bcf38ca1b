import { expect, test } from 'vitest'
import { modelsAllowed, shapeOf } from './ranking.ts'
import type { Demand } from './rooms.ts'

const demand = (more: Partial<Demand>): Demand => ({
  key: '',
  model: 'H100',
  whole: 1,
  milli: 0,
  cpuMilli: 500,
  memoryBytes: 0,
  ports: 0,
  pods: 1,
  nodeSelector: {},
  tolerations: [],
  terms: undefined,
  ...more,
})

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
