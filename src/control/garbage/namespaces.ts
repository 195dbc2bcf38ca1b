import { setCondition } from '../../model/conditions.ts'
import type { Namespace } from '../../model/kinds/kubernetes.ts'
import { kindNames, kinds, type Resource } from '../../model/registry.ts'
import { equalJson } from '../../store/json.ts'
import { contentsFinalizer } from '../../store/namespaces.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'

const deletedPerLook = 500
const lookEveryMs = 500

/**
 * Empties a namespace that is being deleted, then lets it go. The store refuses what is new in it from the moment that
 * its deletion was asked for, so that once it is empty it stays empty. Pods get their time to stop.
 */
export function createNamespaces({ store, views, clock }: Context): Reconciler {
  const namespaces = views.of('Namespace')

  async function reconcile(name: string): Promise<Outcome> {
    const namespace = namespaces.get({ name })
    const { deletionTimestamp, finalizers = [], resourceVersion } = namespace?.metadata ?? {}
    if (namespace === undefined || deletionTimestamp === undefined) return settled()
    if (!finalizers.includes(contentsFinalizer)) return settled()
    const left = await contentsOf(name)
    if (left.length === 0) {
      const others = finalizers.filter((finalizer) => finalizer !== contentsFinalizer)
      await store.patch('Namespace', { name }, { metadata: { finalizers: others } }, { resourceVersion })
      return settled()
    }
    await remove(left)
    await tell(namespace, left)
    return again(lookEveryMs)
  }

  /** From the store itself: what a view has not seen yet would be left behind. */
  async function contentsOf(namespace: string): Promise<Resource[]> {
    const listed = await Promise.all(
      kindNames
        .filter((kind) => kinds[kind].namespaced)
        .map(async (kind): Promise<readonly Resource[]> => (await store.list(kind, { namespace })).items),
    )
    return listed.flat()
  }

  /** Jobs and services come first in the list of kinds, so that they are gone before they miss what they own. */
  async function remove(left: readonly Resource[]): Promise<void> {
    const staying = left.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    await Promise.all(
      staying.slice(0, deletedPerLook).map(async ({ kind, metadata: { name, namespace, uid } }) => {
        const known = kindNames.find((each) => each === kind)
        if (known !== undefined) await store.delete(known, { name, namespace }, { uid })
      }),
    )
  }

  /** What it waits for, under Kubernetes' name. */
  async function tell(namespace: Namespace, left: readonly Resource[]): Promise<void> {
    const counts = new Map<string, number>()
    for (const { kind } of left) counts.set(kind, (counts.get(kind) ?? 0) + 1)
    const message = [...counts].map(([kind, count]) => `${count} of kind ${kind}`).join(', ')
    const remaining = {
      type: 'NamespaceContentRemaining',
      status: 'True' as const,
      reason: 'SomeResourcesRemain',
      message,
    }
    const conditions = setCondition(namespace.status?.conditions, remaining, clock.now())
    if (equalJson(conditions, namespace.status?.conditions)) return
    await store.updateStatus('Namespace', { ...namespace, status: { ...namespace.status, conditions } })
  }

  return {
    name: 'namespaces',
    watches: [{ kind: 'Namespace', keys: ({ metadata }) => (metadata.deletionTimestamp ? [metadata.name] : []) }],
    workers: 2,
    reconcile,
  }
}
