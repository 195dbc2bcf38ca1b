import { health } from '../model/health.ts'
import type { Report } from '../model/kinds/report.ts'

/** A loss that rose all at once and did not come down again. */
export type LossSpike = NonNullable<NonNullable<Report['status']>['lossSpike']>

const recentMax = 32
/** What is usual is not known from fewer. */
const recentMin = 8
/** A step that goes wrong is often over with the next: so many in a row are no accident. */
const stepsMin = health.lossSpikeSteps.at

/**
 * Follows the loss of a job. One that is no number, or `factor` times the median of those before it, for three steps in a row,
 * is no part of learning: a machine may compute wrongly (facts/reliability.md §4).
 */
export function createLossWatch(factor: number) {
  const recent: number[] = []
  let first: { step: number; atMs: number } | undefined
  let steps = 0

  return (loss: number, step: number, atMs: number): LossSpike | undefined => {
    const usual = recent.length < recentMin ? undefined : medianOf(recent)
    if (Number.isFinite(loss) && (usual === undefined || usual <= 0 || loss < factor * usual)) {
      recent.push(loss)
      if (recent.length > recentMax) recent.shift()
      steps = 0
      return undefined
    }
    if (steps++ === 0 || first === undefined) first = { step, atMs }
    if (steps < stepsMin) return undefined
    return { ...first, ...(Number.isFinite(loss) ? { loss } : {}), ...(usual === undefined ? {} : { usual }) }
  }
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
