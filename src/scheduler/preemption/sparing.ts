import type { Candidate } from '../quota/candidates.ts'
import type { QuotaTree } from '../quota/tree.ts'

/**
 * Whose seats are kept from the work of a queue for a while yet: who has not had its minimum run time. That of the
 * nearest Queue counts of which both are part (`QuotaTree.minRunSeconds`), from when the seats were given.
 */
export class Sparing {
  /** When it ends for those that were in the way. */
  readonly ends = new Set<number>()
  readonly #quota: QuotaTree
  readonly #queue: string
  readonly #atMs: number
  readonly #minRunMs = new Map<string, number>()

  /** As it will be at `atMs`. */
  constructor(quota: QuotaTree, queue: string, atMs: number) {
    this.#quota = quota
    this.#queue = queue
    this.#atMs = atMs
  }

  spares({ queue, sinceMs, leaving }: Candidate): boolean {
    const endMs = sinceMs + this.#minRunIn(queue)
    if (leaving || endMs <= this.#atMs) return false
    this.ends.add(endMs)
    return true
  }

  #minRunIn(queue: string): number {
    const known = this.#minRunMs.get(queue)
    if (known !== undefined) return known
    const ms = 1000 * this.#quota.minRunSeconds(this.#queue, queue)
    this.#minRunMs.set(queue, ms)
    return ms
  }
}
