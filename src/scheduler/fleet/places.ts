import type { Packing, PackingState } from '../packing/packing.ts'
import type { Shape } from '../packing/typical.ts'

/** A member that needs several whole accelerators of one node, and cores; and how many of it there are among all who ask. */
export interface Large {
  count: number
  cpuMilli: number
  members: number
}

/** What all who ask take together. */
export interface Asked {
  accelerators: number
  cpuMilli: number
}

/** How many of it are held by a node with so many idle accelerators and free cores. */
export function held({ count, cpuMilli }: Pick<Large, 'count' | 'cpuMilli'>, idle: number, free: number): number {
  const byCount = Math.floor(idle / count)
  return cpuMilli === 0 ? byCount : Math.min(byCount, Math.floor(free / cpuMilli))
}

/** Shelf and rank of each state for members of one shape, in a fabric that is whole. Worked out once. */
export class Places {
  readonly #packing: Packing
  readonly #large: readonly Large[]
  readonly #shape: Shape
  #placeOf: Int32Array

  constructor(packing: Packing, large: readonly Large[], shape: Shape) {
    this.#packing = packing
    this.#large = large
    this.#shape = shape
    this.#placeOf = new Int32Array(2 * packing.size).fill(unknown)
  }

  isOf(packing: Packing, large: readonly Large[]): boolean {
    return this.#packing === packing && this.#large === large
  }

  of(state: number): number {
    const known = this.#placeOf[state] ?? unknown
    if (known !== unknown) return known
    if (state >= this.#placeOf.length) {
      const longer = new Int32Array(2 * this.#packing.size).fill(unknown)
      longer.set(this.#placeOf)
      this.#placeOf = longer
    }
    const packed = this.#packing.at(state)
    const { score, devices } = this.#packing.outcome(packed, this.#shape)
    const place = (this.#lostBy(packed, devices) << 9) | (Math.max(0, score) * 4)
    this.#placeOf[state] = place
    return place
  }

  /** Which large members lose room when the member sits there, those aside that ask for no more than it does. */
  #lostBy({ cpuMilli, holes }: PackingState, devices: readonly number[]): number {
    if (this.#large.length === 0) return 0
    const { free } = holes
    const shape = this.#shape
    const whole = shape.milli >= 1000 ? shape.count : 0
    const taken = whole === 0 && devices.length === 1 && devices[0] === 1000 ? 1 : whole
    let idle = 0
    for (let at = free.length - 1; at >= 0 && (free[at] ?? 0) >= 1000; at--) idle++
    let bits = 0
    for (const [bit, large] of this.#large.entries()) {
      if (large.count <= whole && large.cpuMilli <= shape.cpuMilli) continue
      if (held(large, idle - taken, cpuMilli - shape.cpuMilli) < held(large, idle, cpuMilli)) bits |= 1 << bit
    }
    return bits
  }
}

const unknown = -1
