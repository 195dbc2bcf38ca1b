import { Census } from './census.ts'
import type { LaidOut } from './laid-out.ts'
import type { Claim } from './nodes.ts'
import { type Even, type PodTerm, podsSaid, selects } from './pod-terms.ts'
import { isWanted } from './rooms.ts'

/** Which of a label's domains are barred. */
export abstract class Rule {
  protected readonly census: Census
  /** By domain. */
  #isBarred = new Uint8Array(0)

  constructor(census: Census) {
    this.census = census
  }

  protected abstract isOpen(domain: number): boolean
  /** Whether what happens in one domain opens or bars others. */
  protected abstract readonly isOfAll: boolean
  /** Whether a node must have the label. */
  protected abstract readonly needsLabel: boolean
  /** Of so much room in each domain, and on nodes that are in none. */
  protected abstract most(rooms: readonly number[], elsewhere: number): number

  /** Whether the pod keeps others out of its domain. */
  isInTheWay(_claim: Claim): boolean {
    return false
  }

  /** Nodes that it bars, or opens, other than before. */
  look(): number[] {
    const changed = this.census.look()
    if (changed !== 'all' && changed.size === 0) return []
    this.weigh()
    const { nodes } = this.census
    const before = this.#isBarred
    if (changed === 'all') this.#isBarred = new Uint8Array(nodes.length)
    const flipped: number[] = []
    for (const domain of changed === 'all' || this.isOfAll ? nodes.keys() : changed) {
      const isBarred = this.isOpen(domain) ? 0 : 1
      if (changed === 'all' || before[domain] !== isBarred) for (const index of nodes[domain] ?? []) flipped.push(index)
      this.#isBarred[domain] = isBarred
    }
    return flipped
  }

  /** Before domains are asked about. */
  protected weigh(): void {}

  bars(index: number): boolean {
    const domain = this.census.domainOf(index)
    return domain < 0 ? this.needsLabel : this.#isBarred[domain] === 1
  }

  excludes(index: number): boolean {
    return this.needsLabel && this.census.domainOf(index) < 0
  }

  domainOf(index: number): number {
    return this.census.domainOf(index)
  }

  mostMembers(roomOn: (index: number) => number, nodes: number): number {
    const rooms = this.census.nodes.map(() => 0)
    let elsewhere = 0
    for (let index = 0; index < nodes; index++) {
      const domain = this.census.domainOf(index)
      if (domain < 0) elsewhere += roomOn(index)
      else rooms[domain] = (rooms[domain] ?? 0) + roomOn(index)
    }
    return this.most(rooms, elsewhere)
  }
}

/** No such pod in its domain. */
export class Apart extends Rule {
  protected readonly isOfAll = false
  protected readonly needsLabel = false
  readonly said: string
  readonly #isMutual: boolean

  constructor(fleet: LaidOut, term: PodTerm, isMutual: boolean) {
    super(censusOf(fleet, term))
    this.said = `apart from ${podsSaid(term)}`
    this.#isMutual = isMutual
  }

  override isInTheWay(claim: Claim): boolean {
    return this.census.isMeant(claim)
  }

  protected isOpen(domain: number): boolean {
    return this.census.counts[domain] === 0
  }

  protected most(rooms: readonly number[], elsewhere: number): number {
    return this.#isMutual ? rooms.filter((room) => room > 0).length + elsewhere : Number.POSITIVE_INFINITY
  }
}

/** Nobody in its domain who keeps such pods away. */
export class KeptAway extends Rule {
  protected readonly isOfAll = false
  protected readonly needsLabel = false

  constructor(fleet: LaidOut, term: PodTerm) {
    const isHolder = ({ occupant }: Claim) => occupant?.apart.some(({ key }) => key === term.key) === true
    super(new Census(fleet, term.topologyKey, isHolder))
  }

  override isInTheWay(claim: Claim): boolean {
    return this.census.isMeant(claim)
  }

  protected isOpen(domain: number): boolean {
    return this.census.counts[domain] === 0
  }

  protected most(): number {
    return Number.POSITIVE_INFINITY
  }
}

/** Some such pod in its domain; the first of those who want each other goes where it likes. */
export class Beside extends Rule {
  protected readonly isOfAll = true
  protected readonly needsLabel = true
  readonly said: string
  readonly #isMutual: boolean

  constructor(fleet: LaidOut, term: PodTerm, isMutual: boolean) {
    super(censusOf(fleet, term))
    this.said = `beside ${podsSaid(term)}`
    this.#isMutual = isMutual
  }

  get isFirst(): boolean {
    return this.#isMutual && this.census.total === 0
  }

  protected isOpen(domain: number): boolean {
    return this.isFirst || (this.census.counts[domain] ?? 0) > 0
  }

  protected most(rooms: readonly number[]): number {
    return this.#isMutual ? rooms.reduce((a, b) => Math.max(a, b), 0) : Number.POSITIVE_INFINITY
  }
}

/** No domain has more than so many more than the one that has fewest. */
export class Evenly extends Rule {
  protected readonly isOfAll = true
  protected readonly needsLabel = true
  readonly said: string
  readonly #even: Even
  readonly #isMutual: boolean
  #fewest = 0

  constructor(fleet: LaidOut, even: Even, isMutual: boolean) {
    super(
      new Census(
        fleet,
        even.term.topologyKey,
        ({ occupant }) => occupant !== undefined && selects(even.term, occupant),
        (node) => isWanted(node, even.nodes),
      ),
    )
    this.said = `spread evenly (maxSkew ${even.maxSkew}) among ${podsSaid(even.term)}`
    this.#even = even
    this.#isMutual = isMutual
  }

  protected override weigh(): void {
    this.#fewest = this.#least([...this.census.counts])
  }

  #least(counts: readonly number[]): number {
    return counts.length < this.#even.minDomains ? 0 : counts.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  }

  protected isOpen(domain: number): boolean {
    const here = (this.census.counts[domain] ?? 0) + (this.#isMutual ? 1 : 0)
    return here - this.#fewest <= this.#even.maxSkew
  }

  protected most(rooms: readonly number[]): number {
    if (!this.#isMutual) return Number.POSITIVE_INFINITY
    const each = this.#least(rooms) + this.#even.maxSkew
    return rooms.reduce((sum, room) => sum + Math.min(room, each), 0)
  }
}

export function censusOf(fleet: LaidOut, term: PodTerm): Census {
  return new Census(fleet, term.topologyKey, ({ occupant }) => occupant !== undefined && selects(term, occupant))
}
