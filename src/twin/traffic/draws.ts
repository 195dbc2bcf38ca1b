import type { Random } from '../../base/random.ts'

/** Draws of a random quantity, one after the other. */
export type Draws = () => number

/** Mean 1 and this coefficient of variation: gamma; 1 is exponential, 0 always 1. */
export function gammaDraws(random: Random, cv: number): Draws {
  if (cv === 0) return () => 1
  if (cv === 1) return () => exponential(random)
  const shape = 1 / (cv * cv)
  const normal = normalDraws(random)
  if (shape >= 1) return () => gamma(random, normal, shape) / shape
  // Below 1 by way of shape + 1 (Marsaglia and Tsang 2000, §6).
  return () => (gamma(random, normal, shape + 1) * Math.exp(-exponential(random) / shape)) / shape
}

/** Mean 1 and this shape; 1 is exponential. */
export function weibullDraws(random: Random, shape: number): Draws {
  const scale = Math.exp(-logGamma(1 + 1 / shape))
  return () => scale * Math.exp(Math.log(exponential(random)) / shape)
}

/** The squared coefficient of variation of Weibull's of this shape. */
export function weibullVariation(shape: number): number {
  return Math.exp(logGamma(1 + 2 / shape) - 2 * logGamma(1 + 1 / shape)) - 1
}

/** Logarithm of the gamma function of 1 or more: Stirling's series from 8 on, below that by Γ(x + 1) = x·Γ(x). */
function logGamma(from: number): number {
  let [x, below] = [from, 0]
  for (; x < 8; x++) below += Math.log(x)
  const square = 1 / (x * x)
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - below
}

/** Of shape 1 or more and scale 1 (Marsaglia and Tsang 2000). */
function gamma(random: Random, normal: Draws, shape: number): number {
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = normal()
    const root = 1 + c * x
    if (root <= 0) continue
    const v = root * root * root
    if (Math.log(1 - random.float()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
  }
}

function exponential(random: Random): number {
  return -Math.log(1 - random.float())
}

/** Standard normal (Marsaglia's polar method). */
export function normalDraws(random: Random): Draws {
  let spare: number | undefined
  return () => {
    if (spare !== undefined) {
      const value = spare
      spare = undefined
      return value
    }
    for (;;) {
      const [x, y] = [2 * random.float() - 1, 2 * random.float() - 1]
      const square = x * x + y * y
      if (square >= 1 || square === 0) continue
      const scale = Math.sqrt((-2 * Math.log(square)) / square)
      spare = y * scale
      return x * scale
    }
  }
}

/** How many tokens a request has. */
export interface TokenLength {
  mean: number
  /** Left out: all are as long as the mean. */
  p99?: number | undefined
  max: number
}

/** The standard normal's 99th percentile. */
const z99 = 2.3263478740408408
/** A lognormal distribution has its 99th percentile at no more than so many times its mean. */
export const p99OverMeanMax = Math.exp((z99 * z99) / 2)

/** Whole numbers from 1 to `max`, lognormal with this mean and 99th percentile before they are cut off there. */
export function lengthDraws(random: Random, { mean, p99, max }: TokenLength): Draws {
  const bounded = (value: number) => Math.min(max, Math.max(1, Math.round(value)))
  if (p99 === undefined || p99 === mean) return () => bounded(mean)
  // p99 / mean = exp(z·σ − σ²/2), of whose two solutions the smaller σ is meant.
  const sigma = z99 - Math.sqrt(Math.max(0, z99 * z99 - 2 * Math.log(p99 / mean)))
  const mu = Math.log(mean) - (sigma * sigma) / 2
  const normal = normalDraws(random)
  return () => bounded(Math.exp(mu + sigma * normal()))
}

/** How long something takes. */
export interface Duration {
  medianMs: number
  /** Left out: all take as long as the median. */
  p90Ms?: number | undefined
  maxMs: number
}

/** The standard normal's 90th percentile. */
const z90 = 1.2815515655446004

/** Milliseconds up to `maxMs`, lognormal with this median and 90th percentile before they are cut off there. */
export function durationDraws(random: Random, { medianMs, p90Ms = medianMs, maxMs }: Duration): Draws {
  const sigma = Math.log(p90Ms / medianMs) / z90
  const normal = normalDraws(random)
  return () => Math.min(maxMs, medianMs * Math.exp(sigma * normal()))
}
