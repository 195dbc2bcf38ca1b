import { type FieldError, fieldError, printable, shown } from './field-error.ts'
import { nearest } from './nearest.ts'

type Raw = Readonly<Record<string, unknown>>
type At = readonly (string | number)[]

const always = 'requiredDuringSchedulingIgnoredDuringExecution'
const rather = 'preferredDuringSchedulingIgnoredDuringExecution'
const kinds = ['nodeAffinity', 'podAffinity', 'podAntiAffinity']
const podOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist']
const nodeOperators = [...podOperators, 'Gt', 'Lt']

/** Rules of Kubernetes' `affinity` and `topologySpreadConstraints`: what we could only misread is refused by name. */
export function affinityErrors(owner: Raw, at: At): FieldError[] {
  const affinity = record(owner['affinity'])
  const affinityAt = [...at, 'affinity']
  const node = record(affinity['nodeAffinity'])
  return [
    ...unknownFields(affinity, affinityAt, kinds),
    ...kinds.flatMap((kind) => unknownFields(record(affinity[kind]), [...affinityAt, kind], [always, rather])),
    ...list(record(node[always])['nodeSelectorTerms']).flatMap((term, i) =>
      nodeTerm(record(term), [...affinityAt, 'nodeAffinity', always, 'nodeSelectorTerms', i]),
    ),
    ...list(node[rather]).flatMap((one, i) => {
      const here = [...affinityAt, 'nodeAffinity', rather, i]
      return [...weight(record(one), here), ...nodeTerm(record(record(one)['preference']), [...here, 'preference'])]
    }),
    ...['podAffinity', 'podAntiAffinity'].flatMap((kind) => podTerms(record(affinity[kind]), [...affinityAt, kind])),
    ...list(owner['topologySpreadConstraints']).flatMap((one, i) =>
      constraint(record(one), [...at, 'topologySpreadConstraints', i]),
    ),
  ]
}

/** Slices sit by number, affinity pod by pod: members cannot follow both. */
export function slicedErrors(owner: Raw, at: At, isSliced: boolean): FieldError[] {
  if (!isSliced) return []
  const affinity = record(owner['affinity'])
  return [
    ...['podAffinity', 'podAntiAffinity'].flatMap((kind) => (affinity[kind] === undefined ? [] : [['affinity', kind]])),
    ...(owner['topologySpreadConstraints'] === undefined ? [] : [['topologySpreadConstraints']]),
  ].map((path) => fieldError([...at, ...path], 'cannot be had together with topology.slices; leave one of them out'))
}

function podTerms(terms: Raw, at: At): FieldError[] {
  return [
    ...list(terms[always]).flatMap((term, i) => podTerm(record(term), [...at, always, i])),
    ...list(terms[rather]).flatMap((one, i) => {
      const here = [...at, rather, i]
      const { podAffinityTerm } = record(one)
      return [...weight(record(one), here), ...podTerm(record(podAffinityTerm), [...here, 'podAffinityTerm'])]
    }),
  ]
}

function podTerm(term: Raw, at: At): FieldError[] {
  const { namespaceSelector } = term
  const bySelector = Object.keys(record(namespaceSelector)).length > 0
  return [
    ...selected(term, at),
    ...(bySelector
      ? [
          fieldError([...at, 'namespaceSelector'], 'must be empty, which means every namespace', {
            found: shown(namespaceSelector),
            allowed: '{}, or their names in namespaces',
          }),
        ]
      : []),
  ]
}

function constraint(one: Raw, at: At): FieldError[] {
  const { maxSkew, whenUnsatisfiable } = one
  const isCount = typeof maxSkew === 'number' && Number.isInteger(maxSkew) && maxSkew >= 1
  return [
    ...selected(one, at),
    ...(isCount ? [] : [fieldError([...at, 'maxSkew'], 'must be an integer ≥ 1', { found: shown(maxSkew) })]),
    ...choice(whenUnsatisfiable, [...at, 'whenUnsatisfiable'], ['DoNotSchedule', 'ScheduleAnyway']),
    ...['nodeAffinityPolicy', 'nodeTaintsPolicy'].flatMap((field) =>
      one[field] === undefined ? [] : choice(one[field], [...at, field], ['Honor', 'Ignore']),
    ),
  ]
}

/** Which pods, and by which label of their nodes. */
function selected({ topologyKey, labelSelector }: Raw, at: At): FieldError[] {
  const isNamed = typeof topologyKey === 'string' && topologyKey !== ''
  const allowed = 'a label of nodes, e.g. kubernetes.io/hostname'
  return [
    ...(isNamed ? [] : [fieldError([...at, 'topologyKey'], 'is required', { found: shown(topologyKey), allowed })]),
    ...(labelSelector === undefined
      ? [fieldError([...at, 'labelSelector'], 'is required: without it no pod is meant; {} means every pod')]
      : expressions(record(labelSelector), [...at, 'labelSelector'], ['matchExpressions'], podOperators)),
  ]
}

function nodeTerm(term: Raw, at: At): FieldError[] {
  return expressions(term, at, ['matchExpressions', 'matchFields'], nodeOperators)
}

function expressions(owner: Raw, at: At, fields: readonly string[], operators: readonly string[]): FieldError[] {
  return fields.flatMap((field) =>
    list(owner[field]).flatMap((value, i) => {
      const { key, operator, values } = record(value)
      const here = [...at, field, i]
      const needsValues = operator !== 'Exists' && operator !== 'DoesNotExist'
      return [
        ...(typeof key === 'string' ? [] : [fieldError([...here, 'key'], 'is required', { found: shown(key) })]),
        ...choice(operator, [...here, 'operator'], operators),
        ...(needsValues && list(values).length === 0
          ? [fieldError([...here, 'values'], `must name at least one for ${shown(operator)}`)]
          : []),
      ]
    }),
  )
}

function weight({ weight: written }: Raw, at: At): FieldError[] {
  const isWeight = typeof written === 'number' && Number.isInteger(written) && written >= 1 && written <= 100
  return isWeight ? [] : [fieldError([...at, 'weight'], 'must be an integer from 1 to 100', { found: shown(written) })]
}

function choice(value: unknown, at: At, allowed: readonly string[]): FieldError[] {
  if (typeof value === 'string' && allowed.includes(value)) return []
  const suggestion = typeof value === 'string' ? nearest(value, allowed) : undefined
  return [fieldError(at, 'must be one of those', { found: shown(value), allowed: allowed.join(', '), suggestion })]
}

function unknownFields(owner: Raw, at: At, allowed: readonly string[]): FieldError[] {
  return Object.keys(owner)
    .filter((field) => !allowed.includes(field))
    .map((field) =>
      fieldError([...at, printable(field).slice(1, -1)], 'unknown field', {
        allowed: allowed.join(', '),
        suggestion: nearest(field, allowed),
      }),
    )
}

function record(value: unknown): Raw {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? { ...value } : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
