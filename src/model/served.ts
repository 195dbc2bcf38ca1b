/**
 * How much accelerator-time a gang has had, in steps: where a Queue is ordered by it, whoever has had less goes first. So the
 * short do not wait for the long, and nobody has to say how long his work takes. Steps grow by a factor, so that a gang
 * is passed over, or displaced, a few times in its life rather than again and again: feedback queues, as Tiresias has them
 * (NSDI '19, "discretized two-dimensional LAS"). Where the steps lie was chosen on the jobs of eight virtual clusters of
 * Philly: mean wait and completion hardly differ from factors 3 to 8.
 */
const [firstStepSeconds, factor] = [1800, 3]

/** Nobody has had more steps: 1,800 × 3^14 accelerator-seconds are 272 accelerator-years. */
export const servedStepsMax = 15

/** Accelerator-seconds from which it is 1, 2, … steps. */
const thresholds = [firstStepSeconds]
while (thresholds.length < servedStepsMax) thresholds.push(factor * (thresholds.at(-1) ?? 0))

/** Of so many accelerator-seconds. */
export function servedSteps(acceleratorSeconds: number): number {
  let steps = 0
  while (steps < servedStepsMax && acceleratorSeconds >= secondsOfStep(steps + 1)) steps++
  return steps
}

/** Accelerator-seconds from which it is so many steps, one or more. */
export function secondsOfStep(steps: number): number {
  return thresholds[steps - 1] ?? Number.POSITIVE_INFINITY
}
