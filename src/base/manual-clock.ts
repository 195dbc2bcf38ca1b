import { type Cancel, type Clock, everyBy, sleepBy } from './clock.ts'
import { Heap } from './heap.ts'

/** A clock whose time moves only when told to, in whole milliseconds as the machine's: for tests, and for the twin. */
export interface ManualClock extends Clock {
  /** Moves on by `ms`, running what falls due in order, and lets everything that this set off settle in between. */
  advance(ms: number): Promise<void>
  /** Somebody sets it: what `now()` says is so much more, or less. Timers and `steadyMs()` know nothing of it. */
  jump(ms: number): void
  /**
   * Moves on to the earliest timer that is due by `untilMs`, runs it and lets everything settle; without one it moves to
   * `untilMs` and says false.
   */
  next(untilMs: number): Promise<boolean>
  /** Timers that are set. */
  readonly pending: number
}

interface Timer {
  atMs: number
  run: () => void
  cancelled: boolean
}

const cancelledKept = 1024

export function createManualClock(startMs = 1_700_000_000_000): ManualClock {
  const timers = new Heap<Timer>((a, b) => a.atMs - b.atMs)
  let nowMs = startMs
  let jumpedMs = 0
  let pending = 0

  function after(ms: number, run: () => void): Cancel {
    const timer: Timer = { atMs: nowMs + Math.max(0, Math.ceil(ms)), run, cancelled: false }
    timers.push(timer)
    pending++
    return () => {
      if (timer.cancelled) return
      timer.cancelled = true
      pending--
      // Deadlines are long and mostly called off: they must not pile up until they would have been due.
      if (timers.size > 2 * pending + cancelledKept) timers.retain(({ cancelled }) => !cancelled)
    }
  }

  async function next(untilMs: number): Promise<boolean> {
    for (let due = timers.peek(); due !== undefined && due.atMs <= untilMs; due = timers.peek()) {
      timers.pop()
      if (due.cancelled) continue
      nowMs = Math.max(nowMs, due.atMs)
      due.cancelled = true
      pending--
      due.run()
      await settled()
      return true
    }
    nowMs = Math.max(nowMs, untilMs)
    return false
  }

  async function advance(ms: number): Promise<void> {
    const untilMs = nowMs + ms
    await settled()
    while (await next(untilMs));
  }

  return {
    now: () => nowMs + jumpedMs,
    steadyMs: () => nowMs,
    jump: (ms) => {
      jumpedMs += ms
    },
    after,
    every: everyBy(after),
    sleep: sleepBy(after),
    advance,
    next,
    get pending() {
      return pending
    },
  }
}

/** An immediate runs only when no microtask is left. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
