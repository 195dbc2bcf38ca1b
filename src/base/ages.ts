import type { Clock } from './clock.ts'

/** How long ago things were of which only a time is known that somebody wrote, by his clock. */
export interface Ages {
  /**
   * Milliseconds since `atMs`, never less than none. From when that time is first seen under this key it is steady time that
   * passes: whoever waits for something to be old enough waits neither longer nor less long because somebody sets a clock.
   * How old it is by then the clocks say, for a while after we began; later on, and of what takes the place of something that we
   * knew, no more than `lateMs` is believed: we were there, and whoever asks at all asks within so long of when it began.
   */
  of(key: string, atMs: number, lateMs: number): number
  /** Milliseconds since that time was first seen under this key: for whom it does harm to wait too little. */
  seen(key: string, atMs: number): number
  /** What is not known from now on may be old: nobody looked for a while. */
  begin(): void
}

interface Seen {
  atMs: number
  ageMs: number
  steadyMs: number
  /** First seen while we were there. */
  isSure: boolean
}

/** What was there before we were is seen within so long. */
const beginMs = 60_000
/** Those first seen longest ago go; from then on all that is not known may be old. */
const seenMax = 100_000

/**
 * `isWatching`: whether we are there now, as far as we know. What is first seen while we are not may be old; how old it is, is
 * asked again if we begin anew after that.
 */
export function createAges(clock: Pick<Clock, 'now' | 'steadyMs'>, isWatching: () => boolean = () => true): Ages {
  const seen = new Map<string, Seen>()
  let begun = { nowMs: clock.now(), steadyMs: clock.steadyMs() }
  let hasForgotten = false

  function find(key: string, atMs: number, lateMs: number): Seen {
    const known = seen.get(key)
    if (known?.atMs === atMs && (known.isSure || known.steadyMs > begun.steadyMs)) return known
    const steadyMs = clock.steadyMs()
    // What we knew of a time before we began may have been replaced while nobody of us looked.
    const wasWatched = known !== undefined && known.steadyMs >= begun.steadyMs
    const mayBeOld = !wasWatched && (hasForgotten || steadyMs - begun.steadyMs < beginMs)
    const believedMs = mayBeOld ? Number.POSITIVE_INFINITY : lateMs
    // Somebody may have set the clock since we began.
    const nowMs = Math.min(clock.now(), begun.nowMs + steadyMs - begun.steadyMs)
    const ageMs = Math.max(0, Math.min(believedMs, nowMs - atMs))
    const found = { atMs, ageMs, steadyMs, isSure: isWatching() }
    seen.delete(key)
    seen.set(key, found)
    const [oldest] = seen.keys()
    if (seen.size > seenMax && oldest !== undefined) hasForgotten = seen.delete(oldest)
    return found
  }

  return {
    of(key, atMs, lateMs) {
      const { ageMs, steadyMs } = find(key, atMs, lateMs)
      return ageMs + clock.steadyMs() - steadyMs
    },
    seen: (key, atMs) => clock.steadyMs() - find(key, atMs, 0).steadyMs,
    begin() {
      begun = { nowMs: clock.now(), steadyMs: clock.steadyMs() }
    },
  }
}

/** By a clock that nobody sets: how old things are at this moment. */
export function agesAt(nowMs: number): Pick<Ages, 'of'> {
  return { of: (_key, atMs) => Math.max(0, nowMs - atMs) }
}
