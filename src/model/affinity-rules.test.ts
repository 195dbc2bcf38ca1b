import { expect, test } from 'vitest'
import { admit } from './admission.ts'
import { formatFieldError } from './field-error.ts'
import { kinds } from './registry.ts'

function said(pod: object, spec: object = {}): string[] {
  const template = { spec: { containers: [{ name: 'main' }], ...pod } }
  const found = admit(kinds.TrainingJob, {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'a' },
    spec: { groups: [{ name: 'worker', replicas: 2, template }], ...spec },
  })
  return 'errors' in found
    ? found.errors.map((error) => formatFieldError(error).replace(/^.*template\.spec\./, ''))
    : []
}

const always = 'requiredDuringSchedulingIgnoredDuringExecution'
const rather = 'preferredDuringSchedulingIgnoredDuringExecution'
const term = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'web' } } }

test('affinity as Kubernetes has it is taken', () => {
  const podAntiAffinity = { [always]: [term], [rather]: [{ weight: 1, podAffinityTerm: term }] }
  const nodeSelectorTerms = [{ matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] }]
  const nodeAffinity = { [always]: { nodeSelectorTerms } }
  const topologySpreadConstraints = [{ ...term, maxSkew: 1, whenUnsatisfiable: 'ScheduleAnyway' }]
  expect(said({ affinity: { podAntiAffinity, nodeAffinity }, topologySpreadConstraints })).toEqual([])
  expect(said({ affinity: { podAffinity: { [always]: [{ ...term, namespaceSelector: {} }] } } })).toEqual([])
})

test('what could only be misread is refused by name', () => {
  const { topologyKey: _, ...keyless } = term
  const selector = { ...term, namespaceSelector: { matchLabels: { team: 'a' } } }
  expect(said({ affinity: { podAntiAffinty: {} } })).toEqual([
    'affinity.podAntiAffinty: unknown field; allowed: nodeAffinity, podAffinity, podAntiAffinity; did you mean "podAntiAffinity"?',
  ])
  expect(said({ affinity: { podAffinity: { [always]: [keyless, selector] } } })).toEqual([
    `affinity.podAffinity.${always}[0].topologyKey: is required, found nothing; allowed: a label of nodes, e.g. kubernetes.io/hostname`,
    `affinity.podAffinity.${always}[1].namespaceSelector: must be empty, which means every namespace, found an object; allowed: {}, or their names in namespaces`,
  ])
  expect(said({ affinity: { podAffinity: { [rather]: [{ weight: 500, podAffinityTerm: term }] } } })).toEqual([
    `affinity.podAffinity.${rather}[0].weight: must be an integer from 1 to 100, found 500`,
  ])
  const matchExpressions = [{ key: 'a', operator: 'in', values: ['b'] }]
  expect(said({ affinity: { podAffinity: { [always]: [{ ...term, labelSelector: { matchExpressions } }] } } })).toEqual(
    [
      `affinity.podAffinity.${always}[0].labelSelector.matchExpressions[0].operator: must be one of those, found "in"; allowed: In, NotIn, Exists, DoesNotExist; did you mean "In"?`,
    ],
  )
  expect(said({ topologySpreadConstraints: [{ topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }] })).toEqual([
    'topologySpreadConstraints[0].labelSelector: is required: without it no pod is meant; {} means every pod',
    'topologySpreadConstraints[0].maxSkew: must be an integer ≥ 1, found nothing',
  ])
})

test('members in slices cannot also go by who else is there', () => {
  const topology = { slices: [{ size: 2, required: 'rack' }] }
  expect(said({ affinity: { podAntiAffinity: { [always]: [term] } } }, { topology })).toEqual([
    'affinity.podAntiAffinity: cannot be had together with topology.slices; leave one of them out',
  ])
})
