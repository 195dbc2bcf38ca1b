import type { Prices } from './prices.ts'
import type { Shape, Typical } from './typical.ts'

/** How much each way of wasting a node's accelerators counts, in the same currency: thousandths of an accelerator. */
export interface Weights {
  /** What a typical member could not use of what is free now. */
  fragments: number
  /** What is left over when the node is filled with one typical shape alone. */
  filled: number
  /** What is left over beside one more typical member. */
  oneMore: number
  /** Holes at their price. */
  prices: number
}

/** Found on Alibaba's published lists (facts of our own research); `fragments` alone is FGD (USENIX ATC '23). */
export const defaultWeights: Weights = { fragments: 1, filled: 0.3, oneMore: 0.2, prices: 12 }

/** What packing looks at in a node: its free cores and what is free of each accelerator of one model. Shared, immutable. */
export interface PackingState {
  readonly model: string
  readonly cpuMilli: number
  /** Thousandths free of each healthy accelerator, ascending. */
  readonly free: readonly number[]
  readonly waste: number
  /** By shape. */
  readonly outcomes: (Outcome | undefined)[]
}

/** What placing one member of a shape on a node in this state is worth. */
export interface Outcome {
  /** 0 to 100, or -1 where it does not fit. Coarse on purpose: among equals the first node wins, so that nodes fill one by one. */
  score: number
  /** A share may go to any accelerator with so much free; empty for whole ones, which are all alike. */
  devices: readonly number[]
}

/**
 * Scores nodes for members by what placing them wastes. States and what they are worth are computed once: a fleet has few
 * shapes of node and of member, so most nodes are in a state that was seen before.
 */
export class Packing {
  readonly typical: readonly Typical[]
  readonly #prices: Prices
  readonly #weights: Weights
  readonly #gpuShare: number
  /** By hash. */
  readonly #states = new Map<number, PackingState[]>()
  readonly #shapes = new Map<string, { id: number; shape: Shape }>()

  constructor(typical: readonly Typical[], prices: Prices, weights: Weights = defaultWeights) {
    this.typical = typical
    this.#prices = prices
    this.#weights = weights
    this.#gpuShare = typical.reduce((sum, one) => sum + (one.count === 0 ? 0 : one.share), 0)
  }

  /** A number for the shape, under which states keep its outcome. */
  shapeId(shape: Shape): number {
    const key = `${shape.cpuMilli} ${shape.count} ${shape.milli} ${shape.models === undefined ? '*' : shape.models.join('|')}`
    const known = this.#shapes.get(key)
    if (known !== undefined) return known.id
    const id = this.#shapes.size
    this.#shapes.set(key, { id, shape })
    return id
  }

