import { isDeepStrictEqual } from 'node:util'
import { mergePatch } from '../base/merge-patch.ts'
import { depthMax, isDeeperThan, isObject, type JsonObject } from './body.ts'
import { badRequest, unsupported } from './failure.ts'
import { strategicMerge } from './strategic.ts'

export type PatchType = 'merge' | 'json' | 'strategic'

const types: ReadonlyMap<string, PatchType> = new Map([
  ['application/merge-patch+json', 'merge'],
  ['application/json-patch+json', 'json'],
  ['application/strategic-merge-patch+json', 'strategic'],
])

/** Which patch a request carries. Our own kinds have no merge keys, so, as for any custom resource, strategic is refused. */
export function patchTypeOf(contentType: string, ours: boolean): PatchType {
  const type = types.get(contentType)
  if (type !== undefined && !(ours && type === 'strategic')) return type
  const allowed = [...types.keys()].filter((name) => !(ours && types.get(name) === 'strategic')).join(', ')
  if (contentType.startsWith('application/apply-patch')) {
    throw unsupported(
      `server-side apply is not supported yet; use client-side apply (kubectl apply without --server-side) or ${allowed}`,
    )
  }
  throw unsupported(`the body of the request was in an unknown format - accepted media types include: ${allowed}`)
}

/** The patched document; the original, which is frozen and shared, stays as it is. */
export function patched(original: object, patch: unknown, type: PatchType): unknown {
  const document = type === 'json' ? jsonPatch(original, patch) : merged(original, patch, type)
  if (isDeeperThan(document, depthMax))
    throw badRequest(`the patched resource is nested deeper than ${depthMax} levels`)
  return document
}

function merged(original: object, patch: unknown, type: 'merge' | 'strategic'): unknown {
  if (!isObject(patch)) throw badRequest('the patch must be an object')
  return type === 'merge' ? mergePatch(original, patch) : strategicMerge(original, patch)
}

const operationsMax = 10_000
/** What all copies of one patch may add: each can double the document, so that thirty would make gigabytes. */
const copiedCharactersMax = 4 * 1024 * 1024

/** RFC 6902. Every operation or none. */
export function jsonPatch(original: object, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations')
  if (patch.length > operationsMax) throw badRequest(`a JSON patch has at most ${operationsMax} operations`)
  let document: unknown = structuredClone(original)
  const budget = { copiedCharacters: copiedCharactersMax }
  for (const [index, operation] of patch.entries()) document = step(document, operation, index, budget)
  return document
}

function step(document: unknown, operation: unknown, index: number, budget: { copiedCharacters: number }): unknown {
  const where = `operation ${index} of the JSON patch`
  if (!isObject(operation)) throw badRequest(`${where} is not an object`)
  const { op, path, from, value } = operation
  if (typeof path !== 'string') throw badRequest(`${where} has no path`)
  const to = tokensOf(path, where)
  const source = () => {
    if (typeof from !== 'string') throw badRequest(`${where} has no "from"`)
    return tokensOf(from, where)
  }
  switch (op) {
    case 'add':
      return add(document, to, given(operation, where), where)
    case 'remove':
      return remove(document, to, where)
    case 'replace':
      read(document, to, where)
      return add(to.length === 0 ? document : remove(document, to, where), to, given(operation, where), where)
    case 'move': {
      const moved = read(document, source(), where)
      return add(remove(document, source(), where), to, moved, where)
    }
    case 'copy': {
      const copied = JSON.stringify(read(document, source(), where))
      budget.copiedCharacters -= copied.length
      if (budget.copiedCharacters < 0) throw badRequest(`${where} copies too much`)
      return add(document, to, JSON.parse(copied), where)
    }
    case 'test':
      if (!isDeepStrictEqual(read(document, to, where), value))
        throw badRequest(`${where}: the value at ${path} is another one`)
      return document
    default:
      throw badRequest(`${where} has op ${JSON.stringify(op)}; allowed: add, remove, replace, move, copy, test`)
  }
}

/** A copy: later operations change it, and a write that found another one in between applies the patch again. */
function given(operation: JsonObject, where: string): unknown {
  if (!Object.hasOwn(operation, 'value')) throw badRequest(`${where} has no value`)
  return structuredClone(operation['value'])
}

function tokensOf(pointer: string, where: string): string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/'))
    throw badRequest(`${where}: ${JSON.stringify(pointer.slice(0, 100))} does not begin with "/"`)
  const tokens = pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (tokens.includes('__proto__')) throw badRequest(`${where}: no resource has a field "__proto__"`)
  if (tokens.length > 64) throw badRequest(`${where}: the path is too deep`)
  return tokens
}

function read(document: unknown, path: readonly string[], where: string): unknown {
  let at = document
  for (const token of path) {
    if (Array.isArray(at)) at = at[indexIn(at, token, at.length - 1, where)]
    else if (isObject(at) && Object.hasOwn(at, token)) at = at[token]
    else throw missing(path, where)
  }
  return at
}

function add(document: unknown, path: readonly string[], value: unknown, where: string): unknown {
  const last = path.at(-1)
  if (last === undefined) return value
  const parent = read(document, path.slice(0, -1), where)
  if (Array.isArray(parent))
    parent.splice(last === '-' ? parent.length : indexIn(parent, last, parent.length, where), 0, value)
  else if (isObject(parent)) parent[last] = value
  else throw missing(path, where)
  return document
}

function remove(document: unknown, path: readonly string[], where: string): unknown {
  const last = path.at(-1)
  if (last === undefined) throw badRequest(`${where} removes the whole resource; delete it instead`)
  const parent = read(document, path.slice(0, -1), where)
  if (Array.isArray(parent)) parent.splice(indexIn(parent, last, parent.length - 1, where), 1)
  else if (isObject(parent) && Object.hasOwn(parent, last)) delete parent[last]
  else throw missing(path, where)
  return document
}

function indexIn(list: readonly unknown[], token: string, max: number, where: string): number {
  const index = /^(0|[1-9][0-9]{0,8})$/.test(token) ? Number(token) : Number.NaN
  if (!(index <= max))
    throw badRequest(`${where}: ${JSON.stringify(token.slice(0, 100))} is no place in a list of ${list.length}`)
  return index
}

function missing(path: readonly string[], where: string) {
  return badRequest(`${where}: there is nothing at /${path.join('/').slice(0, 200)}`)
}
