import type { KindName } from '../model/registry.ts'
import type { Store } from './contract.ts'

/** What happens to the calls on their way to a store. */
export interface Passage {
  read<T>(ask: () => Promise<T>): Promise<T>
  write<T>(ask: () => Promise<T>, kind: KindName): Promise<T>
  watch?: Store['watch']
}

/** The store behind a passage that all calls go through. */
export function around(store: Store, { read, write, watch }: Passage): Store {
  return {
    get: (kind, ref) => read(() => store.get(kind, ref)),
    list: (kind, options) => read(() => store.list(kind, options)),
    create: (kind, object, options) => write(() => store.create(kind, object, options), kind),
    update: (kind, object, options) => write(() => store.update(kind, object, options), kind),
    updateStatus: (kind, object, options) => write(() => store.updateStatus(kind, object, options), kind),
    patch: (kind, ref, patch, options) => write(() => store.patch(kind, ref, patch, options), kind),
    delete: (kind, ref, options) => write(() => store.delete(kind, ref, options), kind),
    bind: (ref, binding, options) => write(() => store.bind(ref, binding, options), 'Pod'),
    evict: (ref, options) => write(() => store.evict(ref, options), 'Pod'),
    watch: watch ?? ((kind, options, sink) => store.watch(kind, options, sink)),
  }
}
