import type { z } from 'zod'
import { type FieldError, fieldError, shown } from './field-error.ts'
import { nearest } from './nearest.ts'
import { descriptionOf, fieldsOf, schemaAt, typeOf } from './schema-fields.ts'

/** zod's issues in the words of a person who wrote a file. One error a field: the first says enough. */
export function schemaErrors(
  schema: z.core.$ZodType,
  input: unknown,
  issues: readonly z.core.$ZodIssue[],
  secret: (at: readonly PropertyKey[]) => boolean,
): FieldError[] {
  const errors = new Map<string, FieldError>()
  for (const issue of issues.slice(0, issuesMax)) {
    for (const error of errorsOf({ schema, input, secret }, issue, [])) {
      if (!errors.has(error.path)) errors.set(error.path, error)
    }
  }
  return [...errors.values()]
}

/** A person mends a few errors at a time; a hostile object may hold a hundred thousand. */
const issuesMax = 1000
const unknownFieldsMax = 100

interface Context {
  schema: z.core.$ZodType
  input: unknown
  secret: (at: readonly PropertyKey[]) => boolean
}

function errorsOf(context: Context, issue: z.core.$ZodIssue, above: readonly PropertyKey[]): FieldError[] {
  const at = [...above, ...issue.path]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.slice(0, unknownFieldsMax).map((key) => unknownField(context, [...at, key], key))
    case 'invalid_union':
      return unionErrors(context, issue, at)
    case 'invalid_key':
      return [fieldError(at, `is not a good name: write ${issue.issues[0]?.message ?? issue.message}`)]
    case 'invalid_value':
      return [wrongValue(context, at, issue.values.map(String))]
    case 'invalid_type':
      return [wrongType(context, at)]
    case 'too_big':
    case 'too_small':
      return [outOfBounds(context, at, issue)]
    case 'invalid_format':
      return [fieldError(at, formatMessage(context, at, issue.message), foundAt(context, at))]
    default:
      return [fieldError(at, issue.message, foundAt(context, at))]
  }
}

function unknownField({ schema }: Context, at: readonly PropertyKey[], key: string): FieldError {
  const parent = schemaAt(schema, at.slice(0, -1))
  const siblings = parent === undefined ? [] : (fieldsOf(parent) ?? [])
  const names = siblings.map((field) => field.name)
  const suggestion = nearest(key, names) ?? nested(siblings, key)
  return fieldError(at, 'unknown field', {
    suggestion,
    allowed: suggestion === undefined ? names.filter((name) => name !== 'status').join(', ') : undefined,
  })
}

/** `accelerators` written one level too high is `resources.accelerators`. */
function nested(siblings: readonly { name: string; schema: z.core.$ZodType }[], key: string): string | undefined {
  for (const { name, schema } of siblings) {
    const inner = nearest(
      key,
      (fieldsOf(schema) ?? []).map((field) => field.name),
    )
    if (inner !== undefined && name !== 'status') return `${name}.${inner}`
  }
  return undefined
}

/** Of the alternatives, those that got past the outermost type know best what is wrong. */
function unionErrors(context: Context, issue: z.core.$ZodIssueInvalidUnion, at: readonly PropertyKey[]): FieldError[] {
  const entered = issue.errors.filter((branch) => branch.every((inner) => inner.path.length > 0 || !isTypeIssue(inner)))
  const best = entered.sort((a, b) => a.length - b.length)[0]
  if (best === undefined) return [wrongType(context, at)]
  return best.flatMap((inner) => errorsOf(context, inner, at))
}

function isTypeIssue(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value'
}

function wrongValue(context: Context, at: readonly PropertyKey[], values: readonly string[]): FieldError {
  const found = valueAt(context.input, at)
  if (found === undefined) return missing(context, at)
  return fieldError(at, `must be ${values.length === 1 ? `"${values[0]}"` : 'one of a few words'}`, {
    ...foundAt(context, at),
    allowed: values.length === 1 ? undefined : values.join(', '),
    suggestion: typeof found === 'string' && values.length > 1 ? nearest(found, values) : undefined,
  })
}

function wrongType(context: Context, at: readonly PropertyKey[]): FieldError {
  const found = valueAt(context.input, at)
  if (found === undefined) return missing(context, at)
  const schema = schemaAt(context.schema, at)
  const type = schema === undefined ? 'something else' : typeOf(schema)
  return fieldError(at, `must be ${withArticle(type)}`, { found: foundAt(context, at).found + quoting(found, type) })
}

function missing({ schema }: Context, at: readonly PropertyKey[]): FieldError {
  const field = schemaAt(schema, at)
  const type = field === undefined ? undefined : typeOf(field)
  return fieldError(at, 'is required and missing', { allowed: type })
}

/** The commonest slip of YAML: quotes where none belong, or none where they do. */
function quoting(found: unknown, type: string): string {
  if (typeof found === 'string' && /^(integer|number)/.test(type) && /^-?[0-9.]+$/.test(found))
    return '; drop the quotes'
  if (typeof found === 'string' && type === 'true | false' && /^(yes|no|on|off|true|false)$/i.test(found)) {
    return '; write true or false, without quotes'
  }
  if (typeof found === 'number' && type.startsWith('duration')) return `; write ${found}s`
  if ((typeof found === 'number' || typeof found === 'boolean') && type === 'string') return '; put it in quotes'
  return ''
}

function outOfBounds(
  context: Context,
  at: readonly PropertyKey[],
  issue: z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall,
): FieldError {
  const bound = issue.code === 'too_big' ? issue.maximum : issue.minimum
  const most = issue.code === 'too_big' ? 'at most' : 'at least'
  const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : ''
  const message =
    issue.origin === 'string' && issue.code === 'too_small' && bound === 1
      ? 'must not be empty'
      : `must ${unit === '' ? 'be' : 'have'} ${most} ${bound}${unit}`
  return fieldError(at, message, foundAt(context, at))
}

function formatMessage({ schema }: Context, at: readonly PropertyKey[], message: string): string {
  if (!message.startsWith('Invalid')) return `must be ${message}`
  const field = schemaAt(schema, at)
  const description = field === undefined ? undefined : descriptionOf(field)
  return description === undefined ? 'is not written as it must be' : `is not written as it must be (${description})`
}

function foundAt({ input, secret }: Context, at: readonly PropertyKey[]): { found: string } {
  return { found: secret(at) ? '(not shown)' : shown(valueAt(input, at)) }
}

export function valueAt(input: unknown, at: readonly PropertyKey[]): unknown {
  let value = input
  for (const step of at) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, step)) return undefined
    value = Reflect.get(value, step)
  }
  return value
}

function withArticle(type: string): string {
  if (type.includes('|') || type === 'any') return type
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`
}
