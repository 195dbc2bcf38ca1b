import type { Random } from './random.ts'

export interface BackoffLimits {
  /** The first wait is about this long; each failure doubles it. */
  baseMs: number
  maxMs: number
}

/**
 * How long to wait after the `failures`-th failure in a row (1 is the first). Half of the wait is drawn at random
 * ("equal jitter"), so that many who failed together don't come back together, and nobody comes back at once.
 */
export function backoffMs(failures: number, limits: BackoffLimits, random: Random): number {
  let ceilingMs = limits.baseMs
  for (let i = 1; i < failures && ceilingMs < limits.maxMs; i++) ceilingMs *= 2
  const waitMs = Math.min(ceilingMs, limits.maxMs)
  return waitMs / 2 + (random.float() * waitMs) / 2
}
