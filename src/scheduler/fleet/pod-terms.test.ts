import { describe, expect, test } from 'vitest'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import { gangNamed, groupOf } from '../gang.fixture.ts'
import {
  occupantOf,
  occupantOfPod,
  type PodTerm,
  podsSaid,
  podTermsOf,
  selects,
  withPodPreferences,
} from './pod-terms.ts'

type Group = Gang['spec']['groups'][number]

const required = 'requiredDuringSchedulingIgnoredDuringExecution'
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'
const labels = { app: 'web', version: '2' }
const gang = gangNamed('g', [])

const groupWith = (more: Partial<Group>) => groupOf(1, { labels, ...more })
const termsOf = (more: Partial<Group>) => podTermsOf(gang, groupWith(more))
const term = (more: object = {}) => ({ topologyKey: 'zone', labelSelector: { matchLabels: { app: 'web' } }, ...more })
/** The one term that is kept away from. */
function apart(more: object): PodTerm {
  const [only] = termsOf({ affinity: { podAntiAffinity: { [required]: [term(more)] } } })?.apart ?? []
  if (only === undefined) throw new Error('no term')
  return only
}

describe('what a pod requires of who else is there', () => {
  test('is nothing where nothing is said of pods', () => {
    expect(termsOf({})).toBeUndefined()
    expect(termsOf({ affinity: { nodeAffinity: {} } })).toBeUndefined()
    expect(termsOf({ affinity: { podAffinity: {} } })).toEqual({ apart: [], beside: [], even: [], wishes: [] })
  })

  test('is whom it sits beside, keeps away from, and would rather have or not', () => {
    const wish = (weight: unknown, key: string) => ({ weight, podAffinityTerm: term({ topologyKey: key }) })
    const found = termsOf({
      affinity: {
        podAffinity: { [required]: [term()], [preferred]: [wish(5, 'rack'), wish('6', 'none')] },
        podAntiAffinity: { [required]: [term({ topologyKey: 'node' })], [preferred]: [wish(7, 'block')] },
      },
    })
    expect(found?.beside.map(({ topologyKey }) => topologyKey)).toEqual(['zone'])
    expect(found?.apart.map(({ topologyKey }) => topologyKey)).toEqual(['node'])
    expect(found?.wishes.map((one) => [one.term.topologyKey, one.weight])).toEqual([
      ['rack', 5],
      ['block', -7],
    ])
  })

  test('is how evenly it is spread: strictly, or as the heaviest wish', () => {
    const found = termsOf({
      nodeSelector: { disk: 'nvme' },
      tolerations: [{ key: 'gpu', operator: 'Exists' }],
      affinity: {
        nodeAffinity: { [required]: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'x', operator: 'Exists' }] }] } },
      },
      topologySpreadConstraints: [
        { ...term(), maxSkew: 2, minDomains: 3 },
        { ...term({ topologyKey: 'rack' }), whenUnsatisfiable: 'ScheduleAnyway' },
        { ...term({ topologyKey: 'node' }), nodeAffinityPolicy: 'Ignore', nodeTaintsPolicy: 'Honor' },
      ],
    })
    const terms = [[{ key: 'x', operator: 'Exists', values: [] }]]
    const [strict, other] = found?.even ?? []
    expect(strict).toMatchObject({ maxSkew: 2, minDomains: 3, term: { topologyKey: 'zone', namespaces: ['default'] } })
    expect(strict?.nodes).toEqual({ nodeSelector: { disk: 'nvme' }, terms, tolerations: [{ operator: 'Exists' }] })
    expect(other).toMatchObject({ maxSkew: 1, minDomains: 1, term: { topologyKey: 'node' } })
    expect(other?.nodes).toEqual({
      nodeSelector: {},
      terms: undefined,
      tolerations: [{ key: 'gpu', operator: 'Exists' }],
    })
    expect(found?.wishes.map((one) => [one.term.topologyKey, one.weight])).toEqual([['rack', -100]])
  })
})

describe('which pods a term is about', () => {
  const pod = (more: Record<string, string>, namespace = 'default') => ({ namespace, labels: { ...labels, ...more } })

  test.each<[string, object, object, boolean]>([
    ['its label', {}, {}, true],
    ['another value', {}, { app: 'db' }, false],
    ['no selector', { labelSelector: undefined }, {}, false],
    ['null', { labelSelector: null }, {}, false],
    ['an empty one', { labelSelector: {} }, {}, true],
    ['labels that are none', { labelSelector: { matchLabels: null } }, {}, true],
    ['an expression', { labelSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] } }, {}, false],
    [
      'both',
      { labelSelector: { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'Exists' }] } },
      { tier: 'x' },
      true,
    ],
    ['the same version', { matchLabelKeys: ['version'] }, {}, true],
    ['another version', { matchLabelKeys: ['version'] }, { version: '1' }, false],
    ['a label that it has not itself', { matchLabelKeys: ['absent'] }, {}, true],
    ['not the same version', { mismatchLabelKeys: ['version'] }, {}, false],
    ['not another version', { mismatchLabelKeys: ['version'] }, { version: '1' }, true],
  ])('%s: %j, %j: %s', (_, more, of, is) => {
    expect(selects(apart(more), pod(of as Record<string, string>))).toBe(is)
  })

  test('those of its own namespace, of named ones, or of all', () => {
    const isOf = (more: object, namespace: string) => selects(apart(more), pod({}, namespace))
    expect([isOf({}, 'default'), isOf({}, 'other')]).toEqual([true, false])
    expect([isOf({ namespaces: ['b', 'a'] }, 'a'), isOf({ namespaces: ['b', 'a'] }, 'default')]).toEqual([true, false])
    expect(isOf({ namespaces: [] }, 'default')).toBe(true)
    expect(isOf({ namespaceSelector: {} }, 'other')).toBe(true)
    expect(apart({ namespaces: ['b', 'a'] }).key).toBe(apart({ namespaces: ['a', 'b'] }).key)
    expect(apart({}).key).not.toBe(apart({ topologyKey: 'rack' }).key)
    expect(apart({ topologyKey: undefined }).topologyKey).toBe('')
  })
})

