import { type KindMap, type KindName, kindNames, kinds } from '../model/registry.ts'
import type { Ref, WatchSink } from './contract.ts'
import { frozenCopy, invalid, isObject, type JsonObject } from './json.ts'

/** A resource as the store's core sees it: metadata that it keeps, and the rest, which it carries. */
export interface Stored {
  readonly metadata: StoredMeta
  readonly spec?: unknown
  readonly status?: unknown
  readonly [field: string]: unknown
}

export interface StoredMeta {
  readonly name: string
  readonly namespace?: string | undefined
  readonly uid?: string | undefined
  readonly resourceVersion?: string | undefined
  readonly generation?: number | undefined
  readonly creationTimestamp?: string | null | undefined
  readonly deletionTimestamp?: string | undefined
  readonly deletionGracePeriodSeconds?: number | undefined
  readonly generateName?: string | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly finalizers?: readonly string[] | undefined
  readonly ownerReferences?: readonly { readonly uid: string }[] | undefined
  readonly [field: string]: unknown
}

/** Takes an object in: a frozen copy whose metadata has the shape that the core relies on. */
export function takeIn(object: unknown): Stored {
  const copy = frozenCopy(object)
  if (!isStored(copy)) throw invalid('a resource needs metadata with a name, and text where metadata holds text')
  return copy
}

export function isStored(value: unknown): value is Stored {
  return isObject(value) && isObject(value['metadata']) && isMeta(value['metadata'])
}

function isMeta(meta: JsonObject): boolean {
  return (
    (meta['name'] === undefined || typeof meta['name'] === 'string') &&
    isTextOrNone(meta['namespace']) &&
    isTextOrNone(meta['uid']) &&
    isTextOrNone(meta['resourceVersion']) &&
    isTextOrNone(meta['generateName']) &&
    isTextOrNone(meta['deletionTimestamp']) &&
    isListOrNone(meta['finalizers'], (item) => typeof item === 'string') &&
    isListOrNone(meta['ownerReferences'], (item) => isObject(item) && typeof item['uid'] === 'string') &&
    (meta['labels'] === undefined || (isObject(meta['labels']) && Object.values(meta['labels']).every(isText)))
  )
}

const isText = (value: unknown) => typeof value === 'string'
const isTextOrNone = (value: unknown) => value === undefined || typeof value === 'string'
const isListOrNone = (value: unknown, each: (item: unknown) => boolean) =>
  value === undefined || (Array.isArray(value) && value.every(each))

/**
 * The way out to typed callers. What is kept under a kind came in through that kind's typed door (or from a file that
 * this store wrote), so its type is known, but not to the compiler: this is the one place that says so.
 */
export function handedOut<K extends KindName>(_kind: K, stored: Stored): KindMap[K] {
  return stored as unknown as KindMap[K]
}

/** The same for a watch: thousands of watchers share one event, so it cannot be wrapped for each. */
export function sinkOf<K extends KindName>(_kind: K, sink: WatchSink<KindMap[K]>): WatchSink<Stored> {
  return sink as unknown as WatchSink<Stored>
}

/** `namespace/name`; cluster-scoped kinds have an empty namespace. */
export function keyOf(kind: KindName, ref: Ref): string {
  const info = kinds[kind]
  if (info === undefined) throw invalid(`"${String(kind)}" is no kind; allowed: ${kindNames.join(', ')}`)
  const namespace = ref.namespace ?? ''
  if (info.namespaced && namespace === '') {
    throw invalid(`${kind} "${ref.name}" needs a namespace: ${info.plural} belong to one`)
  }
  if (!info.namespaced && namespace !== '') {
    throw invalid(`${kind} "${ref.name}" takes no namespace: ${info.plural} belong to the whole cluster`)
  }
  return `${namespace}/${ref.name}`
}

/** Numbers that the core may count with: resourceVersions are decimal revisions here, opaque to everyone else. */
export function revisionOf(resourceVersion: string | undefined): number {
  return resourceVersion !== undefined && /^[0-9]{1,15}$/.test(resourceVersion) ? Number(resourceVersion) : Number.NaN
}
