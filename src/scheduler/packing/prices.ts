import { assert } from '../../base/errors.ts'

/** One size of share that is asked for: thousandths of an accelerator, and how many of it to expect on the fleet. */
export interface SizeDemand {
  milli: number
  count: number
}

export interface Prices {
  /** What a pod of this size is worth, in accelerators; by size. */
  worth(milli: number): number
  /** What a hole of so many thousandths is worth: the best that the sizes asked for make of it. */
  hole(milli: number): number
}

/** Sizes and holes are looked at in steps of so many thousandths. */
const grain = 10
const steps = 1000 / grain
/** At least this share of each size's expected count is placed, at most that multiple of it. */
const placedMin = 0.94
const placedMax = 1.3
/** What one pod short of `placedMin` costs, in accelerators: more than any pod is worth. */
const shortPrice = 10

/**
 * What each size of share is worth when accelerators are scarce: the dual prices of filling `accelerators` of them with
 * patterns of sizes, so that as much as possible is placed. 810 thousandths leave 190 that nobody asks for, so they are
 * worth a whole accelerator; a hole is worth what the best filling of it is. Source: facts of our own research, after
 * the cutting-stock linear programme of Gilmore and Gomory (1961), solved by column generation.
 */
export function pricesOf(demand: readonly SizeDemand[], accelerators: number): Prices {
  const sizes = demand.filter(({ milli, count }) => milli > 0 && milli <= 1000 && count > 0)
  const worths = sizes.length === 0 ? [] : duals(sizes, accelerators)
  const worthOf = new Map(sizes.map(({ milli }, index) => [milli, worths[index] ?? 0]))
  const holes = bestFilling(sizes, worths).value
  return {
    worth: (milli) => worthOf.get(milli) ?? holes[Math.ceil(milli / grain)] ?? 1,
    hole: (milli) => (milli >= 1000 ? 1 : (holes[Math.floor(milli / grain)] ?? 0)),
  }
}

/** Per size, its dual price in units of an accelerator's. */
function duals(sizes: readonly SizeDemand[], accelerators: number): number[] {
  const programme = new Programme(sizes, accelerators)
  for (let round = 0; round < 1000; round++) {
    programme.solve()
    const { worths, accelerator } = programme.duals()
    const { value, pattern } = bestFilling(sizes, worths)
    const best = value[steps] ?? 0
    if (best <= accelerator + 1e-9) return worths.map((worth) => (best > 0 ? worth / best : 0))
    programme.add(pattern)
  }
  throw new Error('the prices of shares did not converge')
}

/** For each hole, in grains, the most that sizes are worth together in it; and the counts that make the most of a whole. */
function bestFilling(sizes: readonly SizeDemand[], worths: readonly number[]): { value: number[]; pattern: number[] } {
  const value = new Array<number>(steps + 1).fill(0)
  const last = new Array<number>(steps + 1).fill(-1)
  for (let hole = 1; hole <= steps; hole++) {
    value[hole] = value[hole - 1] ?? 0
    for (const [index, { milli }] of sizes.entries()) {
      const size = Math.ceil(milli / grain)
      if (size > hole) continue
      const filled = (value[hole - size] ?? 0) + (worths[index] ?? 0)
      if (filled > (value[hole] ?? 0) + 1e-12) {
        value[hole] = filled
        last[hole] = index
      }
    }
  }
  const pattern = sizes.map(() => 0)
  for (let hole = steps; hole > 0; ) {
    const index = last[hole] ?? -1
    if (index < 0) hole--
    else {
      pattern[index] = (pattern[index] ?? 0) + 1
      hole -= Math.ceil((sizes[index]?.milli ?? grain) / grain)
    }
  }
  return { value, pattern }
}

/**
 * maximise Σ size·placed − shortPrice·short, where patterns use at most `accelerators`, and each size's count lies between
 * its least and its most; dense primal simplex whose first columns are an identity, so that they hold the inverse.
 */
class Programme {
  readonly #rows: number
  /** Columns of the tableau: one per row at first (slack or shortage), then surplus of the least, then patterns. */
  readonly #columns: Float64Array[] = []
  readonly #costs: number[] = []
  readonly #right: Float64Array
  readonly #basis: number[]
  readonly #sizes: readonly SizeDemand[]

