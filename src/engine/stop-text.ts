/**
 * Cuts a text that arrives in pieces at the first stop sequence. Text that may be the beginning of one is held back
 * until it is clear that it is not, so that no part of a stop sequence is ever sent.
 */
export class StopText {
  readonly #stops: readonly string[]
  #held = ''
  #stopped = false

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '')
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** What may be sent now. */
  push(piece: string): string {
    if (this.#stopped) return ''
    const text = this.#held + piece
    const cut = this.#firstStop(text)
    if (cut !== undefined) {
      this.#stopped = true
      this.#held = ''
      return text.slice(0, cut)
    }
    const keep = this.#possibleStop(text)
    this.#held = text.slice(text.length - keep)
    return text.slice(0, text.length - keep)
  }

  /** What was held back when the text ended by itself. */
  rest(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }

  #firstStop(text: string): number | undefined {
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0)
    return found.length === 0 ? undefined : Math.min(...found)
  }

  /** Length of the longest end of `text` that begins a stop sequence. */
  #possibleStop(text: string): number {
    let longest = 0
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length
      }
    }
    return longest
  }
}
