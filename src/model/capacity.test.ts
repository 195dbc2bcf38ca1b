import { expect, test } from 'vitest'
import { capacityTypeOf } from './capacity.ts'
import { gangOfJob, gangOfReplica } from './gangs.ts'
import { inferenceService } from './kinds/inference-service.ts'
import { trainingJob } from './kinds/training-job.ts'
import { templateOf } from './pods.ts'

test('each cloud has a label of its own, and ours goes first', () => {
  const types = (labels: Record<string, string>) => capacityTypeOf(labels)
  expect(types({})).toBe('on-demand')
  expect(types({ 'karpenter.sh/capacity-type': 'reserved' })).toBe('reserved')
  expect(types({ 'eks.amazonaws.com/capacityType': 'SPOT' })).toBe('spot')
  expect(types({ 'eks.amazonaws.com/capacityType': 'CAPACITY_BLOCK' })).toBe('reserved')
  expect(types({ 'cloud.google.com/gke-spot': 'true' })).toBe('spot')
  expect(types({ 'kubernetes.azure.com/scalesetpriority': 'spot' })).toBe('spot')
  expect(types({ 'karpenter.sh/capacity-type': 'spot', 'millwright.dev/capacity-type': 'reserved' })).toBe('reserved')
})

test('a job sits anywhere, a service on spot last, unless they say otherwise', () => {
  const base = { apiVersion: 'millwright.dev/v1alpha1', metadata: { name: 'x', namespace: 'default' } }
  const job = (spec: object) =>
    gangOfJob(trainingJob.parse({ ...base, kind: 'TrainingJob', spec: { command: 'x', ...spec } }))
  const service = (spec: object) => {
    const parsed = inferenceService.parse({ ...base, kind: 'InferenceService', spec: { command: 'x', ...spec } })
    return gangOfReplica(parsed, 'x-0', templateOf(parsed))
  }
  const types = (gang: ReturnType<typeof job>) => gang.spec.groups[0]?.capacityTypes
  expect(types(job({}))).toBe(undefined)
  expect(types(job({ capacityType: 'spot' }))).toEqual(['spot'])
  expect(types(service({}))).toEqual(['reserved', 'on-demand', 'spot'])
  expect(types(service({ capacityType: ['on-demand', 'reserved', 'on-demand'] }))).toEqual(['on-demand', 'reserved'])
})