  constructor(sizes: readonly SizeDemand[], accelerators: number) {
    const count = sizes.length
    this.#sizes = sizes
    this.#rows = 1 + 2 * count
    this.#right = new Float64Array(this.#rows)
    this.#right[0] = accelerators
    this.#basis = Array.from({ length: this.#rows }, (_, row) => row)
    for (let row = 0; row < this.#rows; row++) {
      const column = new Float64Array(this.#rows)
      column[row] = 1
      this.#columns.push(column)
      this.#costs.push(row > count ? -shortPrice : 0)
    }
    for (const [index, size] of sizes.entries()) {
      this.#right[1 + index] = size.count * placedMax
      this.#right[1 + count + index] = size.count * placedMin
      const surplus = new Float64Array(this.#rows)
      surplus[1 + count + index] = -1
      this.#columns.push(surplus)
      this.#costs.push(0)
    }
  }

  /** A pattern becomes a column, in terms of the present basis. */
  add(pattern: readonly number[]): void {
    const raw = new Float64Array(this.#rows)
    raw[0] = 1
    let value = 0
    for (const [index, times] of pattern.entries()) {
      raw[1 + index] = times
      raw[1 + pattern.length + index] = times
      value += (times * (this.#sizes[index]?.milli ?? 0)) / 1000
    }
    const column = new Float64Array(this.#rows)
    for (let inner = 0; inner < this.#rows; inner++) {
      const times = raw[inner] ?? 0
      if (times === 0) continue
      const inverse = this.#columns[inner]
      for (let row = 0; row < this.#rows; row++) column[row] = (column[row] ?? 0) + times * (inverse?.[row] ?? 0)
    }
    this.#columns.push(column)
    this.#costs.push(value)
  }

  solve(): void {
    for (let pivots = 0; pivots < 100_000; pivots++) {
      const entering = this.#entering(pivots > 2_000)
      if (entering < 0) return
      const leaving = this.#leaving(entering)
      assert(leaving >= 0, 'the value of a bounded fleet is bounded')
      this.#pivot(leaving, entering)
    }
    throw new Error('the prices of shares did not converge')
  }

  /** Multipliers of the rows: of an accelerator, and of each size what it is worth less its upper and more its lower bound. */
  duals(): { worths: number[]; accelerator: number } {
    const row = (index: number) => {
      let dual = 0
      const inverse = this.#columns[index]
      for (let at = 0; at < this.#rows; at++) dual += (this.#costs[this.#basis[at] ?? 0] ?? 0) * (inverse?.[at] ?? 0)
      return dual
    }
    const count = this.#sizes.length
    const worths = this.#sizes.map(({ milli }, index) => milli / 1000 - row(1 + index) - row(1 + count + index))
    return { worths, accelerator: row(0) }
  }

  #entering(first: boolean): number {
    let [best, most] = [-1, 1e-9]
    for (const [index, column] of this.#columns.entries()) {
      let gain = this.#costs[index] ?? 0
      for (let row = 0; row < this.#rows; row++) {
        gain -= (this.#costs[this.#basis[row] ?? 0] ?? 0) * (column[row] ?? 0)
      }
      if (gain <= most) continue
      if (first)
        return index // Bland's rule, in case it goes round in a circle
      ;[best, most] = [index, gain]
    }
    return best
  }

  #leaving(entering: number): number {
    let [best, least] = [-1, Number.POSITIVE_INFINITY]
    const column = this.#columns[entering]
    for (let row = 0; row < this.#rows; row++) {
      const amount = column?.[row] ?? 0
      if (amount <= 1e-9) continue
      const ratio = (this.#right[row] ?? 0) / amount
      if (ratio < least - 1e-12 || (ratio < least + 1e-12 && (this.#basis[row] ?? 0) < (this.#basis[best] ?? 0))) {
        ;[best, least] = [row, ratio]
      }
    }
    return best
  }

  #pivot(row: number, entering: number): void {
    const pivotColumn = Float64Array.from(this.#columns[entering] ?? [])
    const pivot = pivotColumn[row] ?? 1
    const sweep = (column: Float64Array) => {
      const value = (column[row] ?? 0) / pivot
      for (let at = 0; at < this.#rows; at++) {
        if (at !== row) column[at] = (column[at] ?? 0) - value * (pivotColumn[at] ?? 0)
      }
      column[row] = value
    }
    for (const column of this.#columns) sweep(column)
    sweep(this.#right)
    this.#basis[row] = entering
  }
}
