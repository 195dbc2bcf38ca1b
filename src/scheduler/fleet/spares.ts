import { levels } from '../../model/fabric.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import { poolOf } from '../../model/nodes.ts'
import { couldBeSpare, sparesWanted, wantsOthers } from '../../model/spares.ts'
import { Follower } from './journal.ts'
import type { LaidOut } from './laid-out.ts'
import type { NodeState } from './nodes.ts'

/**
 * Nodes that pools keep free for gangs that lost one. They are kept by number: whoever else sits down leaves as many whole
 * nodes free as are wanted, or all that there are. Which ones matters only to who looks for room beside them. Costs nothing
 * as long as no pool wants any.
 */
export class Spares {
  readonly #fleet: LaidOut
  readonly #pools = new Map<string, Pool>()
  readonly #follower = new Follower()
  /** What a what-if has instead of the pool's own number. */
  readonly #instead = new Map<string, number>()
  #isNone = true
  #isCounted = false
  #kept: Kept[] = []
  /** By node. */
  #keptFor: (Kept | undefined)[] = []

  constructor(fleet: LaidOut) {
    this.#fleet = fleet
  }

  /** Whether that changes how many are kept. */
  set(pool: Pool): boolean {
    const { name } = pool.metadata
    const before = this.#pools.get(name)
    this.#pools.set(name, pool)
    return wantsOthers(before, pool) && this.#countAnew()
  }

  remove(name: string): boolean {
    const before = this.#pools.get(name)?.spec.spares ?? 0
    this.#pools.delete(name)
    return before !== 0 && this.#countAnew()
  }

  #countAnew(): true {
    this.#isNone = [...this.#pools.values()].every(({ spec }) => (spec.spares ?? 0) === 0)
    this.#isCounted = false
    this.#kept = []
    return true
  }

  /** As if the pool wanted so many. */
  with<T>(pool: string, wanted: number, work: () => T): T {
    this.#instead.set(pool, wanted)
    this.#isCounted = false
    try {
      return work()
    } finally {
      this.#instead.delete(pool)
      this.#isCounted = false
    }
  }

  /** Whether enough of them stay free when these nodes are taken; `own`: those among the free that were taken before. */
  areLeftBy(placed: readonly { node: NodeState }[], own: ReadonlySet<string>): boolean {
    this.#refresh()
    if (this.#kept.length === 0) return true
    const nodes = new Set(placed.map(({ node }) => node))
    return this.#kept.every(({ wanted, free }) => {
      let [left, before] = [free.size, free.size]
      for (const node of nodes) if (free.has(node)) left--
      for (const { name } of own.size === 0 ? [] : free) if (own.has(name)) before--
      return left >= Math.min(wanted, before)
    })
  }

  /**
   * Free nodes that are not among `own`, as many as are wanted: where least else is free around them, so that whole racks
   * stay whole for others.
   */
  beside(own: ReadonlySet<string>): ReadonlySet<NodeState> {
    this.#refresh()
    return new Set(this.#kept.flatMap((kept) => this.#chosen(kept, own)))
  }

  /** Pools that keep some. */
  kept(): readonly Keeping[] {
    this.#refresh()
    return this.#kept
  }

  #chosen({ wanted, free: all }: Kept, own: ReadonlySet<string>): NodeState[] {
    const free = own.size === 0 ? [...all] : [...all].filter(({ name }) => !own.has(name))
    if (free.length <= wanted) return free
    const { fabric } = this.#fleet
    const around = narrowest.map((level) => {
      const domains = fabric.domainOf[level]
      const counts = new Map<number, number>()
      for (const { index } of free) counts.set(domains?.[index] ?? 0, (counts.get(domains?.[index] ?? 0) ?? 0) + 1)
      return (node: NodeState) => counts.get(domains?.[node.index] ?? 0) ?? 0
    })
    free.sort((a, b) => {
      for (const freeAround of around) {
        const fewer = freeAround(a) - freeAround(b)
        if (fewer !== 0) return fewer
      }
      return a.index - b.index
    })
    return free.slice(0, wanted)
  }

  #refresh(): void {
    if (this.#isNone) return
    const { journal, order } = this.#fleet
    if (this.#isCounted && !this.#follower.isLost(journal)) {
      if (this.#follower.isCurrent(journal)) return
      for (let index = this.#follower.next(); index >= 0; index = this.#follower.next()) this.#look(index)
      return
    }
    this.#follower.start(journal, order.length)
    this.#count(order)
  }

  /** Which nodes belong to a pool that keeps some, and which of them are free. */
  #count(order: readonly NodeState[]): void {
    this.#isCounted = true
    const sizes = new Map<string, number>()
    for (const { object } of order) {
      const pool = poolOf(object)
      if (pool !== undefined) sizes.set(pool, (sizes.get(pool) ?? 0) + 1)
    }
    const kept = new Map<string, Kept>()
    for (const [pool, object] of this.#pools) {
      const wanted = this.#instead.get(pool) ?? sparesWanted(object, sizes.get(pool) ?? 0)
      const one = wanted > 0 ? order.find((node) => poolOf(node.object) === pool) : undefined
      if (one !== undefined) kept.set(pool, { pool, wanted, one, free: new Set() })
    }
    this.#kept = [...kept.values()]
    this.#keptFor = this.#kept.length === 0 ? [] : order.map(({ object }) => kept.get(poolOf(object) ?? ''))
    for (let index = 0; index < this.#keptFor.length; index++) this.#look(index)
  }

  #look(index: number): void {
    const [free, node] = [this.#keptFor[index]?.free, this.#fleet.order[index]]
    if (free === undefined || node === undefined) return
    if (isFree(node)) free.add(node)
    else free.delete(node)
  }
}

export interface Keeping {
  pool: string
  wanted: number
  /** One of its nodes; all are of one shape. */
  one: NodeState
}

interface Kept extends Keeping {
  free: Set<NodeState>
}

const narrowest = [levels.indexOf('rack'), levels.indexOf('block')]

/** Whole: it takes work, all its devices are well, and no gang holds anything of it. What others run on each node does not count. */
function isFree(node: NodeState): boolean {
  if (node.closed !== undefined || !couldBeSpare(node.object)) return false
  for (const { gang, devices } of node.claims.values()) if (gang !== undefined || devices.length > 0) return false
  for (const { healthy } of node.devices.values()) if (!healthy) return false
  return true
}
