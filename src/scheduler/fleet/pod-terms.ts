import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { type Expression, expressionsOf, field, holds, list, type NodeTerms, requiredTerms } from './affinity.ts'

type Group = Gang['spec']['groups'][number]
type Labels = Readonly<Record<string, string>>

/** Pods that a term of inter-pod affinity is about, and the label whose value their nodes share or do not. */
export interface PodTerm {
  /** Equal for terms that are the same. */
  key: string
  topologyKey: string
  /** Undefined: any. */
  namespaces: readonly string[] | undefined
  selector: readonly Expression[]
}

/** As inter-pod affinity sees a pod that sits. */
export interface Occupant {
  namespace: string
  labels: Labels
  /** Whom it keeps away: its own required anti-affinity holds also against who comes later. */
  apart: readonly PodTerm[]
}

/** What a pod requires or prefers of who else is there. */
export interface PodTerms {
  /** No such pod in its domain. */
  apart: readonly PodTerm[]
  /** Some such pod in its domain. */
  beside: readonly PodTerm[]
  even: readonly Even[]
  /** For each such pod in its domain; negative for rather none. */
  wishes: readonly { term: PodTerm; weight: number }[]
}

/** A topology spread constraint: no domain has more than `maxSkew` such pods more than the one that has fewest. */
export interface Even {
  term: PodTerm
  maxSkew: number
  /** With fewer domains than these, the fewest are taken to be none. */
  minDomains: number
  /** Domains of these nodes count. */
  nodes: { nodeSelector: Labels; terms: NodeTerms | undefined; tolerations: Group['tolerations'] }
}

/** A domain that such a pod is not spread to, though it may be (ScheduleAnyway), weighs as the heaviest preference. */
const anywayWeight = -100

/** Undefined for who does not care who else is there: nearly everybody. */
export function podTermsOf(gang: Gang, group: Group): PodTerms | undefined {
  const { affinity, topologySpreadConstraints } = group
  const asks = field(affinity, 'podAffinity') ?? field(affinity, 'podAntiAffinity') ?? topologySpreadConstraints
  if (asks === undefined) return undefined
  const self = { namespace: namespaceOf(gang), labels: labelsOf(gang, group) }
  const constraints = list(topologySpreadConstraints)
  const isRequired = (one: unknown) => field(one, 'whenUnsatisfiable') !== 'ScheduleAnyway'
  const anyway = constraints.filter((one) => !isRequired(one))
  return {
    apart: required(affinity, 'podAntiAffinity', self),
    beside: required(affinity, 'podAffinity', self),
    even: constraints.filter(isRequired).map((one) => evenOf(one, group, self)),
    wishes: [
      ...preferred(affinity, 'podAffinity', self),
      ...preferred(affinity, 'podAntiAffinity', self).map(({ term, weight }) => ({ term, weight: -weight })),
      ...anyway.map((one) => ({ term: spreadTerm(one, self), weight: anywayWeight })),
    ],
  }
}

export function occupantOf(gang: Gang, group: Group): Occupant {
  return new Member(gang, group)
}

/** Every member that sits is one, and hardly anybody looks: it is worked out when somebody does. */
class Member implements Occupant {
  readonly #metadata: Gang['metadata']
  readonly #attempt: number
  readonly #group: Group
  #labels: Labels | undefined
  #apart: readonly PodTerm[] | undefined

  constructor({ metadata, spec }: Gang, group: Group) {
    this.#metadata = metadata
    this.#attempt = spec.attempt
    this.#group = group
  }

  get namespace(): string {
    return this.#metadata.namespace ?? 'default'
  }

  get labels(): Labels {
    this.#labels ??= labelsOf({ metadata: this.#metadata, spec: { attempt: this.#attempt } }, this.#group)
    return this.#labels
  }

  get apart(): readonly PodTerm[] {
    const { affinity } = this.#group
    if (affinity === undefined) return nothing
    this.#apart ??= required(affinity, 'podAntiAffinity', this)
    return this.#apart
  }
}

export function occupantOfPod({ metadata, spec }: Pod): Occupant {
  const self = { namespace: metadata.namespace ?? 'default', labels: metadata.labels ?? {} }
  return { ...self, apart: spec.affinity === undefined ? nothing : required(spec.affinity, 'podAntiAffinity', self) }
}

const nothing: readonly PodTerm[] = []

/** The group with nothing required of who else is there, only preferred; undefined when nothing is required. */
export function withPodPreferences(group: Group): Group | undefined {
  const { affinity, topologySpreadConstraints } = group
  const isStrict = (kind: string) => list(field(field(affinity, kind), always)).length > 0
  const isSpread = (one: unknown) => field(one, 'whenUnsatisfiable') !== 'ScheduleAnyway'
  const kinds = ['podAffinity', 'podAntiAffinity'].filter(isStrict)
  if (kinds.length === 0 && !list(topologySpreadConstraints).some(isSpread)) return undefined
  const eased = kinds.map((kind) => {
    const terms = field(affinity, kind)
    const wishes = list(field(terms, always)).map((podAffinityTerm) => ({ weight: 100, podAffinityTerm }))
    return [kind, { [rather]: [...wishes, ...list(field(terms, rather))] }] as const
  })
  return {
    ...group,
    ...(affinity === undefined ? {} : { affinity: { ...affinity, ...Object.fromEntries(eased) } }),
    topologySpreadConstraints: topologySpreadConstraints?.map((one) => ({
      ...one,
      whenUnsatisfiable: 'ScheduleAnyway',
    })),
  }
}

