/**
 * Who displaced whom, so that displacing comes to an end.
 *
 * Each rule of preemption is sensible by itself, and most cannot be answered in kind. Together they can still go round:
 * a small gang takes from a queue with a large share, a higher priority of its own queue takes its place and grows the
 * share, and whom the small one displaced takes it back (the loops of kueue#3779 and kueue#7101 are of that sort). So a
 * gang never displaces whoever displaced it, nor whoever displaced that one, and so on.
 *
 * Why that ends: the relation *displaced* has no cycle and only grows, so from some time on it is the same. Put the gangs
 * in an order in which who displaces comes before who is displaced, and look at who sits, first gang first. Every
 * displacement from then on seats a gang and unseats only later ones, and whoever takes free room unseats nobody: what
 * is read off that way rises, in the order of words, with every step, and cannot rise for ever. That is the potential
 * that strictly falls (turned over).
 *
 * One exception, for a lender gets back what is his: a gang within its queue's own quota may displace one that displaced
 * it, once for each such pair. There are finitely many pairs, so that only delays the end. What a gang was to others is
 * forgotten when it ends, and each time that it has had a step more of accelerator-time, which is some fifteen times at
 * most and costs it that time; when queues or capacity change, everything is: what went round before may be right now.
 *
 * A replica that is displaced ends, and another comes in its place under a name of its own: were it forgotten with the
 * name, a service could go round for ever. So the replicas of a service are one here, and what they were to others is
 * forgotten when one ends that nobody displaced, or the last.
 */
export class Displacements {
  /** By gang or service, those who displaced it. */
  readonly #by = new Map<string, Set<string>>()
  readonly #excepted = new Map<string, Set<string>>()
  readonly #serviceOf = new Map<string, string>()
  readonly #replicasOf = new Map<string, Set<string>>()
  /** Replicas that were displaced. */
  readonly #displaced = new Set<string>()

  /** The gang is a replica of the service; that it was displaced may have been heard before. */
  join(replica: string, service: string): void {
    this.#serviceOf.set(replica, service)
    add(this.#replicasOf, service, replica)
    const by = this.#by.get(replica)
    if (by === undefined) return
    this.#by.delete(replica)
    for (const one of by) this.record(one, [replica])
  }

  /** The service of a replica; any other gang stands for itself. */
  sideOf(gang: string): string {
    return this.#serviceOf.get(gang) ?? gang
  }

  /**
   * The gang's seats were taken from the victims. Those that had been leaving already are not victims of it. 'fewer': by the
   * exception, it and those whom it displaced have to spare fewer than before.
   */
  record(gang: string, victims: Iterable<string>): 'more' | 'fewer' {
    const before = this.displacersOf(gang)
    const side = this.sideOf(gang)
    let outcome: 'more' | 'fewer' = 'more'
    for (const one of victims) {
      const victim = this.sideOf(one)
      if (victim !== one) this.#displaced.add(one)
      if (victim === side) continue
      if (before.has(victim)) {
        add(this.#excepted, side, victim)
        this.#by.delete(side)
        outcome = 'fewer'
      }
      add(this.#by, victim, side)
    }
    return outcome
  }

  /** Whoever displaced the gang, and whoever displaced them; of replicas their services. */
  displacersOf(gang: string): ReadonlySet<string> {
    const found = new Set<string>()
    const open = [this.sideOf(gang)]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const displacer of this.#by.get(next) ?? []) {
        if (found.has(displacer)) continue
        found.add(displacer)
        open.push(displacer)
      }
    }
    return found
  }

  /** Whether the gang, entitled to what the other holds, took it back before. */
  wasExcepted(gang: string, other: string): boolean {
    return this.#excepted.get(this.sideOf(gang))?.has(this.sideOf(other)) ?? false
  }

  /** The gang ended. Whether others had to spare somebody because of it. */
  end(gang: string): boolean {
    const side = this.sideOf(gang)
    if (side === gang) return this.forget(gang)
    const others = this.#replicasOf.get(side)
    others?.delete(gang)
    this.#serviceOf.delete(gang)
    const wasDisplaced = this.#displaced.delete(gang)
    if (others?.size === 0) this.#replicasOf.delete(side)
    else if (wasDisplaced) return false
    return this.forget(side)
  }

  /** The gang, or all of the service, is another than it was. Whether others had to spare somebody because of it. */
  forget(gang: string): boolean {
    const side = this.sideOf(gang)
    let mattered = false
    for (const relation of [this.#by, this.#excepted]) {
      relation.delete(side)
      for (const [other, gangs] of relation) {
        if (!gangs.delete(side)) continue
        mattered = true
        if (gangs.size === 0) relation.delete(other)
      }
    }
    return mattered
  }

  /** Remembers what another does. */
  takeOver(other: Displacements): void {
    this.clear()
    for (const [gang, by] of other.#by) this.#by.set(gang, new Set(by))
    for (const [gang, excepted] of other.#excepted) this.#excepted.set(gang, new Set(excepted))
    for (const gang of other.#displaced) this.#displaced.add(gang)
  }

  clear(): void {
    this.#by.clear()
    this.#excepted.clear()
    this.#displaced.clear()
  }
}

function add(relation: Map<string, Set<string>>, of: string, gang: string): void {
  const gangs = relation.get(of) ?? new Set()
  relation.set(of, gangs)
  gangs.add(gang)
}
