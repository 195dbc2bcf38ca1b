import { OperatingError } from '../base/errors.ts'

/** Resources are JSON. Taken in once, they are frozen to the leaves and shared from then on. */

const depthMax = 100

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * A frozen copy of `value` that shares whatever is frozen to the leaves already. Fields that are undefined are left
 * out, as JSON does; what JSON cannot say is refused, with the path to it.
 */
export function frozenCopy(value: unknown): unknown {
  try {
    return copyOf(value, 0)
  } catch (error) {
    if (error instanceof NotJson) throw invalid(whyNotJson(value, '', 0) ?? 'this is not JSON')
    throw error
  }
}

/** Where the fault lies is looked for only when there is one. */
class NotJson extends Error {}

function copyOf(value: unknown, depth: number): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'object') {
    if (isFrozenJson(value, depth)) return value
    return Array.isArray(value) ? copyOfArray(value, depth) : copyOfObject(value, depth)
  }
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new NotJson()
}

function copyOfArray(list: readonly unknown[], depth: number): unknown {
  if (depth > depthMax) throw new NotJson()
  return Object.freeze(list.map((item) => (item === undefined ? null : copyOf(item, depth + 1))))
}

function copyOfObject(object: object, depth: number): unknown {
  if (depth > depthMax || !isPlain(object)) throw new NotJson()
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(object)) {
    const value: unknown = Reflect.get(object, key)
    if (value === undefined) continue
    if (key === '__proto__') throw new NotJson()
    copy[key] = copyOf(value, depth + 1)
  }
  return Object.freeze(copy)
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object)
  return prototype === Object.prototype || prototype === null
}

/** Nothing in it can change, and there is nothing in it that JSON cannot say. (A set of what we froze costs more.) */
function isFrozenJson(value: object, depth: number): boolean {
  if (!Object.isFrozen(value) || depth > depthMax) return false
  if (Array.isArray(value)) return value.every((item) => isFrozenValue(item, depth))
  if (!isPlain(value)) return false
  for (const key in value) if (key === '__proto__' || !isFrozenValue(Reflect.get(value, key), depth)) return false
  return true
}

function isFrozenValue(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'object') return isFrozenJson(value, depth + 1)
  return typeof value === 'number' && Number.isFinite(value)
}

function whyNotJson(value: unknown, path: string, depth: number): string | undefined {
  const here = path === '' ? 'the resource' : path
  if (typeof value === 'number' && !Number.isFinite(value)) return `${here} is ${value}, which is no number in JSON`
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object') return `${here} is a ${typeof value}, which JSON cannot say`
  if (depth > depthMax) return `${path.slice(0, 80)}… is nested more than ${depthMax} deep`
  if (!Array.isArray(value) && !isPlain(value)) return `${here} is a ${value.constructor.name}, not a plain object`
  for (const [key, inner] of Object.entries(value)) {
    if (key === '__proto__') return `${here} has a field called __proto__, which is not allowed`
    const at = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`
    const why = whyNotJson(inner, at, depth + 1)
    if (why !== undefined) return why
  }
  return undefined
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

export function invalid(message: string): OperatingError {
  return new OperatingError('invalid', 'give-up', message)
}
