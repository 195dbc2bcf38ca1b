import { isTrue } from '../../model/conditions.ts'
import { cpuSlot, label } from '../../model/names.ts'
import { countOf } from '../../model/quantity.ts'
import { equalJson } from '../../store/json.ts'
import { type Context, type Reconciler, settled } from '../reconciler.ts'

/** How many nodes and slots a pool has. */
export function createPools({ store, views }: Context): Reconciler {
  const pools = views.of('Pool')
  const nodes = views.of('Node')

  return {
    name: 'pools',
    watches: [
      { kind: 'Pool', keys: (pool) => [pool.metadata.name] },
      { kind: 'Node', keys: (node) => [node.metadata.labels?.[label.pool] ?? ''] },
    ],
    workers: 1,
    reconcile: async (name) => {
      const pool = pools.get({ name })
      if (pool === undefined) return settled()
      const own = nodes.list().filter((node) => node.metadata.labels?.[label.pool] === name)
      const status = {
        ...pool.status,
        conditions: pool.status?.conditions ?? [],
        nodes: own.length,
        readyNodes: own.filter((node) => isTrue(node.status?.conditions, 'Ready')).length,
        slots: own.reduce((sum, node) => sum + countOf(node.status?.allocatable?.[cpuSlot] ?? 0), 0),
      }
      if (!equalJson(status, pool.status)) await store.updateStatus('Pool', { ...pool, status })
      return settled()
    },
  }
}
