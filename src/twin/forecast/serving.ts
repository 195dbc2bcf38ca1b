import { seededRandom } from '../../base/random.ts'
import { type Arrival, arrivalsOf, type Traffic } from '../traffic/arrivals.ts'
import { weibullVariation } from '../traffic/draws.ts'
import type { Slo } from '../traffic/sums.ts'
import { Engine, type Sequence } from '../work/engine.ts'
import type { EngineModel } from '../work/engine-model.ts'

/** How requests fare at a steady rate, on a steady number of replicas. */
export interface Fare {
  /** Parts of all requests: whose first token, whose further tokens, and of whom both came in time. */
  ttft: number
  tpot: number
  both: number
  /** Requests under way on average, of all replicas together. */
  atOnce: number
}

export interface ServingOptions {
  engine: EngineModel
  traffic: Traffic
  slo: Slo | undefined
  /** Requests that a replica is sent at once; others wait in the gateway. */
  atOnceMax: number
}

/**
 * What replicas of a service make of a steady rate of its requests. The twin's own engines answer a sample of them once for
 * each of a few loads and numbers of replicas, each sent to whoever has fewest, as the gateway does; what lies between
 * is interpolated. So hours of traffic cost as much as some thousand requests.
 */
export class ServingModel {
  /** Requests a second that one replica answers at most. */
  readonly capacity: number
  /** Squared coefficients of variation: of the gaps between requests, and of what they ask for. */
  readonly gaps: number
  readonly sizes: number
  readonly slo: Slo | undefined
  readonly atOnceMax: number
  readonly #options: ServingOptions
  readonly #known = new Map<string, Fare>()

  constructor(options: ServingOptions) {
    this.#options = options
    this.slo = options.slo
    this.atOnceMax = options.atOnceMax
    const { traffic } = options
    this.gaps = gapsOf(traffic)
    this.sizes = variationOf(arrivalsAt(options, 1, 1000).map(({ output }) => output))
    this.capacity = this.#capacity()
  }

