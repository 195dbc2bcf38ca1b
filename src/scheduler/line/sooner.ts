import { waitsForNodes } from '../fit/shortage.ts'
import type { Blocked, Lane, Waiting } from './line.ts'
import { endIfStarted, type Reservations, slowest } from './reservations.ts'

type Kept = Pick<Reservations, 'keptFromBefore'>

/**
 * Where in the lane the first stands that ends soon enough to use nodes that are kept from this one: in all else those of
 * a lane are alike. The lane is looked through only when its shortest is short enough.
 */
export function soonerThan(lane: Lane, one: Waiting | undefined, kept: Kept, nowMs: number): number | undefined {
  const { waiting, blocked, shortestSeconds } = lane
  if (one === undefined || blocked === undefined || !helpsToBeShort(blocked.verdict)) return undefined
  if ((one.gang.spec.expectedSeconds ?? Number.POSITIVE_INFINITY) <= shortestSeconds) return undefined
  const isShort = shortEnough(one, kept, nowMs)
  if (!isShort(shortestSeconds)) return undefined
  const index = waiting.findIndex(({ gang }) => isShort(gang.spec.expectedSeconds))
  return index < 0 ? undefined : index
}

/** All of them, of those behind it. */
export function allSoonerThan(behind: readonly Waiting[], one: Waiting, kept: Kept, nowMs: number): Waiting[] {
  const isShort = shortEnough(one, kept, nowMs)
  return behind.filter(({ gang }) => isShort(gang.spec.expectedSeconds))
}

/** Whether so many declared seconds end before nodes are needed that would not be free by the end of this one. */
function shortEnough({ gang }: Waiting, kept: Kept, nowMs: number): (seconds: number | undefined) => boolean {
  const byMs = kept.keptFromBefore(gang, endIfStarted(gang, nowMs)?.atMs ?? Number.POSITIVE_INFINITY)
  const speed = slowest(gang.spec)
  return (seconds = Number.POSITIVE_INFINITY) => nowMs + (seconds * 1000) / speed <= byMs
}

/** What its queue or the size of the fleet keeps out, is kept out however short it is. */
function helpsToBeShort(blocked: Blocked): boolean {
  return blocked.kind === 'shortage' && waitsForNodes(blocked.shortage)
}
