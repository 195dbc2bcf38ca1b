import { backoffMs } from '../base/backoff.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Ref, Selectors, Stop, Store, WatchEvent } from './contract.ts'

/** One kind's resources kept in memory: listed once, then followed. What it holds may lag behind the store, never mix. */
export interface Informer<T> {
  start(): void
  stop(): void
  /** Resolves once the first list is in and every handler has seen it. */
  synced(): Promise<void>
  readonly isSynced: boolean
  get(ref: Ref): T | undefined
  list(namespace?: string): T[]
  /**
   * What the owner of this informer has just written, as the store answered: known at once, before the watch brings it,
   * so that it never decides on less than it did itself. Of informers without selectors.
   */
  wrote(object: T): void
  /** Whoever asked the store itself found that this one is there no more: known at once, however late the watch is. */
  gone(ref: Ref, uid: string): void
  /** The objects that `indexes[index]` filed under `value`: the same list until one of them changes. */
  by(index: string, value: string): readonly T[]
  /**
   * Calls `handler` for every change, in order; first with ADDED for each object already known. A resource that was
   * deleted and made again under its name shows as DELETED, then ADDED, also when that happened out of sight.
   */
  onChange(handler: (change: Change<T>) => void): Cancel
}

export interface Change<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: T
  /** What was known before; undefined for ADDED. */
  previous: T | undefined
}

export interface InformerOptions<K extends KindName> {
  store: Store
  clock: Clock
  log: Log
  kind: K
  selectors?: Selectors
  /** Values to file an object under, by index name. */
  indexes?: Record<string, (object: KindMap[K]) => string[]>
  /** For the jitter between tries when the store fails. */
  random?: Random
  /** A list that is older than this revision is of a server that is behind, and not taken. */
  notBefore?: string | undefined
}

const retryLimits = { baseMs: 100, maxMs: 10_000 }

export function createInformer<K extends KindName>(options: InformerOptions<K>): Informer<KindMap[K]> {
  type T = KindMap[K]
  const { store, clock, log, kind, selectors, indexes = {}, random, notBefore = '0' } = options
  const objects = new Map<string, T>()
  const index = createIndex(indexes)
  const handlers = new Set<(change: Change<T>) => void>()
  let isSynced = false
  /** Everything up to this revision was shown by lists and watches, or is to be shown by the first list. */
  let seen = notBefore
  let waiting: (() => void)[] = []
  let running: AbortController | undefined

  async function follow(signal: AbortSignal): Promise<void> {
    let failures = 0
    let expiredFrom: string | undefined
    while (!signal.aborted) {
      try {
        const listed = await store.list(kind, { ...selectors })
        if (signal.aborted) return
        // Else what was deleted since would be there again.
        if (isNewer(seen, listed.resourceVersion)) throw new Error('it lists what was, and is behind')
        replaceAll(listed.items, listed.resourceVersion)
        markSynced()
        const reason = await watchFrom(listed.resourceVersion, signal)
        // A server that is behind lists again and again what it cannot be watched from.
        const isStale = reason === 'expired' && expiredFrom === listed.resourceVersion
        expiredFrom = reason === 'expired' ? listed.resourceVersion : undefined
        if (!isStale) failures = 0
        if (reason === 'expired' && !isStale) continue
        if (!signal.aborted) throw new Error(isStale ? 'it lists what is no longer kept' : 'the watch was closed')
      } catch (error) {
        if (signal.aborted) return
        failures++
        log.warn('an informer could not follow the store and tries again', { kind, error: messageOf(error) })
        await clock.sleep(waitMs(failures), signal)
      }
    }
  }

  function waitMs(failures: number): number {
    return random === undefined
      ? Math.min(retryLimits.maxMs, retryLimits.baseMs * failures)
      : backoffMs(failures, retryLimits, random)
  }

  function watchFrom(from: string, signal: AbortSignal): Promise<'expired' | 'closed'> {
    return new Promise((resolve) => {
      let stop: Stop = () => {}
      const abort = () => {
        stop()
        resolve('closed')
      }
      signal.addEventListener('abort', abort)
      stop = store.watch(
        kind,
        { ...selectors, from },
        {
          event: (event) => {
            if (signal.aborted) return
            see(event.object.metadata.resourceVersion)
            apply(event)
          },
          ended: (reason) => {
            signal.removeEventListener('abort', abort)
            resolve(reason)
          },
        },
      )
    })
  }

  function see(revision: string | undefined): void {
    if (revision !== undefined && isNewer(revision, seen)) seen = revision
  }

  function apply(event: WatchEvent<T>): void {
    if (event.type === 'DELETED') forget(keyOf(event.object), event.object)
    else learn(event.object)
  }

  /** Makes what we know equal to `items`, telling handlers what must have happened in between. */
  function replaceAll(items: readonly T[], revision: string): void {
    see(revision)
    const present = new Set(items.map(keyOf))
    for (const [key, object] of [...objects]) {
      const isOurs = isNewer(object.metadata.resourceVersion, revision) // written since that list was made
      if (!present.has(key) && !isOurs) forget(key, object)
    }
    for (const item of items) learn(item)
  }

  function learn(object: T): void {
    const key = keyOf(object)
    const previous = objects.get(key)
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) {
      if (!isNewer(object.metadata.resourceVersion, previous.metadata.resourceVersion)) return
      forget(key, previous)
      learn(object)
      return
    }
    if (previous !== undefined && !isNewer(object.metadata.resourceVersion, previous.metadata.resourceVersion)) return
    objects.set(key, object)
    index.replace(key, previous, object)
    tell({ type: previous === undefined ? 'ADDED' : 'MODIFIED', object, previous })
  }

  function forget(key: string, object: T): void {
    const previous = objects.get(key)
    // Deleted and made again by ourselves, before we were told of the deletion: that was shown already.
    if (previous === undefined || isNewer(previous.metadata.resourceVersion, object.metadata.resourceVersion)) return
    objects.delete(key)
    index.replace(key, previous, undefined)
    tell({ type: 'DELETED', object, previous })
  }

  function tell(change: Change<T>): void {
    for (const handler of [...handlers]) handler(change)
  }

  function markSynced(): void {
    isSynced = true
    const resolved = waiting
    waiting = []
    for (const resolve of resolved) resolve()
  }

  return {
    start: () => {
      if (running !== undefined) return
      running = new AbortController()
      void follow(running.signal)
    },
    stop: () => {
      running?.abort()
      running = undefined
    },
    synced: () => (isSynced ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    get isSynced() {
      return isSynced
    },
    wrote: (object) => {
      // What the watch has shown already may be over by now.
      if (isSynced && isNewer(object.metadata.resourceVersion, seen)) learn(object)
    },
    gone: (ref, uid) => {
      const key = keyOfRef(ref)
      const known = objects.get(key)
      if (known?.metadata.uid === uid) forget(key, known)
    },
    get: (ref) => objects.get(keyOfRef(ref)),
    list: (namespace) => {
      const all = [...objects.values()]
      return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace)
    },
    by: index.by,
    onChange: (handler) => {
      handlers.add(handler)
      for (const object of objects.values()) handler({ type: 'ADDED', object, previous: undefined })
      return () => void handlers.delete(handler)
    },
  }
}

