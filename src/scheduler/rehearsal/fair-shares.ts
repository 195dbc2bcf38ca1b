import { compareShares } from '../quota/account.ts'
import type { QuotaTree } from '../quota/tree.ts'

/** What one queue's work holds or waits for of a model, in milli-accelerators. */
export interface Wanted {
  queue: string
  milli: number
}

/**
 * What each queue would come to hold of a model if all that is wanted of it were handed out anew: first everybody's own
 * quota, then step by step to whoever then has the smallest dominant share, as far as limits, lenders and `capacityMilli`
 * allow. Nothing of the model may be in the accounts of `tree` before; what is handed out is in them afterwards.
 */
export function fairShares(
  tree: QuotaTree,
  model: string,
  wanted: readonly Wanted[],
  capacityMilli: number,
): Map<string, number> {
  const held = new Map(wanted.map(({ queue }) => [queue, 0]))
  let given = 0
  const left = ({ queue, milli }: Wanted) => Math.min(milli - (held.get(queue) ?? 0), tree.available(queue, model))
  const give = ({ queue }: Wanted, milli: number) => {
    tree.add(queue, model, milli)
    held.set(queue, (held.get(queue) ?? 0) + milli)
    given += milli
  }
  for (const want of wanted) {
    const own = Math.min(left(want), Math.max(0, tree.nominalLeft(want.queue, model)))
    if (own > 0) give(want, own)
  }
  const total = wanted.reduce((sum, { milli }) => sum + milli, 0)
  const paths = new Map(wanted.map(({ queue }) => [queue, [...tree.ancestorsOf(queue).toReversed(), queue]]))
  const isLess = (a: Portion, b: Portion) => compareAlong(tree, model, a, b, paths) < 0
  while (given < capacityMilli) {
    // The less is left the finer, so that the last steps level what the first ones left uneven.
    const step = Math.max(1, Math.ceil((Math.min(total, capacityMilli) - given) / 1000 / fineness)) * 1000
    let next: Portion | undefined
    for (const want of wanted) {
      const portion = { want, milli: Math.min(step, left(want), capacityMilli - given) }
      if (portion.milli > 0 && (next === undefined || isLess(portion, next))) next = portion
    }
    if (next === undefined) break
    give(next.want, next.milli)
  }
  return held
}

/** The part of what is left that is given at a time: some 1,500 steps for 100,000 accelerators. */
const fineness = 200

interface Portion {
  want: Wanted
  milli: number
}

/** As in a tournament: by the shares of the topmost Queues of the two that are not the same. */
function compareAlong(
  tree: QuotaTree,
  model: string,
  a: Portion,
  b: Portion,
  paths: ReadonlyMap<string, readonly string[]>,
): number {
  const [pathA = [], pathB = []] = [paths.get(a.want.queue), paths.get(b.want.queue)]
  const at = pathA.findIndex((name, depth) => name !== pathB[depth])
  const [first, second] = [pathA[at], pathB[at]]
  if (first === undefined || second === undefined) return 0
  return compareShares(tree.share(first, new Map([[model, a.milli]])), tree.share(second, new Map([[model, b.milli]])))
}
