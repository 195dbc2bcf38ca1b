/** How long the steps of a training job are. */
export interface StepModel {
  /** What a rank takes over a step by itself, with all members that the job is made for; in milliseconds. */
  stepMs: number
  /** So many those are; left out: however many there are. */
  ranks?: number
  /** The part of a step that is shared among the members: all of it where left out. */
  scaling?: number
  /** The coefficient of variation of what each rank takes over a step by itself: none where left out. */
  stepSpread?: number
}

/**
 * One step of so many members, of a rank that waits for nobody. A step is the same work, whoever does it (a fixed global batch): what is shared takes as much
 * longer as there are fewer, and the rest as long as ever (Amdahl, AFIPS 1967).
 */
export function stepMsOf({ stepMs, ranks, scaling = 1 }: StepModel, members: number): number {
  if (ranks === undefined) return stepMs
  return stepMs * (1 + scaling * (ranks / members - 1))
}

/**
 * How long a step takes on average of which all wait for the slowest, whose own times vary independently of each other and of
 * those before, normally, with this coefficient of variation. `ownMs`: their means, and of how many ranks each is. The mean of
 * the largest is `to` less the integral up to there of its distribution function, the product of all of theirs (David and
 * Nagaraja, Order Statistics, 3rd ed. 2003, §3.1 and §5.2); which is smooth and flat at both ends, so that the sum of a few
 * hundred of its values is the integral.
 */
export function slowestMs(ownMs: ReadonlyMap<number, number>, spread: number): number {
  let most = 0
  for (const mean of ownMs.keys()) most = Math.max(most, mean)
  if (spread === 0) return most
  const groups = [...ownMs].map(([mean, count]) => ({ mean: mean / most, count })).sort((a, b) => a.mean - b.mean)
  const key = `${spread} ${groups.map(({ mean, count }) => `${count}x${mean}`).join(' ')}`
  const known = means.get(key) ?? meanOfSlowest(groups, spread)
  means.set(key, known)
  return most * known
}

/** Of machines that are as fast as they should be there is one for each number of ranks; of slow ones a few. */
const means = new Map<string, number>()

function meanOfSlowest(groups: readonly { mean: number; count: number }[], spread: number): number {
  const [from, to] = [1 - 8 * spread, 1 + 8 * spread]
  const width = (to - from) / points
  let sum = 0
  for (let point = 0; point < points; point++) {
    const x = from + (point + 0.5) * width
    let logarithm = 0
    for (const { mean, count } of groups) logarithm += count * Math.log(normalBelow((x / mean - 1) / spread))
    sum += Math.exp(logarithm)
  }
  return to - sum * width
}

const points = 400

/** Distribution function of the standard normal, by its series (Marsaglia, Evaluating the Normal Distribution, 2004). */
function normalBelow(x: number): number {
  if (Math.abs(x) > 8) return x < 0 ? 0 : 1
  let [sum, term] = [x, x]
  for (let odd = 3; sum + term !== sum; odd += 2) {
    term *= (x * x) / odd
    sum += term
  }
  return Math.max(0, 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI))
}

/** Steps one after the other, none of which is told. */
export interface Stretch {
  /** One of them, on average. */
  stepMs: number
  /** So much longer than that the first one is. */
  moreMs: number
}

/** How long so many take: what each is off by, independent of the others, is √n times that of one in the sum of n. */
export function stretchMs({ stepMs, moreMs }: Stretch, steps: number): number {
  return steps * stepMs + moreMs * Math.sqrt(steps)
}

/** How many are done after so long. */
export function stepsIn(stretch: Stretch, ms: number): number {
  const { stepMs, moreMs } = stretch
  if (moreMs === 0) return Math.floor(ms / stepMs)
  const root = (Math.sqrt(moreMs * moreMs + 4 * stepMs * ms) - moreMs) / (2 * stepMs)
  const steps = Math.floor(root * root)
  // It was rounded.
  if (stretchMs(stretch, steps + 1) <= ms) return steps + 1
  return steps > 0 && stretchMs(stretch, steps) > ms ? steps - 1 : steps
}
