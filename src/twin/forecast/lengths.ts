import { gangOfJob } from '../../model/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { isReplica } from '../../scheduler/gangs.ts'
import { endOf } from '../../scheduler/line/reservations.ts'
import type { PastJob } from '../import/past-job.ts'
import { paceOf, type StepsKnown } from './pace.ts'
import { acceleratorsAsked, membersAsked } from './size.ts'

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

/** A job that has ended: how long that took from its first start on, and what it is told by. */
export type Ended = Pick<PastJob, 'workload' | 'gpus' | 'durationSeconds' | 'limitSeconds'>

/** Fewer jobs that lasted as long say nothing about another. */
const alikeMin = 10

/** How long jobs work, as those say that have ended, and those that have not. */
export class Lengths {
  readonly #byWorkload = new Map<string, Lasted>()
  readonly #bySize = new Map<string, Lasted>()
  readonly #all = new Lasted()
  /** What jobs took of what had been declared for them. */
  readonly #shares = new Lasted()

  /** @param running Gangs that sit: that they have not ended yet says something, too. */
  constructor(past: readonly Ended[], running: readonly Gang[] = [], nowMs = 0) {
    for (const { workload, gpus, durationSeconds, limitSeconds } of past) {
      for (const group of this.#groups(workload, gpus)) group.add(durationSeconds, true)
      if (limitSeconds !== undefined && limitSeconds > 0) this.#shares.add(durationSeconds / limitSeconds, true)
    }
    for (const gang of past.length === 0 ? [] : running) {
      const ranSeconds = ranSecondsOf(gang, nowMs)
      if (ranSeconds === 0 || isReplica(gang)) continue
      for (const group of this.#groups(gang.metadata.name, acceleratorsAsked(gang))) group.add(ranSeconds, false)
    }
  }

  /**
   * @param quantile Which of all that may be, from 0, the soonest, to 1.
   * @param steps How its steps go, if that is known.
   */
  of(gang: Gang, quantile: number, nowMs: number, steps: StepsKnown = {}): Length {
    const ranSeconds = ranSecondsOf(gang, nowMs)
    const end = endOf(gang)
    if (end?.basis === 'pace') return { seconds: byPace(end, quantile, nowMs), basis: 'pace' }
    const { expectedSeconds } = gang.spec
    const groups = this.#groups(gang.metadata.name, acceleratorsAsked(gang))
    // Who declares how long it works knows it better than others do that are as large.
    const alike = expectedSeconds === undefined ? groups : groups.slice(0, 1)
    if (alike.some((group) => group.lastingMore(ranSeconds) >= alikeMin))
      return { seconds: draw(groups, quantile, ranSeconds) - ranSeconds, basis: 'history' }
    if (expectedSeconds === undefined)
      return { seconds: draw([philly], quantile, ranSeconds) - ranSeconds, basis: 'nothing' }
    const { speed = 1, members } = gang.status?.seats ?? {}
    const declared = (expectedSeconds / speed) * paceOf(gang, members?.length ?? membersAsked(gang), steps)
    const share = this.#shares.lastingMore(0) < alikeMin ? 1 : draw([this.#shares], quantile, ranSeconds / declared)
    if (share * declared > ranSeconds) return { seconds: share * declared - ranSeconds, basis: 'declared' }
    return { seconds: asLongAgain(quantile, ranSeconds) - ranSeconds, basis: 'declared' }
  }

  /** Those alike, the most alike first. */
  #groups(workload: string | undefined, gpus: number): Lasted[] {
    const bySize = kept(this.#bySize, String(gpus))
    return workload === undefined
      ? [bySize, this.#all]
      : [kept(this.#byWorkload, `${familyOf(workload)} ${gpus}`), bySize, this.#all]
  }
}

interface Time {
  seconds: number
  isEnd: boolean
}

/** How long some lasted, and which of them ended then. */
class Lasted {
  readonly #times: Time[] = []
  #isSorted = true

  add(seconds: number, isEnd: boolean): void {
    this.#times.push({ seconds, isEnd })
    this.#isSorted = false
  }

  lastingMore(seconds: number): number {
    return this.#sorted().length - this.#firstAfter(seconds)
  }

  /**
   * The length that one more, which has lasted longer than `from`, does not exceed with this probability; or, where it is one
   * that none of them has come to, the part of the quantile that is left, of those that last longer than the last end. After
   * Kaplan and Meier (1958): whoever has not ended counts until it was last seen. One more is as likely to end first, last or
   * between any two of those that it is compared with (Hill 1968): of n that have ended it outlasts all once in n + 1 times.
   */
  quantile(quantile: number, from: number): { seconds: number } | { left: number; from: number } {
    const times = this.#sorted()
    let survive = 1
    let lastEnd = from
    for (let at = this.#firstAfter(from); at < times.length; at++) {
      const one = times[at]
      if (one?.isEnd !== true) continue
      survive *= 1 - 1 / (times.length - at + 1)
      lastEnd = one.seconds
      if (survive <= 1 - quantile + 1e-9) return { seconds: one.seconds }
    }
    return { left: (quantile - (1 - survive)) / survive, from: lastEnd }
  }

  #firstAfter(seconds: number): number {
    const times = this.#sorted()
    let [low, high] = [0, times.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((times[middle]?.seconds ?? 0) <= seconds) low = middle + 1
      else high = middle
    }
    return low
  }

  #sorted(): readonly Time[] {
    if (!this.#isSorted) this.#times.sort((a, b) => a.seconds - b.seconds)
    this.#isSorted = true
    return this.#times
  }
}

/** From the first group that knows enough of those that lasted so long; what it leaves open, from the next. */
function draw(groups: readonly Lasted[], quantile: number, ranSeconds: number): number {
  let [left, from] = [quantile, ranSeconds]
  for (const group of groups) {
    if (group.lastingMore(from) < alikeMin) continue
    const found = group.quantile(left, from)
    if ('seconds' in found) return found.seconds
    ;({ left, from } = found)
  }
  return asLongAgain(left, from)
}

/** Of whom nothing else is known: as likely as not, it lasts as long again as it has. */
function asLongAgain(quantile: number, ranSeconds: number): number {
  return ranSeconds / Math.max(0.01, 1 - quantile)
}

function ranSecondsOf({ spec, status }: Gang, nowMs: number): number {
  const seats = status?.seats
  return seats === undefined || seats.attempt !== spec.attempt ? 0 : Math.max(0, (nowMs - Date.parse(seats.at)) / 1000)
}

/** Those of the jobs that have done their work. */
export function endedOf(jobs: readonly TrainingJob[]): Ended[] {
  return jobs.flatMap((job) => {
    const { phase, startTime = '', completionTime = '' } = job.status ?? {}
    const durationSeconds = (Date.parse(completionTime) - Date.parse(startTime)) / 1000
    if (phase !== 'Succeeded' || !(durationSeconds >= 0)) return []
    const gpus = acceleratorsAsked(gangOfJob(job))
    return { workload: job.metadata.name, gpus, durationSeconds, limitSeconds: job.spec.expectedSeconds }
  })
}

function kept(groups: Map<string, Lasted>, key: string): Lasted {
  const group = groups.get(key) ?? new Lasted()
  groups.set(key, group)
  return group
}

/** Runs of one thing are numbered or dated: `llama-7`, `llama-2026-01-02`, `llama_v2_17`. */
export function familyOf(name: string): string {
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

/**
 * Seconds that jobs took on Microsoft's Philly, from the shortest over each tenth to the longest. Source: the 10,279 jobs of
 * Philly as Gavel published them (Jeon et al., USENIX ATC '19; Narayanan et al., OSDI '20).
 */
const phillyTenths = [3, 408, 1689, 2649, 3755, 6211, 16014, 31985, 60682, 159192, 11337573]

/** Between two of them at equal ratios. */
const philly = new Lasted()
for (let part = 0; part < 100; part++) {
  const [from = 1, to = from] = phillyTenths.slice(Math.floor(part / 10))
  philly.add(from * Math.exp(((part % 10) / 10) * Math.log(to / from)), true)
}
