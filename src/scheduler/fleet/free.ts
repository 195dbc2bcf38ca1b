import { anyGpu, isMeant } from '../../model/accelerators.ts'
import { bankFor, type NodeState } from './nodes.ts'

/**
 * What each node has free, or has at all, side by side and by the node's index: what looks at ten thousand nodes reads
 * numbers in a row instead of objects all over the memory.
 */
export class Free {
  readonly cpuMilli: Float64Array
  readonly memoryBytes: Float64Array
  /** Infinity where ports are not given out. */
  readonly ports: Float64Array
  /** How many more pods may run; Infinity where the node does not say. */
  readonly pods: Float64Array
  /** 1 where accelerators are slices of some, which are given whole. */
  readonly isSliced: Uint8Array
  /** 1 where nothing new may go. */
  readonly isClosed: Uint8Array
  /** How often a node was closed or opened. */
  openings = 0
  readonly #order: readonly NodeState[]
  readonly #isEmpty: boolean
  readonly #banks = new Map<string, Bank>()
  readonly #gpuModels = new Set<string>()

  /** `empty`: as if nobody held anything. */
  constructor(order: readonly NodeState[], when: 'now' | 'empty') {
    this.cpuMilli = new Float64Array(order.length)
    this.memoryBytes = new Float64Array(order.length)
    this.ports = new Float64Array(order.length)
    this.pods = new Float64Array(order.length)
    this.isSliced = Uint8Array.from(order, ({ isSliced }) => (isSliced ? 1 : 0))
    this.isClosed = new Uint8Array(order.length)
    this.#order = order
    this.#isEmpty = when === 'empty'
    for (const node of order) this.look(node)
    for (const { banks } of order)
      for (const model of banks.keys()) if (isMeant(anyGpu, model)) this.#gpuModels.add(model)
    for (const model of this.#gpuModels) this.bank(model)
  }

  /** Takes over what has changed on the node. */
  look(node: NodeState): void {
    const { index, ports } = node
    this.cpuMilli[index] = this.#isEmpty ? node.cpuMilli : node.cpuMilliFree
    this.memoryBytes[index] = this.#isEmpty ? node.memoryBytes : node.memoryBytesFree
    const used = this.#isEmpty ? 0 : node.portsUsed.size
    this.ports[index] = ports === undefined ? Number.POSITIVE_INFINITY : ports.to - ports.from + 1 - used
    const pods = this.#isEmpty ? 0 : node.claims.size
    this.pods[index] = node.podsMax === undefined ? Number.POSITIVE_INFINITY : node.podsMax - pods
    const isClosed = node.closed === undefined ? 0 : 1
    if (this.isClosed[index] !== isClosed) this.openings++
    this.isClosed[index] = isClosed
    for (const bank of this.#banks.values()) bank.look(node)
  }

  /** Accelerators of a model that are free on nodes that take new work, in thousandths. */
  milliFree(model: string): number {
    const { free, from } = this.bank(model)
    let milli = 0
    for (let index = 0; index < this.isClosed.length; index++) {
      if (this.isClosed[index] === 1) continue
      const to = from[index + 1] ?? 0
      for (let at = from[index] ?? 0; at < to; at++) milli += free[at] ?? 0
    }
    return milli
  }

  /** The nodes' accelerators of a model. */
  bank(model: string): Bank {
    const known = this.#banks.get(model)
    if (known !== undefined) return known
    const [only] = this.#gpuModels
    if (model === anyGpu && only !== undefined && this.#gpuModels.size === 1 && only !== anyGpu) return this.bank(only)
    const bank = new Bank(this.#order, model, this.#isEmpty)
    // Models that no node has are not kept: there may be any number of them.
    if (bank.total > 0) this.#banks.set(model, bank)
    return bank
  }
}

/** Thousandths free of each healthy accelerator of one model: of node i, ascending, from `from[i]` to `from[i + 1]`. */
export class Bank {
  readonly model: string
  readonly from: Int32Array
  readonly free: Float64Array
  /** With those that are not healthy. */
  readonly total: number
  readonly #isEmpty: boolean

  constructor(order: readonly NodeState[], model: string, isEmpty: boolean) {
    this.model = model
    this.#isEmpty = isEmpty
    this.from = new Int32Array(order.length + 1)
    let total = 0
    for (const node of order) total += bankFor(node, model).length
    this.total = total
    this.free = new Float64Array(total)
    for (const node of order) this.from[node.index + 1] = this.#enter(node)
  }

  look(node: NodeState): void {
    if (this.from[node.index] !== this.from[node.index + 1]) this.#enter(node)
  }

  /** Enters the node's accelerators; behind the last of them. */
  #enter(node: NodeState): number {
    const from = this.from[node.index] ?? 0
    let to = from
    for (const { healthy, usedMilli } of bankFor(node, this.model)) {
      if (!healthy) continue
      const free = this.#isEmpty ? 1000 : Math.max(0, 1000 - usedMilli)
      let at = to++
      for (; at > from && (this.free[at - 1] ?? 0) > free; at--) this.free[at] = this.free[at - 1] ?? 0
      this.free[at] = free
    }
    return to
  }
}
