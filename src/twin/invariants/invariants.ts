import type { Entry } from '../../store/history.ts'
import { Accounts } from './accounts.ts'
import { Calm } from './calm.ts'
import { Checkpoints } from './checkpoints.ts'
import type { Invariant } from './contract.ts'
import { Evictions } from './evictions.ts'
import { Leaders } from './leaders.ts'
import { Seats } from './seats.ts'

export interface Violation {
  invariant: string
  message: string
  revision: number
  atMs: number
}

/** All safety invariants over one factory's writes. */
export class Invariants {
  readonly violations: Violation[] = []
  readonly #checkpoints = new Checkpoints()
  readonly #all: readonly Invariant[] = [
    new Seats(),
    new Leaders(),
    this.#checkpoints,
    new Evictions(),
    new Accounts(),
    new Calm(),
  ]

  see(entry: Entry, nowMs: number): void {
    for (const invariant of this.#all) {
      const message = invariant.check(entry, nowMs)
      if (message !== undefined) this.add(invariant.name, message, entry.revision, nowMs)
    }
  }

  /** An object of storage is about to go. */
  seeDeleted(key: string, nowMs: number): void {
    const message = this.#checkpoints.deleted(key)
    if (message !== undefined) this.add(this.#checkpoints.name, message, 0, nowMs)
  }

  add(invariant: string, message: string, revision: number, atMs: number): void {
    this.violations.push({ invariant, message, revision, atMs })
  }
}
