import { annotation } from '../model/names.ts'
import { type ToldXid, withToldXid } from '../model/told-xids.ts'
import type { Ref, Store } from '../store/contract.ts'

/** Says of a node what its kernel's log says of a GPU, as whoever reads that does. */
export async function tellXid(store: Store, name: string, told: ToldXid): Promise<void> {
  for (;;) {
    const node = await store.get('Node', { name })
    if (node === undefined) return
    const metadata = { annotations: { [annotation.xids]: withToldXid(node, told) } }
    const { resourceVersion } = node.metadata
    if ((await store.patch('Node', { name }, { metadata }, { resourceVersion })) !== 'stale') return
  }
}

/** The first accelerator that the pod holds; undefined: it holds none, or is gone. */
export async function deviceHeldBy(store: Store, pod: Ref): Promise<string | undefined> {
  const held = (await store.get('Pod', pod))?.metadata.annotations?.[annotation.devices]
  return held?.split(',')[0]
}
