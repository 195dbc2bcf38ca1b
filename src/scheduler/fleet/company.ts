import { label } from '../../model/names.ts'
import type { Census } from './census.ts'
import type { LaidOut } from './laid-out.ts'
import type { Claim } from './nodes.ts'
import { Apart, Beside, censusOf, Evenly, KeptAway, type Rule } from './pod-rules.ts'
import { type Occupant, type PodTerm, type PodTerms, podsSaid, selects } from './pod-terms.ts'
import type { Neighbourhood } from './rooms.ts'

/**
 * Where a member may sit for the sake of who sits already: inter-pod affinity and anti-affinity, its own and that of those
 * who are there, and topology spread constraints. As Kubernetes reads them. Of preferences, only its own.
 */
export class Company implements Neighbourhood {
  readonly key: string
  readonly said: string
  readonly isAlone: boolean
  readonly #fleet: LaidOut
  readonly #rules: readonly Rule[]
  readonly #wishes: readonly { weight: number; census: Census }[]
  readonly #areMutual: boolean

  /** @param held Anti-affinity of others, of which some sit, that is about this one. */
  constructor(fleet: LaidOut, key: string, self: Occupant, terms: PodTerms | undefined, held: readonly PodTerm[]) {
    this.key = key
    this.#fleet = fleet
    const { apart = [], beside = [], even = [], wishes = [] } = terms ?? {}
    const rules = [
      ...apart.map((term) => new Apart(fleet, term, selects(term, self))),
      ...beside.map((term) => new Beside(fleet, term, selects(term, self))),
      ...even.map((one) => new Evenly(fleet, one, selects(one.term, self))),
    ]
    const isMine = (term: PodTerm) => apart.some(({ key }) => key === term.key)
    this.#rules = [...rules, ...held.map((term) => new KeptAway(fleet, term))]
    const kept = held.flatMap((term) => (isMine(term) ? [] : [`away from those who keep off ${podsSaid(term)}`]))
    this.said = [...rules.map((rule) => rule.said), ...kept].join(', ')
    this.#wishes = wishes.map(({ term, weight }) => ({ weight, census: censusOf(fleet, term) }))
    const isEachAlone = (term: PodTerm) => term.topologyKey === label.hostname
    this.isAlone = apart.some((term) => isEachAlone(term) && selects(term, self))
    this.#areMutual =
      apart.some((term) => !isEachAlone(term) && selects(term, self)) ||
      even.some(({ term }) => selects(term, self)) ||
      wishes.some(({ term }) => selects(term, self))
  }

  /** Whether one member changes where the next may go, or would rather be. */
  get isInTurn(): boolean {
    this.look()
    return this.#areMutual || this.#rules.some((rule) => rule instanceof Beside && rule.isFirst)
  }

  look(): void {
    const { journal } = this.#fleet
    const changed = this.#rules.flatMap((rule) => rule.look())
    for (const index of changed) journal.note(index)
  }

  bars(index: number): boolean {
    return this.#rules.some((rule) => rule.bars(index))
  }

  excludes(index: number): boolean {
    return this.#rules.some((rule) => rule.excludes(index))
  }

  /** The weights of all that it would rather have about it, a pod at a time; undefined when it has no such wishes. */
  get liking(): ((index: number) => number) | undefined {
    if (this.#wishes.length === 0) return undefined
    const wishes = this.#wishes.map(({ weight, census }) => {
      census.look()
      const most = census.counts.reduce((a, b) => Math.max(a, b), 0)
      return { weight, census, most }
    })
    return (index) => {
      let sum = 0
      for (const { weight, census, most } of wishes) {
        const domain = census.domainOf(index)
        // Where the label is missing it is as crowded as anywhere.
        sum += weight * (domain < 0 ? (weight < 0 ? most : 0) : (census.counts[domain] ?? 0))
      }
      return sum
    }
  }

  /** Places of which one must take all members, since each wants one of the others beside it and none is there yet. */
  gathering(): readonly (readonly number[])[] | undefined {
    this.look()
    const rules = this.#rules.filter((rule) => rule instanceof Beside && rule.isFirst)
    if (rules.length === 0) return undefined
    const places = new Map<string, number[]>()
    for (let index = 0; index < this.#fleet.order.length; index++) {
      if (rules.some((rule) => rule.excludes(index))) continue
      const domains = rules.map((rule) => rule.domainOf(index)).join()
      const place = places.get(domains)
      if (place === undefined) places.set(domains, [index])
      else place.push(index)
    }
    return [...places.values()]
  }

  isInTheWay(claim: Claim): boolean {
    return this.#rules.some((rule) => rule.isInTheWay(claim))
  }

  /** How many members together find places that their own rules allow, by the room on each node, if nobody sat anywhere. */
  mostMembers(roomOn: (index: number) => number): number {
    this.look()
    const { length } = this.#fleet.order
    return this.#rules.reduce(
      (most, rule) => Math.min(most, rule.mostMembers(roomOn, length)),
      Number.POSITIVE_INFINITY,
    )
  }
}
