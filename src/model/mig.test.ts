import { expect, test } from 'vitest'
import { countedModels, isMeant, readAccelerators } from './accelerators.ts'
import { gangOfJob } from './gangs.ts'
import { trainingJob } from './kinds/training-job.ts'
import { groupsOf } from './pods.ts'

test('a slice is a model of its own, of one card or of any, and never any GPU', () => {
  expect(readAccelerators('h100-mig-3g.40gb:2')).toEqual({ alternatives: [{ model: 'H100-MIG-3g.40gb', count: 2 }] })
  expect(readAccelerators('mig-1g.10gb')).toEqual({ alternatives: [{ model: 'MIG-1g.10gb', count: 1 }] })
  expect(readAccelerators('H100-MIG-3g.40gb:0.5')).toEqual({
    problem: 'asks for a share of a slice (MIG), which is given whole',
  })
  expect(isMeant('MIG-3g.40gb', 'H100-MIG-3g.40gb')).toBe(true)
  expect(isMeant('MIG-3g.40gb', 'MIG-3g.40gb')).toBe(true)
  expect(isMeant('H100-MIG-3g.40gb', 'A100-80GB-MIG-3g.40gb')).toBe(false)
  expect(isMeant('MIG-3g.40gb', 'H100-MIG-1g.10gb')).toBe(false)
  expect(isMeant('gpu', 'H100-MIG-3g.40gb')).toBe(false)
  expect(isMeant('gpu', 'H100')).toBe(true)
})

test('a node in mixed strategy counts each profile by its resource', () => {
  const allocatable = { 'nvidia.com/gpu': 6, 'nvidia.com/mig-3g.40gb': 2 }
  const models = (labels: Record<string, string>) => countedModels(labels, allocatable).map(({ model }) => model)
  expect(models({ 'millwright.dev/accelerator': 'H100' })).toEqual(['H100', 'cpu', 'H100-MIG-3g.40gb'])
  expect(models({})).toEqual(['gpu', 'cpu', 'MIG-3g.40gb'])
})

const job = (spec: object) =>
  trainingJob.parse({
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'tiny', namespace: 'default' },
    spec,
  })

test("a template asks for slices by Kubernetes' resource, and the sugar becomes that resource", () => {
  const resources = { limits: { 'nvidia.com/mig-3g.40gb': '1' } }
  const asked = (more: object) => {
    const template = { spec: { containers: [{ name: 'main', resources }], ...more } }
    return gangOfJob(job({ groups: [{ template }] })).spec.groups[0]?.accelerators
  }
  expect(asked({})).toEqual([{ model: 'MIG-3g.40gb', count: 1 }])
  expect(asked({ nodeSelector: { 'millwright.dev/accelerator': 'H100' } })).toEqual([
    { model: 'H100-MIG-3g.40gb', count: 1 },
  ])
  const [group] = groupsOf(job({ command: 'x', resources: { accelerators: 'H100-MIG-3g.40gb:2' } }))
  expect(group?.template.spec.containers[0]?.resources?.limits).toEqual({ 'nvidia.com/mig-3g.40gb': '2' })
})
