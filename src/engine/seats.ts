/**
 * The places in which generations run, and a bounded queue in arrival order before them. `take` answers 'full' when
 * the queue is, and 'left' when the signal aborts first; a seat that was taken must be given back once.
 */
export class Seats {
  readonly #free: number[]
  readonly #waiting: Waiter[] = []
  readonly #queueMax: number
  readonly total: number

  constructor(total: number, queueMax: number) {
    this.total = total
    this.#queueMax = queueMax
    this.#free = Array.from({ length: total }, (_, seat) => seat)
  }

  get running(): number {
    return this.total - this.#free.length
  }

  get queued(): number {
    return this.#waiting.length
  }

  /** `choose` picks one of the free seats when the turn comes. */
  async take(choose: (free: readonly number[]) => number, signal: AbortSignal): Promise<number | 'full' | 'left'> {
    if (signal.aborted) return 'left'
    if (this.#free.length > 0) return this.#claim(choose)
    if (this.#waiting.length >= this.#queueMax) return 'full'
    return new Promise((resolve) => {
      const waiter: Waiter = { choose, resolve: settle }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        settle('left')
      }
      function settle(answer: number | 'left') {
        signal.removeEventListener('abort', leave)
        resolve(answer)
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiter)
    })
  }

  give(seat: number): void {
    this.#free.push(seat)
    const next = this.#waiting.shift()
    if (next !== undefined) next.resolve(this.#claim(next.choose))
  }

  #claim(choose: (free: readonly number[]) => number): number {
    const chosen = choose(this.#free)
    const at = Math.max(0, this.#free.indexOf(chosen))
    const [seat] = this.#free.splice(at, 1)
    if (seat === undefined) throw new Error('claimed a seat while none was free')
    return seat
  }
}

interface Waiter {
  choose: (free: readonly number[]) => number
  resolve: (answer: number | 'left') => void
}
