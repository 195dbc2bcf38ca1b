import { anyGpu } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { standingOf } from '../gangs.ts'
import { justBelow, lowestCommon } from '../quota/pool.ts'
import type { QuotaTree } from '../quota/tree.ts'

/** A gang that came to hold seats of these models, or holds them on other terms than before. */
export interface Arrival {
  queue: string
  priority: number
  models: readonly string[]
}

/**
 * Who came to hold what others may take: the only way, beside being freed, in which something comes within reach of a gang
 * that waits. Of those that are alike the last is kept.
 */
export class Arrivals {
  readonly #last = new Map<string, { arrival: Arrival; at: number }>()
  /** How many there were. */
  count = 0

  note(arrival: Arrival): void {
    const { queue, priority, models } = arrival
    this.#last.set([priority, queue, ...models].join(' '), { arrival, at: ++this.count })
  }

  /** Whether any but the first `count` is such a one. */
  someSince(count: number, is: (arrival: Arrival) => boolean): boolean {
    if (count === this.count) return false
    for (const { arrival, at } of this.#last.values()) if (at > count && is(arrival)) return true
    return false
  }
}

/**
 * Whether the gang might take from the arrival, or because of it: from its own queue by priority, from others if what
 * parts them from its queue holds more than its own.
 */
export function isWithinReach(quota: QuotaTree, { spec }: Gang, { queue, priority, models }: Arrival): boolean {
  const policy = quota.policyOf(spec.queue)
  const wanted = new Set(spec.groups.flatMap(({ accelerators }) => accelerators.map(({ model }) => model)))
  const contested = models.filter((model) => wanted.has(model) || wanted.has(anyGpu))
  if (contested.length === 0) return false
  if (queue === spec.queue) {
    if (policy.withinQueue === 'Never') return false
    const own = standingOf(spec)
    return priority < own || (priority === own && policy.withinQueue !== 'LowerPriority')
  }
  if (policy.reclaimWithinCohort === 'Never') return false
  const [own, other] = [quota.accountOf(spec.queue), quota.accountOf(queue)]
  return justBelow(other, lowestCommon(own, other)).isOver(contested)
}
