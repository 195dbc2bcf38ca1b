import { leavingTaint } from '../model/names.ts'
import { leavingBy, type Taint, taintOf, withoutTaints, withTaint } from '../model/nodes.ts'
import type { Store } from '../store/contract.ts'

/** Says of a node that it will be gone soon, as whoever hears of it from its provider does. */
export async function warnNode(store: Store, name: string): Promise<void> {
  await say(store, name, leavingBy('reclaim'))
}

/** It is there again, or stays. */
export async function unwarnNode(store: Store, name: string): Promise<void> {
  await say(store, name, undefined)
}

async function say(store: Store, name: string, taint: Taint | undefined): Promise<void> {
  for (;;) {
    const node = await store.get('Node', { name })
    if (node === undefined || (taint === undefined && taintOf(node, leavingTaint) === undefined)) return
    const taints = taint === undefined ? withoutTaints(node, leavingTaint) : withTaint(node, taint)
    const { resourceVersion } = node.metadata
    if ((await store.patch('Node', { name }, { spec: { taints } }, { resourceVersion })) !== 'stale') return
  }
}
