import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'

/** What the scheduler is told. Objects are those of the store; a deleted one is named by its key (`namespace/name` or `name`). */
export type Change =
  | { kind: 'Node'; object: Node }
  | { kind: 'Pod'; object: Pod }
  | { kind: 'Gang'; object: Gang }
  | { kind: 'Queue'; object: Queue }
  | { kind: 'Node' | 'Pod' | 'Gang' | 'Queue'; deleted: string }

export type Seats = Omit<NonNullable<NonNullable<Gang['status']>['seats']>, 'epoch' | 'at'>

/** Who has to leave, and why it may be asked to. */
export type Victim = NonNullable<NonNullable<Gang['status']>['hold']>['victims'][number]

export type Verdict =
  | { kind: 'bind'; gang: string; resourceVersion: string; attempt: number; seats: Seats }
  /** The gang will sit on `seats`, which are kept for it, once all victims have left. */
  | { kind: 'preempt'; gang: string; resourceVersion: string; attempt: number; seats: Seats; victims: Victim[] }
  /**
   * The gang will grow: what is added is kept for it, and it sits again, larger, once it has stopped. It keeps its seats
   * until then. GPU-seconds as in `model/lost-work.ts`; `message` has the numbers of the rule (`growth.ts`).
   */
  | {
      kind: 'resize'
      gang: string
      resourceVersion: string
      attempt: number
      /** What it gets beside its present seats. */
      added: Seats['members']
      /** How many members it has, and will have. */
      from: number
      to: number
      priceSeconds: number
      gainSeconds: number
      message: string
    }
  | { kind: 'release'; gang: string; resourceVersion: string; attempt: number }
  | { kind: 'wait'; gang: string; resourceVersion: string; attempt: number; reason: string; message: string }

/** Pure: no clock, no I/O, no randomness. The same changes and times give the same verdicts. */
export interface Scheduler {
  apply(change: Change): void
  /** Verdicts since the last call; assumes its own. A waiting verdict is repeated only when its reason changes. */
  decide(nowMs: number): Verdict[]
  /** 'stale': the write of a verdict lost; it is undone and decided again after the newer state was applied. */
  settle(verdict: Verdict, outcome: 'committed' | 'stale'): void
  /** Why a gang waits or sits where it does, whole, as `decide` left it; nothing is changed. */
  why(gang: string, nowMs: number): Why
}

export interface Why {
  gang: string
  state: 'waiting' | 'seated' | 'suspended' | 'unknown'
  reason: string
  message: string
  /** `accelerators`: of all members together, for each alternative. */
  asked: { members: number; accelerators: { model: string; count: number }[] }
  free: { model: string; count: number; total: number }[]
  /** Who holds what is missing, most first, as far as they are named. */
  holders: {
    gang: string
    queue: string
    model: string
    accelerators: number
    /** Of all accelerators of the model: 0 to 1. */
    share: number
    priority: number
  }[]
  /** Those who are not named. */
  others?: { gangs: number; accelerators: number }
  /** 1 is next. */
  placeInLine?: number
  /** Left out when no ends are known that would let it start. */
  expectedStart?: { earliest: string; basis: string }
  /** The smallest edits that would start it now, each tried on the state. */
  fixes: string[]
}
