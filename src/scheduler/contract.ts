import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Pool } from '../model/kinds/pool.ts'
import type { Queue } from '../model/kinds/queue.ts'

/** What the scheduler is told. Objects are those of the store; a deleted one is named by its key (`namespace/name` or `name`). */
export type Change =
  | { kind: 'Node'; object: Node }
  | { kind: 'Pod'; object: Pod }
  | { kind: 'Gang'; object: Gang }
  | { kind: 'Queue'; object: Queue }
  | { kind: 'Pool'; object: Pool }
  | { kind: 'Node' | 'Pod' | 'Gang' | 'Queue' | 'Pool'; deleted: string }

export type Seats = Omit<NonNullable<NonNullable<Gang['status']>['seats']>, 'epoch' | 'at'>

/** Who has to leave, and why it may be asked to. */
export type Victim = NonNullable<NonNullable<Gang['status']>['hold']>['victims'][number]

export type Verdict =
  | { kind: 'bind'; gang: string; resourceVersion: string; attempt: number; seats: Seats }
  /**
   * The gang will sit on `seats`, which are kept for it, once all victims have left. Those with `movesTo` have seats
   * elsewhere that are kept for them; `gainSeconds`: GPU-seconds by which the gang starts sooner, where others move for it.
   */
  | {
      kind: 'preempt'
      gang: string
      resourceVersion: string
      attempt: number
      seats: Seats
      victims: Victim[]
      gainSeconds?: number
    }
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
  /**
   * Between which times it starts, and how that is known; where it is not, `basis` says whose end is missing. Left out where
   * no end would let it start. See `why/forecast.ts`.
   */
  expectedStart?: { earliest?: string; latest?: string; basis: string }
  /** Of a gang that sits: why on these nodes, as the nodes are now. */
  here?: {
    /** In words: its domain of the fabric, and which others had room. */
    place: string
    /** Nodes on which it would sit if it sat down now, or 'nowhere'; left out where they are the same. */
    elsewhere?: string
    /** Accelerators that it would rather have had, and what keeps it from them now. */
    passedOver: string[]
    /** Nodes that it is not on, most first. */
    rejected: { reason: string; nodes: number }[]
  }
  /** Of a gang that sits: by whom it may be displaced, in words, and at which price. */
  displaceable?: {
    by: string[]
    /** What keeps it from that for now: a minimum run time, a disruption budget. */
    spared?: string
    /** What of its accelerators its queue holds beyond what it owns. */
    borrows: { model: string; accelerators: number }[]
    /** GPU-seconds of work that it would lose now. */
    priceSeconds: number
  }
  /** Of a gang that sits, where it is known. */
  expectedEnd?: { at: string; earliest: string; latest: string; basis: string }
  /** Of a gang that sits with fewer members than it could have: why it does not grow, and when it would. */
  growth?: string
  /** The smallest edits that would start it now, each tried on the state. */
  fixes: string[]
}
