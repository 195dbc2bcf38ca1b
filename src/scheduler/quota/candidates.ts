import type { Victim } from '../contract.ts'
import type { Amounts } from './account.ts'
import { compare } from './quotas.ts'
import type { PreemptionPolicy } from './tree.ts'

/** What waits for room, and may displace others to have it. */
export interface Request {
  /** `namespace/name`. */
  gang: string
  queue: string
  priority: number
  /** ISO 8601; empty is the oldest. */
  createdAt: string
  /** Milli-accelerators by model, of all members together. */
  wants: Amounts
}

/** A gang that holds seats. */
export interface Candidate {
  key: string
  uid: string
  queue: string
  priority: number
  createdAt: string
  /** When it took its seats. */
  sinceMs: number
  /** Its seats have been asked back already. */
  leaving: boolean
  /** What it holds is charged to its queue no more: it leaves, and that is only a matter of time. */
  uncharged?: boolean
  preemptible: boolean
  /** Its minimum run time is not over: nobody takes its seats yet. */
  spared?: boolean
  /** Of those it is one of, so many may leave. */
  allowance?: Allowance
  /** It counts among those that may leave. */
  isReady?: boolean
  /** Milli-accelerators by model. */
  holds: Amounts
  /** GPU-seconds of work that its leaving loses. */
  price: number
  /** It has more members than it needs: with fewer it could go on at once. */
  canShrink?: boolean
}

/** How many may leave of candidates that share a disruption budget. */
export interface Allowance {
  left: number
  /** Somebody was passed over for it. */
  isUsedUp: boolean
  /** Who had been taken when somebody was. */
  usedBy: Set<string>
}

/** The world in which victims are tried. */
export interface Stage {
  /** Takes the candidate's devices from the nodes and its usage from the tree, until it is put back. */
  lift(key: string): void
  putBack(key: string): void
  /**
   * Whether the nodes have room for the request now; asked only when its quota has. The request's own usage is not in
   * the tree while this runs.
   */
  fits(): boolean
  /** Whether it sits on no node on which `fits` found room last. */
  isSpare(key: string): boolean
  /** Whether the room that `fits` found last is still there with this one put back. Cheap; it may say no too often. */
  roomStays(key: string): boolean
  /** Whether the candidate's leaving can help the request onto nodes. One that cannot is never touched. */
  helps(key: string): boolean
}

export interface Chosen {
  key: string
  reason: Victim['reason']
}

/** Work lost is compared in whole accelerator-minutes, so that trifles do not decide. */
const priceGrain = 60

/**
 * The order in which candidates are taken: those that leave already, other queues' before the request's own, the lowest
 * priority, the lowest price of lost work in whole accelerator-minutes (rounded down), who can go on with fewer members,
 * the most recent seats, the uid. Where no checkpoint is known and prices are therefore equal, this is Kueue's order.
 */
export function candidateOrder(ownQueue: string): (a: Candidate, b: Candidate) => number {
  return (a, b) =>
    Number(b.leaving) - Number(a.leaving) ||
    Number(a.queue === ownQueue) - Number(b.queue === ownQueue) ||
    a.priority - b.priority ||
    Math.floor(a.price / priceGrain) - Math.floor(b.price / priceGrain) ||
    Number(b.canShrink === true) - Number(a.canShrink === true) ||
    b.sinceMs - a.sinceMs ||
    compare(a.uid, b.uid)
}

/** Whether the policy lets the request take the candidate's seats, as far as priority and age go. */
export function isAllowed(
  policy: PreemptionPolicy['withinQueue'] | PreemptionPolicy['reclaimWithinCohort'],
  request: Pick<Request, 'priority' | 'createdAt'>,
  candidate: Pick<Candidate, 'priority' | 'createdAt'>,
): boolean {
  if (policy === 'Never') return false
  if (policy === 'Any' || candidate.priority < request.priority) return true
  return (
    policy === 'LowerOrNewerEqualPriority' &&
    candidate.priority === request.priority &&
    compare(request.createdAt, candidate.createdAt) < 0
  )
}

/** Whether none of those after the candidate, in their order, can be allowed either. */
export function isPast(
  policy: PreemptionPolicy['withinQueue'] | PreemptionPolicy['reclaimWithinCohort'],
  request: Request,
  candidate: Candidate,
): boolean {
  if (policy === 'Never') return true
  if (policy === 'Any' || candidate.leaving) return false
  return (
    candidate.priority > request.priority || (candidate.priority === request.priority && policy === 'LowerPriority')
  )
}

export function holdsAny(candidate: Candidate, models: readonly string[]): boolean {
  for (const model of models) if ((candidate.holds.get(model) ?? 0) > 0) return true
  return false
}
