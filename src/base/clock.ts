/** Time as a handle: real at the leaves, virtual in the twin. Times are milliseconds since the Unix epoch. */
export interface Clock {
  now(): number
  /** Resolves after `ms`; with an aborted `signal` it resolves early, and the caller looks at the signal. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `run` once after `ms` unless cancelled first. */
  after(ms: number, run: () => void): Cancel
  /** Calls `run` every `ms` until cancelled; a late clock does not catch up on missed beats. */
  every(ms: number, run: () => void): Cancel
}

export type Cancel = () => void
