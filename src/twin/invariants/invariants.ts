import type { RestoredPart } from '../../agent/simulated/machine.ts'
import type { KindName } from '../../model/registry.ts'
import type { Store } from '../../store/contract.ts'
import type { Entry } from '../../store/history.ts'
import { Accounts } from './accounts.ts'
import { Attempts } from './attempts.ts'
import { Audit } from './audit.ts'
import { Budget } from './budget.ts'
import { Calm } from './calm.ts'
import { Causes } from './causes.ts'
import { Checkpoints } from './checkpoints.ts'
import type { Invariant } from './contract.ts'
import { Cycles } from './cycles.ts'
import { Deadlines } from './deadlines.ts'
import { Evictions } from './evictions.ts'
import { Grace } from './grace.ts'
import { Jobs } from './jobs.ts'
import { Leaders } from './leaders.ts'
import { Lenders } from './lenders.ts'
import { Models } from './models.ts'
import { Pods } from './pods.ts'
import { Prompt } from './prompt.ts'
import { Quotas } from './quotas.ts'
import { Seats } from './seats.ts'
import { Services } from './services.ts'
import { Stragglers } from './stragglers.ts'
import { Watches } from './watches.ts'

export interface Violation {
  invariant: string
  message: string
  revision: number
  atMs: number
}

export interface Circumstances {
  /** Whether the store checks the fences of writes. */
  fencing?: boolean
  /** So long after it was sent a write may arrive. */
  lateMs?: number
  /** Whether nobody has set a control plane's clock wrong. */
  isClockRight?: () => boolean
  /** Whether no server that is behind answers a control plane. */
  isUpToDate?: () => boolean
  /** Writes from one audit to the next. */
  auditEvery?: number
}

/** All safety invariants over one factory's writes. */
export class Invariants {
  readonly violations: Violation[] = []
  readonly #checkpoints = new Checkpoints()
  readonly #models = new Models()
  readonly #stragglers = new Stragglers()
  readonly #watches = new Watches()
  readonly #leaders: Leaders
  readonly #all: readonly Invariant[]

  constructor({ fencing = true, lateMs = 0, isClockRight, isUpToDate, auditEvery }: Circumstances = {}) {
    this.#leaders = new Leaders(fencing)
    const [seats, accounts] = [new Seats(lateMs), new Accounts()]
    this.#all = [
      seats,
      new Pods(),
      this.#leaders,
      this.#checkpoints,
      this.#models,
      new Attempts(lateMs, isUpToDate),
      new Evictions(),
      new Cycles(),
      new Causes(),
      new Quotas(),
      new Lenders(),
      new Budget(lateMs),
      this.#stragglers,
      new Grace(),
      new Deadlines(),
      new Jobs(),
      new Services(),
      accounts,
      new Calm(),
      new Prompt(isClockRight),
      new Audit(seats, accounts, auditEvery),
    ]
  }

  see(entry: Entry, nowMs: number, by?: string): void {
    this.#watches.see(entry)
    for (const invariant of this.#all) {
      const message = invariant.check(entry, nowMs, by)
      if (message !== undefined) this.add(invariant.name, message, entry.revision, nowMs)
    }
  }

  /** A process sends a write. */
  seeSent(by: string, kind: KindName, nowMs: number): void {
    const message = this.#leaders.sent(by, kind)
    if (message !== undefined) this.add(this.#leaders.name, message, 0, nowMs)
  }

  /** The store's watches, looked at as they tell. */
  watching(store: Pick<Store, 'watch'>, now: () => number): Store['watch'] {
    return this.#watches.over(store, (wrong) => this.add(this.#watches.name, wrong, 0, now()))
  }

  /** An object of storage has been damaged since then; undefined: it is stored anew, whole. */
  seeRotten(key: string, sinceMs: number | undefined): void {
    this.#checkpoints.rotten(key, sinceMs)
  }

  /** A rank has read a part of the checkpoint that it starts from. */
  seeRestored(part: RestoredPart, nowMs: number): void {
    const message = this.#checkpoints.restored(part)
    if (message !== undefined) this.add(this.#checkpoints.name, message, 0, nowMs)
  }

  /** An object of storage is about to go. */
  seeDeleted(key: string, nowMs: number): void {
    for (const rule of [this.#checkpoints, this.#models]) {
      const message = rule.deleted(key)
      if (message !== undefined) this.add(rule.name, message, 0, nowMs)
    }
  }

  /** What a node computes takes so many times as long from now on. */
  seeSlowness(node: string, slowness: number, nowMs: number): void {
    this.#stragglers.slowness(node, slowness, nowMs)
  }

  add(invariant: string, message: string, revision: number, atMs: number): void {
    this.violations.push({ invariant, message, revision, atMs })
  }
}
