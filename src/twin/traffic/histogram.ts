/**
 * Counts of positive values on a logarithmic scale: a quantile is within 1 % of a value that occurred at that rank, and
 * memory does not grow with their number (DDSketch, VLDB 2019). The mean is exact.
 */
export class Histogram {
  readonly #counts = new Map<number, number>()
  #count = 0
  #sum = 0
  #max = 0

  get count(): number {
    return this.#count
  }

  get mean(): number {
    return this.#sum / this.#count
  }

  get max(): number {
    return this.#max
  }

  /** Values below `least` count as that. */
  add(value: number): void {
    const bucket = Math.ceil(Math.log(Math.max(least, value)) / logBase)
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1)
    this.#count++
    this.#sum += value
    if (value > this.#max) this.#max = value
  }

  /** As if the values of the other had been added one by one. */
  merge(other: Histogram): void {
    for (const [bucket, count] of other.#counts) this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count)
    this.#count += other.#count
    this.#sum += other.#sum
    this.#max = Math.max(this.#max, other.#max)
  }

  /** The value at this share of all, by nearest rank; undefined of nothing. */
  at(share: number): number | undefined {
    let left = Math.max(1, Math.ceil(share * this.#count))
    for (const bucket of [...this.#counts.keys()].toSorted((a, b) => a - b)) {
      left -= this.#counts.get(bucket) ?? 0
      if (left <= 0) return (2 * Math.exp(bucket * logBase)) / (base + 1)
    }
    return undefined
  }
}

const error = 0.01
const base = (1 + error) / (1 - error)
const logBase = Math.log(base)
const least = 1e-3
