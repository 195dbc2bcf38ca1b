import type { Gang } from '../../model/kinds/gang.ts'
import { endOf } from '../../scheduler/line/reservations.ts'
import type { PastJob } from '../import/past-job.ts'
import { acceleratorsAsked } from './size.ts'

/**
 * What is known of how long a gang will work: its own pace; what jobs like it took; what its owner declared; or nothing, and
 * then it is taken for one of Philly's.
 */
export type Basis = 'pace' | 'history' | 'declared' | 'nothing'

export interface Length {
  /** Still to work, at the size and the speed that it has; where it does not sit, with all its members at speed 1. */
  seconds: number
  basis: Basis
}

/** Fewer jobs say nothing about another. */
const alikeMin = 10

/** How long jobs worked, as a history says. */
export class Lengths {
  readonly #byWorkload = new Map<string, number[]>()
  readonly #bySize = new Map<string, number[]>()
  /** What jobs took of what had been declared for them. */
  readonly #shares: number[] = []

  constructor(past: readonly PastJob[]) {
    for (const { workload, gpus, durationSeconds, limitSeconds } of past) {
      if (workload !== undefined) add(this.#byWorkload, `${familyOf(workload)} ${gpus}`, durationSeconds)
      add(this.#bySize, String(gpus), durationSeconds)
      if (limitSeconds !== undefined && limitSeconds > 0) this.#shares.push(durationSeconds / limitSeconds)
    }
    for (const all of [...this.#byWorkload.values(), ...this.#bySize.values(), this.#shares]) all.sort((a, b) => a - b)
  }

  /** @param quantile Which of all that may be, from 0, the soonest, to 1. */
  of(gang: Gang, quantile: number, nowMs: number): Length {
    const { seats } = gang.status ?? {}
    const sits = seats !== undefined && seats.attempt === gang.spec.attempt
    const ranSeconds = sits ? Math.max(0, (nowMs - Date.parse(seats.at)) / 1000) : 0
    const end = endOf(gang)
    if (end?.basis === 'pace') return { seconds: byPace(end, quantile, nowMs), basis: 'pace' }
    const alike = this.#alike(gang)
    if (alike !== undefined) return { seconds: rest(alike, quantile, ranSeconds), basis: 'history' }
    const { expectedSeconds } = gang.spec
    if (expectedSeconds === undefined) return { seconds: rest(philly, quantile, ranSeconds), basis: 'nothing' }
    const speed = sits ? (seats.speed ?? 1) : 1
    const shares = this.#shares.length < alikeMin ? [1] : this.#shares
    const declared = shares.map((share) => (share * expectedSeconds) / speed)
    return { seconds: rest(declared, quantile, ranSeconds), basis: 'declared' }
  }

  #alike(gang: Gang): readonly number[] | undefined {
    const gpus = acceleratorsAsked(gang)
    const known = [this.#byWorkload.get(`${familyOf(gang.metadata.name)} ${gpus}`), this.#bySize.get(String(gpus))]
    return known.find((one) => one !== undefined && one.length >= alikeMin)
  }
}

/** Runs of one thing are numbered or dated: `llama-7`, `llama-2026-01-02`, `llama_v2_17`. */
function familyOf(name: string): string {
  const parts = name.toLowerCase().split(/[-_.]/)
  const last = parts.findLastIndex((part) => !/[0-9]/.test(part))
  return parts.slice(0, Math.max(1, last + 1)).join('-')
}

/** A tenth is sooner than the earliest time, a tenth later than the latest. */
function byPace(
  { atMs, earliestMs, latestMs }: { atMs: number; earliestMs: number; latestMs: number },
  quantile: number,
  nowMs: number,
): number {
  const [fromMs, part] = quantile < 0.5 ? [earliestMs, (0.5 - quantile) / 0.4] : [latestMs, (quantile - 0.5) / 0.4]
  return Math.max(0, (atMs + (fromMs - atMs) * part - nowMs) / 1000)
}

/** Of those that took longer than it has run already; where none did, as long again as it ran, more or less. */
function rest(sorted: readonly number[], quantile: number, ranSeconds: number): number {
  const longer = ranSeconds === 0 ? sorted : sorted.slice(sorted.findLastIndex((one) => one <= ranSeconds) + 1)
  if (longer.length === 0) return (ranSeconds * quantile) / Math.max(0.01, 1 - quantile)
  const at = quantile * (longer.length - 1)
  const [low, high] = [longer[Math.floor(at)] ?? 0, longer[Math.ceil(at)] ?? 0]
  return low + (high - low) * (at - Math.floor(at)) - ranSeconds
}

function add(lists: Map<string, number[]>, key: string, value: number): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

/**
 * Seconds that jobs took on Microsoft's Philly, from the shortest over each tenth to the longest. Source: the 10,279 jobs of
 * Philly as Gavel published them (Jeon et al., USENIX ATC '19; Narayanan et al., OSDI '20).
 */
const philly: readonly number[] = [3, 408, 1689, 2649, 3755, 6211, 16014, 31985, 60682, 159192, 11337573]
