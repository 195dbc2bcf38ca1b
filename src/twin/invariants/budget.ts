import { conditionOf } from '../../model/conditions.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import { closedBecause, isSaidToBeGone, poolOf } from '../../model/nodes.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'

/** Who decided may have known less of the fleet; what it wrote may be late. */
const knownMs = 30_000
/** Who is heard again says so in its status a moment later, once that write has arrived. */
const saidMs = 1_000

/** Something was given up while these were silent, by what their status said. */
interface Suspicion {
  atMs: number
  pod: string
  silent: Set<string>
  counted: number
}

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
  #suspicions: Suspicion[] = []
  readonly #lateMs: number

  /** `lateMs`: so long after it was sent a write may arrive. */
  constructor(lateMs: number) {
    this.#lateMs = lateMs
  }

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    // An agent that writes is heard, whatever the status of its node says still: `n1/0`.
    const [name, isAgent] = by?.split('/') ?? []
    if (name !== undefined && isAgent !== undefined) this.#hear(name, nowMs)
    if (kind === 'Pod') this.#seePod(object as Pod, nowMs)
    const wrong = kind === 'Node' ? this.#seeNode(object as Node, type === 'DELETED', nowMs, by) : undefined
    return wrong ?? this.#confirmed(nowMs)
  }

  #hear(name: string, nowMs: number): void {
    if (this.#silentSinceMs.has(name)) this.#silentSinceMs.set(name, nowMs)
    for (const { silent } of this.#suspicions) silent.delete(name)
  }

  /** Nobody of those that were silent was heard when it was decided. */
  #confirmed(nowMs: number): string | undefined {
    const [first] = this.#suspicions
    if (first === undefined || nowMs - first.atMs <= this.#lateMs + saidMs) return undefined
    this.#suspicions.shift()
    const { pod, silent, counted } = first
    return isMost(silent.size, counted)
      ? `pod ${pod} was given up while ${silent.size} of ${counted} nodes were silent`
      : undefined
  }

  #seeNode(node: Node, isGone: boolean, nowMs: number, by: string | undefined): string | undefined {
    const { name } = node.metadata
    const before = this.#nodes.get(name)
    if (isGone) this.#nodes.delete(name)
    else this.#nodes.set(name, node)
    if (isGone || conditionOf(node.status?.conditions, 'Ready')?.status !== 'Unknown') {
      this.#silentSinceMs.delete(name)
      for (const { silent } of this.#suspicions) silent.delete(name)
    } else if (!this.#silentSinceMs.has(name)) this.#silentSinceMs.set(name, nowMs)
    // A person may cordon again what recovery had closed and another person opened.
    if (isGone || by === undefined || !isClosed(node) || isClosed(before)) return undefined
    const pool = [...this.#nodes.values()].filter((one) => poolOf(one) === poolOf(node))
    const closed = pool.filter(isClosed).length
    return closed > Math.max(1, Math.floor(pool.length / 5))
      ? `recovery closed node ${name}, number ${closed} of ${pool.length} in its pool`
      : undefined
  }

  #seePod({ metadata, spec, status }: Pod, nowMs: number): void {
    const uid = metadata.uid ?? ''
    if (status?.phase !== 'Failed' || status.reason !== 'NodeLost' || this.#lost.has(uid)) return
    this.#lost.add(uid)
    const node = this.#nodes.get(spec.nodeName ?? '')
    if (node === undefined || isSaidToBeGone(node)) return
    const counted = [...this.#nodes.values()].filter((one) => !isSaidToBeGone(one))
    const isSilent = ({ metadata: { name } }: Node) => nowMs - (this.#silentSinceMs.get(name) ?? nowMs) >= knownMs
    const silent = new Set(counted.filter(isSilent).map((one) => one.metadata.name))
    if (isMost(silent.size, counted.length))
      this.#suspicions.push({ atMs: nowMs, pod: metadata.name, silent, counted: counted.length })
  }
}

function isMost(silent: number, of: number): boolean {
  return silent > 1 && silent > of / 2
}

/** By recovery. */
function isClosed(node: Node | undefined): boolean {
  return node !== undefined && closedBecause(node) !== undefined
}
