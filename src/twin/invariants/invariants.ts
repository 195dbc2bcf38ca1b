import type { Entry } from '../../store/history.ts'
import { Accounts } from './accounts.ts'
import { Checkpoints } from './checkpoints.ts'
import { Evictions } from './evictions.ts'
import { Leaders } from './leaders.ts'
import { Seats } from './seats.ts'

/** One rule of the factory that never breaks, looked at with each write. */
export interface Invariant {
  /** As in `docs/twin.md`. */
  name: string
  /** What is wrong after this write; undefined: nothing. */
  check(entry: Entry): string | undefined
}

export interface Violation {
  invariant: string
  message: string
  revision: number
  atMs: number
}

/** All safety invariants over one factory's writes. */
export class Invariants {
  readonly violations: Violation[] = []
  readonly checkpoints = new Checkpoints()
  readonly #all: readonly Invariant[] = [new Seats(), new Leaders(), this.checkpoints, new Evictions(), new Accounts()]

  see(entry: Entry, nowMs: number): void {
    for (const invariant of this.#all) {
      const message = invariant.check(entry)
      if (message !== undefined) this.add(invariant.name, message, entry.revision, nowMs)
    }
  }

  add(invariant: string, message: string, revision: number, atMs: number): void {
    this.violations.push({ invariant, message, revision, atMs })
  }
}
