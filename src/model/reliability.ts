import { health } from './health.ts'

/**
 * When to checkpoint, and what it is worth. All times in seconds. Formulas: facts/reliability.md §2; the optimum is exact
 * for Poisson failures at a known rate and constant costs, where no controller that cannot predict does better.
 *
 * δ `stall`: how long a checkpoint keeps the job from working. M `mtbf`: mean time between failures of the whole job.
 * R `restart`: detection, restart and load. τ `interval`: useful work between checkpoints.
 */

/** The exact optimum interval: τ* = M·(1 + W₀(−e^(−δ/M − 1))). */
export function optimalInterval(stall: number, mtbf: number): number {
  return mtbf * (1 + lambertW0(-Math.exp(-stall / mtbf - 1), -Math.expm1(-stall / mtbf)))
}

/** Young 1974, for comparison: √(2δM). */
export function youngInterval(stall: number, mtbf: number): number {
  return Math.sqrt(2 * stall * mtbf)
}

/** Daly 2006, for comparison. */
export function dalyInterval(stall: number, mtbf: number): number {
  if (stall >= 2 * mtbf) return mtbf
  return youngInterval(stall, mtbf) * (1 + Math.sqrt(stall / (2 * mtbf)) / 3 + stall / (18 * mtbf)) - stall
}

/** Effective training time ratio: useful over elapsed time. A restart may itself fail. */
export function effectiveRatio(interval: number, stall: number, restart: number, mtbf: number): number {
  return interval / (mtbf * Math.exp(restart / mtbf) * Math.expm1((interval + stall) / mtbf))
}

/** The same when a saved state becomes usable only `lag` seconds later (asynchronous shipping). */
export function effectiveRatioWithLag(
  interval: number,
  stall: number,
  restart: number,
  lag: number,
  mtbf: number,
): number {
  return 1 / (1 / effectiveRatio(interval, stall, restart, mtbf) + lag / mtbf)
}

/** A job that steps on, one data-parallel group short, while that group is mended. */
export interface ElasticJob {
  groups: number
  /** How long a failure keeps all groups from working, and for how long the one that it struck is away. */
  failureStall: number
  degraded: number
  /** Of all failures, those that start the whole job again from its checkpoint. */
  fullRestarts: number
}

/** Effective training time ratio of such a job, to the first order in 1/M: no failure meets another. */
export function elasticRatio(
  { groups, failureStall, degraded, fullRestarts }: ElasticJob,
  interval: number,
  stall: number,
  restart: number,
  mtbf: number,
): number {
  const lost = (1 - fullRestarts) * (failureStall + degraded / groups) + fullRestarts * (restart + interval / 2)
  return (interval / (interval + stall)) * (1 - lost / mtbf)
}

export interface MeasuredJob {
  /** Mean stall of the job's own checkpoints; undefined until one was measured. */
  stallSeconds?: number | undefined
  /** How long a shipped checkpoint takes to become durable: asking more often than that only queues up. */
  persistSeconds?: number | undefined
  /** Whether it has a checkpoint already. */
  hasCheckpoint: boolean
  /** Failures seen while the job ran, and for how long it ran. */
  failures: number
  runSeconds: number
  /** Nodes that the job sits on. */
  nodes: number
}

/**
 * The interval for `interval: auto`: the exact optimum at the measured stall and failure rate, but
 * - never below 5 s, nor below what shipping a checkpoint takes;
 * - else never above an hour: estimates age as hardware does, and nobody should lose more;
 * - the first after a minute at the latest: it tells what the next ones cost, and most jobs that fail do so early (73 %
 *   within ten minutes: Aegis, facts/reliability.md §1.2).
 */
export function autoInterval(job: MeasuredJob): { seconds: number; mtbfSeconds: number; stallSeconds: number } {
  const mtbfSeconds = mtbfOf(job)
  const stallSeconds = Math.max(stallSecondsMin, job.stallSeconds ?? stallSecondsUnmeasured)
  const optimum = optimalInterval(stallSeconds, mtbfSeconds)
  const longest = job.hasCheckpoint ? intervalSecondsMax : intervalSecondsFirst
  const seconds = Math.max(intervalSecondsMin, job.persistSeconds ?? 0, Math.min(longest, optimum))
  return { seconds, mtbfSeconds, stallSeconds }
}

/**
 * Mean time between failures of the whole job. Without a failure it is that of large fleets, longer with every hour that
 * goes well (a Gamma prior of weight one). With failures it is no longer than what this job has seen, where the first
 * hour counts extra: failures come in clusters, and a fleet's rate must not outvote five of them in ten minutes.
 */
