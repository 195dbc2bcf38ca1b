import type { Clock } from '../../base/clock.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { keyOf } from '../../model/refs.ts'

/** The time by which the scheduler of one term decides: no clock that somebody sets moves it. */
export interface TermTime {
  nowMs(): number
  /**
   * The gang with the times that were written of it in this time. What they say they say by the clock as it is when they are
   * first seen; of what is past by then, none is later than that moment.
   */
  read(gang: Gang): Gang
  forget(gang: Gang): void
}

interface Read {
  written: string
  time: string
}

/** Clocks that nobody sets drift by so much. */
const driftMs = 1_000

export function createTermTime(clock: Pick<Clock, 'now' | 'steadyMs'>): TermTime {
  const begun = { nowMs: clock.now(), steadyMs: clock.steadyMs() }
  /** Of each gang, by field, what was written and what that is here. */
  const known = new Map<string, ReadonlyMap<string, Read>>()
  const nowMs = (): number => Math.round(begun.nowMs + clock.steadyMs() - begun.steadyMs)

  function here(written: string, latestMs: number): string {
    const setMs = nowMs() - clock.now()
    const atMs = Date.parse(written)
    const hereMs = Math.min(latestMs, atMs + (Math.abs(setMs) < driftMs ? 0 : Math.round(setMs)))
    return Number.isNaN(atMs) || hereMs === atMs ? written : new Date(hereMs).toISOString()
  }

  return {
    nowMs,
    read(gang) {
      const { status } = gang
      if (status === undefined) return gang
      const key = keyOf(gang)
      const before = known.get(key)
      const times = new Map<string, Read>()
      const timeOf = (field: string, written: string, latestMs = Number.POSITIVE_INFINITY): string => {
        const seen = before?.get(field)
        const read = seen?.written === written ? seen : { written, time: here(written, latestMs) }
        times.set(field, read)
        return read.time
      }
      const past = <T extends { at: string }>(field: string, of: T): T => ({
        ...of,
        at: timeOf(field, of.at, nowMs() + driftMs),
      })
      const { seats, checkpoint, expectedEnd, expectedEndRange: range } = status
      const read = {
        ...(seats === undefined ? {} : { seats: past('seats', seats) }),
        ...(checkpoint === undefined ? {} : { checkpoint: past('checkpoint', checkpoint) }),
        ...(expectedEnd === undefined ? {} : { expectedEnd: timeOf('end', expectedEnd) }),
        ...(range === undefined
          ? {}
          : {
              expectedEndRange: {
                earliest: timeOf('earliest', range.earliest),
                latest: timeOf('latest', range.latest),
              },
            }),
      }
      known.set(key, times)
      const isSame = [...times.values()].every(({ written, time }) => written === time)
      return isSame ? gang : { ...gang, status: { ...status, ...read } }
    },
    forget: (gang) => void known.delete(keyOf(gang)),
  }
}