function keyOf({ metadata }: KindMap[KindName]): string {
  return keyOfRef(metadata)
}

function keyOfRef({ name, namespace }: Ref): string {
  return `${namespace ?? ''}/${name}`
}

/** Revisions are numbers that rise; in etcd, in the embedded stores, and by Kubernetes' own word since 1.35. */
function isNewer(a: string | undefined, b: string | undefined): boolean {
  return Number(a) > Number(b)
}

/** Objects under one value of an index, in order of their last change. */
interface File<T> {
  objects: Map<string, T>
  /** The same as a list, made when somebody asks. */
  list: readonly T[] | undefined
}

/** Objects by the values that each index files them under. */
function createIndex<T>(indexes: Record<string, (object: T) => string[]>) {
  const filed = new Map(Object.keys(indexes).map((name) => [name, new Map<string, File<T>>()]))

  function replace(key: string, previous: T | undefined, next: T | undefined): void {
    for (const [name, valuesOf] of Object.entries(indexes)) {
      const files = filed.get(name)
      if (files === undefined) continue
      if (previous !== undefined) for (const value of valuesOf(previous)) takeOut(files, value, key)
      if (next !== undefined) for (const value of valuesOf(next)) putIn(files, value, key, next)
    }
  }

  function takeOut(files: Map<string, File<T>>, value: string, key: string): void {
    const file = files.get(value)
    if (file === undefined) return
    file.objects.delete(key)
    file.list = undefined
    if (file.objects.size === 0) files.delete(value)
  }

  function putIn(files: Map<string, File<T>>, value: string, key: string, object: T): void {
    const file = files.get(value)
    if (file === undefined) {
      files.set(value, { objects: new Map([[key, object]]), list: undefined })
      return
    }
    file.objects.set(key, object)
    file.list = undefined
  }

  function by(name: string, value: string): readonly T[] {
    const file = filed.get(name)?.get(value)
    if (file === undefined) return []
    file.list ??= [...file.objects.values()]
    return file.list
  }

  return { replace, by }
}
