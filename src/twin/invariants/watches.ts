import type { KindName } from '../../model/registry.ts'
import type { Store } from '../../store/contract.ts'
import type { Entry } from '../../store/history.ts'

/**
 * A watch tells all that was written to its kind after the revision that it began from, in order, with nothing left out; or
 * it ends, and whoever watches lists again. Of watches without selectors.
 */
export class Watches {
  readonly name = 'watches'
  /** Revisions of all writes, in order, by kind. */
  readonly #written = new Map<KindName, number[]>()

  see({ kind, revision }: Entry): void {
    const written = this.#written.get(kind)
    if (written === undefined) this.#written.set(kind, [revision])
    else written.push(revision)
  }

  /** `store.watch`, with an eye on what it tells. */
  over(store: Pick<Store, 'watch'>, tell: (wrong: string) => void): Store['watch'] {
    return (kind, options, sink) => {
      const { from, namespace, labels, fields } = options
      if (namespace !== undefined || labels !== undefined || fields !== undefined)
        return store.watch(kind, options, sink)
      let next = this.#after(kind, Number(from))
      return store.watch(kind, options, {
        ...sink,
        event: (event) => {
          const revision = Number(event.object.metadata.resourceVersion)
          const due = this.#written.get(kind)?.[next++]
          if (due !== revision) tell(`a watch of ${kind} from revision ${from} tells of ${revision}, and not of ${due}`)
          sink.event(event)
        },
      })
    }
  }

  /** Position of the first write after a revision. */
  #after(kind: KindName, revision: number): number {
    const written = this.#written.get(kind) ?? []
    let low = 0
    let high = written.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((written[middle] ?? 0) <= revision) low = middle + 1
      else high = middle
    }
    return low
  }
}
