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
      for (let index = 0; index < order.length; index++) this.#set(index, free, bank, packing)
      return this.#states
    }
    for (let index = this.#follower.next(); index >= 0; index = this.#follower.next()) {
      this.#set(index, free, bank, packing)
    }
    return this.#states
  }

  #set(index: number, { cpuMilli }: Free, bank: Bank, packing: Packing): void {
    const model = this.#models[index] ?? this.#model
    const from = bank.from[index] ?? 0
    const to = bank.from[index + 1] ?? 0
    this.#states[index] = packing.stateOf(model, cpuMilli[index] ?? 0, bank.free, from, to)
  }
}
