import type { KindMap, KindName } from '../model/registry.ts'

/**
 * The store of resources. Every implementation passes one contract suite (`contract-suite.ts`).
 *
 * What a caller may rely on, also after a crash: a write that was acknowledged (its promise resolved) is durable; no
 * reader or watcher sees a write before it is durable; objects handed out are frozen and shared; `resourceVersion` is
 * opaque except that the embedded stores also let it be compared by the watch (`from`), and that it is a whole number which
 * rises with every write: a new lease counts its epochs from there.
 *
 * Expected outcomes are returned as words. Thrown: OperatingError 'fenced' (a newer leader exists), 'invalid',
 * 'terminating' (something new in a namespace that is being deleted), 'not-found' (something of an owner whose namespace
 * is gone), 'forbidden' (`default` stays), and operating failures of the medium ('store-full', 'store-closed', …).
 *
 * A namespace comes into being with the first resource in it that is of nothing else. Its deletion closes it at once; it
 * stays, Terminating, until its finalizers are gone, the first of which the store adds (`namespaces.ts`).
 */
export interface Store {
  get<K extends KindName>(kind: K, ref: Ref): Promise<KindMap[K] | undefined>
  list<K extends KindName>(kind: K, options?: ListOptions): Promise<Listed<KindMap[K]>>
  /** Fills in uid, resourceVersion, creationTimestamp, generation 1. `status` is kept only for kinds without the subresource or when `options.withStatus`. */
  create<K extends KindName>(kind: K, object: KindMap[K], options?: WriteOptions): Promise<KindMap[K] | 'exists'>
  /** Replaces all but status where its resourceVersion still holds; generation rises when spec changed. */
  update<K extends KindName>(
    kind: K,
    object: KindMap[K],
    options?: WriteOptions,
  ): Promise<KindMap[K] | 'stale' | 'missing'>
  /** Replaces status alone, under the same condition. */
  updateStatus<K extends KindName>(
    kind: K,
    object: KindMap[K],
    options?: WriteOptions,
  ): Promise<KindMap[K] | 'stale' | 'missing'>
  /** RFC 7386 merge patch. With `resourceVersion` or `uid` in the options it is a compare-and-set. A patch that changes nothing writes nothing. */
  patch<K extends KindName>(
    kind: K,
    ref: Ref,
    patch: object,
    options?: PatchOptions,
  ): Promise<KindMap[K] | 'stale' | 'missing'>
  /** With finalizers, or for a bound pod that has not ended and grace > 0, it sets deletionTimestamp (and deletionGracePeriodSeconds) and stays; else it is gone. As on Kubernetes, deletionTimestamp is when the grace ends. */
  delete(kind: KindName, ref: Ref, options?: DeleteOptions): Promise<'deleted' | 'deleting' | 'missing' | 'stale'>
  /** Kubernetes' Binding: sets spec.nodeName once, and merges the annotations into the pod. */
  bind(ref: Ref, binding: Binding, options?: WriteOptions): Promise<KindMap['Pod'] | 'stale' | 'missing' | 'bound'>
  /** Kubernetes' Eviction: a deletion of the pod that names a uid. */
  evict(ref: Ref, options: DeleteOptions): Promise<'deleted' | 'deleting' | 'missing' | 'stale'>
  /**
   * Every change of `kind` after revision `from` (a `resourceVersion` from `list`), in order, none skipped, through
   * `sink`, until stopped. `sink.ended('expired')`: that far back is no longer kept; list again.
   */
  watch<K extends KindName>(kind: K, options: WatchOptions, sink: WatchSink<KindMap[K]>): Stop
}

export interface Ref {
  name: string
  /** Left out for cluster-scoped kinds. */
  namespace?: string | undefined
}

export interface Selectors {
  namespace?: string | undefined
  /** Equality and set selectors in Kubernetes' syntax: `a=b,c!=d,e in (f,g),h,!i`. */
  labels?: string | undefined
  /** Field selectors in Kubernetes' syntax; metadata.name, metadata.namespace, spec.nodeName, status.phase, involvedObject.*, type, reason. */
  fields?: string | undefined
}
export interface ListOptions extends Selectors {
  limit?: number | undefined
  continue?: string | undefined
}
export interface Listed<T> {
  items: readonly T[]
  /** Watch from here. */
  resourceVersion: string
  continue?: string
}

/** Names the lease whose epoch a write is of. */
export interface Fence {
  lease: Ref
  epoch: number
}
export interface WriteOptions {
  fence?: Fence | undefined
  withStatus?: boolean | undefined
}
export interface PatchOptions extends WriteOptions {
  status?: boolean | undefined
  resourceVersion?: string | undefined
  uid?: string | undefined
}
export interface DeleteOptions extends WriteOptions {
  resourceVersion?: string | undefined
  uid?: string | undefined
  gracePeriodSeconds?: number | undefined
  propagation?: 'Background' | 'Orphan' | undefined
}
export interface Binding extends WriteOptions {
  node: string
  annotations: Record<string, string>
  uid?: string | undefined
  resourceVersion?: string | undefined
}

export interface WatchOptions extends Selectors {
  from: string
}
export interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: T
}
export interface WatchSink<T> {
  event(event: WatchEvent<T>): void
  /** Called at most once; nothing follows it. */
  ended(reason: 'expired' | 'closed'): void
  /** Optional: a revision up to which everything was delivered. */
  bookmark?(resourceVersion: string): void
}
export type Stop = () => void
