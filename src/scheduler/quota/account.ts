import { cut, type Quotas } from './quotas.ts'

/** What somebody holds beyond what is its own, as one number. */
export interface Share {
  /**
   * Kueue's weighted dominant resource share: thousandths of what could be lent to it, of the resource of which it
   * borrows most, divided by its weight. 0 when it borrows nothing, infinite when it borrows at weight 0. Not rounded.
   */
  perMille: number
  /** The same before the weight: what two of weight 0 are compared by. */
  ratio: number
  /** The accelerator model (or resource, where models are summed) that it is about. */
  model: string | undefined
}

export const noShare: Share = { perMille: 0, ratio: 0, model: undefined }

/** Negative when `a` is the smaller share. */
export function compareShares(a: Share, b: Share): number {
  if (a.perMille === b.perMille) return a.perMille === Number.POSITIVE_INFINITY ? a.ratio - b.ratio : 0
  return a.perMille < b.perMille ? -1 : 1
}

/** Milli-accelerators by model. */
export type Amounts = ReadonlyMap<string, number>

/** Which models are counted together when shares are computed. */
export interface Resources {
  resourceOf(model: string): string
  /** Models that anybody has named so far. */
  modelsOf(resource: string): Iterable<string>
}

interface Entry {
  /** What it and those below it own, less what those below keep to themselves. */
  quota: number
  /** The part of `quota` that it does not lend. */
  unlent: number
  borrowingLimit: number
  /** What it and those below it hold, less what those below hold of what they don't lend. */
  usage: number
}

/**
 * One node of the tree of queues: of the fleet, of a Queue with all below it, or of the work that a Queue with children
 * holds itself. The arithmetic is that of Kueue's cohorts (kueue `pkg/cache/scheduler/resource_node.go`): quota that is
 * not used is lent upwards, usage beyond quota is borrowed from above. Milli-accelerators throughout.
 */
export class Account {
  /** Its Queue; empty for the fleet. */
  readonly queue: string
  readonly kind: 'fleet' | 'queue' | 'own'
  readonly parent: Account | undefined
  readonly children: Account[] = []
  /** 0 for the fleet. */
  readonly depth: number
  readonly weight: number
  readonly #quotas: Quotas
  readonly #resources: Resources
  readonly #entries = new Map<string, Entry>()
  #share: Share | undefined

  constructor(
    kind: 'fleet' | 'queue' | 'own',
    queue: string,
    parent: Account | undefined,
    quotas: Quotas,
    resources: Resources,
  ) {
    this.kind = kind
    this.queue = queue
    this.parent = parent
    this.depth = parent === undefined ? 0 : parent.depth + 1
    this.weight = quotas.weight ?? 1
    this.#quotas = quotas
    this.#resources = resources
    parent?.children.push(this)
  }

