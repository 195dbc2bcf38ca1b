import type { Cancel, Clock } from './clock.ts'

/**
 * Signs of life as a handle. Whoever lives gives one now and then; whoever depends on it is told when none came for so
 * long. Nobody reads a time that another wrote. Over a clock the signs are really given and waited for; on virtual time
 * only their absence happens, so that a fleet's heartbeats cost nothing.
 */
export interface Liveness {
  /** Gives a sign of `who` every `everyMs`, until cancelled. `sign` resolves to whether it was given. */
  beat(who: string, everyMs: number, sign: () => Promise<boolean>): Cancel
  /**
   * Calls `silent`, once per silence, when no sign of `who` was heard for `patienceMs()`; undefined: for now it may be
   * silent as long as it likes. Counts from the call. Who slept himself counts anew: he cannot know what he missed.
   */
  watch(who: string, patienceMs: () => number | undefined, silent: (sinceMs: number) => void): Listening
}

export interface Listening {
  /** A sign was heard (by way of the store, of a file, …), or there is another reason to count anew. */
  heard(): void
  /** When the last sign was heard, in steady time; undefined: none yet. */
  heardMs(): number | undefined
  stop(): void
}

/** Looks twice, so that one who slept until just before the last look notices it at the one before. */
const firstLook = 0.9
/** A look that comes later than this share of the patience means that we slept. */
const lateShare = 0.05

export function createLiveness(clock: Clock): Liveness {
  return {
    beat: (_who, everyMs, sign) => clock.every(everyMs, () => void sign()),
    watch: (_who, patienceMs, silent) => listen(clock, patienceMs, silent),
  }
}

function listen(clock: Clock, patienceMs: () => number | undefined, silent: (sinceMs: number) => void): Listening {
  let sinceMs = clock.now()
  /** The same moment in steady time, in which patience is counted: setting the clock makes nobody silent. */
  let sinceSteadyMs = clock.steadyMs()
  let heardMs: number | undefined
  let look: { dueMs: number; cancel: Cancel } | undefined
  let isStopped = false

  /** `looked`: the share of the patience that had passed at the look before. */
  function arm(looked: number): void {
    look = undefined
    const patience = patienceMs()
    if (isStopped || patience === undefined) return
    const share = looked < firstLook ? firstLook : 1
    const dueMs = sinceSteadyMs + share * patience
    const cancel = clock.after(Math.max(0, dueMs - clock.steadyMs()), () => {
      const wasHeard = sinceSteadyMs + share * patience > dueMs
      const slept = clock.steadyMs() - dueMs > lateShare * patience
      if (slept) count()
      if (slept || wasHeard) arm(0)
      else if (share < 1) arm(share)
      else {
        look = undefined
        silent(sinceMs)
      }
    })
    look = { dueMs, cancel }
  }

  function count(): void {
    sinceMs = clock.now()
    sinceSteadyMs = clock.steadyMs()
  }

  arm(0)
  return {
    heard() {
      count()
      heardMs = sinceSteadyMs
      // A look that is set already serves, unless there is less patience by now.
      const dueMs = sinceSteadyMs + firstLook * (patienceMs() ?? Number.POSITIVE_INFINITY)
      if (look !== undefined && look.dueMs <= dueMs) return
      look?.cancel()
      arm(0)
    },
    heardMs: () => heardMs,
    stop() {
      isStopped = true
      look?.cancel()
    },
  }
}
