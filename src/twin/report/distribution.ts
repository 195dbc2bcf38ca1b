/** How a quantity is spread, in its own unit. Percentiles are values that occurred (nearest rank). */
export interface Distribution {
  count: number
  mean: number
  median: number
  p90: number
  p99: number
  max: number
}

/** Undefined of nothing. */
export function distributionOf(values: readonly number[]): Distribution | undefined {
  if (values.length === 0) return undefined
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return {
    count: sorted.length,
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    median: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    max: at(1),
  }
}
