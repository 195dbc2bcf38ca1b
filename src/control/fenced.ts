import { OperatingError } from '../base/errors.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Fence, Store, WriteOptions } from '../store/contract.ts'

/**
 * The store as a leader writes to it: every write names the epoch, and there is none without one. `wrote` hears what each
 * write made.
 */
export function fenced(
  store: Store,
  current: () => Fence | undefined,
  wrote: <K extends KindName>(kind: K, object: KindMap[K]) => void,
): Store {
  const under = <O extends WriteOptions>(options: O): O => {
    const fence = current()
    if (fence === undefined) {
      throw new OperatingError('fenced', 'give-up', 'this control plane no longer leads and changes nothing')
    }
    return { ...options, fence }
  }
  async function heard<K extends KindName, Word extends string>(
    kind: K,
    writing: Promise<KindMap[K] | Word>,
  ): Promise<KindMap[K] | Word> {
    const written = await writing
    if (typeof written !== 'string') wrote(kind, written)
    return written
  }
  return {
    get: (kind, ref) => store.get(kind, ref),
    list: (kind, options) => store.list(kind, options),
    watch: (kind, options, sink) => store.watch(kind, options, sink),
    create: async (kind, object, options = {}) => heard(kind, store.create(kind, object, under(options))),
    update: async (kind, object, options = {}) => heard(kind, store.update(kind, object, under(options))),
    updateStatus: async (kind, object, options = {}) => heard(kind, store.updateStatus(kind, object, under(options))),
    patch: async (kind, ref, patch, options = {}) => heard(kind, store.patch(kind, ref, patch, under(options))),
    delete: async (kind, ref, options = {}) => store.delete(kind, ref, under(options)),
    bind: async (ref, binding, options = {}) =>
      heard<'Pod', 'stale' | 'missing' | 'bound'>('Pod', store.bind(ref, under(binding), under(options))),
    evict: async (ref, options) => store.evict(ref, under(options)),
  }
}
