import { Heap } from '../../base/heap.ts'
import type { Random } from '../../base/random.ts'
import type { PastClient } from '../import/clients.ts'
import type { PastRequests } from '../import/requests.ts'
import { gammaDraws, lengthDraws, type TokenLength, weibullDraws } from './draws.ts'

/** A request as it comes: when, in milliseconds from the start of the run, and how many tokens it has. */
export interface Arrival {
  atMs: number
  input: number
  output: number
  /** What its prompt begins with, in blocks; undefined: nobody knows. */
  blocks?: readonly number[] | undefined
}

/** How often something comes. */
export interface Course {
  /** Mean per second, over days and without bursts. */
  rate: number
  /** Coefficient of variation of the gaps at a steady rate. */
  cv: number
  /** The rate swings by this share of it over a day, and is highest at `peakAtMs` after the run's start. */
  daily: { share: number; peakAtMs: number } | undefined
  /** Stretches at a multiple of the rate; where they overlap they are multiplied. */
  bursts: readonly { atMs: number; lastsMs: number; factor: number }[]
}

/** Requests at a rate. */
export interface DrawnTraffic extends Course {
  kind: 'drawn'
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

/** Requests of clients, each at its own rate over time and with gaps of its own kind. */
export interface ClientTraffic {
  kind: 'clients'
  clients: readonly PastClient[]
  /** Rates are multiplied by it. */
  scale: number
  input: TokenLength
  output: TokenLength
}

export type Traffic = DrawnTraffic | PastTraffic | ClientTraffic

/** The requests of a service, in order, from `fromMs` on. What is drawn is a function of the generator alone. */
export function arrivalsOf(traffic: Traffic, fromMs: number, random: Random): Iterator<Arrival> {
  if (traffic.kind === 'past') return past(traffic, fromMs)
  return traffic.kind === 'clients' ? ofClients(traffic, fromMs, random) : drawn(traffic, fromMs, random)
}

/** How many requests are expected between two times of the run. */
export function requestsBetween(traffic: Traffic, startMs: number, fromMs: number, toMs: number): number {
  const [from, to] = [Math.max(startMs, fromMs), Math.max(startMs, toMs)]
  if (traffic.kind === 'drawn') return new RateCourse(traffic).between(from, to)
  const until = (atMs: number) =>
    traffic.kind === 'past' ? pastUntil(traffic, atMs - startMs) : clientsUntil(traffic, atMs - startMs)
  return until(to) - until(from)
}

function clientsUntil({ clients, scale }: ClientTraffic, forMs: number): number {
  let requests = 0
  for (const { windows } of clients)
    for (const { fromMs, toMs, perMs } of windows)
      requests += scale * perMs * Math.max(0, Math.min(forMs, toMs) - fromMs)
  return requests
}

function pastUntil({ requests: { times }, speed, repeats }: PastTraffic, forMs: number): number {
  const roundMs = roundMsOf(times)
  const atMs = forMs * speed
  const rounds = repeats ? Math.floor(atMs / roundMs) : 0
  const index = times.findIndex((time) => time >= atMs - rounds * roundMs)
  return rounds * times.length + (index < 0 ? times.length : index)
}

/** The gap between two rounds is as long as the others are on average. */
function roundMsOf(times: readonly number[]): number {
  return Math.max(roundMsMin, ((times.at(-1) ?? 0) * times.length) / Math.max(1, times.length - 1))
}

function* past({ requests, speed, repeats }: PastTraffic, fromMs: number): Generator<Arrival> {
  const { times, inputs, outputs, blocks } = requests
  if (times.length === 0) return
  const roundMs = roundMsOf(times)
  for (let startMs = 0; ; startMs += roundMs) {
    for (const [index, atMs] of times.entries())
      yield {
        atMs: fromMs + (startMs + atMs) / speed,
        input: inputs[index] ?? 1,
        output: outputs[index] ?? 1,
        blocks: blocks?.[index],
      }
    if (!repeats) return
  }
}

/** A trace of one moment is repeated so often. */
const roundMsMin = 1000

function* drawn(traffic: DrawnTraffic, fromMs: number, random: Random): Generator<Arrival> {
  const input = lengthDraws(random.split('input'), traffic.input)
  const output = lengthDraws(random.split('output'), traffic.output)
  for (const atMs of timesOf(traffic, fromMs, random)) yield { atMs, input: input(), output: output() }
}

/** When it comes, in order, from `fromMs` on; gaps are gamma and stretch with the rate. */
export function* timesOf(course: Course, fromMs: number, random: Random): Generator<number> {
  const gap = gammaDraws(random.split('gaps'), course.cv)
  const rates = new RateCourse(course)
  for (let atMs = fromMs; ; ) {
    atMs = rates.after(atMs, gap())
    if (!Number.isFinite(atMs)) return
    yield atMs
  }
}

function* ofClients({ clients, scale, ...lengths }: ClientTraffic, fromMs: number, random: Random): Generator<Arrival> {
  const input = lengthDraws(random.split('input'), lengths.input)
  const output = lengthDraws(random.split('output'), lengths.output)
  const next = new Heap<{ atMs: number; times: Iterator<number> }>((a, b) => a.atMs - b.atMs)
  const wait = (times: Iterator<number>) => {
    const { done, value: atMs } = times.next()
    if (done !== true) next.push({ atMs, times })
  }
  for (const [index, client] of clients.entries()) wait(clientTimes(client, scale, random.split(`client ${index}`)))
  for (let first = next.pop(); first !== undefined; first = next.pop()) {
    yield { atMs: fromMs + first.atMs, input: input(), output: output() }
    wait(first.times)
  }
}

/** A gap has the kind of the window in which it begins, and stretches with the rates of those that it reaches into. */
function* clientTimes({ windows }: PastClient, scale: number, random: Random): Generator<number> {
  let left: number | undefined
  for (const { fromMs, toMs, perMs, gaps } of windows) {
    const rate = perMs * scale
    if (rate === 0) continue
    const draw = gaps.law === 'gamma' ? gammaDraws(random, 1 / Math.sqrt(gaps.shape)) : weibullDraws(random, gaps.shape)
    // Nobody knows what was before the first: on average half a gap of it is over.
    left ??= draw() * random.float()
    for (let atMs = fromMs + left / rate; ; atMs += left / rate) {
      if (atMs >= toMs) {
        left = (atMs - toMs) * rate
        break
      }
      yield atMs
      left = draw()
    }
  }
}

const dayMs = 86_400_000

/** A rate that changes over time, and when so many requests have come of it: gaps of any kind stretch with it. */
class RateCourse {
  readonly #perMs: number
  readonly #daily: { share: number; peakAtMs: number } | undefined
  readonly #bursts: Course['bursts']
  /** Where bursts begin and end. */
  readonly #edges: readonly number[]

  constructor({ rate, daily, bursts }: Course) {
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

  /** Requests that are expected between two times. */
  between(fromMs: number, toMs: number): number {
    let requests = 0
    for (let atMs = fromMs; atMs < toMs; ) {
      const edgeMs = Math.min(toMs, this.#edges.find((edge) => edge > atMs) ?? toMs)
      requests += this.#factorAt(atMs) * (this.#expected(edgeMs) - this.#expected(atMs))
      atMs = edgeMs
    }
    return requests
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
