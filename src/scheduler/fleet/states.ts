import type { Packing } from '../packing/packing.ts'
import type { Bank, Free } from './free.ts'
import { Follower } from './journal.ts'
import type { LaidOut } from './laid-out.ts'
import { bankFor } from './nodes.ts'

/** The state of each node, as packing sees its accelerators of one model. Kept current like `Rooms`. */
export class States {
  readonly #fleet: LaidOut
  readonly #model: string
  readonly #follower = new Follower()
  #packing: Packing | undefined
  /** What the accelerators are, by node: of any GPU, one or the other. */
  #models: string[] = []
  #states = new Int32Array(0)

  constructor(fleet: LaidOut, model: string) {
    this.#fleet = fleet
    this.#model = model
  }

  /** By node, as of now. */
  all(packing: Packing): Int32Array {
    const { journal } = this.#fleet
    if (this.#packing === packing && this.#follower.isCurrent(journal)) return this.#states
    const { order, free } = this.#fleet
    const bank = free.bank(this.#model)
    const isLost = this.#follower.isLost(journal)
    if (isLost) this.#models = order.map((node) => bankFor(node, this.#model)[0]?.model ?? this.#model)
    if (isLost || this.#packing !== packing) {
      this.#follower.start(journal, order.length)
      this.#packing = packing
      this.#states = new Int32Array(order.length)
      this.#setAll(free, bank, packing)
      return this.#states
    }
    for (let index = this.#follower.next(); index >= 0; index = this.#follower.next()) {
      this.#set(index, free, bank, packing)
    }
    return this.#states
  }

  #setAll(free: Free, bank: Bank, packing: Packing): void {
    for (let index = 0; index < this.#states.length; index++) {
      if (index > 0 && this.#isLikeLast(index, free, bank)) this.#states[index] = this.#states[index - 1] ?? 0
      else this.#set(index, free, bank, packing)
    }
  }

  /** Most are like the one before them. */
  #isLikeLast(index: number, { cpuMilli }: Free, { from, free }: Bank): boolean {
    if (cpuMilli[index] !== cpuMilli[index - 1] || this.#models[index] !== this.#models[index - 1]) return false
    const [before, here, end] = [from[index - 1] ?? 0, from[index] ?? 0, from[index + 1] ?? 0]
    if (end - here !== here - before) return false
    for (let at = here; at < end; at++) if (free[at] !== free[at - here + before]) return false
    return true
  }

  #set(index: number, { cpuMilli }: Free, bank: Bank, packing: Packing): void {
    const model = this.#models[index] ?? this.#model
    const from = bank.from[index] ?? 0
    const to = bank.from[index + 1] ?? 0
    this.#states[index] = packing.stateOf(model, cpuMilli[index] ?? 0, bank.free, from, to)
  }
}
