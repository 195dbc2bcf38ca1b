import type { Queue } from '../../model/kinds/queue.ts'
import { Account, type Amounts, type Resources, type Share } from './account.ts'
import { compare, milliOf, noQuotas } from './quotas.ts'

/** Queues nested deeper than this stand as if they had no parent: whoever nests so deep made a mistake. */
const depthMax = 64

export type PreemptionPolicy = NonNullable<Queue['spec']['preemption']>

const defaultPolicy: PreemptionPolicy = { withinQueue: 'LowerPriority', reclaimWithinCohort: 'Any' }

/**
 * The accounts of the queues: who owns how many accelerators of which model, holds how many, and may hold how many more.
 * Amounts are milli-accelerators. Semantics are Kueue's, with three additions:
 *
 * - A Queue with children may hold work itself. That work has an account beside those of the children: the Queue's own
 *   nominal quota is its, and the children may borrow what it leaves unused.
 * - Above all Queues without a parent stands the fleet. One with a nominal quota for a model stands alone for that model:
 *   it neither lends nor borrows. One without borrows everything from the fleet, without limit (the nodes are limit
 *   enough); its share is measured against the capacity that those who stand alone leave over.
 * - Names that no Queue has (yet) hold what they hold, as Queues without any quota.
 *
 * `add` and questions cost the depth of the tree; the accounts are built anew when a Queue or the capacity changed, at the
 * next question. What-ifs are `add(-x)` and `add(+x)`.
 */
export class QuotaTree {
  readonly #queues = new Map<string, Queue['spec']>()
  readonly #used = new Map<string, Map<string, number>>()
  /** Of that, what nobody can take back. */
  readonly #firm = new Map<string, Map<string, number>>()
  readonly #capacity = new Map<string, number>()
  readonly #resources: Models
  #built: Built | undefined

  /** @param resourceOf Which models are one resource, and are summed in shares. By itself, each model is one of its own. */
  constructor(resourceOf: (model: string) => string = (model) => model) {
    this.#resources = new Models(resourceOf)
  }

  set(queue: Queue): void {
    const before = this.#queues.get(queue.metadata.name)
    this.#queues.set(queue.metadata.name, queue.spec)
    if (before === undefined || signature(before) !== signature(queue.spec)) this.#built = undefined
  }

