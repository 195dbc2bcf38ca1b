import { label } from '../../model/names.ts'
import { Follower, type Journal } from './journal.ts'
import type { LaidOut } from './laid-out.ts'
import type { Claim, NodeState } from './nodes.ts'

/**
 * How many pods of some kind there are in each domain, a domain being the nodes that share a label's value. Follows the
 * journal: only nodes that were touched since it last looked are counted again.
 */
export class Census {
  /** By domain. */
  counts = new Int32Array(0)
  total = 0
  /** Indices of the nodes of each domain. */
  nodes: number[][] = []
  readonly isMeant: (claim: Claim) => boolean
  readonly #fleet: LaidOut
  readonly #topologyKey: string
  readonly #isCounted: (node: NodeState) => boolean
  readonly #follower = new Follower()
  #domainOf = new Int32Array(0)
  #onNode = new Uint16Array(0)

  constructor(
    fleet: LaidOut,
    topologyKey: string,
    isMeant: (claim: Claim) => boolean,
    isCounted: (node: NodeState) => boolean = () => true,
  ) {
    this.#fleet = fleet
    this.#topologyKey = topologyKey
    this.isMeant = isMeant
    this.#isCounted = isCounted
  }

  /** The node's domain, or -1 where it lacks the label. */
  domainOf(index: number): number {
    return this.#domainOf[index] ?? -1
  }

  /** Domains whose count has changed since it was last asked; 'all' when domains are others than they were. */
  look(): ReadonlySet<number> | 'all' {
    const { journal } = this.#fleet
    if (this.#follower.isLost(journal)) {
      this.#start(journal)
      return 'all'
    }
    const changed = new Set<number>()
    for (let index = this.#follower.next(); index >= 0; index = this.#follower.next()) {
      const domain = this.domainOf(index)
      if (domain >= 0 && this.#count(index, domain)) changed.add(domain)
    }
    return changed
  }

  #start(journal: Journal): void {
    const { order } = this.#fleet
    this.#follower.start(journal, order.length)
    this.#domainOf = new Int32Array(order.length).fill(-1)
    this.#onNode = new Uint16Array(order.length)
    this.nodes = []
    this.total = 0
    const known = new Map<string, number>()
    for (const [index, node] of order.entries()) {
      const value = node.labels[this.#topologyKey] ?? (this.#topologyKey === label.hostname ? node.name : undefined)
      if (value === undefined || !this.#isCounted(node)) continue
      const domain = known.get(value) ?? known.size
      known.set(value, domain)
      this.#domainOf[index] = domain
      const nodes = this.nodes[domain]
      if (nodes === undefined) this.nodes[domain] = [index]
      else nodes.push(index)
    }
    this.counts = new Int32Array(this.nodes.length)
    for (const [domain, nodes] of this.nodes.entries()) for (const index of nodes) this.#count(index, domain)
  }

  #count(index: number, domain: number): boolean {
    let count = 0
    for (const claim of this.#fleet.order[index]?.claims.values() ?? []) if (this.isMeant(claim)) count++
    const change = count - (this.#onNode[index] ?? 0)
    if (change === 0) return false
    this.#onNode[index] = count
    this.counts[domain] = (this.counts[domain] ?? 0) + change
    this.total += change
    return true
  }
}
