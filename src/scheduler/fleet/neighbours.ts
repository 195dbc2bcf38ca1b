import type { Gang } from '../../model/kinds/gang.ts'
import { keyOf } from '../../model/refs.ts'
import { Company } from './company.ts'
import type { LaidOut } from './laid-out.ts'
import type { Claim } from './nodes.ts'
import { type Occupant, occupantOf, type PodTerm, podTermsOf, selects } from './pod-terms.ts'

/** As many are followed at once; the one not asked about for longest goes first. */
const followedMax = 256

/** Beyond these, whoever comes is taken to let others in. */
const soughtMax = 1024

/** Who cares who else is there. Costs nothing as long as nobody does. */
export class Neighbours {
  readonly #fleet: LaidOut
  readonly #companies = new Map<string, Company>()
  /** Required anti-affinity of those who sit, and of how many. */
  readonly #held = new Map<string, { term: PodTerm; holders: number }>()
  /** Terms that wait for such pods to come, and the gangs that asked for them. */
  readonly #sought = new Map<string, { term: PodTerm; by: Set<string> }>()
  /** By gang, the keys of its terms. */
  readonly #soughtBy = new Map<string, Set<string>>()

  constructor(fleet: LaidOut) {
    this.#fleet = fleet
  }

  /** Somebody who keeps others away comes (1) or leaves (-1). */
  count({ occupant }: Claim, sign: 1 | -1): void {
    if (occupant === undefined || occupant.apart.length === 0) return
    for (const term of occupant.apart) {
      const held = this.#held.get(term.key) ?? { term, holders: 0 }
      held.holders += sign
      if (held.holders > 0) this.#held.set(term.key, held)
      else this.#held.delete(term.key)
    }
  }

  /** Whether who has just sat down may let others in: those who want to be beside it, or as many as it is. */
  letsIn({ occupant }: Pick<Claim, 'occupant'>): boolean {
    if (this.#sought.size === 0 || occupant === undefined) return false
    if (this.#sought.size > soughtMax) return true
    for (const { term } of this.#sought.values()) if (selects(term, occupant)) return true
    return false
  }

  #seek(gang: string, term: PodTerm): void {
    const sought = this.#sought.get(term.key) ?? { term, by: new Set() }
    this.#sought.set(term.key, sought)
    sought.by.add(gang)
    this.#soughtBy.set(gang, (this.#soughtBy.get(gang) ?? new Set()).add(term.key))
  }

  /** The gang waits for nobody to come, until it is asked about again. */
  forget(gang: string): void {
    for (const key of this.#soughtBy.get(gang) ?? []) {
      const by = this.#sought.get(key)?.by
      if (by?.delete(gang) === true && by.size === 0) this.#sought.delete(key)
    }
    this.#soughtBy.delete(gang)
  }

  /** How others see the members of each group; undefined when nobody looks. */
  occupantsOf(gang: Gang): readonly Occupant[] | undefined {
    const { groups } = gang.spec
    const isSeen = this.#held.size > 0 || this.#companies.size > 0 || groups.some((group) => podTermsOf(gang, group))
    return isSeen ? groups.map((group) => occupantOf(gang, group)) : undefined
  }

  /** What the members of the group must heed of who else is there; undefined when there is nothing. */
  of(gang: Gang, group: Gang['spec']['groups'][number]): Company | undefined {
    const terms = podTermsOf(gang, group)
    if (terms === undefined && this.#held.size === 0) return undefined
    const self = occupantOf(gang, group)
    const held = [...this.#held.values()].flatMap(({ term }) => (selects(term, self) ? [term] : []))
    if (terms === undefined && held.length === 0) return undefined
    const { apart = [], beside = [], even = [], wishes = [] } = terms ?? {}
    for (const term of [...beside, ...even.map((one) => one.term)]) this.#seek(keyOf(gang), term)
    const isOwn = (term: PodTerm) => [term.key, selects(term, self)]
    const key = JSON.stringify([
      apart.map(isOwn),
      beside.map(isOwn),
      even.map(({ term, ...more }) => [isOwn(term), more]),
      wishes.map(({ term, weight }) => [isOwn(term), weight]),
      held.map((term) => term.key),
    ])
    const company = this.#companies.get(key) ?? new Company(this.#fleet, key, self, terms, held)
    this.#companies.delete(key)
    this.#companies.set(key, company)
    const [oldest] = this.#companies.keys()
    if (this.#companies.size > followedMax && oldest !== undefined) this.#companies.delete(oldest)
    return company
  }
}