const always = 'requiredDuringSchedulingIgnoredDuringExecution'
const rather = 'preferredDuringSchedulingIgnoredDuringExecution'

export function selects({ namespaces, selector }: PodTerm, { namespace, labels }: Omit<Occupant, 'apart'>): boolean {
  if (namespaces?.includes(namespace) === false) return false
  return selector.every((one) => holds(labels[one.key], one))
}

/** `app=web by zone`. */
export function podsSaid({ selector, topologyKey }: PodTerm): string {
  const said = selector.map(({ key, operator, values }) => {
    const [only] = values
    if (operator === 'Exists') return key
    if (operator === 'DoesNotExist') return `!${key}`
    if (values.length === 1) return `${key}${operator === 'In' ? '=' : '!='}${only}`
    return `${key} ${operator === 'In' ? 'in' : 'not in'} (${values.join(', ')})`
  })
  const by = topologyKey === label.hostname ? 'node' : topologyKey.slice(topologyKey.lastIndexOf('/') + 1)
  return `${said.length === 0 ? 'every pod' : said.join(' and ')} by ${by}`
}

/** Those of the template, and those that the pods of a gang are given. */
function labelsOf(
  { metadata, spec }: Pick<Gang, 'metadata'> & { spec: Pick<Gang['spec'], 'attempt'> },
  { name, labels }: Group,
): Labels {
  return {
    ...labels,
    ...metadata.labels,
    [label.gang]: metadata.name,
    [label.attempt]: String(spec.attempt),
    [label.group]: name,
  }
}

function namespaceOf({ metadata }: Gang): string {
  return metadata.namespace ?? 'default'
}

type Self = Omit<Occupant, 'apart'>

function required(affinity: unknown, kind: string, self: Self): PodTerm[] {
  return list(field(field(affinity, kind), always)).map((one) => affinityTerm(one, self))
}

function preferred(affinity: unknown, kind: string, self: Self): { term: PodTerm; weight: number }[] {
  return list(field(field(affinity, kind), rather)).flatMap((one) => {
    const weight = field(one, 'weight')
    return typeof weight === 'number' ? [{ term: affinityTerm(field(one, 'podAffinityTerm'), self), weight }] : []
  })
}

function affinityTerm(value: unknown, self: Self): PodTerm {
  const named = list(field(value, 'namespaces')).map(String)
  // An empty selector of namespaces means all of them; admission refuses others.
  const isAny = field(value, 'namespaceSelector') !== undefined
  return termOf(value, self, isAny ? undefined : named.length > 0 ? named.toSorted() : [self.namespace])
}

function spreadTerm(value: unknown, self: Self): PodTerm {
  return termOf(value, self, [self.namespace])
}

function termOf(value: unknown, { labels }: Self, namespaces: readonly string[] | undefined): PodTerm {
  const topologyKey = String(field(value, 'topologyKey') ?? '')
  const own = (name: string, operator: string): Expression[] =>
    list(field(value, name)).flatMap((key) => {
      const found = labels[String(key)]
      return found === undefined ? [] : [{ key: String(key), operator, values: [found] }]
    })
  const selector = [
    ...selectorOf(field(value, 'labelSelector')),
    ...own('matchLabelKeys', 'In'),
    ...own('mismatchLabelKeys', 'NotIn'),
  ]
  return { key: JSON.stringify([topologyKey, namespaces, selector]), topologyKey, namespaces, selector }
}

/** Without a selector no pod is meant, with an empty one every pod. */
function selectorOf(value: unknown): Expression[] {
  if (value === undefined || value === null) return [{ key: '', operator: '', values: [] }]
  const labels = field(value, 'matchLabels')
  const equal = Object.entries(typeof labels === 'object' && labels !== null ? labels : {})
  return [...equal.map(([key, found]) => ({ key, operator: 'In', values: [String(found)] })), ...expressionsOf(value)]
}

function evenOf(value: unknown, group: Group, self: Self): Even {
  const isHonoured = (name: string, otherwise: string) => (field(value, name) ?? otherwise) === 'Honor'
  const byAffinity = isHonoured('nodeAffinityPolicy', 'Honor')
  return {
    term: spreadTerm(value, self),
    maxSkew: Number(field(value, 'maxSkew') ?? 1),
    minDomains: Number(field(value, 'minDomains') ?? 1),
    nodes: {
      nodeSelector: byAffinity ? group.nodeSelector : {},
      terms: byAffinity ? requiredTerms(group.affinity) : undefined,
      tolerations: isHonoured('nodeTaintsPolicy', 'Ignore') ? group.tolerations : [{ operator: 'Exists' }],
    },
  }
}
