import { assert } from '../../base/errors.ts'
import { coresFilled } from './cores.ts'
import type { Prices } from './prices.ts'
import type { Shape, Typical } from './typical.ts'

/** How much each way of wasting a node's accelerators counts, in the same currency: thousandths of an accelerator. */
export interface Weights {
  /** What a typical member could not use of what is free now. */
  fragments: number
  /** Accelerators for which the node has no cores left, if each takes as many as members mostly take with one. */
  starved: number
  /** Cores that members without accelerators cannot fill, as the accelerators that they would serve. */
  cores: number
  /** What is left over beside one more typical member. */
  oneMore: number
  /** Holes at their price. */
  prices: number
}

/**
 * While much is free. Tuned on Alibaba's published lists, with seeds 1000 to 1005 and 2000 to 2005; the last choice among
 * three variants (when `oneMore` counts, how much of the free cores counts as of use) was made with the seeds seen that
 * docs/PERFORMANCE.md reports. `fragments` alone is FGD (USENIX ATC '23).
 */
export const roomyWeights: Weights = { fragments: 1, starved: 0.5, cores: 0.3, oneMore: 0, prices: 12 }
/** Room for one more of each is worth keeping only where it gets rare: before, it would break open one whole node after another. */
export const tightWeights: Weights = { ...roomyWeights, oneMore: 0.3 }

/** What is free of a node's accelerators of one model, and what becomes of it. Shared, immutable. */
interface Holes {
  readonly model: string
  /** Thousandths free of each healthy accelerator, ascending. */
  readonly free: Float64Array
  readonly total: number
  /** What they are worth at their prices. */
  readonly worth: number
  /** By typical shape: how many of it they hold, cores aside, and what is free of those too small for one. */
  readonly copies: Float64Array
  readonly slivers: Float64Array
  /** The states of nodes with these holes, by their free cores. */
  states: Map<number, PackingState> | undefined
  /** What they become, by what is taken of which. */
  after: Map<number, Holes> | undefined
}

/** What one accelerator with so much free is worth, and, by typical shape, how many of it fit and what is left idle. */
type Hole = Pick<Holes, 'worth' | 'copies' | 'slivers'>

/** What packing looks at in a node: its free cores and what is free of its accelerators. Shared. */
export interface PackingState {
  readonly id: number
  readonly cpuMilli: number
  readonly holes: Holes
  readonly waste: number
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
  /** Cores, in thousandths, that members mostly take with a thousandth of an accelerator. */
  readonly #coresEach: number
  readonly #coresFilled: (cpuMilli: number) => number
  readonly #states: PackingState[] = []
  /** By model and hash. */
  readonly #holes = new Map<string, Map<number, Holes[]>>()
  #holesKept = 0
  readonly #eachHole = new Map<number, Hole>()
  /** Of each typical shape, in a row. */
  readonly #cores: Float64Array
  readonly #shares: Float64Array
  readonly #counts: Float64Array
  readonly #millis: Float64Array

  constructor(typical: readonly Typical[], prices: Prices, weights: Weights = roomyWeights) {
    this.typical = typical
    this.#prices = prices
    this.#weights = weights
    const ofGpus = typical.filter(({ count }) => count > 0)
    const mean = (of: (one: Typical) => number) => ofGpus.reduce((sum, one) => sum + one.share * of(one), 0)
    this.#gpuShare = mean(() => 1)
    this.#coresEach =
      ofGpus.length === 0 ? 0 : mean(({ cpuMilli }) => cpuMilli) / mean(({ count, milli }) => count * milli)
    this.#coresFilled = coresFilled(typical.filter(({ count }) => count === 0).map(({ cpuMilli }) => cpuMilli))
    this.#cores = Float64Array.from(typical, ({ cpuMilli }) => cpuMilli)
    this.#shares = Float64Array.from(typical, ({ share }) => share)
    this.#counts = Float64Array.from(typical, ({ count }) => count)
    this.#millis = Float64Array.from(typical, ({ milli }) => milli)
  }

