import { Heap } from '../../base/heap.ts'

const firstBatch = 8
const growth = 8

/**
 * Gives items in order and sorts no more of them than are asked for: mostly a few are, of very many. Each batch is found
 * in one pass over what is left, and is several times as large as the one before.
 */
export class Shortlist<T> {
  readonly #compare: (a: T, b: T) => number
  #rest: readonly T[]
  /** The first of what is left, the very first at the end. */
  #batch: T[] = []
  #batchSize = firstBatch

  /** @param compare Never 0 between two different items. */
  constructor(items: readonly T[], compare: (a: T, b: T) => number) {
    this.#compare = compare
    this.#rest = items
  }

  get isEmpty(): boolean {
    return this.#batch.length === 0 && this.#rest.length === 0
  }

  peek(): T | undefined {
    this.#fill()
    return this.#batch.at(-1)
  }

  pop(): T | undefined {
    this.#fill()
    return this.#batch.pop()
  }

  /** All that were not given yet, in no order. */
  left(): T[] {
    return [...this.#batch, ...this.#rest]
  }

  #fill(): void {
    if (this.#batch.length > 0) return
    const first = new Heap<T>((a, b) => this.#compare(b, a))
    const rest: T[] = []
    for (const item of this.#rest) {
      const last = first.peek()
      if (last === undefined || first.size < this.#batchSize) first.push(item)
      else if (this.#compare(item, last) < 0) {
        first.pop()
        first.push(item)
        rest.push(last)
      } else rest.push(item)
    }
    for (let last = first.pop(); last !== undefined; last = first.pop()) this.#batch.push(last)
    this.#rest = rest
    this.#batchSize *= growth
  }
}
