import type { Entry } from '../../store/history.ts'

/** One rule of the factory that never breaks, looked at with each write. */
export interface Invariant {
  /** As in `docs/twin.md`. */
  name: string
  /** What is wrong after this write; undefined: nothing. */
  check(entry: Entry, nowMs: number): string | undefined
}
