import type { Stored } from './stored.ts'

/** The resources of one kind by key (`namespace/name`). */
export class Table {
  private readonly objects = new Map<string, Stored>()
  /** Sorted only when someone lists after a change. */
  private sorted: readonly string[] | undefined = []
  /** Whether a write moves its object to the end of `entries`. */
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

  has(key: string): boolean {
    return this.objects.has(key)
  }

  /** In order of creation, or of the last write. */
  entries(): IterableIterator<[string, Stored]> {
    return this.objects.entries()
  }

  put(key: string, object: Stored): void {
    const { size } = this.objects
    if (this.byLastWrite) this.objects.delete(key)
    this.objects.set(key, object)
    if (this.objects.size !== size) this.sorted = undefined
  }

  remove(key: string): void {
    if (this.objects.delete(key)) this.sorted = undefined
  }

  /** Keys in order; of one namespace, or of all. */
  sortedKeys(namespace: string | undefined): readonly string[] {
    this.sorted ??= [...this.objects.keys()].sort()
    if (namespace === undefined || namespace === '') return this.sorted
    return this.sorted.slice(firstNotBefore(this.sorted, `${namespace}/`), firstNotBefore(this.sorted, `${namespace}0`)) // "0" follows "/"
  }
}

function firstNotBefore(keys: readonly string[], bound: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < bound) low = middle + 1
    else high = middle
  }
  return low
}
