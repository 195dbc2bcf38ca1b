/** The middle of what the seeds said, and between what four of five of them lay. */
export interface Spread {
  median: number
  low: number
  high: number
}

/** Of the values that are there; of none, undefined. */
export function spreadIn(values: readonly (number | undefined)[]): Spread | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : spreadOf(known)
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  return { median: quantile(sorted, 0.5), low: oneMoreBelow(sorted, 0.1), high: oneMoreBelow(sorted, 0.9) }
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
