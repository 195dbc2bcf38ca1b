import type { Store } from '../store/contract.ts'

/** The store as a process sees it that dies once its n-th write is durable: no answer comes any more, to anything. */
export function createCrashing(store: Store, crashAfter: number): { store: Store; writes(): number; dead(): boolean } {
  let writes = 0
  const isDead = () => writes >= crashAfter
  const never = <T>(): Promise<T> => new Promise(() => {})
  async function write<T>(run: () => Promise<T>): Promise<T> {
    if (isDead()) return never()
    writes++
    const wrote = await run()
    return isDead() ? never() : wrote
  }
  const read = <T>(run: () => Promise<T>): Promise<T> => (isDead() ? never() : run())
  return {
    writes: () => writes,
    dead: isDead,
    store: {
      get: (kind, ref) => read(() => store.get(kind, ref)),
      list: (kind, options) => read(() => store.list(kind, options)),
      watch: (kind, options, sink) =>
        store.watch(kind, options, {
          event: (event) => void (isDead() || sink.event(event)),
          ended: (reason) => void (isDead() || sink.ended(reason)),
        }),
      create: (kind, object, options) => write(() => store.create(kind, object, options)),
      update: (kind, object, options) => write(() => store.update(kind, object, options)),
      updateStatus: (kind, object, options) => write(() => store.updateStatus(kind, object, options)),
      patch: (kind, ref, patch, options) => write(() => store.patch(kind, ref, patch, options)),
      delete: (kind, ref, options) => write(() => store.delete(kind, ref, options)),
      bind: (ref, binding, options) => write(() => store.bind(ref, binding, options)),
      evict: (ref, options) => write(() => store.evict(ref, options)),
    },
  }
}