  /** The same by other weights; itself if it goes by them already. */
  weighed(weights: Weights): Packing {
    return weights === this.#weights ? this : new Packing(this.typical, this.#prices, weights)
  }

  /** The same, without the states that it has seen: they are worked out again. */
  fresh(): Packing {
    return new Packing(this.typical, this.#prices, this.#weights)
  }

  /** How many states were seen. */
  get size(): number {
    return this.#states.length
  }

  /** It keeps more than so many nodes have any use for: `fresh` is due. */
  isTooLarge(nodes: number): boolean {
    return this.#states.length + this.#holesKept > Math.max(keptMax, 4 * nodes)
  }

  /** `free` in any order. */
  state(model: string, cpuMilli: number, free: readonly number[]): PackingState {
    const holes = Float64Array.from(free).sort()
    return this.at(this.stateOf(model, cpuMilli, holes, 0, holes.length))
  }

  at(id: number): PackingState {
    const state = this.#states[id]
    assert(state !== undefined, `there is no state ${id}`)
    return state
  }

  /** The number of the state where what lies in `free` between `from` and `to`, ascending, is free. */
  stateOf(model: string, cpuMilli: number, free: Float64Array, from: number, to: number): number {
    const holes = this.#holesOf(model, free, from, to)
    const known = holes.states?.get(cpuMilli)
    if (known !== undefined) return known.id
    const state = { id: this.#states.length, cpuMilli, holes, waste: this.#waste(cpuMilli, holes) }
    this.#states.push(state)
    holes.states ??= new Map()
    holes.states.set(cpuMilli, state)
    return state.id
  }

  outcome({ cpuMilli, holes, waste }: PackingState, shape: Shape): Outcome {
    const { model, free } = holes
    if (cpuMilli < shape.cpuMilli || !allows(shape, model) || !holds(free, shape)) return noFit
    const left = cpuMilli - shape.cpuMilli
    const gained = 1000 * this.#weights.prices * this.#worth(shape)
    if (shape.count === 0) return { score: this.#score(waste, left, holes, gained), devices: none }
    if (shape.milli >= 1000) {
      // Whole ones are the last `count` of those that are free in full.
      const after = this.#without(holes, free.length - shape.count, shape)
      return { score: this.#score(waste, left, after, gained), devices: none }
    }
    let score = -1
    let devices: number[] = []
    for (let index = 0; index < free.length; index++) {
      const hole = free[index] ?? 0
      if (hole < shape.milli || hole === free[index - 1]) continue
      const one = this.#score(waste, left, this.#without(holes, index, shape), gained)
      if (one > score) {
        score = one
        devices = [hole]
      } else if (one === score) devices.push(hole)
    }
    return { score, devices }
  }

  #score(waste: number, left: number, after: Holes, gained: number): number {
    if (this.typical.length === 0) return fullness(after)
    return scoreFrom(waste - this.#waste(left, after) + gained)
  }

  #worth({ count, milli }: Shape): number {
    return count === 0 ? 0 : milli >= 1000 ? count : this.#prices.worth(milli)
  }

  /** What is left when a member takes its share of the one at `index`, or, of whole ones, that and those behind it. */
  #without(holes: Holes, index: number, { milli }: Shape): Holes {
    const key = index * 1001 + Math.min(milli, 1000)
    const known = holes.after?.get(key)
    if (known !== undefined) return known
    const free = holes.free.slice()
    if (milli >= 1000) free.fill(0, index)
    else free[index] = (free[index] ?? 0) - milli
    const after = this.#holesOf(holes.model, free.sort(), 0, free.length)
    holes.after ??= new Map()
    holes.after.set(key, after)
    return after
  }

  #holesOf(model: string, free: Float64Array, from: number, to: number): Holes {
    let hash = to - from
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ (free[at] ?? 0), 0x01000193)
    const ofModel = this.#holes.get(model) ?? new Map<number, Holes[]>()
    const alike = ofModel.get(hash)
    if (alike !== undefined) for (const one of alike) if (isEqual(one.free, free, from, to)) return one
    const holes = this.#measure(model, free.slice(from, to))
    this.#holesKept++
    this.#holes.set(model, ofModel)
    if (alike === undefined) ofModel.set(hash, [holes])
    else alike.push(holes)
    return holes
  }

