import type { Stored } from './stored.ts'

/** The resources of one kind by key, with each namespace's keys in order for listing. */
export class Table {
  private readonly objects = new Map<string, Stored>()
  private readonly namespaces = new Map<string, KeySet>()
  private readonly keys = new KeySet()
  /** Whether a write moves its object to the end of `oldest`. */
  private readonly byLastWrite: boolean

  constructor(byLastWrite = false) {
    this.byLastWrite = byLastWrite
  }

  get size(): number {
    return this.objects.size
  }

  get(key: string): Stored | undefined {
    return this.objects.get(key)
  }

  values(): IterableIterator<Stored> {
    return this.objects.values()
  }

  /** In order of creation, or of the last write. */
  entries(): IterableIterator<[string, Stored]> {
    return this.objects.entries()
  }

  put(key: string, object: Stored): void {
    if (this.objects.has(key)) {
      if (this.byLastWrite) this.objects.delete(key)
    } else {
      this.keys.add(key)
      this.namespace(key).add(key)
    }
    this.objects.set(key, object)
  }

  remove(key: string): void {
    if (!this.objects.delete(key)) return
    this.keys.remove(key)
    this.namespace(key).remove(key)
  }

  /** Keys in order; of one namespace, or of all. */
  sortedKeys(namespace: string | undefined): readonly string[] {
    if (namespace === undefined || namespace === '') return this.keys.sorted()
    return this.namespaces.get(namespace)?.sorted() ?? []
  }

  private namespace(key: string): KeySet {
    const name = key.slice(0, key.indexOf('/'))
    let keys = this.namespaces.get(name)
    if (keys === undefined) {
      keys = new KeySet()
      this.namespaces.set(name, keys)
    }
    return keys
  }
}

/** Keys that are sorted only when someone lists them after a change. */
class KeySet {
  private readonly keys = new Set<string>()
  private order: readonly string[] | undefined = []

  add(key: string): void {
    this.keys.add(key)
    this.order = undefined
  }

  remove(key: string): void {
    this.keys.delete(key)
    this.order = undefined
  }

  sorted(): readonly string[] {
    this.order ??= [...this.keys].sort()
    return this.order
  }
}
