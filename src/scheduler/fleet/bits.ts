/** A set of small whole numbers, ordered: the next one at or after a given one is found in constant time. */
export class Bits {
  readonly #words: Uint32Array
  /** One bit for each word that is not zero. */
  readonly #summary: Uint32Array
  size = 0

  constructor(length: number) {
    this.#words = new Uint32Array((length + 31) >>> 5)
    this.#summary = new Uint32Array((this.#words.length + 31) >>> 5)
  }

  has(value: number): boolean {
    return (((this.#words[value >>> 5] ?? 0) >>> (value & 31)) & 1) === 1
  }

  add(value: number): void {
    const word = value >>> 5
    const before = this.#words[word] ?? 0
    const after = (before | (1 << (value & 31))) >>> 0
    if (after === before) return
    this.#words[word] = after
    this.#summary[word >>> 5] = ((this.#summary[word >>> 5] ?? 0) | (1 << (word & 31))) >>> 0
    this.size++
  }

  remove(value: number): void {
    const word = value >>> 5
    const before = this.#words[word] ?? 0
    const after = (before & ~(1 << (value & 31))) >>> 0
    if (after === before) return
    this.#words[word] = after
    if (after === 0) this.#summary[word >>> 5] = ((this.#summary[word >>> 5] ?? 0) & ~(1 << (word & 31))) >>> 0
    this.size--
  }

  /** The least one in [from, to), or -1. */
  next(from: number, to: number): number {
    if (this.size === 0 || from >= to) return -1
    const word = from >>> 5
    const rest = (this.#words[word] ?? 0) & (-1 << (from & 31))
    const found = rest !== 0 ? word * 32 + lowest(rest) : this.#first(this.#nextWord(word + 1))
    return found >= 0 && found < to ? found : -1
  }

  #nextWord(from: number): number {
    let index = from >>> 5
    if (index >= this.#summary.length) return -1
    let rest = (this.#summary[index] ?? 0) & (-1 << (from & 31))
    while (rest === 0) {
      index++
      if (index >= this.#summary.length) return -1
      rest = this.#summary[index] ?? 0
    }
    return index * 32 + lowest(rest)
  }

  #first(word: number): number {
    return word < 0 ? -1 : word * 32 + lowest(this.#words[word] ?? 0)
  }
}

function lowest(word: number): number {
  return 31 - Math.clz32(word & -word)
}