  /** @param perSecond Requests, for all replicas; more than they can answer counts as what they can. */
  at(replicas: number, perSecond: number): Fare {
    const count = counts.findLast((one) => one <= replicas) ?? 1
    const load = Math.min(loads.at(-1) ?? 1, perSecond / (replicas * this.capacity))
    const above = Math.max(
      1,
      loads.findIndex((one) => one >= load),
    )
    const [from = 0, to = 1] = [loads[above - 1], loads[above]]
    const [a, b] = [this.#sampled(count, from), this.#sampled(count, to)]
    const part = (load - from) / (to - from)
    const between = (of: (fare: Fare) => number) => of(a) + (of(b) - of(a)) * part
    return {
      ttft: between(({ ttft }) => ttft),
      tpot: between(({ tpot }) => tpot),
      both: between(({ both }) => both),
      atOnce: between(({ atOnce }) => atOnce) * (replicas / count),
    }
  }

  #sampled(replicas: number, load: number): Fare {
    const key = `${replicas} ${load}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const fare = this.#sample(replicas, load)
    this.#known.set(key, fare)
    return fare
  }

  #sample(replicas: number, load: number): Fare {
    const { slo = { ttftMs: undefined, tpotMs: undefined } } = this.#options
    // Nobody comes: whoever came would be alone.
    const perSecond = Math.max(load, 0.001) * replicas * this.capacity
    const count = 300 + 200 * replicas
    const answers = this.#answered(replicas, perSecond, count).slice(Math.floor(count / 4))
    const sum = { ttft: 0, tpot: 0, both: 0, ms: 0 }
    for (const { sentMs, firstMs, endMs, output } of answers) {
      // No replica holds it: it is answered with an error.
      if (endMs === 0) continue
      const isFirst = firstMs - sentMs <= (slo.ttftMs ?? Number.POSITIVE_INFINITY)
      const isNext = output < 2 || (endMs - firstMs) / (output - 1) <= (slo.tpotMs ?? Number.POSITIVE_INFINITY)
      if (isFirst) sum.ttft++
      if (isNext) sum.tpot++
      if (isFirst && isNext) sum.both++
      sum.ms += endMs - sentMs
    }
    const of = answers.length
    const atOnce = load === 0 ? 0 : (perSecond * sum.ms) / of / 1000
    return { ttft: sum.ttft / of, tpot: sum.tpot / of, both: sum.both / of, atOnce }
  }

  #answered(replicas: number, perSecond: number, count: number): Answered[] {
    const { engine, atOnceMax } = this.#options
    const servers = Array.from({ length: replicas }, () => new Server(engine))
    const [answers, line]: [Answered[], Answered[]] = [[], []]
    const sendLine = (atMs: number) => {
      for (let first = line[0]; first !== undefined; first = line[0]) {
        const server = servers.reduce((least, one) => (one.inFlight < least.inFlight ? one : least))
        if (server.inFlight >= atOnceMax) return
        line.shift()
        server.send(first, atMs)
      }
    }
    const goTo = (untilMs: number) => {
      for (;;) {
        const next = servers.reduce((soonest, one) => (one.nextMs < soonest.nextMs ? one : soonest))
        if (next.nextMs > untilMs || next.nextMs === Number.POSITIVE_INFINITY) return
        const atMs = next.nextMs
        next.advance(atMs)
        sendLine(atMs)
      }
    }
    for (const { atMs, input, output } of arrivalsAt(this.#options, perSecond, count)) {
      goTo(atMs)
      const asked = { sentMs: atMs, firstMs: 0, endMs: 0, input, output }
      answers.push(asked)
      line.push(asked)
      sendLine(atMs)
    }
    goTo(Number.POSITIVE_INFINITY)
    return answers
  }

  /** Of one replica that always has as many as it may: how many it ends in a second. */
  #capacity(): number {
    const { engine, atOnceMax } = this.#options
    const full = Math.min(atOnceMax, engine.sequencesMax)
    const server = new Server(engine)
    const requests = arrivalsAt(this.#options, 1, 6 * full + 200)
    const ends: number[] = []
    for (const { input, output } of requests) {
      while (server.inFlight >= full) {
        const before = server.inFlight
        const atMs = server.nextMs
        server.advance(atMs)
        for (let ended = server.inFlight; ended < before; ended++) ends.push(atMs)
      }
      server.send({ sentMs: 0, firstMs: 0, endMs: 0, input, output }, server.atMs)
    }
    // None fits: each is answered with an error, at once.
    if (ends.length < 2) return requests.length
    const from = Math.min(ends.length - 2, 2 * full)
    return (1000 * (ends.length - 1 - from)) / Math.max(1, (ends.at(-1) ?? 0) - (ends[from] ?? 0))
  }
}

function variationOf(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return values.reduce((sum, value) => sum + (value / mean - 1) * (value / mean - 1), 0) / values.length
}

/** Numbers of replicas, and parts of what they can answer, of which samples are taken. */
const counts = [1, 2, 4, 8, 16]
const loads = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97]
/** Above it chance decides over hours, not over seconds. */
export const steadyLoadMax = 0.97

interface Answered {
  sentMs: number
  firstMs: number
  endMs: number
  input: number
  output: number
}

class Server {
  inFlight = 0
  atMs = 0
  readonly #engine: Engine
  readonly #asked = new Map<Sequence, Answered>()

  constructor(model: EngineModel) {
    this.#engine = new Engine(model)
  }

  get nextMs(): number {
    return this.#engine.nextMs() ?? Number.POSITIVE_INFINITY
  }

  send(asked: Answered, atMs: number): void {
    this.advance(atMs)
    const { input, output } = asked
    if (!this.#engine.holds(input, output)) return
    this.inFlight++
    this.#asked.set(this.#engine.submit(input, output, atMs), asked)
  }

  advance(atMs: number): void {
    for (const { kind, sequence, atMs: toldMs } of this.#engine.advance(atMs)) {
      const asked = this.#asked.get(sequence)
      if (asked === undefined) continue
      if (kind === 'first-token') asked.firstMs = toldMs
      else {
        asked.endMs = toldMs
        this.inFlight--
        this.#asked.delete(sequence)
      }
    }
    this.atMs = Math.max(this.atMs, atMs)
  }
}

/** The first so many, at another rate. */
function arrivalsAt({ traffic }: ServingOptions, perSecond: number, count: number): Arrival[] {
  const all = arrivalsOf(steadyAt(traffic, perSecond), 0, seededRandom(1))
  const found: Arrival[] = []
  for (let next = all.next(); !next.done && found.length < count; next = all.next()) found.push(next.value)
  return found
}

function steadyAt(traffic: Traffic, perSecond: number): Traffic {
  const steady = { kind: 'drawn', rate: perSecond, daily: undefined, bursts: [] } as const
  if (traffic.kind === 'drawn') return { ...traffic, ...steady }
  // Clients together are about as bursty as each is on average.
  if (traffic.kind === 'clients') return { ...traffic, ...steady, cv: Math.sqrt(gapsOf(traffic)) }
  return { ...traffic, speed: (traffic.speed * perSecond) / meanRate(traffic), repeats: true }
}

/** The squared coefficient of variation of the gaps: of a trace, as if they were those of a Poisson process. */
function gapsOf(traffic: Traffic): number {
  if (traffic.kind === 'drawn') return traffic.cv * traffic.cv
  if (traffic.kind === 'past') return 1
  let [requests, sum] = [0, 0]
  for (const { windows } of traffic.clients) {
    for (const { fromMs, toMs, perMs, gaps } of windows) {
      const own = (toMs - fromMs) * perMs
      requests += own
      sum += own * (gaps.law === 'gamma' ? 1 / gaps.shape : weibullVariation(gaps.shape))
    }
  }
  return requests === 0 ? 1 : sum / requests
}

function meanRate({ requests: { times }, speed }: Extract<Traffic, { kind: 'past' }>): number {
  return (1000 * speed * times.length) / Math.max(1000, times.at(-1) ?? 0)
}
