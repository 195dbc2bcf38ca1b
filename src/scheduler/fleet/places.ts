import type { Packing } from '../packing/packing.ts'
import type { Shape } from '../packing/typical.ts'

/** A size of member that needs so many whole accelerators of a node, and how many of it to expect per free accelerator. */
export interface Large {
  size: number
  perAccelerator: number
}

/** Shelf and rank of each state for members of one shape, in a fabric that is whole. Worked out once. */
export class Places {
  readonly #packing: Packing
  readonly #large: readonly Large[]
  readonly #shape: Shape
  #placeOf: Int16Array

  constructor(packing: Packing, large: readonly Large[], shape: Shape) {
    this.#packing = packing
    this.#large = large
    this.#shape = shape
    this.#placeOf = new Int16Array(2 * packing.size).fill(unknown)
  }

  isOf(packing: Packing, large: readonly Large[]): boolean {
    return this.#packing === packing && this.#large === large
  }

  of(state: number): number {
    const known = this.#placeOf[state] ?? unknown
    if (known !== unknown) return known
    if (state >= this.#placeOf.length) {
      const longer = new Int16Array(2 * this.#packing.size).fill(unknown)
      longer.set(this.#placeOf)
      this.#placeOf = longer
    }
    const packed = this.#packing.at(state)
    const { score, devices } = this.#packing.outcome(packed, this.#shape)
    const place = (this.#lostBy(packed.holes.free, devices) << 9) | (Math.max(0, score) * 4)
    this.#placeOf[state] = place
    return place
  }

  /** Which sizes lose room when the member sits there. */
  #lostBy(free: Float64Array, devices: readonly number[]): number {
    const { count, milli } = this.#shape
    const breaksOne = milli < 1000 && count > 0 && devices.length === 1 && devices[0] === 1000
    const taken = milli >= 1000 ? count : breaksOne ? 1 : 0
    if (taken === 0 || this.#large.length === 0) return 0
    let idle = 0
    for (let at = free.length - 1; at >= 0 && (free[at] ?? 0) >= 1000; at--) idle++
    let bits = 0
    for (const [bit, { size }] of this.#large.entries()) {
      if (size > count && Math.floor(idle / size) > Math.floor((idle - taken) / size)) bits |= 1 << bit
    }
    return bits
  }
}

const unknown = -1
