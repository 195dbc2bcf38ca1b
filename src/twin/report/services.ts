import type { Recording, ReplicaLevel, ServiceRecord } from '../play/recording.ts'
import type { Histogram } from '../traffic/histogram.ts'
import { type Slo, total } from '../traffic/sums.ts'

/** How a time is spread, in milliseconds. Quantiles are within 1 %. */
export interface Latency {
  mean: number
  median: number
  p90: number
  p99: number
  max: number
}

/** What came of a service's requests. */
export interface ServiceSums {
  service: string
  requests: number
  answered: number
  /** Not let in, or given up while they waited; by the code that their clients were told. */
  refused: Record<string, number>
  /** Cut, too late, or lost. */
  failed: Record<string, number>
  /** At the end. */
  underWay: number
  /** Of those that were answered. */
  inputTokens: number
  outputTokens: number
  /** Of the tokens of prompts, those that were kept from others that began alike. */
  cachedTokens: number
  /** From when a request was sent to its first token, of those that were answered. */
  ttftMs: Latency | undefined
  /** A token after the first, on average over a request, of those that were answered with two or more. */
  tpotMs: Latency | undefined
  slo: Slo | undefined
  /** Of all requests that came to an end, those that were answered in time; undefined without an objective. */
  attainment: number | undefined
  replicas: { mean: number; max: number }
  /** Of equal stretches of the run, by when requests were sent; nothing is 0. */
  timeline: { requestsPerSecond: number[]; ttftP90Ms: number[] }
}

export function serviceSums(
  { service, requests, replicas }: ServiceRecord,
  { horizonMs }: Pick<Recording, 'horizonMs'>,
): ServiceSums {
  const { slo, ended, met, stretches } = requests
  const stretchSeconds = horizonMs / 1000 / stretches.length
  return {
    service: serviceTitle(service),
    requests: requests.requests,
    answered: requests.answered,
    refused: inOrder(requests.refused),
    failed: inOrder(requests.failed),
    underWay: requests.requests - ended,
    inputTokens: requests.inputTokens,
    outputTokens: requests.outputTokens,
    cachedTokens: requests.cachedTokens,
    ttftMs: latencyOf(requests.ttftMs),
    tpotMs: latencyOf(requests.tpotMs),
    slo,
    attainment: slo === undefined || ended === 0 ? undefined : met / ended,
    replicas: replicasOf(replicas, horizonMs),
    timeline: {
      requestsPerSecond: stretches.map((stretch) => stretch.requests / stretchSeconds),
      ttftP90Ms: stretches.map(({ ttftMs }) => ttftMs.at(0.9) ?? 0),
    },
  }
}

/** How a report calls a service. */
function serviceTitle(key: string): string {
  return key.replace(/^default\//, '')
}

export function countOf(codes: Record<string, number>): number {
  return total(new Map(Object.entries(codes)))
}

function inOrder(codes: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...codes].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function latencyOf(histogram: Histogram): Latency | undefined {
  const [median, p90, p99] = [histogram.at(0.5), histogram.at(0.9), histogram.at(0.99)]
  if (median === undefined || p90 === undefined || p99 === undefined) return undefined
  return { mean: histogram.mean, median, p90, p99, max: histogram.max }
}

function replicasOf(levels: readonly ReplicaLevel[], horizonMs: number): { mean: number; max: number } {
  let sum = 0
  for (const [index, { atMs, count }] of levels.entries())
    sum += count * ((levels[index + 1]?.atMs ?? horizonMs) - atMs)
  return { mean: sum / horizonMs, max: Math.max(0, ...levels.map(({ count }) => count)) }
}
