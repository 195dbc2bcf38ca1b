import { z } from 'zod'

const amount = z.union([
  z.number().int().min(0).max(10_000),
  z.string().regex(/^(100|[0-9]{1,2})%$/, 'a number, or a share like 25%'),
])

/** Kubernetes' PodDisruptionBudget, for replicas. */
export const disruptionBudget = z.strictObject({
  minAvailable: amount.optional().describe('So many replicas stay ready: a number, or a share of all like 50%.'),
  maxUnavailable: amount.optional().describe('So many of all replicas at most are not ready: a number, or 25%.'),
})

export type DisruptionBudget = z.output<typeof disruptionBudget>

/** How many of `expected` have to stay ready. Shares are rounded up, as Kubernetes does. */
export function neededOf({ minAvailable, maxUnavailable }: DisruptionBudget, expected: number): number {
  if (minAvailable !== undefined) return amountOf(minAvailable, expected)
  return maxUnavailable === undefined ? 0 : Math.max(0, expected - amountOf(maxUnavailable, expected))
}

function amountOf(amount: number | string, expected: number): number {
  return typeof amount === 'number' ? amount : Math.ceil((Number.parseInt(amount, 10) * expected) / 100)
}
