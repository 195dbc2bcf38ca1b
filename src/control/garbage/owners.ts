import type { OwnerReference } from '../../model/metadata.ts'
import type { KindMap, KindName } from '../../model/registry.ts'
import { kindNames, kinds } from '../../model/registry.ts'
import type { Store } from '../../store/contract.ts'
import type { Informer } from '../../store/informer.ts'
import { type Context, type Reconciler, settled, type WatchOf } from '../reconciler.ts'

/** Kinds that own or are owned. */
const kindsOwned: readonly KindName[] = ['TrainingJob', 'InferenceService', 'Gang', 'Pod', 'Report', 'Model']

/**
 * What is owned goes when all its owners have gone, as a cluster's garbage collector does it. Keyed by the owner's uid:
 * woken by its end, and by everything new that names it.
 */
export function createOwners(context: Context): Reconciler {
  const { store, views } = context
  const seen = kindsOwned.map((kind) => ownedOf(store, views.of(kind), kind))

  return {
    name: 'owners',
    watches: kindsOwned.map((kind) => watchOf(kind)),
    workers: 16,
    reconcile: async (uid) => {
      const dependents = seen.flatMap((one) => one.by(uid))
      const owner = dependents[0]?.references.find((reference) => reference.uid === uid)
      if (owner === undefined || (await exists(context, owner, dependents[0]?.namespace))) return settled()
      for (const dependent of dependents) {
        const others = dependent.references.filter((reference) => reference.uid !== uid)
        const owned = await Promise.all(others.map((other) => exists(context, other, dependent.namespace)))
        if (!owned.includes(true)) await dependent.remove()
      }
      return settled()
    },
  }
}

interface Dependent {
  namespace: string | undefined
  references: readonly OwnerReference[]
  remove(): Promise<unknown>
}

function ownedOf<K extends KindName>(
  store: Store,
  informer: Informer<KindMap[K]>,
  kind: K,
): { by(uid: string): Dependent[] } {
  return {
    by: (uid) =>
      informer.by('owner', uid).map(({ metadata }) => ({
        namespace: metadata.namespace,
        references: metadata.ownerReferences ?? [],
        remove: () => store.delete(kind, { name: metadata.name, namespace: metadata.namespace }, { uid: metadata.uid }),
      })),
  }
}

function watchOf<K extends KindName>(kind: K): WatchOf<KindName> & WatchOf<K> {
  return {
    kind,
    keys: ({ metadata }: KindMap[KindName], change: string) => {
      if (change === 'DELETED') return metadata.uid === undefined ? [] : [metadata.uid]
      return change === 'ADDED' ? (metadata.ownerReferences ?? []).map((owner) => owner.uid) : []
    },
  }
}

/**
 * The store itself is asked: informers of two kinds may lag behind it by different moments. Who shows it still is told: what is
 * cleared away would be missed, and made again until its watch comes round as well.
 */
async function exists(
  { store, views }: Context,
  owner: OwnerReference,
  namespace: string | undefined,
): Promise<boolean> {
  const kind = kindNames.find((name) => name === owner.kind)
  if (kind === undefined) return true // not a kind of ours: not ours to judge
  const ref = kinds[kind].namespaced ? { name: owner.name, namespace } : { name: owner.name }
  const found = await store.get(kind, ref)
  if (found?.metadata.uid === owner.uid) return true
  views.gone(kind, ref, owner.uid)
  return false
}
