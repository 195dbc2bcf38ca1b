import type { Cancel } from '../../base/clock.ts'

interface Cut {
  nodes: ReadonlySet<string>
  isIsolated: boolean
}

/** Which nodes reach each other, and which of them reach nobody else at all. */
export class Network {
  readonly #cuts: Cut[] = []
  readonly #changed: (nodes: readonly string[]) => void

  /** `changed` hears of each cut and of its end. */
  constructor(changed: (nodes: readonly string[]) => void) {
    this.#changed = changed
  }

  /** Nodes that reach each other, and no other node; with `isIsolated` nothing else either. Until it is cancelled. */
  cut(nodes: readonly string[], isIsolated: boolean): Cancel {
    const cut = { nodes: new Set(nodes), isIsolated }
    this.#cuts.push(cut)
    this.#changed(nodes)
    return () => {
      const at = this.#cuts.indexOf(cut)
      if (at < 0) return
      this.#cuts.splice(at, 1)
      this.#changed(nodes)
    }
  }

  /** Whether each of them reaches each other: the same cuts are around all of them. */
  areJoined(nodes: Iterable<string>): boolean {
    if (this.#cuts.length === 0) return true
    const all = [...nodes]
    return this.#cuts.every((cut) => {
      const within = all.filter((node) => cut.nodes.has(node)).length
      return within === 0 || within === all.length
    })
  }

  isIsolated(node: string): boolean {
    return this.#cuts.some((cut) => cut.isIsolated && cut.nodes.has(node))
  }
}
