import { OperatingError } from '../base/errors.ts'

/** Resources are JSON. Taken in once, they are frozen to the leaves and shared from then on. */

const depthMax = 100
/** Frozen to the leaves by us, so that they need no second look. */
const frozen = new WeakSet<object>()

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * A frozen copy of `value` that shares whatever is frozen by us already. Fields that are undefined are left out, as
 * JSON does; what JSON cannot say is refused, with the path to it.
 */
export function frozenCopy(value: unknown, path = '', depth = 0): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(`${path || 'a value'} is ${value}, which is not a number in JSON`)
    return value
  }
  if (typeof value !== 'object') throw invalid(`${path || 'a value'} is a ${typeof value}, which JSON cannot say`)
  if (frozen.has(value)) return value
  if (depth > depthMax) throw invalid(`${path.slice(0, 80)}… is nested more than ${depthMax} deep`)
  return Array.isArray(value) ? frozenArray(value, path, depth) : frozenObject(value, path, depth)
}

function frozenArray(list: readonly unknown[], path: string, depth: number): unknown {
  const copy = list.map((item, i) => (item === undefined ? null : frozenCopy(item, `${path}[${i}]`, depth + 1)))
  return remember(copy)
}

function frozenObject(object: object, path: string, depth: number): unknown {
  const copy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue
    if (key === '__proto__') throw invalid(`${path}.__proto__ is not allowed as a field name`)
    copy[key] = frozenCopy(value, path === '' ? key : `${path}.${key}`, depth + 1)
  }
  return remember(copy)
}

function remember<T extends object>(value: T): T {
  frozen.add(Object.freeze(value))
  return value
}

/** Freezes `value` itself, which nobody else holds, such as what was just parsed. */
export function freezeInPlace(value: unknown): void {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return
  for (const inner of Object.values(value)) freezeInPlace(inner)
  remember(value)
}

/** Equal as JSON: a field that is undefined is not there. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]))
  }
  return !Array.isArray(b) && isObject(a) && isObject(b) && equalFields(a, b)
}

function equalFields(a: JsonObject, b: JsonObject): boolean {
  for (const key in a) if (a[key] !== undefined && !equalJson(a[key], b[key])) return false
  for (const key in b) if (b[key] !== undefined && a[key] === undefined) return false
  return true
}

/** RFC 7386. Shares what the patch does not touch. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else if (key === '__proto__') throw invalid('__proto__ is not allowed as a field name')
    else if (value !== undefined) merged[key] = mergePatch(merged[key], value)
  }
  return merged
}

export function invalid(message: string): OperatingError {
  return new OperatingError('invalid', 'give-up', message)
}
