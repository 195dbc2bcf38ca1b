import type { Gang } from '../model/kinds/gang.ts'
import type { Seats, Verdict, Victim } from './contract.ts'

/** What the scheduler keeps of each gang. */
export interface GangState {
  key: string
  object: Gang
  /** What the fleet currently counts as this gang's seats (or what is kept for it), and under which pods. */
  seats: Kept | undefined
  seatPods: string[]
  /** What they come to, in milli-accelerators by model. */
  holds: ReadonlyMap<string, number>
  /** Its seats are kept for another: what it still holds is charged to its queue no more. */
  leaving: boolean
  inFlight: { verdict: Verdict; outcome?: 'committed' | 'stale' } | undefined
  /** Since when it waits for pods of its own to end. */
  endingSinceMs: number | undefined
}

/** Seats that it has, or that it will have once others have left. */
export type Kept = Pick<Seats, 'attempt' | 'members'>

export function newState(key: string, object: Gang): GangState {
  return {
    key,
    object,
    seats: undefined,
    seatPods: [],
    holds: new Map(),
    leaving: false,
    inFlight: undefined,
    endingSinceMs: undefined,
  }
}

/** Seats that it has, void or not, or what is kept for it. Seats that were asked back are void with their attempt. */
export function keptBy({ spec, status }: Gang): Kept | undefined {
  const { seats, hold, eviction } = status ?? {}
  if (hold !== undefined && hold.attempt === spec.attempt) return hold
  const isGone = seats !== undefined && seats.attempt !== spec.attempt && eviction?.attempt === seats.attempt
  return isGone ? undefined : seats
}

/** Its pods that hold something, by seats or by living. */
export function podsOf(state: GangState, live: ReadonlySet<string>): Iterable<string> {
  return live.size === 0 ? state.seatPods : new Set([...state.seatPods, ...live])
}

/** Those who are to leave for what is kept for it, as decided or as committed. */
export function victimsOf({ inFlight, object: { spec, status } }: GangState): readonly Victim[] {
  if (inFlight?.verdict.kind === 'preempt' && inFlight.outcome !== 'stale') return inFlight.verdict.victims
  if (inFlight?.verdict.kind === 'bind' && inFlight.outcome !== 'stale') return []
  return status?.hold?.attempt === spec.attempt ? status.hold.victims : []
}
