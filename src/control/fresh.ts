import { type KindMap, type KindName, kinds } from '../model/registry.ts'
import type { Store } from '../store/contract.ts'

/** Whoever leads writes it every few seconds. */
export const controlLease = { namespace: 'millwright-system', name: 'millwright-control' }

/**
 * All of a kind as the store has it now, for what cannot be undone. A list older than the lease was just then comes from a
 * server that is behind: undefined. (Kubernetes promises the latest of a list that names no revision; etcd counts revisions
 * for all kinds together.)
 */
export async function listFresh<K extends KindName>(store: Store, kind: K): Promise<readonly KindMap[K][] | undefined> {
  const lease = await store.get('Lease', controlLease)
  const { items, resourceVersion } = await store.list(kind)
  return Number(resourceVersion) < Number(lease?.metadata.resourceVersion ?? 0) ? undefined : items
}

interface Named {
  name: string
  namespace?: string | undefined
  uid?: string | undefined
}

/**
 * Whether it is there, as the store itself has it, and it is this one, not another of its name. Who makes something for another
 * asks: informers of two kinds may lag behind by different moments, and what is made for one that is gone would be cleared away,
 * missed and made again until the watch of its kind comes round as well.
 */
export async function isThere(store: Store, kind: KindName, { name, namespace, uid }: Named): Promise<boolean> {
  const found = await store.get(kind, kinds[kind].namespaced ? { name, namespace } : { name })
  return found !== undefined && found.metadata.uid === uid
}
