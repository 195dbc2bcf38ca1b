import { isDeepStrictEqual } from 'node:util'
import { isObject, type JsonObject } from './body.ts'
import { badRequest } from './failure.ts'

/**
 * Kubernetes' strategic merge patch for its own kinds: a merge patch in which some lists are merged by a key of their
 * elements. Directives: `$patch` (replace, delete), `$retainKeys`, `$setElementOrder/LIST`,
 * `$deleteFromPrimitiveList/LIST`.
 */
export function strategicMerge(original: unknown, patch: JsonObject): JsonObject {
  if (patch['$patch'] === 'delete') return {}
  if (patch['$patch'] === 'replace') return withoutDirectives(patch)
  const merged: JsonObject = isObject(original) ? { ...original } : {}
  for (const [field, value] of Object.entries(patch)) {
    if (field.startsWith('$')) continue
    if (value === null) delete merged[field]
    else merged[field] = mergeField(field, Object.hasOwn(merged, field) ? merged[field] : undefined, value)
  }
  return directed(merged, patch)
}

function mergeField(field: string, before: unknown, value: unknown): unknown {
  if (isObject(value)) return strategicMerge(before, value)
  if (!Array.isArray(value)) return value
  const key = mergeKeys.get(field)
  if (key !== undefined) return mergeList(field, key, Array.isArray(before) ? before : [], value)
  if (primitiveLists.has(field) && Array.isArray(before)) {
    return [...before, ...value.filter((item) => !before.includes(item))]
  }
  return value.map((item) => (isObject(item) ? withoutDirectives(item) : item))
}

/** Elements of the same key are merged, new ones appended. */
function mergeList(field: string, key: string, before: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const replaces = patch.some((item) => isObject(item) && item['$patch'] === 'replace')
  let merged: unknown[] = replaces ? [] : [...before]
  for (const item of patch) {
    if (!isObject(item))
      throw badRequest(`the list ${field} is merged by ${key}, so each of its elements must be an object`)
    if (item['$patch'] === 'replace') continue
    const id = item[key]
    if (id === undefined) throw badRequest(`an element of the list ${field} has no ${key}, by which the list is merged`)
    const same = (other: unknown) => isObject(other) && isDeepStrictEqual(other[key], id)
    if (item['$patch'] === 'delete') {
      merged = merged.filter((other) => !same(other))
      continue
    }
    const at = merged.findIndex(same)
    if (at < 0) merged.push(strategicMerge({}, item))
    else merged[at] = strategicMerge(merged[at], item)
  }
  return merged
}

/** The directives that act on fields beside them, once those are merged. */
function directed(merged: JsonObject, patch: JsonObject): JsonObject {
  const retained = patch['$retainKeys']
  if (Array.isArray(retained))
    for (const field of Object.keys(merged)) if (!retained.includes(field)) delete merged[field]
  for (const [directive, value] of Object.entries(patch)) {
    const [name, field] = directive.split('/')
    if (field === undefined || !Array.isArray(value)) continue
    const list = Object.hasOwn(merged, field) ? merged[field] : undefined
    if (!Array.isArray(list)) continue
    if (name === '$deleteFromPrimitiveList') merged[field] = list.filter((item) => !value.includes(item))
    if (name === '$setElementOrder') merged[field] = ordered(list, value, mergeKeys.get(field))
  }
  return merged
}

/** Elements in the order that the patch asks for; those it does not name come last. */
function ordered(list: readonly unknown[], order: readonly unknown[], key: string | undefined): unknown[] {
  const idOf = (item: unknown) => (key !== undefined && isObject(item) ? item[key] : item)
  const rank = (item: unknown) => order.findIndex((wanted) => isDeepStrictEqual(idOf(wanted), idOf(item)))
  const named = list.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b))
  return [...named, ...list.filter((item) => rank(item) < 0)]
}

function withoutDirectives(value: JsonObject): JsonObject {
  const kept = Object.entries(value).filter(([field]) => !field.startsWith('$'))
  return Object.fromEntries(kept.map(([field, inner]) => [field, isObject(inner) ? withoutDirectives(inner) : inner]))
}

/** `patchMergeKey` of k8s.io/api core/v1 and meta/v1 for the kinds that we serve. */
const mergeKeys: ReadonlyMap<string, string> = new Map([
  ['containers', 'name'],
  ['initContainers', 'name'],
  ['ephemeralContainers', 'name'],
  ['env', 'name'],
  ['ports', 'containerPort'],
  ['volumes', 'name'],
  ['volumeMounts', 'mountPath'],
  ['volumeDevices', 'devicePath'],
  ['imagePullSecrets', 'name'],
  ['hostAliases', 'ip'],
  ['topologySpreadConstraints', 'topologyKey'],
  ['conditions', 'type'],
  ['addresses', 'type'],
  ['taints', 'key'],
  ['ownerReferences', 'uid'],
])
const primitiveLists = new Set(['finalizers'])
