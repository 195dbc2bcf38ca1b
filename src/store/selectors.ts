import type { Selectors } from './contract.ts'
import { invalid, isObject } from './json.ts'
import type { Stored } from './stored.ts'

export type Predicate = (object: Stored) => boolean

/** Undefined selects everything. Throws 'invalid' for what is no selector, saying what is. */
export function predicateOf(selectors: Selectors): Predicate | undefined {
  const predicates: Predicate[] = []
  const { namespace, labels, fields } = selectors
  if (namespace !== undefined && namespace !== '') {
    predicates.push((object) => object.metadata.namespace === namespace)
  }
  if (labels !== undefined && labels.trim() !== '') predicates.push(...splitTerms(labels).map(labelTerm))
  if (fields !== undefined && fields.trim() !== '') predicates.push(...splitTerms(fields).map(fieldTerm))
  if (predicates.length === 0) return undefined
  const [only] = predicates
  return predicates.length === 1 ? only : (object) => predicates.every((holds) => holds(object))
}

/** Splits at commas that are not inside the parentheses of a set. */
function splitTerms(text: string): string[] {
  const terms: string[] = []
  let depth = 0
  let from = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++
    else if (text[i] === ')') depth--
    else if (text[i] === ',' && depth === 0) {
      terms.push(text.slice(from, i).trim())
      from = i + 1
    }
  }
  terms.push(text.slice(from).trim())
  return terms
}

const labelKey = /^([a-z0-9A-Z][-a-z0-9A-Z_./]*)$/
const labelValue = /^[-a-z0-9A-Z_.]*$/
const labelSyntax = 'allowed are a=b, a!=b, a in (b,c), a notin (b,c), a, !a'

function labelTerm(term: string): Predicate {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term)
  if (set?.[1] !== undefined) {
    const key = checkedKey(set[1], term)
    const values = new Set((set[3] ?? '').split(',').map((value) => checkedValue(value.trim(), term)))
    if (set[2] === 'in') return (object) => values.has(label(object, key) ?? '\0')
    return (object) => !values.has(label(object, key) ?? '\0')
  }
  const equality = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(term)
  if (equality?.[1] !== undefined) {
    const key = checkedKey(equality[1], term)
    const value = checkedValue(equality[3] ?? '', term)
    if (equality[2] === '!=') return (object) => label(object, key) !== value
    return (object) => label(object, key) === value
  }
  if (term.startsWith('!')) {
    const key = checkedKey(term.slice(1).trim(), term)
    return (object) => label(object, key) === undefined
  }
  const key = checkedKey(term, term)
  return (object) => label(object, key) !== undefined
}

function label(object: Stored, key: string): string | undefined {
  const labels = object.metadata.labels
  return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined
}

function checkedKey(key: string, term: string): string {
  if (!labelKey.test(key)) throw invalid(`"${term}" is no label selector; ${labelSyntax}`)
  return key
}

function checkedValue(value: string, term: string): string {
  if (!labelValue.test(value)) throw invalid(`"${term}" is no label selector; ${labelSyntax}`)
  return value
}

const fieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.schedulerName',
  'status.phase',
  'involvedObject.kind',
  'involvedObject.name',
  'involvedObject.namespace',
  'involvedObject.uid',
  'involvedObject.apiVersion',
  'type',
  'reason',
]

interface FieldTerm {
  path: string
  wanted: string
  equals: boolean
  read(object: Stored): string
}

function parsedField(term: string): FieldTerm {
  const parts = /^([A-Za-z.]+)\s*(==|=|!=)\s*(.*)$/.exec(term)
  const path = parts?.[1] ?? ''
  if (!fieldPaths.includes(path)) {
    throw invalid(
      `"${term}" is no field selector; allowed are PATH=VALUE and PATH!=VALUE with ${fieldPaths.join(', ')}`,
    )
  }
  const steps = path.split('.')
  return { path, wanted: parts?.[3] ?? '', equals: parts?.[2] !== '!=', read: (object) => fieldOf(object, steps) }
}

function fieldTerm(term: string): Predicate {
  const { wanted, equals, read } = parsedField(term)
  return (object) => (read(object) === wanted) === equals
}

/** A field that has one value in everything that is selected: whoever watches can be filed under it. */
export interface Exact {
  path: string
  value: string
  read(object: Stored): string
}

export function exactOf({ fields }: Selectors): Exact | undefined {
  if (fields === undefined || fields.trim() === '') return undefined
  const term = splitTerms(fields)
    .map(parsedField)
    .find(({ equals }) => equals)
  return term === undefined ? undefined : { path: term.path, value: term.wanted, read: term.read }
}

/** A field that is not there equals the empty text, as in Kubernetes. */
function fieldOf(object: unknown, steps: readonly string[]): string {
  let value = object
  for (const step of steps) value = isObject(value) ? value[step] : undefined
  return typeof value === 'string' ? value : ''
}
