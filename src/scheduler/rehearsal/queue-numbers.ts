import type { Queue } from '../../model/kinds/queue.ts'
import { type Claim, heldMilli } from '../fleet/nodes.ts'
import { QuotaTree } from '../quota/tree.ts'
import { fairShares, type Wanted } from './fair-shares.ts'

export interface QueueNumbers {
  queue: string
  parent?: string
  weight: number
  /** What is wrong with its place in the tree. */
  problem?: string
  /**
   * The dominant share of the queue with all below it: thousandths of what could be lent to it, of the model of which it
   * borrows most, divided by its weight. Null at weight 0.
   */
  share: number | null
  shareAfter: number | null
  models: ModelNumbers[]
}

/** In accelerators of one model. What a queue below it holds is that queue's. */
export interface ModelNumbers {
  model: string
  /** Its own quota; absent: it has none, and the nodes are the limit, or who lends. */
  nominal?: number
  used: number
  /** Once all verdicts are carried out. */
  usedAfter: number
  /** What its gangs still wait for then, each by its preferred alternative. */
  waiting: number
  /** As much as it may hold in all, borrowing included; absent: the nodes are the limit. */
  mayHold?: number
  /** What it would hold if all that is held and wanted were handed out anew; absent with more than 1,000 queues. */
  fairShare?: number
}

export interface QueueScene {
  queues: readonly Queue[]
  /** Milli-accelerators by model. */
  capacity: ReadonlyMap<string, number>
  held: readonly Claim[]
  heldAfter: readonly Claim[]
  gangs: readonly { queue: string; asks: readonly Ask[]; verdict: { kind: string; leaves?: unknown } }[]
}

interface Ask {
  min: number
  accelerators: readonly { model: string; count: number }[]
}

/** Queues by name, each with the models that it owns, holds or waits for. */
export function queueNumbers({ queues, capacity, held, heldAfter, gangs }: QueueScene): QueueNumbers[] {
  const used = heldBy(held)
  const usedAfter = heldBy(heldAfter)
  const waiting = new Amounts()
  for (const { queue, asks, verdict } of gangs) {
    const waits = verdict.kind === 'wait' || verdict.kind === 'none' || verdict.leaves !== undefined
    if (waits) waiting.ask(queue, asks)
  }
  const tree = treeOf(queues, capacity, used)
  const treeAfter = treeOf(queues, capacity, usedAfter)
  const fair = fairOf(queues, capacity, usedAfter, waiting)
  const named = new Map(queues.map((queue) => [queue.metadata.name, queue]))
  const names = [...named.keys()].toSorted()
  return names.map((name): QueueNumbers => {
    const { parent, weight = 1, nominalQuota = {} } = named.get(name)?.spec ?? {}
    const problem = tree.problemOf(name)
    const models = new Set([used, usedAfter, waiting].flatMap((amounts) => amounts.modelsOf(name)))
    for (const model in nominalQuota) models.add(model)
    const rows = [...models].toSorted().map((model): ModelNumbers => {
      const mayHold = treeAfter.available(name, model) + usedAfter.of(name, model)
      const nominal = nominalQuota[model]
      const share = fair === undefined ? undefined : (fair.get(model)?.get(name) ?? 0)
      return {
        model,
        ...(nominal === undefined ? {} : { nominal }),
        used: used.of(name, model) / 1000,
        usedAfter: usedAfter.of(name, model) / 1000,
        waiting: waiting.of(name, model) / 1000,
        ...(Number.isFinite(mayHold) ? { mayHold: mayHold / 1000 } : {}),
        ...(share === undefined ? {} : { fairShare: share / 1000 }),
      }
    })
    return {
      queue: name,
      ...(parent === undefined ? {} : { parent }),
      weight,
      ...(problem === undefined ? {} : { problem }),
      share: rounded(tree.share(name).perMille),
      shareAfter: rounded(treeAfter.share(name).perMille),
      models: rows,
    }
  })
}

const fairQueuesMax = 1000

function fairOf(
  queues: readonly Queue[],
  capacity: ReadonlyMap<string, number>,
  usedAfter: Amounts,
  waiting: Amounts,
): Map<string, Map<string, number>> | undefined {
  if (queues.length > fairQueuesMax) return undefined
  const tree = treeOf(queues, capacity, new Amounts())
  const byModel = new Map<string, Wanted[]>()
  for (const { metadata } of queues) {
    const queue = metadata.name
    for (const model of new Set([...usedAfter.modelsOf(queue), ...waiting.modelsOf(queue)])) {
      const wanted = byModel.get(model) ?? []
      byModel.set(model, wanted)
      wanted.push({ queue, milli: usedAfter.of(queue, model) + waiting.of(queue, model) })
    }
  }
  // Without nodes, quotas are all that is known of what there is.
  const unknown = capacity.size > 0 ? 0 : Number.POSITIVE_INFINITY
  return new Map(
    [...byModel].map(([model, wanted]) => [model, fairShares(tree, model, wanted, capacity.get(model) ?? unknown)]),
  )
}

function treeOf(queues: readonly Queue[], capacity: ReadonlyMap<string, number>, used: Amounts): QuotaTree {
  const tree = new QuotaTree()
  for (const queue of queues) tree.set(queue)
  for (const [model, milli] of capacity) tree.setCapacity(model, milli)
  for (const [queue, model, milli] of used.all()) tree.add(queue, model, milli)
  return tree
}

function heldBy(claims: readonly Claim[]): Amounts {
  const amounts = new Amounts()
  for (const claim of claims) {
    const milli = heldMilli(claim)
    if (claim.queue !== undefined && milli > 0) amounts.add(claim.queue, claim.model, milli)
  }
  return amounts
}

/** Milli-accelerators by queue and model. */
class Amounts {
  readonly #amounts = new Map<string, Map<string, number>>()

  add(queue: string, model: string, milli: number): void {
    const models = this.#amounts.get(queue) ?? new Map<string, number>()
    this.#amounts.set(queue, models)
    models.set(model, (models.get(model) ?? 0) + milli)
  }

  ask(queue: string, asks: readonly Ask[]): void {
    for (const { min, accelerators } of asks) {
      const [first] = accelerators
      if (first !== undefined) this.add(queue, first.model, Math.round(min * first.count * 1000))
    }
  }

  of(queue: string, model: string): number {
    return this.#amounts.get(queue)?.get(model) ?? 0
  }

  modelsOf(queue: string): string[] {
    return [...(this.#amounts.get(queue)?.keys() ?? [])]
  }

  *all(): Iterable<[string, string, number]> {
    for (const [queue, models] of this.#amounts) for (const [model, milli] of models) yield [queue, model, milli]
  }
}

/** Tenths of a thousandth are enough. */
function rounded(perMille: number): number | null {
  return Number.isFinite(perMille) ? Math.round(perMille * 10) / 10 : null
}
