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
 */
export class Displacements {
  readonly #by = new Map<string, Set<string>>()
  readonly #excepted = new Map<string, Set<string>>()

  /**
   * The gang's seats were taken from the victims. Those that had been leaving already are not victims of it. 'fewer': by the
   * exception, it and those whom it displaced have to spare fewer than before.
   */
  record(gang: string, victims: Iterable<string>): 'more' | 'fewer' {
    const before = this.displacersOf(gang)
    let outcome: 'more' | 'fewer' = 'more'
    for (const victim of victims) {
      if (victim === gang) continue
      if (before.has(victim)) {
        add(this.#excepted, gang, victim)
        this.#by.delete(gang)
        outcome = 'fewer'
      }
      add(this.#by, victim, gang)
    }
    return outcome
  }

  /** Whoever displaced the gang, and whoever displaced them. */
  displacersOf(gang: string): ReadonlySet<string> {
    const found = new Set<string>()
    const open = [gang]
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
    return this.#excepted.get(gang)?.has(other) ?? false
  }

  /** The gang ended, or is another than it was. Whether others had to spare somebody because of it. */
  forget(gang: string): boolean {
    let mattered = false
    for (const relation of [this.#by, this.#excepted]) {
      relation.delete(gang)
      for (const [other, gangs] of relation) {
        if (!gangs.delete(gang)) continue
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
  }

  clear(): void {
    this.#by.clear()
    this.#excepted.clear()
  }
}

function add(relation: Map<string, Set<string>>, of: string, gang: string): void {
  const gangs = relation.get(of) ?? new Set()
  relation.set(of, gangs)
  gangs.add(gang)
}