describe('who is there', () => {
  test('is a member with the labels of its template and of its gang, and whom it keeps away', () => {
    const affinity = { podAntiAffinity: { [required]: [term()] } }
    const own = { ...gang, metadata: { ...gang.metadata, namespace: 'team', labels: { team: 'x' } } }
    const member = occupantOf(own, groupWith({ affinity }))
    expect([member.namespace, member.labels]).toEqual([
      'team',
      { ...labels, team: 'x', [label.gang]: 'g', [label.attempt]: '1', [label.group]: 'worker' },
    ])
    expect(member.apart.map(({ namespaces }) => namespaces)).toEqual([['team']])
    expect(occupantOf(gangNamed('g', []), groupWith({})).apart).toEqual([])
    const { namespace: _, ...nowhere } = gang.metadata
    expect(occupantOf({ ...gang, metadata: nowhere }, groupWith({})).namespace).toBe('default')
  })

  test('or a pod of anybody', () => {
    const affinity = { podAntiAffinity: { [required]: [term()] } }
    const spec = { containers: [{ name: 'main' }] }
    const pod = { apiVersion: 'v1' as const, kind: 'Pod' as const, metadata: { name: 'p' }, spec }
    expect(occupantOfPod(pod)).toEqual({ namespace: 'default', labels: {}, apart: [] })
    const other = { ...pod, metadata: { name: 'p', namespace: 'team', labels }, spec: { ...spec, affinity } }
    expect(occupantOfPod(other)).toMatchObject({ namespace: 'team', labels, apart: [{ namespaces: ['team'] }] })
  })
})

describe('what is required becomes a preference', () => {
  test('of affinity, beside what was preferred, and of spreading', () => {
    const wish = { weight: 5, podAffinityTerm: term({ topologyKey: 'rack' }) }
    const strict = { podAntiAffinity: { [required]: [term()], [preferred]: [wish] } }
    const eased = withPodPreferences(groupWith({ affinity: { ...strict, nodeAffinity: { kept: true } } }))
    expect(eased?.affinity).toEqual({
      nodeAffinity: { kept: true },
      podAntiAffinity: { [preferred]: [{ weight: 100, podAffinityTerm: term() }, wish] },
    })
    const beside = withPodPreferences(groupWith({ affinity: { podAffinity: { [required]: [term()] } } }))
    expect(beside?.affinity).toEqual({ podAffinity: { [preferred]: [{ weight: 100, podAffinityTerm: term() }] } })
    const spread = withPodPreferences(groupWith({ topologySpreadConstraints: [{ ...term(), maxSkew: 2 }] }))
    expect(spread?.topologySpreadConstraints).toEqual([{ ...term(), maxSkew: 2, whenUnsatisfiable: 'ScheduleAnyway' }])
    expect(spread).not.toHaveProperty('affinity')
  })

  test('only where something is', () => {
    expect(withPodPreferences(groupWith({}))).toBeUndefined()
    expect(withPodPreferences(groupWith({ affinity: { podAffinity: { [required]: [] } } }))).toBeUndefined()
    expect(withPodPreferences(groupWith({ affinity: { podAntiAffinity: { [preferred]: [{}] } } }))).toBeUndefined()
    const anyway = [{ ...term(), whenUnsatisfiable: 'ScheduleAnyway' }]
    expect(withPodPreferences(groupWith({ topologySpreadConstraints: anyway }))).toBeUndefined()
  })
})

test.each<[object, string]>([
  [{}, 'app=web by zone'],
  [{ topologyKey: label.hostname }, 'app=web by node'],
  [{ topologyKey: 'topology.kubernetes.io/zone' }, 'app=web by zone'],
  [{ labelSelector: {} }, 'every pod by zone'],
  [{ labelSelector: { matchLabels: { app: 'web', tier: 'x' } } }, 'app=web and tier=x by zone'],
  ...(
    [
      [{ operator: 'Exists' }, 'app'],
      [{ operator: 'DoesNotExist' }, '!app'],
      [{ operator: 'NotIn', values: ['a'] }, 'app!=a'],
      [{ operator: 'In', values: ['a', 'b'] }, 'app in (a, b)'],
      [{ operator: 'NotIn', values: ['a', 'b'] }, 'app not in (a, b)'],
    ] as const
  ).map(([one, said]): [object, string] => [
    { labelSelector: { matchExpressions: [{ key: 'app', ...one }] } },
    `${said} by zone`,
  ]),
])('%j is said as %s', (more, said) => {
  expect(podsSaid(apart(more))).toBe(said)
})
