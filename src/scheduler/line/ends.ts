import { compare } from '../compare.ts'
import type { Fleet } from '../fleet/fleet.ts'

/** What ends at a time that is known. */
export interface Ending {
  /** Of several at one time the first by name: whoever was told of them in another order keeps the same nodes. */
  gang: string
  atMs: number
  pods(): Iterable<string>
}

/**
 * The fleet as it comes to be when one gang after another ends. Used inside `Fleet.attempt`, which puts all back. Ends are
 * tried by doubling, then bisection: O(log ends) placements.
 */
export class Ends<E extends Ending> {
  readonly #fleet: Fleet
  /** In order of time. */
  readonly #endings: E[]
  #ended = 0

  constructor(fleet: Fleet, endings: Iterable<E>) {
    this.#fleet = fleet
    this.#endings = [...endings].sort(inTurn)
  }

  /** Those that have taken place. */
  get past(): readonly E[] {
    return this.#endings.slice(0, this.#ended)
  }

  /** As late as it has become; undefined while nothing has ended. */
  get atMs(): number | undefined {
    return this.#endings[this.#ended - 1]?.atMs
  }

  /** Lets as many more take place as `place` needs, at least so many; none if it would not do after all of them either. */
  until<T>(place: () => T | undefined, atLeast = 0): T | undefined {
    const [before, most] = [this.#ended, this.#endings.length]
    let tooFew = before + atLeast - 1
    let placed: T | undefined
    for (let step = 1; placed === undefined && tooFew < most; step *= 2) {
      this.#endFirst(Math.min(most, tooFew + step))
      placed = place()
      if (placed === undefined) tooFew = this.#ended
    }
    if (placed === undefined) {
      this.#endFirst(before)
      return undefined
    }
    let fits = this.#ended
    while (fits - tooFew > 1) {
      const middle = (fits + tooFew) >> 1
      this.#endFirst(middle)
      const sooner = place()
      if (sooner === undefined) tooFew = middle
      else [fits, placed] = [middle, sooner]
    }
    this.#endFirst(fits)
    return placed
  }

  /** One more, not before what has ended already. */
  add(ending: E): void {
    let [low, high] = [this.#ended, this.#endings.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#endings[middle]
      if (other !== undefined && inTurn(other, ending) <= 0) low = middle + 1
      else high = middle
    }
    this.#endings.splice(low, 0, ending)
  }

  /** Nothing has ended. */
  rewind(): void {
    this.#endFirst(0)
  }

  #endFirst(count: number): void {
    for (; this.#ended < count; this.#ended++) {
      for (const pod of this.#endings[this.#ended]?.pods() ?? []) this.#fleet.lift(pod)
    }
    for (; this.#ended > count; this.#ended--) {
      for (const pod of this.#endings[this.#ended - 1]?.pods() ?? []) this.#fleet.putBack(pod)
    }
  }
}

function inTurn(a: Ending, b: Ending): number {
  return a.atMs - b.atMs || compare(a.gang, b.gang)
}
