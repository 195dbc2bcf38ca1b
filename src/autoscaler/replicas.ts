/** Pure: what one service's demand and limits make of its number of replicas. */

/** Its times are those of one clock, which nobody sets. */
export interface ReplicaSignals {
  nowMs: number
  /** Replicas wanted until now. */
  current: number
  /** Requests under way, and waiting for a replica. */
  inFlight: number
  held: number
  /** Mean number of requests under way since the last signal: sees short requests that fall between two signals. */
  concurrency?: number | undefined
  lastRequestAtMs?: number | undefined
}

export interface ReplicaLimits {
  min: number
  max: number
  /** Requests at once that one replica should serve. */
  target: number
  scaleDownMs: number
}

/** What demand asked for at some time. Kept newest last and falling: an older, lower one can never matter again. */
export interface Demand {
  atMs: number
  replicas: number
}

export interface ReplicaDecision {
  replicas: number
  /** To be handed in again at the next decision. Losing it only delays a scale-down. */
  history: Demand[]
  /** When the decision changes by itself if the signals stay as they are. */
  againAtMs?: number
  reason: 'Demand' | 'Held' | 'Minimum' | 'Maximum' | 'Settling'
}

/**
 * Up at once, down only when demand has stayed low for the whole of `scaleDownMs`: the answer is the highest demand
 * within that time. A missing history counts the present replicas as demanded now, so that a restart of the control
 * plane cannot scale down what it has not watched.
 */
export function wantedReplicas(
  signals: ReplicaSignals,
  limits: ReplicaLimits,
  history: readonly Demand[] | undefined,
): ReplicaDecision {
  const { nowMs } = signals
  const asked = demanded(signals, limits)
  const past = history ?? [{ atMs: nowMs, replicas: signals.current }]
  const seen =
    signals.lastRequestAtMs === undefined ? past : remember(past, { atMs: signals.lastRequestAtMs, replicas: 1 })
  const fresh = remember(seen, { atMs: nowMs, replicas: asked }).filter(
    (demand) => demand.atMs === nowMs || demand.atMs + limits.scaleDownMs > nowMs,
  )
  const highest = fresh[0]?.replicas ?? asked
  const replicas = Math.min(limits.max, Math.max(limits.min, highest))
  const settling = replicas > Math.max(asked, limits.min) && fresh[0] !== undefined
  return {
    replicas,
    history: fresh,
    ...(settling && fresh[0] ? { againAtMs: fresh[0].atMs + limits.scaleDownMs } : {}),
    reason: reasonOf(signals, limits, asked, highest, replicas),
  }
}

/** What demand needs at this moment; a single held request needs one replica. */
function demanded(signals: ReplicaSignals, limits: ReplicaLimits): number {
  const atOnce = Math.max(signals.inFlight + signals.held, signals.concurrency ?? 0)
  return Math.ceil(atOnce / limits.target)
}

function remember(history: readonly Demand[], demand: Demand): Demand[] {
  const higher = history.filter((old) => old.atMs > demand.atMs || old.replicas > demand.replicas)
  const shadowed = higher.some((old) => old.atMs >= demand.atMs && old.replicas >= demand.replicas)
  if (shadowed) return [...history]
  return [...higher, demand].sort((a, b) => a.atMs - b.atMs)
}

function reasonOf(
  signals: ReplicaSignals,
  limits: ReplicaLimits,
  asked: number,
  highest: number,
  replicas: number,
): ReplicaDecision['reason'] {
  if (highest > limits.max) return 'Maximum'
  if (highest < limits.min) return 'Minimum'
  if (replicas > asked) return replicas === limits.min ? 'Minimum' : 'Settling'
  return signals.held > 0 ? 'Held' : 'Demand'
}
