import { OperatingError } from '../base/errors.ts'

/** Resources are JSON. Taken in once, they are frozen to the leaves and shared from then on. */

const depthMax = 100

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * A frozen copy of `value` that shares whatever is frozen to the leaves already. Fields that are undefined are left out, as
 * JSON does; what JSON cannot say is refused, with the path to it.
 */
export function frozenCopy(value: unknown, path = '', depth = 0): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalid(`${path || 'a value'} is ${value}, which is not a number in JSON`)
    return value
  }
  if (typeof value !== 'object') throw invalid(`${path || 'a value'} is a ${typeof value}, which JSON cannot say`)
  if (isFrozenJson(value, depth)) return value
  if (depth > depthMax) throw invalid(`${path.slice(0, 80)}… is nested more than ${depthMax} deep`)
  return Array.isArray(value) ? frozenArray(value, path, depth) : frozenObject(value, path, depth)
}

function frozenArray(list: readonly unknown[], path: string, depth: number): unknown {
  const copy = list.map((item, i) => (item === undefined ? null : frozenCopy(item, `${path}[${i}]`, depth + 1)))
  return Object.freeze(copy)
}

function frozenObject(object: object, path: string, depth: number): unknown {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype !== Object.prototype && prototype !== null) throw invalid(`${path || 'a value'} is no plain object`)
  const copy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue
    if (key === '__proto__') throw invalid(`${path}.__proto__ is not allowed as a field name`)
    copy[key] = frozenCopy(value, path === '' ? key : `${path}.${key}`, depth + 1)
  }
  return Object.freeze(copy)
}

/** Nothing in it can change, and there is nothing in it that JSON cannot say. (A set of what we froze costs more to keep.) */
function isFrozenJson(value: object, depth: number): boolean {
  if (!Object.isFrozen(value) || depth > depthMax) return false
  if (Array.isArray(value)) return value.every((item) => isFrozenValue(item, depth))
  for (const key in value) if (key === '__proto__' || !isFrozenValue(Reflect.get(value, key), depth)) return false
  return true
}

function isFrozenValue(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'object' && isFrozenJson(value, depth + 1)
}

/** Freezes `value` itself, which nobody else holds, such as what was just parsed. */
export function freezeInPlace(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const inner of Object.values(value)) freezeInPlace(inner)
  Object.freeze(value)
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
