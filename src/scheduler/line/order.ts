import type { Gang } from '../../model/kinds/gang.ts'
import { compare } from '../compare.ts'
import { standingOf, wantsOf } from '../gangs.ts'
import { type Account, compareShares } from '../quota/account.ts'
import type { QuotaTree } from '../quota/tree.ts'
import { goesBefore, type Waiting } from './line.ts'

/** A gang whose turn may come, and those behind it in its lane. */
export interface Head {
  lane: readonly Waiting[]
  index: number
  head: Waiting
}

/**
 * Whose turn it is among the first of all lanes: priority, then fair share, then age. Shares change with every seat that is
 * given, so only the best of each queue is kept ready, and they are compared when one is asked for.
 */
export class Order {
  readonly #quota: QuotaTree
  /** Per queue, the best last. */
  readonly #heads = new Map<string, Head[]>()

  constructor(quota: QuotaTree, lanes: Iterable<readonly Waiting[]>) {
    this.#quota = quota
    for (const lane of lanes) {
      const [head] = lane
      if (head !== undefined) this.#of(head).push({ lane, index: 0, head })
    }
    for (const heads of this.#heads.values()) {
      if (heads.length > 1) heads.sort((a, b) => (goesBefore(b.head, a.head) ? -1 : 1))
    }
    if (this.#heads.size < 2) return
    // Of three of whom only two go by shares none need be first: then it is the same one whoever came into line first.
    const inOrder = [...this.#heads].sort(([a], [b]) => compare(a, b))
    this.#heads.clear()
    for (const [queue, heads] of inOrder) this.#heads.set(queue, heads)
  }

  /** The same turns once more: what is taken of one is not taken of the other. */
  copy(): Order {
    const copy = new Order(this.#quota, [])
    for (const [queue, heads] of this.#heads) copy.#heads.set(queue, [...heads])
    return copy
  }

  /** The one at `index` of the lane comes where it belongs. */
  enter(lane: readonly Waiting[], index: number): void {
    const head = lane[index]
    if (head === undefined) return
    const heads = this.#of(head)
    let [low, high] = [0, heads.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (goesBefore(heads[middle]?.head ?? head, head)) high = middle
      else low = middle + 1
    }
    heads.splice(low, 0, { lane, index, head })
  }

  next(): Head | undefined {
    let best: Head[] | undefined
    for (const heads of this.#heads.values()) if (best === undefined || this.#isBefore(heads, best)) best = heads
    const next = best?.pop()
    if (best?.length === 0 && next !== undefined) this.#heads.delete(next.head.gang.spec.queue)
    return next
  }

  #of({ gang }: Waiting): Head[] {
    const heads = this.#heads.get(gang.spec.queue) ?? []
    this.#heads.set(gang.spec.queue, heads)
    return heads
  }

  #isBefore(some: readonly Head[], others: readonly Head[]): boolean {
    const [a, b] = [some.at(-1)?.head, others.at(-1)?.head]
    if (a === undefined || b === undefined) return a !== undefined
    const byPriority = standingOf(b.gang.spec) - standingOf(a.gang.spec)
    if (byPriority !== 0) return byPriority < 0
    const byShare = this.#compareShares(a.gang, b.gang)
    return byShare === 0 ? goesBefore(a, b) : byShare < 0
  }

  /** As they would be with the gang seated, of the two subtrees that part the queues. */
  #compareShares(a: Gang, b: Gang): number {
    if (!this.#quota.isFair(a.spec.queue) || !this.#quota.isFair(b.spec.queue)) return 0
    const [pathA, pathB] = [this.#pathTo(a.spec.queue), this.#pathTo(b.spec.queue)]
    for (const [depth, ofA] of pathA.entries()) {
      const ofB = pathB[depth]
      if (ofB === undefined) return 0
      if (ofA !== ofB) return compareShares(ofA.share(wantsOf(a)), ofB.share(wantsOf(b)))
    }
    return 0
  }

  /** Its account and those above it, the topmost first. */
  #pathTo(queue: string): Account[] {
    const path: Account[] = []
    let account: Account | undefined = this.#quota.accountOf(queue)
    for (; account !== undefined; account = account.parent) path.unshift(account)
    return path
  }
}
