import { describe, expect, test } from 'vitest'
import { admit } from './admission.ts'
import { formatFieldError } from './field-error.ts'
import { gangOfJob } from './gangs.ts'
import type { TrainingJob } from './kinds/training-job.ts'
import { kinds } from './registry.ts'

const template = { spec: { containers: [{ name: 'main', command: ['true'] }] } }
const group = (name: string, replicas: number, more: object = {}) => ({ name, replicas, template, ...more })
const job = (spec: object) => ({
  apiVersion: 'millwright.dev/v1alpha1',
  kind: 'TrainingJob',
  metadata: { name: 'tiny' },
  spec,
})

function errorsOf(spec: object): string[] {
  const verdict = admit(kinds.TrainingJob, job(spec))
  return 'errors' in verdict ? verdict.errors.map(formatFieldError) : []
}

function admitted(spec: object): TrainingJob {
  const verdict = admit(kinds.TrainingJob, job(spec))
  if ('errors' in verdict || verdict.object.kind !== 'TrainingJob') throw new Error(JSON.stringify(verdict))
  return verdict.object
}

test('a gang is as close together as its job says: as a whole, by sets of groups and by group', () => {
  const topology = { required: 'block', slices: [{ size: 4, required: 'rack' }] }
  const together = [{ groups: ['leader', 'worker'], topology: { required: 'nvidia.com/gpu.clique' } }]
  const groups = [group('leader', 4), group('worker', 8, { topology: { preferred: 'node' } })]
  const { spec } = gangOfJob(admitted({ groups, topology, together }))
  expect(spec).toMatchObject({ topology, together })
  expect(spec.groups.map((one) => one.topology)).toEqual([undefined, { preferred: 'node' }])
})

describe('each error says what was meant', () => {
  const slices = (...sizes: [number, string][]) => sizes.map(([size, required]) => ({ size, required }))
  test.each<[string, object, string[]]>([
    ['a typo', { requird: 'rack' }, ['spec.topology.requird: unknown field; did you mean "required"?']],
    [
      'a level misspelt',
      { required: 'Racks' },
      [
        'spec.topology.required: is no level of the fabric, found "Racks"; allowed: zone, block, rack, nvlink, node, or a node label; did you mean "rack"?',
      ],
    ],
    ['a label of their own', { required: 'example.com/row', preferred: 'region' }, []],
    [
      'narrower required than preferred',
      { required: 'rack', preferred: 'zone' },
      ['spec.topology.preferred: must not be wider than required ("rack"), found "zone"'],
    ],
    [
      'slices wider than what all share',
      { required: 'node', slices: slices([2, 'rack']) },
      ['spec.topology.slices[0].required: must not be wider than what all share ("node"), found "rack"'],
    ],
    [
      'slices of a label',
      { slices: slices([2, 'example.com/row']) },
      [
        'spec.topology.slices[0].required: is no level of the fabric, found "example.com/row"; allowed: zone, block, rack, nvlink, node, or one of their labels',
      ],
    ],
    [
      'slices of slices that do not divide them',
      { slices: slices([4, 'rack'], [3, 'node']) },
      ['spec.topology.slices[1].size: must divide the slices before it, which are of 4, found 3'],
    ],
    [
      'slices of slices that are not narrower',
      { slices: slices([4, 'rack'], [2, 'rack']) },
      ['spec.topology.slices[1].required: must be narrower than that of the slices before it (rack), found "rack"'],
    ],
    [
      'a slice left over',
      { slices: slices([3, 'rack']) },
      ['spec.workers: must be a multiple of its slices, which are of 3, found 4'],
    ],
    [
      'near and far at once',
      { preferred: 'rack', scattered: true },
      ['spec.topology.preferred: contradicts scattered: true; leave one of them out'],
    ],
  ])('%s', (_, topology, errors) => {
    expect(errorsOf({ command: 'true', workers: 4, topology })).toEqual(errors)
  })

  test('sets name groups that there are, each once; slices are asked of every group that inherits them', () => {
    const groups = [group('leader', 1), group('worker', 4)]
    const together = [
      { groups: ['leader', 'workr'] },
      { groups: ['leader'], topology: { slices: slices([2, 'node']) } },
    ]
    expect(errorsOf({ groups, together })).toEqual([
      'spec.together[0].groups[1]: is no group of this gang, found "workr"; allowed: leader, worker; did you mean "worker"?',
      'spec.together[1].groups[0]: is in another set already, found "leader"',
    ])
    const sliced = { groups, together: [{ groups: ['leader'], topology: { slices: slices([2, 'node']) } }] }
    expect(errorsOf(sliced)).toEqual([
      'spec.groups[0].replicas: must be a multiple of its slices, which are of 2, found 1',
    ])
  })
})
