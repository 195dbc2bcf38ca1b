import type { Report } from '../model/kinds/report.ts'

/** Seconds a step, all that happens between steps included: checkpoints, evaluations, a slow disk. */
export type Pace = NonNullable<NonNullable<Report['status']>['pace']>

/** So many stretches are remembered: enough for a tenth to mean something. */
const stretchesMax = 64
/** Not known from fewer. */
const stretchesMin = 4
const stretchMsMin = 1_000
/** A stretch is at least this part of the run so far: 64 of them reach over its latter half, however long it is. */
const stretchPart = 0.01

/**
 * How fast a job has been of late, and how evenly: its run is cut into stretches of whole steps, of a second or of a
 * hundredth of the run, whichever is longer. The mean of their seconds a step foretells a long rest, the quickest and the
 * slowest tenth between which that may end. A machine that slept is a pause like others, until it is no longer of late.
 */
export function createPace() {
  const stretches: { steps: number; seconds: number }[] = []
  let startedAtMs: number | undefined
  let from: { step: number; atMs: number } | undefined

  /** The pace anew, whenever a stretch ends. */
  function add(step: number, atMs: number): Pace | undefined {
    startedAtMs ??= atMs
    if (from === undefined || step <= from.step) {
      from = { step, atMs }
      return undefined
    }
    if (atMs - from.atMs < Math.max(stretchMsMin, stretchPart * (atMs - startedAtMs))) return undefined
    stretches.push({ steps: step - from.step, seconds: (atMs - from.atMs) / 1000 })
    if (stretches.length > stretchesMax) stretches.shift()
    from = { step, atMs }
    return stretches.length < stretchesMin ? undefined : paceOf()
  }

  function paceOf(): Pace {
    const sorted = stretches.map(({ steps, seconds }) => seconds / steps).toSorted((a, b) => a - b)
    const at = (index: number) => sorted[index] ?? 0
    const last = sorted.length - 1
    const [low, high] = [at(Math.floor(0.1 * last)), at(Math.ceil(0.9 * last))]
    const [steps, seconds] = stretches.reduce(([n, sum], one) => [n + one.steps, sum + one.seconds], [0, 0])
    // A rare long pause is in the mean, though in no tenth.
    const mean = seconds / steps
    return { mean, low: Math.min(low, mean), high: Math.max(high, mean) }
  }

  return add
}
