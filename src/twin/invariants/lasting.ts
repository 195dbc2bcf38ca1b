/** What is found again at each look has lasted since it was first found. */
export class Lasting {
  readonly #sinceMs = new Map<string, number>()

  /** One that has lasted for longer than `msMax`. */
  over(found: Iterable<string>, nowMs: number, msMax: number): string | undefined {
    const present = new Set(found)
    for (const what of this.#sinceMs.keys()) if (!present.has(what)) this.#sinceMs.delete(what)
    let longest: string | undefined
    for (const what of present) {
      const sinceMs = this.#sinceMs.get(what) ?? nowMs
      this.#sinceMs.set(what, sinceMs)
      if (longest === undefined && nowMs - sinceMs > msMax) longest = what
    }
    return longest
  }

  clear(): void {
    this.#sinceMs.clear()
  }
}
