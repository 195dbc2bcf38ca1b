import { Histogram } from './histogram.ts'

/** What its users expect of a service, in milliseconds. */
export interface Slo {
  /** Until the first token. */
  ttftMs: number | undefined
  /** A token after the first, on average over a request. */
  tpotMs: number | undefined
}

export interface Answer {
  /** When the client sent it, when its first and its last token came. */
  sentMs: number
  firstMs: number
  endMs: number
  input: number
  output: number
  /** Of `input`, what was kept from others that began alike. */
  cached: number
}

/** What came of the requests that were sent in one stretch of a run. */
export interface Stretch {
  requests: number
  ttftMs: Histogram
}

/** What came of a service's requests. Memory does not grow with their number. */
export class RequestSums {
  requests = 0
  answered = 0
  /** By code: not admitted, or given up while they waited. */
  readonly refused = new Map<string, number>()
  /** By code: broke off, took too long, or were lost with their replica. */
  readonly failed = new Map<string, number>()
  /** Of those that were answered. */
  inputTokens = 0
  outputTokens = 0
  cachedTokens = 0
  met = 0
  readonly tpotMs = new Histogram()
  readonly slo: Slo | undefined
  readonly stretches: Stretch[]
  readonly #startMs: number
  readonly #stretchMs: number

  constructor(slo: Slo | undefined, run: { startMs: number; horizonMs: number; stretches: number }) {
    this.slo = slo
    this.#startMs = run.startMs
    this.#stretchMs = run.horizonMs / run.stretches
    this.stretches = Array.from({ length: run.stretches }, () => ({ requests: 0, ttftMs: new Histogram() }))
  }

  sent(atMs: number): void {
    this.requests++
    const stretch = this.#stretchAt(atMs)
    if (stretch !== undefined) stretch.requests++
  }

  answer({ sentMs, firstMs, endMs, input, output, cached }: Answer): void {
    const ttftMs = firstMs - sentMs
    const tpotMs = output > 1 ? (endMs - firstMs) / (output - 1) : undefined
    this.answered++
    this.inputTokens += input
    this.outputTokens += output
    this.cachedTokens += cached
    if (tpotMs !== undefined) this.tpotMs.add(tpotMs)
    this.#stretchAt(sentMs)?.ttftMs.add(ttftMs)
    const { ttftMs: ttftMost = ttftMs, tpotMs: tpotMost = tpotMs ?? 0 } = this.slo ?? {}
    if (ttftMs <= ttftMost && (tpotMs ?? 0) <= tpotMost) this.met++
  }

  refuse(code: string): void {
    count(this.refused, code)
  }

  fail(code: string): void {
    count(this.failed, code)
  }

  /** Requests that have come to an end, whichever. */
  get ended(): number {
    return this.answered + total(this.refused) + total(this.failed)
  }

  /** Times to the first token, of the whole run. */
  get ttftMs(): Histogram {
    const all = new Histogram()
    for (const { ttftMs } of this.stretches) all.merge(ttftMs)
    return all
  }

  #stretchAt(atMs: number): Stretch | undefined {
    return this.stretches[Math.floor((atMs - this.#startMs) / this.#stretchMs)]
  }
}

export function total(counts: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const value of counts.values()) sum += value
  return sum
}

function count(counts: Map<string, number>, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1)
}
