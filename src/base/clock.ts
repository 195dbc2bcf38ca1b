/** Time as a handle: real at the leaves, virtual in the twin. Times are milliseconds since the Unix epoch. */
export interface Clock {
  /** Of the machine: it jumps, forwards or back, when somebody sets it. What is written for others is in this time. */
  now(): number
  /**
   * For how long something lasts, from any moment on: it never jumps, and stands still while the machine is suspended. Who
   * would do harm by being wrong about a duration counts in this time.
   */
  steadyMs(): number
  /** Resolves after `ms`; with an aborted `signal` it resolves early, and the caller looks at the signal. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `run` once after `ms` unless cancelled first. */
  after(ms: number, run: () => void): Cancel
  /** Calls `run` every `ms` until cancelled; a late clock does not catch up on missed beats. */
  every(ms: number, run: () => void): Cancel
}

export type Cancel = () => void

/** `every`, made of single shots. */
export function everyBy(after: Clock['after']): Clock['every'] {
  return (ms, run) => {
    let cancel = after(ms, beat)
    let isStopped = false
    function beat(): void {
      if (isStopped) return
      cancel = after(ms, beat)
      run()
    }
    return () => {
      isStopped = true
      cancel()
    }
  }
}

/** `sleep`, made of single shots. */
export function sleepBy(after: Clock['after']): Clock['sleep'] {
  return (ms, signal) => {
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = after(ms, end)
      function end(): void {
        signal?.removeEventListener('abort', end)
        cancel()
        resolve()
      }
      signal?.addEventListener('abort', end)
    })
  }
}
