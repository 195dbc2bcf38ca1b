/** Items that come in order, of which no more are looked at than are asked for. */
export class Sequence<T> implements Iterable<T> {
  readonly #rest: Iterator<T>
  #first: { item: T } | undefined

  constructor(items: Iterable<T>) {
    this.#rest = items[Symbol.iterator]()
  }

  get isEmpty(): boolean {
    return this.#look() === undefined
  }

  peek(): T | undefined {
    return this.#look()?.item
  }

  pop(): T | undefined {
    const first = this.#look()
    this.#first = undefined
    return first?.item
  }

  /** Those that were not given yet. */
  *[Symbol.iterator](): Iterator<T> {
    for (let first = this.#look(); first !== undefined; first = this.#look()) {
      this.#first = undefined
      yield first.item
    }
  }

  #look(): { item: T } | undefined {
    if (this.#first !== undefined) return this.#first
    const next = this.#rest.next()
    if (next.done !== true) this.#first = { item: next.value }
    return this.#first
  }
}
