import { type FieldError, fieldError, shown } from './field-error.ts'
import { immutableErrors } from './immutable.ts'
import { plainErrors, plainLimits } from './plain.ts'
import type { KindInfo, Resource } from './registry.ts'
import { ruleErrors } from './rules.ts'
import { schemaErrors } from './schema-errors.ts'
import { seatValueErrors } from './seat-values.ts'

export type { FieldError } from './field-error.ts'
export type Admitted = { object: Resource } | { errors: FieldError[] }

export interface AdmitOptions {
  /** Namespace of a namespaced object that names none. */
  namespaceDefault?: string | undefined
}

/**
 * Validates one object against its kind and fills in its defaults. Never throws, whatever it is given; all errors come
 * at once. The object given is left alone.
 */
export function admit(info: KindInfo, object: unknown, options: AdmitOptions = {}): Admitted {
  if (!isRecord(object)) return { errors: [fieldError([], `must be an object`, { found: shown(object) })] }
  const plain = plainErrors(object, info.kind === 'Gang' ? plainLimits.gangNodes : plainLimits.nodes)
  if (plain.length > 0) return { errors: plain }
  const placed = withNamespace(info, object, options.namespaceDefault ?? 'default')
  const parsed = info.schema.safeParse(placed)
  const fromSchema = parsed.success
    ? []
    : schemaErrors(info.schema, placed, parsed.error.issues, (at) => isSecret(info, at))
  const errors = onePerField([...fromSchema, ...namespaceErrors(info, object), ...ruleErrors(info.kind, placed)])
  if (errors.length > 0 || !parsed.success) return { errors }
  const tooMany = seatValueErrors(parsed.data)
  return tooMany.length > 0 ? { errors: tooMany } : { object: parsed.data }
}

/** Also refuses a change of what may not change; `before` is what the store holds. */
export function admitUpdate(info: KindInfo, before: Resource, object: unknown): Admitted {
  const admitted = admit(info, object, { namespaceDefault: before.metadata.namespace })
  if ('errors' in admitted) return admitted
  const errors = immutableErrors(before, admitted.object)
  return errors.length > 0 ? { errors } : admitted
}

function withNamespace(info: KindInfo, object: Record<string, unknown>, namespace: string): Record<string, unknown> {
  const metadata = object['metadata']
  if (!info.namespaced || !isRecord(metadata) || metadata['namespace'] !== undefined) return object
  return { ...object, metadata: { ...metadata, namespace } }
}

function namespaceErrors(info: KindInfo, object: Record<string, unknown>): FieldError[] {
  const metadata = object['metadata']
  const namespace = isRecord(metadata) ? metadata['namespace'] : undefined
  if (info.namespaced || namespace === undefined || namespace === '') return []
  return [fieldError(['metadata', 'namespace'], `must be left out: a ${info.kind} belongs to no namespace`)]
}

/** A value that may hold a password stays out of errors. */
function isSecret(info: KindInfo, at: readonly PropertyKey[]): boolean {
  if (info.kind === 'Secret') return at[0] === 'data' || at[0] === 'stringData'
  return at.includes('env')
}

function onePerField(errors: readonly FieldError[]): FieldError[] {
  const first = new Map<string, FieldError>()
  for (const error of errors) if (!first.has(error.path)) first.set(error.path, error)
  return [...first.values()]
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
