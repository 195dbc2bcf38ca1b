import { conditionOf } from '../../model/conditions.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { closedBecause, isSaidToBeGone, poolOf } from '../../model/nodes.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'

/** Who decided may have known less of the fleet; what it wrote may be late. */
const knownMs = 30_000

/**
 * What recovery takes out of service stays inside its budget, whatever signals claim: nothing is given up while most of
 * the fleet is silent, and of a pool it closes a fifth, but one node in any case.
 */
export class Budget implements Invariant {
  readonly name = 'budget'
  readonly #nodes = new Map<string, Node>()
  readonly #silentSinceMs = new Map<string, number>()
  /** Pods that were given up. */
  readonly #lost = new Set<string>()

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    if (kind === 'Node') return this.#seeNode(object as Node, type === 'DELETED', nowMs)
    return kind === 'Pod' ? this.#seePod(object as Pod, nowMs) : undefined
  }

  #seeNode(node: Node, isGone: boolean, nowMs: number): string | undefined {
    const { name } = node.metadata
    const before = this.#nodes.get(name)
    if (isGone) this.#nodes.delete(name)
    else this.#nodes.set(name, node)
    if (isGone || conditionOf(node.status?.conditions, 'Ready')?.status !== 'Unknown') this.#silentSinceMs.delete(name)
    else if (!this.#silentSinceMs.has(name)) this.#silentSinceMs.set(name, nowMs)
    if (isGone || !isClosed(node) || isClosed(before)) return undefined
    const pool = [...this.#nodes.values()].filter((one) => poolOf(one) === poolOf(node))
    const closed = pool.filter(isClosed).length
    return closed > Math.max(1, Math.floor(pool.length / 5))
      ? `recovery closed node ${name}, number ${closed} of ${pool.length} in its pool`
      : undefined
  }

  #seePod({ metadata, spec, status }: Pod, nowMs: number): string | undefined {
    const uid = metadata.uid ?? ''
    if (status?.phase !== 'Failed' || status.reason !== 'NodeLost' || this.#lost.has(uid)) return undefined
    this.#lost.add(uid)
    const node = this.#nodes.get(spec.nodeName ?? '')
    if (node === undefined || isSaidToBeGone(node)) return undefined
    const counted = [...this.#nodes.values()].filter((one) => !isSaidToBeGone(one))
    const silent = counted.filter((one) => nowMs - (this.#silentSinceMs.get(one.metadata.name) ?? nowMs) >= knownMs)
    return silent.length > 1 && silent.length > counted.length / 2
      ? `pod ${metadata.name} was given up while ${silent.length} of ${counted.length} nodes were silent`
      : undefined
  }
}

/** By recovery. */
function isClosed(node: Node | undefined): boolean {
  return node !== undefined && closedBecause(node) !== undefined
}
