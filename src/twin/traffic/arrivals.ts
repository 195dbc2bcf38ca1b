import type { Random } from '../../base/random.ts'
import type { PastRequests } from '../import/requests.ts'
import { gammaDraws, lengthDraws, type TokenLength } from './draws.ts'

/** A request as it comes: when, in milliseconds from the start of the run, and how many tokens it has. */
export interface Arrival {
  atMs: number
  input: number
  output: number
}

/** Requests at a rate. */
export interface DrawnTraffic {
  kind: 'drawn'
  /** Mean requests per second, over days and without bursts. */
  rate: number
  /** Coefficient of variation of the gaps at a steady rate. */
  cv: number
  /** The rate swings by this share of it over a day, and is highest at `peakAtMs` after the run's start. */
  daily: { share: number; peakAtMs: number } | undefined
  /** Stretches at a multiple of the rate; where they overlap they are multiplied. */
  bursts: readonly { atMs: number; lastsMs: number; factor: number }[]
  input: TokenLength
  output: TokenLength
}

/** Requests as they once came. */
export interface PastTraffic {
  kind: 'past'
  requests: PastRequests
  /** So many times as fast. */
  speed: number
  /** From the start again when it is over. */
  repeats: boolean
}

export type Traffic = DrawnTraffic | PastTraffic

/** The requests of a service, in order, from `fromMs` on. What is drawn is a function of the generator alone. */
export function arrivalsOf(traffic: Traffic, fromMs: number, random: Random): Iterator<Arrival> {
  return traffic.kind === 'past' ? past(traffic, fromMs) : drawn(traffic, fromMs, random)
}

function* past({ requests, speed, repeats }: PastTraffic, fromMs: number): Generator<Arrival> {
  const { times, inputs, outputs } = requests
  if (times.length === 0) return
  // The gap between two rounds is as long as the others are on average.
  const roundMs = Math.max(roundMsMin, ((times.at(-1) ?? 0) * times.length) / Math.max(1, times.length - 1))
  for (let startMs = 0; ; startMs += roundMs) {
    for (const [index, atMs] of times.entries())
      yield { atMs: fromMs + (startMs + atMs) / speed, input: inputs[index] ?? 1, output: outputs[index] ?? 1 }
    if (!repeats) return
  }
}

/** A trace of one moment is repeated so often. */
const roundMsMin = 1000

function* drawn(traffic: DrawnTraffic, fromMs: number, random: Random): Generator<Arrival> {
  const gap = gammaDraws(random.split('gaps'), traffic.cv)
  const input = lengthDraws(random.split('input'), traffic.input)
  const output = lengthDraws(random.split('output'), traffic.output)
  const course = new RateCourse(traffic)
  for (let atMs = fromMs; ; ) {
    atMs = course.after(atMs, gap())
    if (!Number.isFinite(atMs)) return
    yield { atMs, input: input(), output: output() }
  }
}

const dayMs = 86_400_000

/** A rate that changes over time, and when so many requests have come of it: gaps of any kind stretch with it. */
class RateCourse {
  readonly #perMs: number
  readonly #daily: { share: number; peakAtMs: number } | undefined
  readonly #bursts: DrawnTraffic['bursts']
  /** Where bursts begin and end. */
  readonly #edges: readonly number[]

  constructor({ rate, daily, bursts }: DrawnTraffic) {
    this.#perMs = rate / 1000
    this.#daily = daily
    this.#bursts = bursts
    this.#edges = bursts.flatMap(({ atMs, lastsMs }) => [atMs, atMs + lastsMs]).toSorted((a, b) => a - b)
  }

  /** When `requests` more are expected after `fromMs`. */
  after(fromMs: number, requests: number): number {
    let atMs = fromMs
    for (let left = requests; ; ) {
      const edgeMs = this.#edges.find((edge) => edge > atMs) ?? Number.POSITIVE_INFINITY
      const factor = this.#factorAt(atMs)
      const within = factor === 0 ? 0 : factor * (this.#expected(edgeMs) - this.#expected(atMs))
      if (left <= within) return this.#solve(atMs, left / factor)
      if (edgeMs === Number.POSITIVE_INFINITY) return edgeMs
      left -= within
      atMs = edgeMs
    }
  }

  #factorAt(atMs: number): number {
    let factor = 1
    for (const burst of this.#bursts)
      if (burst.atMs <= atMs && atMs < burst.atMs + burst.lastsMs) factor *= burst.factor
    return factor
  }

  /** Requests from the start until `atMs`, without bursts. */
  #expected(atMs: number): number {
    if (this.#daily === undefined || atMs === Number.POSITIVE_INFINITY) return this.#perMs * atMs
    const { share, peakAtMs } = this.#daily
    const turn = (2 * Math.PI) / dayMs
    return this.#perMs * (atMs + (share / turn) * (Math.sin(turn * (atMs - peakAtMs)) + Math.sin(turn * peakAtMs)))
  }

  /** When so many have come after `fromMs`, without bursts: the rate is positive, so halving always finds it. */
  #solve(fromMs: number, requests: number): number {
    if (this.#daily === undefined) return fromMs + requests / this.#perMs
    const goal = this.#expected(fromMs) + requests
    const { share } = this.#daily
    let low = fromMs + requests / (this.#perMs * (1 + share))
    let high = low
    for (let stepMs = 1 / this.#perMs; this.#expected(high) < goal; stepMs *= 2) high += stepMs
    while (high - low > 1e-3) {
      const middle = (low + high) / 2
      if (this.#expected(middle) < goal) low = middle
      else high = middle
    }
    return (low + high) / 2
  }
}