  remove(name: string): void {
    if (this.#queues.delete(name)) this.#built = undefined
  }

  /** How much of the model the fleet has: what shares of those are measured against that own none of it. Whether that is new. */
  setCapacity(model: string, milli: number): boolean {
    if ((this.#capacity.get(model) ?? 0) === milli) return false
    this.#capacity.set(model, milli)
    this.#resources.name(model)
    this.#built = undefined
    return true
  }

  /** Models of which the fleet has something, or once had. */
  counted(): Iterable<string> {
    return this.#capacity.keys()
  }

  /** The queue's work holds `milli` more; less when negative. */
  add(queue: string, model: string, milli: number): void {
    const models = this.#used.get(queue) ?? new Map<string, number>()
    this.#used.set(queue, models)
    const total = (models.get(model) ?? 0) + milli
    if (total === 0) models.delete(model)
    else models.set(model, total)
    if (models.size === 0) this.#used.delete(queue)
    this.#resources.name(model)
    if (this.#built !== undefined) this.accountOf(queue).add(model, milli)
  }

  /** Of what the queue's work holds, nobody can take back `milli` more: it is not preemptible. */
  addFirm(queue: string, model: string, milli: number): void {
    const models = kept(this.#firm, queue, () => new Map<string, number>())
    models.set(model, (models.get(model) ?? 0) + milli)
  }

  /** What of the queue's work nobody can take back holds. */
  firm(queue: string, model: string): number {
    return this.#firm.get(queue)?.get(model) ?? 0
  }

  /**
   * What work that is not preemptible may hold in the queue's name: what the queue owns. Those that name no quota for the
   * model, and do not draw on one tree's alone, share what no Queue owns; infinite where nobody owns any. So a lender can
   * always have back what is his.
   */
  firmLimit(queue: string, model: string): number {
    const own = this.#queues.get(queue)?.nominalQuota?.[model]
    if (own !== undefined) return milliOf(own)
    if (this.#ownsApart(queue, model)) return 0
    const owned = [...this.#queues.values()].flatMap(({ nominalQuota }) => nominalQuota?.[model] ?? [])
    if (owned.length === 0) return Number.POSITIVE_INFINITY
    return Math.max(0, (this.#capacity.get(model) ?? 0) - sum(owned.map(milliOf)))
  }

  /** How much more of it work that is not preemptible may hold. */
  firmLeft(queue: string, model: string): number {
    const limit = this.firmLimit(queue, model)
    if (limit === Number.POSITIVE_INFINITY) return limit
    if (this.#queues.get(queue)?.nominalQuota?.[model] !== undefined) return limit - this.firm(queue, model)
    const shared = [...this.#firm.keys()].filter((name) => this.#queues.get(name)?.nominalQuota?.[model] === undefined)
    return limit - sum(shared.map((name) => this.firm(name, model)))
  }

  /** Whether its topmost Queue has quota of the model, and so stands alone with all below it. */
  #ownsApart(queue: string, model: string): boolean {
    const root = this.ancestorsOf(queue).at(-1) ?? queue
    return this.#queues.get(root)?.nominalQuota?.[model] !== undefined
  }

  /** What the queue's own work holds, that of its children aside. */
  usage(queue: string, model: string): number {
    return this.#used.get(queue)?.get(model) ?? 0
  }

  /** How much more the queue's work may hold, borrowing included. Negative when it holds too much, infinite when unlimited. */
  available(queue: string, model: string): number {
    return this.accountOf(queue).available(model)
  }

  /** How much of the queue's own nominal quota its work leaves. Negative by what it borrows. */
  nominalLeft(queue: string, model: string): number {
    const account = this.accountOf(queue)
    return account.quota(model) - account.usage(model)
  }

  /** Whether all of `wants` may be held on top. */
  fits(queue: string, wants: Amounts): boolean {
    const account = this.accountOf(queue)
    for (const [model, milli] of wants) if (milli > account.available(model)) return false
    return true
  }

  /** Whether the queue's work, with `extra` on top, holds more of any of the models than the queue's own. */
  isBorrowing(queue: string, models: Iterable<string>, extra?: Amounts): boolean {
    return this.accountOf(queue).isOver(models, extra)
  }

  /** The dominant share of the Queue with all below it, with `extra` on top. */
  share(queue: string, extra?: Amounts): Share {
    return this.subtreeOf(queue).share(extra)
  }

  /** Its parents, nearest first. */
  ancestorsOf(queue: string): string[] {
    const names: string[] = []
    for (let account = this.subtreeOf(queue).parent; account !== undefined; account = account.parent) {
      if (account.kind === 'queue') names.push(account.queue)
    }
    return names
  }

  /** What is wrong with the Queue's place in the tree, for its status; it stands without a parent then. */
  problemOf(queue: string): string | undefined {
    return this.#tree().problems.get(queue)
  }

  policyOf(queue: string): PreemptionPolicy {
    return this.#queues.get(queue)?.preemption ?? defaultPolicy
  }

  /** For how long work of the one queue keeps its seats from work of the other: the nearest Queue of both that says it. */
  minRunSeconds(one: string, other: string): number {
    const others = new Set([other, ...this.ancestorsOf(other)])
    for (const name of [one, ...this.ancestorsOf(one)]) {
      const seconds = others.has(name) ? this.#queues.get(name)?.preemption?.minRunSeconds : undefined
      if (seconds !== undefined) return seconds
    }
    return 0
  }

  /** The topmost Queue of its tree. */
  rootOf(queue: string): string {
    return this.ancestorsOf(queue).at(-1) ?? queue
  }

  /** Whether what is borrowed in its tree is shared by weight, or goes by priority alone. The topmost Queue says. */
  isFair(queue: string): boolean {
    return this.#queues.get(this.rootOf(queue))?.fairSharing ?? true
  }

  /** What others in its tree may lose by moving for its work; undefined: nobody moves. The topmost Queue says. */
  defragmentationOf(queue: string): Queue['spec']['defragmentation'] {
    return this.#queues.get(this.rootOf(queue))?.defragmentation
  }

  get fleet(): Account {
    return this.#tree().fleet
  }

  /** The account of the queue's own work. */
  accountOf(queue: string): Account {
    const { own, fleet } = this.#tree()
    return kept(own, queue, () => new Account('queue', queue, fleet, noQuotas, this.#resources))
  }

  /** The account of the Queue with all below it. */
  subtreeOf(queue: string): Account {
    const own = this.accountOf(queue)
    return own.kind === 'own' && own.parent !== undefined ? own.parent : own
  }

  #tree(): Built {
    if (this.#built !== undefined) return this.#built
    const { parents, problems } = parentsOf(this.#queues)
    const fleet = new Account('fleet', '', undefined, noQuotas, this.#resources)
    const own = new Map<string, Account>()
    this.#built = { fleet, own, problems }
    const subtrees = this.#grow(fleet, own, parents)
    for (const account of subtrees.toReversed()) this.#endow(account)
    this.#endowFleet(fleet, subtrees)
    for (const [queue, models] of this.#used) {
      for (const [model, milli] of models) this.accountOf(queue).add(model, milli)
    }
    return this.#built
  }

  /** An account for every Queue, parents first. */
  #grow(fleet: Account, own: Map<string, Account>, parents: ReadonlyMap<string, string | undefined>): Account[] {
    const children = new Map<string | undefined, string[]>()
    for (const name of [...this.#queues.keys()].toSorted(compare)) {
      const parent = parents.get(name)
      kept(children, parent, (): string[] => []).push(name)
    }
    const grown: Account[] = []
    const waiting: { name: string; parent: Account }[] = (children.get(undefined) ?? []).map((name) => ({
      name,
      parent: fleet,
    }))
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { name } = next
      const account = new Account('queue', name, next.parent, this.#queues.get(name) ?? noQuotas, this.#resources)
      grown.push(account)
      const below = children.get(name)
      own.set(name, below === undefined ? account : new Account('own', name, account, noQuotas, this.#resources))
      for (const child of below ?? []) waiting.push({ name: child, parent: account })
    }
    return grown
  }

  /** Sums up what it and those below it own; those below have been summed up before. */
  #endow(account: Account): void {
    const nominal = this.#queues.get(account.queue)?.nominalQuota ?? {}
    const ownAccount = this.accountOf(account.queue)
    for (const [model, count] of Object.entries(nominal)) {
      this.#resources.name(model)
      ownAccount.own(model, milliOf(count))
    }
    if (ownAccount === account) return
    const models = new Set(account.children.flatMap((child) => [...child.models()]))
    for (const model of models) account.own(model, sum(account.children.map((child) => child.lent(model))))
  }

  /** The fleet has what those who stand alone leave of it, and no less than what the others lend. */
  #endowFleet(fleet: Account, subtrees: readonly Account[]): void {
    const models = new Set([...this.#capacity.keys(), ...subtrees.flatMap((account) => [...account.models()])])
    const apart = new Map<string, number>()
    for (const [name, spec] of this.#queues) {
      const root = this.rootOf(name)
      for (const [model, count] of Object.entries(spec.nominalQuota ?? {})) {
        if (this.#queues.get(root)?.nominalQuota?.[model] === undefined) continue
        apart.set(model, (apart.get(model) ?? 0) + milliOf(count))
      }
    }
    for (const model of models) {
      const rest = (this.#capacity.get(model) ?? 0) - (apart.get(model) ?? 0)
      fleet.own(model, Math.max(rest, sum(fleet.children.map((child) => child.lent(model)))))
    }
  }
}

interface Built {
  fleet: Account
  /** Accounts of the queues' own work. */
  own: Map<string, Account>
  problems: ReadonlyMap<string, string>
}

class Models implements Resources {
  readonly resourceOf: (model: string) => string
  readonly #models = new Map<string, Set<string>>()

  constructor(resourceOf: (model: string) => string) {
    this.resourceOf = resourceOf
  }

  name(model: string): void {
    kept(this.#models, this.resourceOf(model), () => new Set<string>()).add(model)
  }

  modelsOf(resource: string): Iterable<string> {
    return this.#models.get(resource) ?? []
  }
}

/** Each Queue's parent, where it has one that can be, and what is wrong where it can't. */
function parentsOf(queues: ReadonlyMap<string, Queue['spec']>): {
  parents: Map<string, string | undefined>
  problems: Map<string, string>
} {
  const parents = new Map<string, string | undefined>()
  const problems = new Map<string, string>()
  const depths = new Map<string, number>()
  for (const start of queues.keys()) {
    const path: string[] = []
    const onPath = new Set<string>()
    let name: string | undefined = start
    while (name !== undefined && !depths.has(name) && !onPath.has(name)) {
      path.push(name)
      onPath.add(name)
      const parent: string | undefined = queues.get(name)?.parent
      if (parent !== undefined && !queues.has(parent)) {
        problems.set(name, `its parent ${parent} does not exist; it stands without one until queue ${parent} is there`)
      }
      name = parent !== undefined && queues.has(parent) ? parent : undefined
    }
    if (name !== undefined && onPath.has(name)) {
      const cycle = path.slice(path.indexOf(name))
      const told = [...cycle.slice(0, 5), ...(cycle.length > 5 ? ['…'] : []), cycle[0]].join(' → ')
      for (const one of cycle) {
        problems.set(one, `its parents form a cycle (${told}); it stands without one until spec.parent is another`)
      }
    }
    for (const one of path.toReversed()) {
      const parent = problems.has(one) ? undefined : queues.get(one)?.parent
      const depth = parent === undefined ? 1 : (depths.get(parent) ?? 0) + 1
      const isTooDeep = depth > depthMax
      if (isTooDeep) problems.set(one, `it is nested more than ${depthMax} deep; it stands without a parent`)
      depths.set(one, isTooDeep ? 1 : depth)
      parents.set(one, isTooDeep ? undefined : parent)
    }
  }
  return { parents, problems }
}

function signature({ parent, weight, nominalQuota, borrowingLimit, lendingLimit }: Queue['spec']): string {
  return JSON.stringify([parent, weight, nominalQuota, borrowingLimit, lendingLimit])
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0)
}

function kept<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
