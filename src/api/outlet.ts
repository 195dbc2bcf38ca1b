/**
 * When this much has piled up nothing more is taken. What was is still delivered, so that the next watch begins after it:
 * whoever has more than this to catch up on gets there in a few watches.
 */
const pendingCharactersMax = 32 * 1024 * 1024

/** Between a producer that cannot wait (the store's watch) and a reader that may be slow (a socket). For one reader. */
export class Outlet implements AsyncIterable<string> {
  #pending: string[] = []
  #characters = 0
  #ended = false
  #wake: (() => void) | undefined
  #whenOver: (() => void)[] = []

  constructor(signal: AbortSignal) {
    if (signal.aborted) this.end()
    else signal.addEventListener('abort', () => this.cut(), { once: true })
  }

  push(text: string): void {
    if (this.#ended) return
    this.pushUncounted(text)
    this.#characters += text.length
    if (this.#characters > pendingCharactersMax) this.end()
  }

  /** For what comes at the beginning and is there only as a whole: half of it would be begun anew for ever. */
  pushUncounted(text: string): void {
    if (this.#ended) return
    this.#pending.push(text)
    this.#wake?.()
  }

  /** What was pushed before is still delivered. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const run of this.#whenOver.splice(0)) run()
    this.#wake?.()
  }

  whenOver(run: () => void): void {
    if (this.#ended) run()
    else this.#whenOver.push(run)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    while (true) {
      if (this.#pending.length > 0) {
        const text = this.#pending.join('')
        this.#pending = []
        this.#characters = 0
        yield text
      } else if (this.#ended) {
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = undefined
      }
    }
  }

  /** The reader has gone. */
  private cut(): void {
    this.#pending = []
    this.end()
  }
}
