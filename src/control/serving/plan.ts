import type { Ages } from '../../base/ages.ts'
import { seenMs } from '../gangs.ts'
import { endOf, type Replica } from './look.ts'

/** Pure: what to do about a service's replicas, from what is. */
export interface Plan {
  /** Replicas to make, of the goal's revision. */
  create: number
  /** Those that move and that have none in their place yet: new ones come in theirs first. */
  replace: Replica[]
  /** Replicas to take away, whatever they do: the gateway stops routing, streams end, then they go. */
  leave: Replica[]
  /** Replicas whose pod ended and that start again. */
  restart: Replica[]
  /** In how many milliseconds an ended replica may start again, at the earliest. */
  restartInMs: number | undefined
  /** Replicas that are on their way out, in any phase. */
  leaving: Replica[]
}

export interface PlanInput {
  replicas: readonly Replica[]
  goal: string
  wanted: number
  /** Whether the revision has served, so that a replica of it that is not ready may be again. */
  hasServed(revision: string): boolean
  /** Whether a replica of the goal can be made; else those that have no process wait for that without a seat. */
  canMake: boolean
  /** Replicas whose seats are asked back; new ones wait in line in their place. */
  yields(replica: Replica): boolean
  /** In how many milliseconds a replica that ended is to start again. */
  restartInMs(replica: Replica): number
}

/**
 * Brings the number of replicas to `wanted`, all of the goal's revision and none that is to move or to leave its node. While others exist, one
 * more than wanted may: a new one is ready before an old one drains, so that the ready ones never fall below what is wanted. One
 * that is not ready is waited for by nobody where its revision never served, nor where a new one waits for seats.
 */
export function planReplicas({ replicas, goal, wanted, hasServed, canMake, yields, restartInMs }: PlanInput): Plan {
  const staying = replicas.filter((replica) => replica.state !== 'leaving')
  const yielding = staying.filter((replica) => yields(replica) || (!canMake && replica.live.length === 0))
  const active = staying.filter((replica) => !yielding.includes(replica))
  const isOld = ({ revision, isOutdated }: Replica) => revision !== goal || isOutdated
  const isFresh = (replica: Replica) => !isOld(replica) && !replica.moves && !replica.leaves
  const fresh = active.filter(isFresh)
  const isShort = fresh.some(({ waitsFor }) => waitsFor !== undefined)
  const isOver = (replica: Replica) =>
    canMake && isOld(replica) && replica.state !== 'ready' && (isShort || !hasServed(replica.revision))
  const [over, old] = [active.filter(isOver), active.filter((replica) => !isFresh(replica) && !isOver(replica))]
  const freshReady = fresh.filter((replica) => replica.state === 'ready').length
  const oldStay = Math.min(old.length, Math.max(0, wanted - freshReady))
  const ready = new Set(fresh.flatMap(({ state, gang }) => (state === 'ready' ? (gang.spec.replaces?.uid ?? []) : [])))
  const leaveOld = dispensable(old, ready).slice(0, old.length - oldStay)
  const leaveFresh = dispensable(fresh).slice(0, Math.max(0, fresh.length - wanted))
  const roof = oldStay === 0 ? wanted : wanted + 1
  const create = !canMake ? 0 : Math.max(0, Math.min(wanted - fresh.length, roof - oldStay - fresh.length))
  const gone = new Set([...yielding, ...over, ...leaveOld, ...leaveFresh])
  const ended = active.filter((replica) => replica.state === 'ended' && !gone.has(replica))
  const restart = ended.filter((replica) => restartInMs(replica) <= 0)
  const later = ended.map(restartInMs).filter((ms) => ms > 0)
  const replaced = new Set(fresh.map(({ gang }) => gang.spec.replaces?.uid))
  const replace = old.filter(({ gang, moves }) => moves && !replaced.has(gang.metadata.uid))
  return {
    create,
    replace,
    leave: [...gone],
    restart,
    restartInMs: later.length === 0 ? undefined : Math.min(...later),
    leaving: replicas.filter((replica) => replica.state === 'leaving'),
  }
}

/** Those that are missed least first: not serving, then who has another in its place, the least busy, the youngest. */
function dispensable(replicas: readonly Replica[], replaced: ReadonlySet<string> = new Set()): Replica[] {
  const rank = ({ state, gang }: Replica) =>
    state === 'ended' ? 0 : state === 'starting' ? 1 : replaced.has(gang.metadata.uid ?? '') ? 2 : 3
  return replicas
    .map((replica, index) => ({ replica, index }))
    .sort((a, b) => rank(a.replica) - rank(b.replica) || a.replica.inFlight - b.replica.inFlight || b.index - a.index)
    .map(({ replica }) => replica)
}

const backoffFirstMs = 1000
const backoffMaxMs = 60_000
/** One that ran this long has not failed for the reason that it failed for before. */
const soundMs = 300_000

/** Failures in a row, the one that `replica` just had included. */
export function failuresOf(replica: Replica): number {
  return replica.ranMs >= soundMs ? 1 : replica.record.failures + 1
}

/** At once the first time, then after 1 s, 2 s, 4 s, … 60 s. One that somebody deleted has not failed. */
export function restartInMs(replica: Replica, ages: Ages): number {
  const { pod } = replica
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return 0
  const failures = failuresOf(replica)
  // Of one that was lost with its node nobody knows when it ended; counted from now it would never be due.
  const endedMs = endOf(pod).atMs ?? Date.parse(pod.metadata.creationTimestamp ?? '')
  if (failures <= 1) return 0
  let waitMs = backoffFirstMs
  for (let i = 2; i < failures && waitMs < backoffMaxMs; i++) waitMs *= 2
  return Math.max(0, Math.min(waitMs, backoffMaxMs) - ages.of(`${replica.gang.metadata.uid} ended`, endedMs, seenMs))
}

/**
 * In how many milliseconds a revision that has never served has had its time: seated for `deadlineMs`, and no replica of it
 * ready. Undefined: one is, or none has seats.
 */
export function overdueInMs(fresh: readonly Replica[], deadlineMs: number, ages: Ages): number | undefined {
  if (fresh.some((replica) => replica.state === 'ready')) return undefined
  const seatedMs = fresh.flatMap(({ gang, seatedSinceMs }) =>
    seatedSinceMs === undefined ? [] : ages.of(`${gang.metadata.uid} seated`, seatedSinceMs, seenMs),
  )
  return seatedMs.length === 0 ? undefined : deadlineMs - Math.max(...seatedMs)
}
