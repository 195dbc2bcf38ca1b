import type { Entry } from '../../store/history.ts'

/** One rule of the factory that never breaks, looked at with each write. */
export interface Invariant {
  /** As in `docs/twin.md`. */
  name: string
  /** What is wrong after this write; undefined: nothing. `by`: the process that wrote it. */
  check(entry: Entry, nowMs: number, by: string | undefined): string | undefined
}
