import { OperatingError } from '../base/errors.ts'
import type { Fence, Store, WriteOptions } from '../store/contract.ts'

/** The store as a leader writes to it: every write names the epoch, and there is none without one. */
export function fenced(store: Store, current: () => Fence | undefined): Store {
  const under = <O extends WriteOptions>(options: O): O => {
    const fence = current()
    if (fence === undefined) {
      throw new OperatingError('fenced', 'give-up', 'this control plane no longer leads and changes nothing')
    }
    return { ...options, fence }
  }
  return {
    get: (kind, ref) => store.get(kind, ref),
    list: (kind, options) => store.list(kind, options),
    watch: (kind, options, sink) => store.watch(kind, options, sink),
    create: async (kind, object, options = {}) => store.create(kind, object, under(options)),
    update: async (kind, object, options = {}) => store.update(kind, object, under(options)),
    updateStatus: async (kind, object, options = {}) => store.updateStatus(kind, object, under(options)),
    patch: async (kind, ref, patch, options = {}) => store.patch(kind, ref, patch, under(options)),
    delete: async (kind, ref, options = {}) => store.delete(kind, ref, under(options)),
    bind: async (ref, binding, options = {}) => store.bind(ref, under(binding), under(options)),
    evict: async (ref, options) => store.evict(ref, under(options)),
  }
}
