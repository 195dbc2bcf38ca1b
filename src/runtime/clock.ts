import { type Cancel, type Clock, sleepBy } from '../base/clock.ts'

/** Node fires a timer at once when its delay does not fit 31 bits. */
const timerMsMax = 2_147_483_647

/**
 * The machine's clock. A sleeper or a single shot keeps the process alive, because somebody waits for it; a beat does
 * not, because it only matters while something else is going on.
 */
export const realClock: Clock = {
  now: () => Date.now(),
  steadyMs: () => performance.now(),

  after: once,

  every: (ms, run): Cancel => {
    const timer = setInterval(run, Math.min(ms, timerMsMax))
    timer.unref()
    return () => clearInterval(timer)
  },

  sleep: sleepBy(once),
}

function once(ms: number, run: () => void): Cancel {
  const shortMs = Math.min(ms, timerMsMax)
  let cancel: Cancel = () => {}
  const timer = setTimeout(() => {
    if (ms > shortMs) cancel = once(ms - shortMs, run)
    else run()
  }, shortMs)
  cancel = () => clearTimeout(timer)
  return () => cancel()
}
