/** What a pod requires of its node: one of the terms, all expressions of it. As Kubernetes reads it. */
export type NodeTerms = readonly (readonly Expression[])[]

export interface Expression {
  /** A label, or '' for the node's name. */
  key: string
  operator: string
  values: readonly string[]
}

/** What a pod would rather have, and how much it weighs. */
export interface Preference {
  weight: number
  expressions: readonly Expression[]
}

/** What affinity reads of a node. */
export interface Named {
  name: string
  labels: Readonly<Record<string, string>>
}

/** The required part of a Kubernetes node affinity; undefined when nothing is required. What cannot be read fits nowhere. */
export function requiredTerms(affinity: unknown): NodeTerms | undefined {
  const required = field(field(affinity, 'nodeAffinity'), 'requiredDuringSchedulingIgnoredDuringExecution')
  const terms = field(required, 'nodeSelectorTerms')
  if (!Array.isArray(terms)) return undefined
  return terms.map(expressionsOf).filter((expressions) => expressions.length > 0)
}

/** The preferred part; undefined when there is none. */
export function preferencesOf(affinity: unknown): Preference[] | undefined {
  const preferred = field(field(affinity, 'nodeAffinity'), 'preferredDuringSchedulingIgnoredDuringExecution')
  if (!Array.isArray(preferred)) return undefined
  const preferences = preferred.flatMap((one) => {
    const [weight, expressions] = [field(one, 'weight'), expressionsOf(field(one, 'preference'))]
    return typeof weight === 'number' && expressions.length > 0 ? [{ weight, expressions }] : []
  })
  return preferences.length === 0 ? undefined : preferences
}

/** The weights of all preferences that the node meets, together. */
export function preference(node: Named, preferences: readonly Preference[]): number {
  let sum = 0
  for (const { weight, expressions } of preferences) if (matches(node, [expressions])) sum += weight
  return sum
}

export function matches({ name, labels }: Named, terms: NodeTerms): boolean {
  return terms.some((expressions) => expressions.every((one) => holds(one.key === '' ? name : labels[one.key], one)))
}

/** The values that every term allows of a label, if it names it with In in each. */
export function valuesAllowed(terms: NodeTerms | undefined, key: string): string[] | undefined {
  if (terms === undefined || terms.length === 0) return undefined
  const allowed = terms.map((term) => term.find((one) => one.key === key && one.operator === 'In')?.values)
  return allowed.includes(undefined) ? undefined : [...new Set(allowed.flatMap((values) => values ?? []))]
}

export function holds(found: string | undefined, { operator, values }: Expression): boolean {
  switch (operator) {
    case 'In':
      return found !== undefined && values.includes(found)
    case 'NotIn':
      return found === undefined || !values.includes(found)
    case 'Exists':
      return found !== undefined
    case 'DoesNotExist':
      return found === undefined
    case 'Gt':
      return found !== undefined && Number(found) > Number(values[0])
    case 'Lt':
      return found !== undefined && Number(found) < Number(values[0])
    default:
      return false
  }
}

export function expressionsOf(term: unknown): Expression[] {
  const byLabel = list(field(term, 'matchExpressions')).map(expressionOf)
  const byName = list(field(term, 'matchFields')).map((one) => {
    const { key, ...rest } = expressionOf(one)
    return key === 'metadata.name' ? { key: '', ...rest } : { key, operator: '', values: [] }
  })
  return [...byLabel, ...byName]
}

function expressionOf(value: unknown): Expression {
  const [key, operator, values] = [field(value, 'key'), field(value, 'operator'), field(value, 'values')]
  return {
    key: typeof key === 'string' ? key : unnamed,
    operator: typeof operator === 'string' ? operator : '',
    values: Array.isArray(values) ? values.map(String) : [],
  }
}

/** No label is called that. */
const unnamed = ' '

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
