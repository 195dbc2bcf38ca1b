import type { Queue } from '../../model/kinds/queue.ts'

/** The part of a Queue that its account is made of. Counts are of whole accelerators, as in the resource. */
export type Quotas = Partial<Pick<Queue['spec'], 'nominalQuota' | 'borrowingLimit' | 'lendingLimit' | 'weight'>>

export const noQuotas: Quotas = {}

export function milliOf(count: number): number {
  return Math.round(count * 1000)
}

/** A limit in milli-accelerators; none is infinite. */
export function cut(limit: number | undefined): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : milliOf(limit)
}

export function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
