import type { z } from 'zod'

/** What is wrong with a request, as a person says it: the field, what it takes, what was found. */
export interface Wrong {
  param: string | null
  code: 'missing_required_parameter' | 'invalid_value'
  message: string
}

type Issue = z.core.$ZodIssue

/** Of the first problem alone: clients show one sentence and name one `param`. */
export function wrongIn(body: unknown, issues: readonly Issue[]): Wrong {
  const [first] = issues
  const [issue, path] = first === undefined ? [undefined, []] : innermost(first, [])
  if (issue === undefined || path.length === 0)
    return { param: null, code: 'invalid_value', message: 'The request body must be a JSON object.' }
  const param = nameOf(path)
  const value = valueAt(body, path)
  if (value === undefined) return { param, code: 'missing_required_parameter', message: `${param} is required.` }
  return { param, code: 'invalid_value', message: `${param} ${demandOf(issue, value)}.` }
}

type Path = readonly PropertyKey[]

/** Of a field that takes several forms, what is wrong with the form that was meant. */
function innermost(issue: Issue, before: Path): [Issue, Path] {
  const path = [...before, ...issue.path]
  if (issue.code !== 'invalid_union') return [issue, path]
  const forms = issue.errors.flatMap((issues) => issues.slice(0, 1))
  const depths = forms.map((form) => form.path.length)
  const deepest = forms.filter((form) => form.path.length === Math.max(...depths))
  const meant = deepest.find((form) => form.code !== 'invalid_type') ?? (deepest.length === 1 ? deepest[0] : undefined)
  if (meant !== undefined) return innermost(meant, path)
  return [issue, [...path, ...(deepest[0]?.path ?? [])]]
}

function demandOf(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${typeNamed(issue.expected)}, found ${shown(value)}`
    case 'invalid_union':
      return `must be ${anyOf(typesIn(issue))}, found ${shown(value)}`
    case 'invalid_value':
      return `must be ${anyOf(issue.values.map((each) => JSON.stringify(each)))}, found ${shown(value)}`
    case 'too_big':
      return bound('at most', Number(issue.maximum), value)
    case 'too_small':
      return bound('at least', Number(issue.minimum), value)
    default:
      return `is not valid, found ${shown(value)}`
  }
}

function bound(side: 'at most' | 'at least', limit: number, value: unknown): string {
  if (Array.isArray(value)) return lengthBound(side, limit, value.length, 'entries')
  if (typeof value === 'string') return lengthBound(side, limit, value.length, 'characters')
  return `must be ${side} ${limit}, found ${shown(value)}`
}

function lengthBound(side: string, limit: number, length: number, what: string): string {
  return length === 0 ? 'must not be empty' : `must have ${side} ${limit} ${what}, found ${length}`
}

function typesIn(issue: Extract<Issue, { code: 'invalid_union' }>): string[] {
  const types = issue.errors.flat().map((form) => (form.code === 'invalid_type' ? typeNamed(form.expected) : ''))
  return [...new Set(types.filter((type) => type !== ''))]
}

function typeNamed(expected: string): string {
  return typeNames.get(expected) ?? expected
}

const typeNames: ReadonlyMap<string, string> = new Map([
  ['string', 'a string'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'an object'],
])

function anyOf(words: readonly string[]): string {
  const last = words.at(-1) ?? 'something else'
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} or ${last}`
}

/** Short, whatever a client sends. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…${typeof value === 'string' ? '"' : ''}` : text
}

function valueAt(body: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    body,
  )
}

/** `messages[1].role` */
function nameOf(path: Path): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`)).join('')
}
