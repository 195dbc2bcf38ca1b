import { type FieldError, fieldError } from './field-error.ts'

/**
 * Bounds on any object, whoever sent it, checked before a schema sees it: levels, values (`nodes`), and those of a Gang,
 * which holds the seats of all its members.
 */
export const plainLimits = { depth: 64, nodes: 200_000, gangNodes: 500_000 } as const

/** Keys that would reach an object's prototype in careless code. No kind of ours or Kubernetes' has them. */
export const forbiddenKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** What JSON cannot hold or nobody should send; at most one error, since the first makes the rest pointless. */
export function plainErrors(value: unknown, nodesMax: number = plainLimits.nodes): FieldError[] {
  const path: (string | number)[] = []
  let nodes = 0
  const visit = (at: unknown): FieldError | undefined => {
    nodes += 1
    if (nodes > nodesMax) return fieldError([], `has more than ${nodesMax} values`)
    if (path.length > plainLimits.depth) return fieldError([], `is nested deeper than ${plainLimits.depth} levels`)
    if (typeof at === 'number' && !Number.isFinite(at))
      return fieldError(path, 'must be a finite number', { found: String(at) })
    if (typeof at === 'bigint' || typeof at === 'function' || typeof at === 'symbol') {
      return fieldError(path, 'is not something that JSON can hold')
    }
    if (at === null || typeof at !== 'object') return undefined
    return Array.isArray(at) ? each(at.entries()) : each(Object.entries(at))
  }
  const each = (entries: Iterable<[string | number, unknown]>): FieldError | undefined => {
    for (const [key, inner] of entries) {
      path.push(key)
      const error = typeof key === 'string' && forbiddenKeys.has(key) ? forbidden(path) : visit(inner)
      path.pop()
      if (error !== undefined) return error
    }
    return undefined
  }
  const error = visit(value)
  return error === undefined ? [] : [error]
}

function forbidden(path: readonly (string | number)[]): FieldError {
  return fieldError(path, 'is not allowed as a key')
}
