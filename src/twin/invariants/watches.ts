import type { KindName } from '../../model/registry.ts'
import type { Store } from '../../store/contract.ts'
import type { Entry } from '../../store/history.ts'

/**
 * A watch tells all that was written to its kind after the revision that it began from, in order, with nothing left out; or
 * it ends, and whoever watches lists again. Of watches without selectors.
 */
export class Watches {
  readonly name = 'watches'
  /** Revisions of the last writes, in order, by kind. */
  readonly #written = new Map<KindName, Written>()

  see({ kind, revision }: Entry): void {
    const written = this.#writtenOf(kind)
    written.revisions.push(revision)
    if (written.revisions.length < 2 * keptMin) return
    written.revisions.splice(0, keptMin)
    written.dropped += keptMin
  }

  #writtenOf(kind: KindName): Written {
    const known = this.#written.get(kind) ?? { dropped: 0, revisions: [] }
    this.#written.set(kind, known)
    return known
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
          const { dropped, revisions } = this.#writtenOf(kind)
          const due = revisions[next++ - dropped]
          if (due !== revision) tell(`a watch of ${kind} from revision ${from} tells of ${revision}, and not of ${due}`)
          sink.event(event)
        },
      })
    }
  }

  /** Position of the first write after a revision. */
  #after(kind: KindName, revision: number): number {
    const { dropped, revisions } = this.#writtenOf(kind)
    let low = 0
    let high = revisions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((revisions[middle] ?? 0) <= revision) low = middle + 1
      else high = middle
    }
    return dropped + low
  }
}

interface Written {
  /** How many came before those. */
  dropped: number
  revisions: number[]
}

/** Of a kind so many are remembered at least: far more than a store keeps for whoever lags behind. */
const keptMin = 100_000