function mtbfOf({ failures, runSeconds, nodes }: MeasuredJob): number {
  const prior = nodeMtbfSeconds / Math.max(1, nodes)
  const weighed = (prior + runSeconds) / (1 + failures)
  return failures === 0 ? weighed : Math.min(weighed, (clusterSeconds + runSeconds) / failures)
}

/** What was seen of the nodes of a pool. */
export interface SeenOfNodes {
  /** For how long they were in service, all together. */
  nodeSeconds: number
  failures: number
  /** For how long they were away, all together, those among them that still are. */
  outSeconds: number
  repairs: number
}

/**
 * How many nodes of so many are to be kept as spares: enough for all that are out at once, with a probability of 99 %, and no
 * more than a fifth. `seen`: of this pool; without it, large fleets are taken for an example.
 */
export function sparesFor(nodes: number, seen?: SeenOfNodes): number {
  const { mtbfSeconds, repairSeconds } = nodeRates(seen)
  return Math.min(sparesMax(nodes), sparesAt((nodes / mtbfSeconds) * repairSeconds, sparesCertainty))
}

/** Of a small pool one spare is much: never more than may be out of service before recovery closes no more (`control/nodes/budget.ts`). */
export function sparesMax(nodes: number): number {
  return Math.floor(nodes * sparesShareMax)
}

/**
 * Mean time between failures of one node, and until it is back. Failures are Poisson and repairs exponential at rates with Gamma
 * priors of weight one, as if one failure and one repair of a large fleet had been seen before: the posterior means are
 * (1 + failures) / (prior time + time in service), and likewise of repairs, where those that are not over yet count with their
 * time. Never more than ten times off the prior: so few nodes may be struck together, or judged by wrong signals.
 */
export function nodeRates(seen: SeenOfNodes = nothingSeen): { mtbfSeconds: number; repairSeconds: number } {
  const known = Object.values(seen).every((value) => Number.isFinite(value) && value >= 0) ? seen : nothingSeen
  return {
    mtbfSeconds: near(nodeMtbfSeconds, (nodeMtbfSeconds + known.nodeSeconds) / (1 + known.failures)),
    repairSeconds: near(nodeRepairSeconds, (nodeRepairSeconds + known.outSeconds) / (1 + known.repairs)),
  }
}

const nothingSeen: SeenOfNodes = { nodeSeconds: 0, failures: 0, outSeconds: 0, repairs: 0 }
const timesOffMax = 10

function near(prior: number, value: number): number {
  return Math.min(prior * timesOffMax, Math.max(prior / timesOffMax, value))
}

/**
 * The fewest spares that are enough with probability `certainty`, where `out` nodes are out of service on average: failures at
 * a rate λ, each away for MTTR, out = λ·MTTR. How many are out is Poisson, however long single repairs take.
 */
export function sparesAt(out: number, certainty: number): number {
  let spares = 0
  let logOfExactly = -out
  let atMost = Math.exp(logOfExactly)
  while (out > 0 && atMost < certainty) {
    spares++
    logOfExactly += Math.log(out / spares)
    atMost += Math.exp(logOfExactly)
  }
  return spares
}

/** ByteRobust (arXiv 2509.16293) sizes its standbys by P99. */
const sparesCertainty = 0.99
/** A node that is to be repaired is away for a day: facts/reliability.md §2.3. */
const nodeRepairSeconds = 86_400
const sparesShareMax = health.outOfService.at

/** 6.50 failures per 1,000 node-days, the higher of Meta's two research clusters (arXiv 2410.21680). */
const nodeMtbfSeconds = (1000 / 6.5) * 86_400
/** One failure in the first seconds is no reason to expect one every few seconds. */
const clusterSeconds = 3600
/** Free checkpoints would have an optimum of zero; a request, its write and its manifest are never free. */
const stallSecondsMin = 0.01
export const stallSecondsUnmeasured = 1
const intervalSecondsMin = 5
const intervalSecondsFirst = 60
const intervalSecondsMax = 3600

/** Principal Lambert W on [−1/e, 0) by Halley's method; `u` = 1 + e·x comes separately because it cancels near −1/e. */
function lambertW0(x: number, u: number): number {
  let w = -1 + Math.sqrt(2 * u)
  for (let i = 0; i < 12; i++) {
    const e = Math.exp(w)
    const f = w * e - x
    const step = f / (e * (w + 1) - ((w + 2) * f) / (2 * w + 2))
    if (!(Math.abs(step) > 1e-15)) break
    w -= step
  }
  return w
}