  #measure(model: string, free: Float64Array): Holes {
    const [copies, slivers] = [new Float64Array(this.typical.length), new Float64Array(this.typical.length)]
    let total = 0
    let worth = 0
    for (const hole of free) {
      if (hole === 0) continue
      const one = this.#holeOf(hole)
      total += hole
      worth += one.worth
      for (let index = 0; index < copies.length; index++) {
        copies[index] = (copies[index] ?? 0) + (one.copies[index] ?? 0)
        slivers[index] = (slivers[index] ?? 0) + (one.slivers[index] ?? 0)
      }
    }
    for (const [index, shape] of this.typical.entries()) {
      if (!allows(shape, model)) copies[index] = 0
      else if (shape.milli >= 1000) copies[index] = Math.floor((copies[index] ?? 0) / shape.count)
    }
    return { model, free, total, worth, copies, slivers, states: undefined, after: undefined }
  }

  /** What one accelerator that is free so far contributes. */
  #holeOf(hole: number): Hole {
    const known = this.#eachHole.get(hole)
    if (known !== undefined) return known
    const copies = this.#millis.map((milli) => (milli === 0 ? 1 : Math.floor(hole / milli)))
    const slivers = this.#millis.map((milli) => (hole < milli ? hole : 0))
    const one = { copies, slivers, worth: this.#prices.hole(hole) }
    this.#eachHole.set(hole, one)
    return one
  }

  #waste(cpuMilli: number, { total, worth, copies, slivers }: Holes): number {
    const { fragments, starved, cores: idleCores, oneMore, prices } = this.#weights
    const [allCores, shares, counts, millis] = [this.#cores, this.#shares, this.#counts, this.#millis]
    // One by one: in a destructured array they would be kept as objects.
    let fragmentsSum = 0
    let oneMoreSum = 0
    for (let index = 0; index < copies.length; index++) {
      const held = copies[index] ?? 0
      const share = shares[index] ?? 0
      const count = counts[index] ?? 0
      if (count === 0) fragmentsSum += share * total
      else if (held < 1 || cpuMilli < (allCores[index] ?? 0)) {
        fragmentsSum += share * total
        oneMoreSum += share * total
      } else {
        fragmentsSum += share * (slivers[index] ?? 0)
        oneMoreSum += share * (total - count * (millis[index] ?? 0))
      }
    }
    let waste = fragments * fragmentsSum
    if (oneMore > 0 && this.#gpuShare > 0) waste += (oneMore * oneMoreSum) / this.#gpuShare
    if (this.#coresEach > 0) {
      waste += starved * Math.max(0, total - cpuMilli / this.#coresEach)
      if (idleCores > 0) waste += (idleCores * (cpuMilli - this.#coresFilled(cpuMilli))) / this.#coresEach
    }
    return prices === 0 ? waste : waste - 1000 * prices * worth
  }
}

const keptMax = 100_000

function isEqual(whole: Float64Array, other: Float64Array, from: number, to: number): boolean {
  if (whole.length !== to - from) return false
  for (let at = 0; at < whole.length; at++) if (whole[at] !== other[from + at]) return false
  return true
}

const none: readonly number[] = []
const noFit: Outcome = { score: -1, devices: none }

function allows({ count, models }: Shape, model: string): boolean {
  return count === 0 || models === undefined || models.includes(model)
}

/** Whether accelerators that are free so far, ascending, hold one member, cores aside. */
function holds(free: Float64Array, { count, milli }: Shape): boolean {
  return count === 0 || (free[free.length - count] ?? 0) >= milli
}

/** While it is not known what comes, the fullest node: so that what is whole stays whole. */
function fullness({ total }: Holes): number {
  return Math.max(0, 100 - Math.ceil(total / 1000))
}

/** ⌊100 σ(gain/1000)⌋ with σ the logistic function. */
function scoreFrom(gain: number): number {
  return Math.floor(100 / (1 + Math.exp(-gain / 1000)))
}