  /** `free` in any order. */
  state(model: string, cpuMilli: number, free: readonly number[]): PackingState {
    return this.#intern(
      model,
      cpuMilli,
      free.toSorted((a, b) => a - b),
    )
  }

  outcome(state: PackingState, id: number, shape: Shape): Outcome {
    const known = state.outcomes[id]
    if (known !== undefined) return known
    const outcome = this.#place(state, shape)
    state.outcomes[id] = outcome
    return outcome
  }

  #intern(model: string, cpuMilli: number, free: readonly number[]): PackingState {
    let hash = Math.imul(cpuMilli, 0x9e3779b1)
    for (const one of free) hash = Math.imul(hash ^ one, 0x01000193)
    const alike = this.#states.get(hash)
    const known = alike?.find((one) => one.cpuMilli === cpuMilli && one.model === model && equal(one.free, free))
    if (known !== undefined) return known
    const state: PackingState = { model, cpuMilli, free, waste: this.#waste(model, cpuMilli, free), outcomes: [] }
    if (this.#states.size >= statesMax) this.#states.clear() // they are worked out again
    if (alike === undefined) this.#states.set(hash, [state])
    else alike.push(state)
    return state
  }

  #place(state: PackingState, shape: Shape): Outcome {
    const { model, cpuMilli, free, waste } = state
    if (cpuMilli < shape.cpuMilli || !allows(shape, model) || copiesOf(free, shape) < 1) return noFit
    const left = cpuMilli - shape.cpuMilli
    const gained = 1000 * this.#weights.prices * this.#worth(shape)
    const scoreOf = (after: readonly number[]) =>
      this.typical.length === 0 ? fullness(after) : scoreFrom(waste - this.#waste(model, left, after) + gained)
    if (shape.count === 0) return { score: scoreOf(free), devices: [] }
    if (shape.milli >= 1000) {
      // Whole ones are the last `count` of those that are free in full.
      const after = [...free.slice(0, free.length - shape.count), ...new Array<number>(shape.count).fill(0)]
      return { score: scoreOf(after.sort((a, b) => a - b)), devices: [] }
    }
    let [score, devices] = [-1, [] as number[]]
    for (const [index, hole] of free.entries()) {
      if (hole < shape.milli || hole === free[index - 1]) continue
      const after = free.with(index, hole - shape.milli).sort((a, b) => a - b)
      const one = scoreOf(after)
      if (one > score) [score, devices] = [one, [hole]]
      else if (one === score) devices.push(hole)
    }
    return { score, devices }
  }

  #worth({ count, milli }: Shape): number {
    return count === 0 ? 0 : milli >= 1000 ? count : this.#prices.worth(milli)
  }

  #waste(model: string, cpuMilli: number, free: readonly number[]): number {
    const { fragments, filled, oneMore, prices } = this.#weights
    let [total, idle, first] = [0, 0, 0]
    for (const hole of free) {
      total += hole
      if (hole === 0) first++
      else if (hole >= 1000) idle++
    }
    let [fragmentsSum, filledSum, oneMoreSum] = [0, 0, 0]
    for (const shape of this.typical) {
      const { count, milli, share } = shape
      if (count === 0) {
        fragmentsSum += share * total
        continue
      }
      let [copies, slivers] = [0, 0]
      if (milli >= 1000) {
        copies = Math.floor(idle / count)
        slivers = total - idle * 1000
      } else {
        for (let at = first; at < free.length; at++) {
          const hole = free[at] ?? 0
          if (hole < milli) slivers += hole
          else copies += Math.floor(hole / milli)
        }
      }
      if (copies < 1 || cpuMilli < shape.cpuMilli || !allows(shape, model)) {
        fragmentsSum += share * total
        filledSum += share * total
        oneMoreSum += share * total
        continue
      }
      const possible = shape.cpuMilli === 0 ? copies : Math.min(copies, cpuMilli / shape.cpuMilli)
      fragmentsSum += share * slivers
      filledSum += share * (total - possible * count * milli)
      oneMoreSum += share * (total - Math.min(possible, 1) * count * milli)
    }
    let holes = 0
    if (prices !== 0) for (let at = first; at < free.length; at++) holes += this.#prices.hole(free[at] ?? 0)
    const ofGpus = filled * filledSum + oneMore * oneMoreSum
    return fragments * fragmentsSum + (ofGpus === 0 ? 0 : ofGpus / this.#gpuShare) - 1000 * prices * holes
  }
}

/** More states than a fleet of ten thousand nodes is in at once. */
const statesMax = 100_000

function equal(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

const noFit: Outcome = { score: -1, devices: [] }

function allows({ count, models }: Shape, model: string): boolean {
  return count === 0 || models === undefined || models.includes(model)
}

/** How many members the accelerators hold, cores aside. */
function copiesOf(free: readonly number[], { count, milli }: Shape): number {
  if (count === 0) return 1
  let copies = 0
  if (count === 1 && milli < 1000) for (const hole of free) copies += Math.floor(hole / milli)
  else {
    for (const hole of free) if (hole >= milli) copies++
    copies = Math.floor(copies / count)
  }
  return copies
}

/** While it is not known what comes, the fullest node: so that what is whole stays whole. */
function fullness(free: readonly number[]): number {
  return Math.max(0, 100 - Math.ceil(free.reduce((sum, hole) => sum + hole, 0) / 1000))
}

/** ⌊100 σ(gain/1000)⌋ with σ the logistic function. */
function scoreFrom(gain: number): number {
  return Math.floor(100 / (1 + Math.exp(-gain / 1000)))
}
