/**
 * Reads a journal of touched nodes from where it last stopped, each node once: one that fills up is touched again and again.
 */
export class Follower {
  #seen = 0
  #round = 0
  #roundOf = new Int32Array(0)

  /** From now on, in a layout of so many nodes. */
  start(journal: readonly number[], nodes: number): void {
    this.#seen = journal.length
    this.#round = 0
    this.#roundOf = new Int32Array(nodes)
  }

  read(journal: readonly number[], look: (index: number) => void): void {
    if (this.#seen === journal.length) return
    this.#round++
    for (; this.#seen < journal.length; this.#seen++) {
      const index = journal[this.#seen] ?? -1
      if (this.#roundOf[index] === this.#round) continue
      this.#roundOf[index] = this.#round
      look(index)
    }
  }
}
