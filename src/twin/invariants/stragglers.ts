import { scoreMin } from '../../control/recovery/stragglers.ts'
import type { Lease, Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { closedBecause } from '../../model/nodes.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { Terms } from './terms.ts'

/** So much later an agent has told that its ranks are fast again. */
const toldMs = 60_000

/** A node that is closed since it is slow is slow. */
export class Stragglers implements Invariant {
  readonly name = 'stragglers'
  readonly #terms = new Terms()
  /** By node: since when it is as fast as it should be; not there: it is slow. */
  readonly #fastSinceMs = new Map<string, number>()
  readonly #slow = new Set<string>()
  /** By node: what recovery said. */
  readonly #closed = new Map<string, string>()

  slowness(node: string, slowness: number, nowMs: number): void {
    if (1 / slowness < scoreMin) {
      this.#slow.add(node)
      this.#fastSinceMs.delete(node)
    } else if (this.#slow.delete(node)) this.#fastSinceMs.set(node, nowMs)
  }

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'Lease') this.#terms.see(object as Lease, nowMs)
    if (kind !== 'Node') return undefined
    const node = object as Node
    const { name, annotations } = node.metadata
    const mark = annotations?.[annotation.slow]
    const because = type === 'DELETED' || mark === undefined ? undefined : closedBecause(node)
    if (because === undefined || because === this.#closed.get(name)) {
      if (because === undefined) this.#closed.delete(name)
      return undefined
    }
    this.#closed.set(name, because)
    if (this.#slow.has(name)) return undefined
    const fastSinceMs = this.#fastSinceMs.get(name)
    if (fastSinceMs === undefined) return `node ${name} was never slow, and recovery closed it: ${because}`
    return this.#terms.knew(by, fastSinceMs + toldMs, nowMs)
      ? `node ${name} was fast again, and recovery closed it: ${because}`
      : undefined
  }
}
