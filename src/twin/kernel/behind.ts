import { behindMax } from '../../model/faults.ts'
import type { KindMap, KindName } from '../../model/registry.ts'
import type { Listed, ListOptions, Store } from '../../store/contract.ts'
import type { Entry } from '../../store/history.ts'
import { predicateOf } from '../../store/selectors.ts'
import { keyOf, type Stored } from '../../store/stored.ts'

/** What a server that is behind lists: all as it was some writes ago. Watches from there tell what came after. */
export class Behind {
  readonly #store: Store
  readonly #entries: Entry[] = []

  constructor(store: Store) {
    this.#store = store
  }

  see(entry: Entry): void {
    this.#entries.push(entry)
    if (this.#entries.length > 2 * behindMax) this.#entries.splice(0, behindMax)
  }

  /** Of the last write. */
  get revision(): number {
    return this.#entries.at(-1)?.revision ?? 0
  }

  async list<K extends KindName>(kind: K, options: ListOptions, writes: number): Promise<Listed<KindMap[K]>> {
    const { items } = await this.#store.list(kind)
    const undone = this.#entries.slice(-writes)
    const [first] = undone
    if (first === undefined) return await this.#store.list(kind, options)
    const objects = new Map(items.map((item) => [keyOf(kind, item.metadata), item as Stored]))
    for (const { kind: of, key, previous } of undone.toReversed())
      if (of === kind && previous !== undefined) objects.set(key, previous)
      else if (of === kind) objects.delete(key)
    const isMeant = predicateOf(options) ?? (() => true)
    const shown = [...objects].filter(([, object]) => isMeant(object)).toSorted(([a], [b]) => (a < b ? -1 : 1))
    return { items: shown.map(([, object]) => object as KindMap[K]), resourceVersion: String(first.revision - 1) }
  }
}
