/** Which nodes were touched, in order, as far back as it remembers. */
export class Journal {
  readonly #ring: Int32Array
  readonly #mask: number
  /** How many were ever noted. */
  end = 0

  constructor(nodes: number) {
    // Looking at every node again costs no more than reading further back would.
    let length = 16_384
    while (length < 4 * nodes) length *= 2
    this.#ring = new Int32Array(length)
    this.#mask = length - 1
  }

  note(index: number): void {
    this.#ring[this.end++ & this.#mask] = index
  }

  at(position: number): number {
    return this.#ring[position & this.#mask] ?? -1
  }

  remembers(position: number): boolean {
    return this.end - position <= this.#ring.length
  }
}

/**
 * Reads a journal from where it last stopped, each node once: one that fills up is touched again and again.
 */
export class Follower {
  #journal: Journal | undefined
  #seen = 0
  #round = 1
  #roundOf = new Int32Array(0)

  /** From now on: whoever starts looks at every node first. */
  start(journal: Journal, nodes: number): void {
    this.#journal = journal
    this.#seen = journal.end
    this.#round = 1
    this.#roundOf = new Int32Array(nodes)
  }

  /** Nothing was noted since it last read to the end. */
  isCurrent(journal: Journal): boolean {
    return this.#journal === journal && this.#seen === journal.end
  }

  /** The journal is another one, or no longer says all that happened: it is time to start again. */
  isLost(journal: Journal): boolean {
    return this.#journal !== journal || !journal.remembers(this.#seen)
  }

  /** The next touched node, or -1 when all were read. */
  next(): number {
    const journal = this.#journal
    while (journal !== undefined && this.#seen < journal.end) {
      const index = journal.at(this.#seen++)
      if (this.#roundOf[index] === this.#round) continue
      this.#roundOf[index] = this.#round
      return index
    }
    this.#round++
    return -1
  }
}
