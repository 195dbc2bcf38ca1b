/** What a pod requires of its node's labels: one of the terms, all expressions of it. As Kubernetes reads it. */
export type NodeTerms = readonly (readonly Expression[])[]

export interface Expression {
  key: string
  operator: string
  values: readonly string[]
}

/** The required part of a Kubernetes node affinity; undefined when nothing is required. What cannot be read fits nowhere. */
export function requiredTerms(affinity: unknown): NodeTerms | undefined {
  const required = field(field(affinity, 'nodeAffinity'), 'requiredDuringSchedulingIgnoredDuringExecution')
  const terms = field(required, 'nodeSelectorTerms')
  if (!Array.isArray(terms)) return undefined
  return terms.flatMap((term) => {
    const expressions = field(term, 'matchExpressions')
    return Array.isArray(expressions) && expressions.length > 0 ? [expressions.map(expressionOf)] : []
  })
}

export function matches(labels: Readonly<Record<string, string>>, terms: NodeTerms): boolean {
  return terms.some((expressions) => expressions.every((one) => holds(labels[one.key], one)))
}

/** The values that every term allows of a label, if it names it with In in each. */
export function valuesAllowed(terms: NodeTerms | undefined, key: string): string[] | undefined {
  if (terms === undefined || terms.length === 0) return undefined
  const allowed = terms.map((term) => term.find((one) => one.key === key && one.operator === 'In')?.values)
  return allowed.includes(undefined) ? undefined : [...new Set(allowed.flatMap((values) => values ?? []))]
}

function holds(found: string | undefined, { operator, values }: Expression): boolean {
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

function expressionOf(value: unknown): Expression {
  const [key, operator, values] = [field(value, 'key'), field(value, 'operator'), field(value, 'values')]
  return {
    key: typeof key === 'string' ? key : '',
    operator: typeof operator === 'string' ? operator : '',
    values: Array.isArray(values) ? values.map(String) : [],
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
