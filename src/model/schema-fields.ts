import { z } from 'zod'

/** Reads zod schemas as documentation: what fields there are, what they hold, what stands when they are left out. */
export interface Field {
  name: string
  schema: z.core.$ZodType
  required: boolean
}

/** Strings of a form that has a name, such as durations: what a person calls them. */
export const forms = z.registry<{ form: string }>()

/** The schema without its wrappers: optional, default, nullable, readonly, pipes (by their input). */
export function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const inner = innerOf(schema)
  return inner === undefined ? schema : unwrap(inner)
}

/** The fields of an object schema (or of the objects in a list, map or union); undefined where there are none. */
export function fieldsOf(schema: z.core.$ZodType): Field[] | undefined {
  const bare = unwrap(schema)
  if (bare instanceof z.core.$ZodObject) {
    return Object.entries(bare._zod.def.shape).map(([name, field]) => ({
      name,
      schema: field,
      required: field._zod.optin === undefined,
    }))
  }
  if (bare instanceof z.core.$ZodArray) return fieldsOf(bare._zod.def.element)
  if (bare instanceof z.core.$ZodUnion) return firstOf(bare._zod.def.options, fieldsOf)
  return undefined
}

/** The schema at `path` from here; list positions and map keys are steps too. */
export function schemaAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  const [step, ...rest] = path
  if (step === undefined) return schema
  const bare = unwrap(schema)
  if (bare instanceof z.core.$ZodUnion) return firstOf(bare._zod.def.options, (option) => schemaAt(option, path))
  const next = stepInto(bare, step)
  return next === undefined ? undefined : schemaAt(next, rest)
}

/** Walks by field names alone, as `explain` does: lists and maps are passed through. */
export function fieldAt(schema: z.core.$ZodType, name: string): z.core.$ZodType | undefined {
  return fieldsOf(elementOf(schema))?.find((field) => field.name === name)?.schema
}

/** What a list or map holds; anything else is itself. */
export function elementOf(schema: z.core.$ZodType): z.core.$ZodType {
  const bare = unwrap(schema)
  if (bare instanceof z.core.$ZodArray) return elementOf(bare._zod.def.element)
  if (bare instanceof z.core.$ZodRecord && fieldsOf(bare._zod.def.valueType) !== undefined) {
    return elementOf(bare._zod.def.valueType)
  }
  return bare
}

/** The nearest description, from the outermost wrapper inwards. */
export function descriptionOf(schema: z.core.$ZodType): string | undefined {
  const own = z.globalRegistry.get(schema)?.description
  if (own !== undefined) return own
  const inner = innerOf(schema)
  return inner === undefined ? undefined : descriptionOf(inner)
}

/** What stands when the field is left out, if that is a value. */
export function defaultOf(schema: z.core.$ZodType): unknown {
  if (schema instanceof z.core.$ZodDefault || schema instanceof z.core.$ZodPrefault) return schema._zod.def.defaultValue
  const inner = innerOf(schema)
  return inner === undefined ? undefined : defaultOf(inner)
}

/** What the field holds, as a person writes it: `string`, `integer ≥ 1`, `first | all`, `list of string`. */
export function typeOf(schema: z.core.$ZodType): string {
  const bare = unwrap(schema)
  if (bare instanceof z.core.$ZodString) return forms.get(bare)?.form ?? 'string'
  if (bare instanceof z.ZodNumber) return numberType(bare)
  if (bare instanceof z.core.$ZodBoolean) return 'true | false'
  if (bare instanceof z.core.$ZodLiteral) return bare._zod.def.values.map(String).join(' | ')
  if (bare instanceof z.core.$ZodEnum) return Object.values(bare._zod.def.entries).map(String).join(' | ')
  if (bare instanceof z.core.$ZodArray) return `list of ${typeOf(bare._zod.def.element)}`
  if (bare instanceof z.core.$ZodRecord) return `map of ${typeOf(bare._zod.def.valueType)}`
  if (bare instanceof z.core.$ZodUnion) return [...new Set(bare._zod.def.options.map(typeOf))].join(' | ')
  if (bare instanceof z.core.$ZodObject) return 'object'
  return 'any'
}

function numberType({ minValue, maxValue, isInt }: z.ZodNumber): string {
  const type = isInt ? 'integer' : 'number'
  const from = bound(minValue)
  const to = bound(maxValue)
  if (from !== undefined && to !== undefined) return `${type} from ${from} to ${to}`
  if (from !== undefined) return `${type} ≥ ${from}`
  return to === undefined ? type : `${type} ≤ ${to}`
}

/** zod gives integers the bounds of exact numbers, which say nothing. */
function bound(value: number | null): number | undefined {
  return value === null || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : value
}

function stepInto(schema: z.core.$ZodType, step: PropertyKey): z.core.$ZodType | undefined {
  if (schema instanceof z.core.$ZodObject) {
    const shape = schema._zod.def.shape
    return typeof step === 'string' && Object.hasOwn(shape, step) ? shape[step] : undefined
  }
  if (schema instanceof z.core.$ZodArray) return schema._zod.def.element
  if (schema instanceof z.core.$ZodRecord) return schema._zod.def.valueType
  return undefined
}

function innerOf(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  if (schema instanceof z.core.$ZodPipe) return schema._zod.def.in
  if (
    schema instanceof z.core.$ZodOptional ||
    schema instanceof z.core.$ZodDefault ||
    schema instanceof z.core.$ZodPrefault ||
    schema instanceof z.core.$ZodNullable ||
    schema instanceof z.core.$ZodReadonly ||
    schema instanceof z.core.$ZodCatch ||
    schema instanceof z.core.$ZodNonOptional
  ) {
    return schema._zod.def.innerType
  }
  return undefined
}

function firstOf<In, Out>(items: readonly In[], read: (item: In) => Out | undefined): Out | undefined {
  for (const item of items) {
    const found = read(item)
    if (found !== undefined) return found
  }
  return undefined
}
