/** The mean and the middle of what the seeds said, and between what four of five of them lay. */
export interface Spread {
  /** Of times that are cut off at the horizon it says little; of all else the means of two sides differ by that of the differences. */
  mean: number
  median: number
  low: number
  high: number
}

/** Of the values that are there; of none, undefined. */
export function spreadIn(values: readonly (number | undefined)[]): Spread | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : spreadOf(known)
}

export interface Spreads {
  without: Spread | undefined
  with: Spread | undefined
  difference: Spread | undefined
}

/**
 * Of the pairs in which both are there, so that the difference of the means is the mean of the differences; where there are none,
 * of each side what is there.
 */
export function spreadsIn(
  without: readonly (number | undefined)[],
  withChange: readonly (number | undefined)[],
): Spreads {
  const pairs = without.flatMap((a, at) => {
    const b = withChange[at]
    return a === undefined || b === undefined ? [] : [{ a, b }]
  })
  if (pairs.length === 0) return { without: spreadIn(without), with: spreadIn(withChange), difference: undefined }
  return {
    without: spreadOf(pairs.map(({ a }) => a)),
    with: spreadOf(pairs.map(({ b }) => b)),
    difference: spreadOf(pairs.map(({ a, b }) => b - a)),
  }
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  return {
    mean: withoutNoise(sorted.reduce((sum, value) => sum + value, 0) / sorted.length),
    median: withoutNoise(quantile(sorted, 0.5)),
    low: withoutNoise(oneMoreBelow(sorted, 0.1)),
    high: withoutNoise(oneMoreBelow(sorted, 0.9)),
  }
}

/** To a millionth: what is less is of how numbers are added. */
function withoutNoise(value: number): number {
  return Math.round(1e6 * value) / 1e6 + 0
}

/**
 * What one more course would lie below with this probability: of n courses the k-th is exceeded by k of n + 1 (so of ten a
 * tenth lies below about the lowest). Between the quantiles of ten courses themselves only 65 % of others would lie, not 80.
 */
function oneMoreBelow(sorted: readonly number[], part: number): number {
  const last = sorted.length - 1
  return quantile(sorted, Math.min(1, Math.max(0, (part * (sorted.length + 1) - 1) / Math.max(1, last))))
}

/** Between the two nearest in rank, by how near they are; 0 of none. */
export function quantile(sorted: readonly number[], part: number): number {
  const at = part * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0]
  return low + (high - low) * (at - Math.floor(at))
}
