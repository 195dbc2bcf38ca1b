import type { Gang } from './kinds/gang.ts'
import { acceleratorsOf, seatsNow } from './seats.ts'

/** What stopping a gang now would throw away: the currency of every preemption, migration, restart and resize. */
export interface LostWork {
  /** GPU- or slot-seconds: work that is not saved, or what saving it first takes, and the cost to get going again. */
  gpuSeconds: number
  /** The same in GPU-seconds at full speed: what is done on a slow accelerator is sooner done again on a fast one. */
  price: number
  sinceCheckpointSeconds: number
  /** What the checkpoint takes that it is asked for first; undefined where it is not known to write one then. */
  onRequestSeconds: number | undefined
  restartSeconds: number
  gpus: number
}

export interface RunningWork {
  /** Devices that it holds; shares count as such. */
  gpus: number
  /** When it started to work in this attempt (its seats were committed). */
  sinceMs: number
  /** When what its last durable checkpoint holds was written, if there is one. */
  checkpointAtMs?: number | undefined
  /** What its last checkpoint on request took, until it was durable; left out where it never wrote one. */
  onRequestSeconds?: number | undefined
  /** Measured time from seats to the first step; a guess until it was. */
  restartSeconds?: number | undefined
  /** How fast it works on what it holds; 1 when left out. */
  speed?: number | undefined
}

/**
 * (now − last durable checkpoint) × GPUs + restart × GPUs. A checkpoint of an earlier attempt does not shorten it: work
 * since this attempt's start is all that this attempt could lose. Whoever writes a checkpoint when asked is asked before it
 * is stopped: it loses only the time that this takes.
 */
export function priceOfStopping(work: RunningWork, nowMs: number): LostWork {
  const fromMs = Math.max(work.sinceMs, work.checkpointAtMs ?? work.sinceMs)
  const sinceCheckpointSeconds = Math.max(0, nowMs - fromMs) / 1000
  const restartSeconds = work.restartSeconds ?? restartSecondsUnmeasured
  const { gpus, speed = 1, onRequestSeconds } = work
  const gpuSeconds = ((onRequestSeconds ?? sinceCheckpointSeconds) + restartSeconds) * gpus
  return { gpuSeconds, price: gpuSeconds * speed, sinceCheckpointSeconds, onRequestSeconds, restartSeconds, gpus }
}

/** The price of a gang by what its resource says; undefined while it holds no seats: there is nothing to lose. */
export function priceOfGang(gang: Gang, nowMs: number): LostWork | undefined {
  const { checkpoint, restartSeconds, checkpointRequestSeconds: onRequestSeconds } = gang.status ?? {}
  const seats = seatsNow(gang)
  if (seats === undefined) return undefined
  const checkpointAtMs = checkpoint === undefined ? undefined : timeOf(checkpoint.at)
  return priceOfStopping(
    {
      gpus: acceleratorsOf(seats),
      sinceMs: timeOf(seats.at) ?? nowMs,
      checkpointAtMs,
      onRequestSeconds,
      restartSeconds,
      speed: seats.speed,
    },
    nowMs,
  )
}

/** Between a warm restart on one machine (seconds) and a cold one in a fleet (minutes: facts/reliability.md §1.2). */
const restartSecondsUnmeasured = 30

function timeOf(timestamp: string): number | undefined {
  const ms = Date.parse(timestamp)
  return Number.isNaN(ms) ? undefined : ms
}
