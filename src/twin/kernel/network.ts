import type { Cancel } from '../../base/clock.ts'

/** Of what nodes are cut: of other nodes, of the control plane, or of all that there is, storage too. */
export type CutFrom = 'nodes' | 'control-plane' | 'all'

interface Cut {
  nodes: ReadonlySet<string>
  from: CutFrom
}

/** Which nodes reach each other, the control plane, and anybody else at all. */
export class Network {
  readonly #cuts: Cut[] = []
  readonly #changed: (nodes: readonly string[]) => void

  /** `changed` hears of each cut and of its end. */
  constructor(changed: (nodes: readonly string[]) => void) {
    this.#changed = changed
  }

  /** Nodes that reach each other, and not what they are cut from, until it is cancelled. */
  cut(nodes: readonly string[], from: CutFrom): Cancel {
    const cut = { nodes: new Set(nodes), from }
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
      if (cut.from === 'control-plane') return true
      const within = all.filter((node) => cut.nodes.has(node)).length
      return within === 0 || within === all.length
    })
  }

  isIsolated(node: string): boolean {
    return this.#cuts.some((cut) => cut.from === 'all' && cut.nodes.has(node))
  }

  /** What of all but other nodes it does not reach. */
  lacks(node: string): Exclude<CutFrom, 'nodes'> | undefined {
    if (this.isIsolated(node)) return 'all'
    return this.#cuts.some((cut) => cut.from === 'control-plane' && cut.nodes.has(node)) ? 'control-plane' : undefined
  }
}
