import type { KindMap, KindName } from '../model/registry.ts'
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