  /** Sets what it and those below it own; `quota` is the sum. */
  own(model: string, quota: number): void {
    const entry = this.#entry(model)
    entry.quota = quota
    entry.unlent = Math.max(0, quota - cut(this.#quotas.lendingLimit?.[model]))
    this.#share = undefined
  }

  /** What it lends to its parent of what is its own and is not in use. */
  lent(model: string): number {
    const { quota, unlent } = this.#entry(model)
    return this.lender(model) === undefined ? 0 : quota - unlent
  }

  quota(model: string): number {
    return this.#entries.get(model)?.quota ?? 0
  }

  usage(model: string): number {
    return this.#entries.get(model)?.usage ?? 0
  }

  /** Models of which it owns or holds something, or once did. */
  models(): IterableIterator<string> {
    return this.#entries.keys()
  }

  /** Whom it borrows from: its parent, but a topmost Queue with a quota of its own for the model stands alone. */
  lender(model: string): Account | undefined {
    const standsAlone = this.parent?.kind === 'fleet' && this.#quotas.nominalQuota?.[model] !== undefined
    return standsAlone ? undefined : this.parent
  }

  /** Adds usage, also to everybody from whom it has to be borrowed. */
  add(model: string, milli: number): void {
    let delta = milli
    for (let account: Account | undefined = this; account !== undefined; account = account.lender(model)) {
      const entry = account.#entry(model)
      const borrowedBefore = Math.max(0, entry.usage - entry.unlent)
      entry.usage += delta
      account.#share = undefined
      delta = Math.max(0, entry.usage - entry.unlent) - borrowedBefore
      if (delta === 0) return
    }
  }

  /** How much more it may hold, borrowing included. Infinite where only the nodes limit it. */
  available(model: string): number {
    if (this.kind === 'fleet') return Number.POSITIVE_INFINITY
    const { quota, unlent, usage, borrowingLimit } = this.#entry(model)
    const lender = this.lender(model)
    if (lender === undefined) return quota - usage
    const lentAndFree = quota - unlent - Math.max(0, usage - unlent)
    return Math.max(0, unlent - usage) + Math.min(lentAndFree + borrowingLimit, lender.available(model))
  }

  /** What of its own quota nobody above could have lent away and nothing here uses. */
  unlentLeft(model: string): number {
    const { unlent, usage } = this.#entry(model)
    return Math.max(0, unlent - usage)
  }

  /** How much it could hold if nobody else held anything: what shares are measured against. */
  potential(model: string): number {
    const { quota, unlent, borrowingLimit } = this.#entry(model)
    const lender = this.lender(model)
    if (lender === undefined) return quota
    return Math.min(quota + borrowingLimit, unlent + lender.potential(model))
  }

  /** Whether it holds more of any of the models than it owns; with `extra`, whether it would. */
  isOver(models: Iterable<string>, extra?: Amounts): boolean {
    for (const model of models) if (this.usage(model) + (extra?.get(model) ?? 0) > this.quota(model)) return true
    return false
  }

  share(extra?: Amounts): Share {
    if (extra !== undefined) return this.#computeShare(extra)
    this.#share ??= this.#computeShare()
    return this.#share
  }

  #computeShare(extra?: Amounts): Share {
    if (this.parent === undefined) return noShare
    const borrowed = new Map<string, number>()
    const count = (model: string) => {
      const over = this.usage(model) + (extra?.get(model) ?? 0) - this.quota(model)
      if (over <= 0 || this.lender(model) === undefined) return
      const resource = this.#resources.resourceOf(model)
      borrowed.set(resource, (borrowed.get(resource) ?? 0) + over)
    }
    for (const model of this.#entries.keys()) count(model)
    for (const model of extra?.keys() ?? []) if (!this.#entries.has(model)) count(model)
    return this.#dominant(borrowed)
  }

  #dominant(borrowed: ReadonlyMap<string, number>): Share {
    let dominant = noShare
    for (const [resource, amount] of borrowed) {
      let lendable = 0
      for (const model of this.#resources.modelsOf(resource)) lendable += this.parent?.potential(model) ?? 0
      // Whoever still holds of what nobody has any more (quota taken away, nodes gone) holds a great deal of it.
      const base = Math.max(1, lendable)
      const ratio = (1000 * amount) / base
      if (
        dominant.model !== undefined &&
        (ratio < dominant.ratio || (ratio === dominant.ratio && dominant.model < resource))
      )
        continue
      // One division, so that equal shares are equal numbers.
      const perMille = this.weight === 0 ? Number.POSITIVE_INFINITY : (1000 * amount) / (base * this.weight)
      dominant = { ratio, perMille, model: resource }
    }
    return dominant
  }

  #entry(model: string): Entry {
    const known = this.#entries.get(model)
    if (known !== undefined) return known
    const entry = { quota: 0, unlent: 0, usage: 0, borrowingLimit: cut(this.#quotas.borrowingLimit?.[model]) }
    this.#entries.set(model, entry)
    return entry
  }
}
