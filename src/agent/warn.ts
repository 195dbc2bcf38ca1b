import { leavingTaint } from '../model/names.ts'
import type { Store } from '../store/contract.ts'

/** Says of a node that it will be gone soon, as whoever hears of it from its provider does. */
export async function warnNode(store: Store, name: string, why: string): Promise<void> {
  await setTaint(store, name, { key: leavingTaint, value: why, effect: 'NoSchedule' })
}

/** It is there again, or stays. */
export async function unwarnNode(store: Store, name: string): Promise<void> {
  await setTaint(store, name, undefined)
}

async function setTaint(
  store: Store,
  name: string,
  taint: { key: string; value: string; effect: string } | undefined,
): Promise<void> {
  for (;;) {
    const node = await store.get('Node', { name })
    if (node === undefined) return
    const before = node.spec?.taints ?? []
    const others = before.filter(({ key }) => key !== leavingTaint)
    if (taint === undefined && others.length === before.length) return
    const taints = taint === undefined ? others : [...others, taint]
    const { resourceVersion } = node.metadata
    if ((await store.patch('Node', { name }, { spec: { taints } }, { resourceVersion })) !== 'stale') return
  }
}
