import { anyGpu } from '../../model/accelerators.ts'
import { canonicalModel } from '../../model/catalogue.ts'
import { conditionOf, isTrue, setCondition } from '../../model/conditions.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import { cpuSlot, gpuResource, label } from '../../model/names.ts'
import { countOf } from '../../model/quantity.ts'
import { refOf } from '../../model/refs.ts'
import { equalJson } from '../../store/json.ts'
import { type Context, type Reconciler, settled } from '../reconciler.ts'

/** How many nodes and slots a pool has, and whether its nodes are what it says. */
export function createPools({ store, views, clock }: Context): Reconciler {
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
        conditions: conditionsOf(pool, own, clock.now()),
        nodes: own.length,
        readyNodes: own.filter((node) => isTrue(node.status?.conditions, 'Ready')).length,
        slots: own.reduce((sum, node) => sum + slotsOf(node, pool.spec.accelerator), 0),
      }
      await Promise.all(own.map((node) => markCapacity(store, node, pool)))
      if (!equalJson(status, pool.status)) await store.updateStatus('Pool', { ...pool, status })
      return settled()
    },
  }
}

/** What its nodes are paid for is said where the scheduler reads it. */
async function markCapacity(store: Context['store'], node: Node, { spec }: Pool): Promise<void> {
  const { labels } = node.metadata
  if (labels?.[label.capacityType] === spec.capacityType) return
  await store.patch('Node', refOf(node), { metadata: { labels: { [label.capacityType]: spec.capacityType } } })
}

const matches = 'NodesMatch'
const namedMax = 5

/** Whoever asks for the pool's accelerator waits for ever where its nodes have another. Every node has slots. */
function conditionsOf({ spec, status }: Pool, nodes: readonly Node[], nowMs: number) {
  const wanted = canonicalModel(spec.accelerator)
  const others = wanted === cpu ? [] : nodes.filter((node) => !has(node, wanted))
  const isMatch = others.length === 0
  if (isMatch && conditionOf(status?.conditions, matches) === undefined) return status?.conditions ?? []
  const named = others.slice(0, namedMax).map((node) => `${node.metadata.name} has ${modelOf(node)}`)
  const more = others.length > namedMax ? `, and ${others.length - namedMax} more` : ''
  const message = `the pool says ${spec.accelerator}, but ${named.join(', ')}${more}: correct its spec.accelerator, or the pool of the node`
  const now = isMatch ? { reason: 'AllMatch' } : { reason: 'AcceleratorMismatch', message }
  return setCondition(status?.conditions, { type: matches, status: isMatch ? 'True' : 'False', ...now }, nowMs)
}

const cpu = 'cpu'

function has(node: Node, wanted: string): boolean {
  return wanted === anyGpu ? modelOf(node) !== cpu : modelOf(node) === wanted
}

function modelOf({ metadata }: Node): string {
  return canonicalModel(metadata.labels?.[label.accelerator] ?? cpu)
}

function slotsOf(node: Node, accelerator: string): number {
  const wanted = canonicalModel(accelerator)
  if (wanted !== cpu && !has(node, wanted)) return 0
  return countOf(node.status?.allocatable?.[wanted === cpu ? cpuSlot : gpuResource] ?? 0)
}
