import { type Account, type Amounts, compareShares, type Share } from './account.ts'
import { compare } from './quotas.ts'
import type { QuotaTree } from './tree.ts'

/** The first in line of a queue. */
export interface Head {
  queue: string
  priority: number
  /** ISO 8601. */
  createdAt: string
  /** Milli-accelerators by model. */
  wants: Amounts
}

/**
 * Whose turn it is among the first in line of each queue: Kueue's fair admission. From the bottom of the tree upwards, of
 * the heads below an account the one goes on that leaves its part within what is that part's own, else the one that
 * leaves its part with the smallest share; then the higher priority, then the older.
 */
export function nextInTurn<H extends Head>(tree: QuotaTree, heads: Iterable<H>): H | undefined {
  const contenders = new Map<Account, Contender<H>>()
  for (const head of heads) enter(contenders, contenderAt(tree, head, tree.accountOf(head.queue)))
  const deepest = Math.max(0, ...[...contenders.keys()].map(({ depth }) => depth))
  for (let depth = deepest; depth > 0; depth--) {
    const parents = new Map<Account, Contender<H>>()
    for (const [account, contender] of contenders) {
      if (account.depth === depth && account.parent !== undefined) {
        contenders.delete(account)
        const before = parents.get(account.parent)
        if (before === undefined || goesBefore(contender, before)) parents.set(account.parent, contender)
      }
    }
    for (const [parent, { head }] of parents) enter(contenders, contenderAt(tree, head, parent))
  }
  return contenders.get(tree.fleet)?.head
}

/** A head at one level of the tree, with what its part of the tree would hold if it were let in. */
interface Contender<H> {
  head: H
  account: Account
  share: Share
  isOver: boolean
}

function contenderAt<H extends Head>(tree: QuotaTree, head: H, account: Account): Contender<H> {
  for (const [model, milli] of head.wants) tree.add(head.queue, model, milli)
  const contender = { head, account, share: account.share(), isOver: account.isOver(head.wants.keys()) }
  for (const [model, milli] of head.wants) tree.add(head.queue, model, -milli)
  return contender
}

/** Two heads of one queue, or of a queue and those below it, meet at the same account. */
function enter<H extends Head>(contenders: Map<Account, Contender<H>>, contender: Contender<H>): void {
  const before = contenders.get(contender.account)
  if (before === undefined || goesBefore(contender, before)) contenders.set(contender.account, contender)
}

function goesBefore<H extends Head>(a: Contender<H>, b: Contender<H>): boolean {
  return (
    (Number(a.isOver) - Number(b.isOver) ||
      compareShares(a.share, b.share) ||
      b.head.priority - a.head.priority ||
      compare(a.head.createdAt, b.head.createdAt)) < 0
  )
}
