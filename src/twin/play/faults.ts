import type { NodeDescription } from '../../agent/contract.ts'
import type { Random } from '../../base/random.ts'
import { strikesNodes } from '../../model/faults.ts'
import { type Draw, drawFrom } from '../draw.ts'
import type { Cause } from '../scenario/causes.ts'
import { placesOf } from './places.ts'

/** One fault, drawn: when, where, and which of what runs there. */
export interface Fault {
  atMs: number
  cause: Cause
  /** Nodes that it strikes, in the order of the fleet; none where it strikes something else. */
  nodes: readonly string[]
  /** Whoever has to choose among what runs there takes this one of them, counted round. */
  pick: number
}

const dayMs = 86_400_000

/**
 * All faults of a run, in order. Each cause draws from a split of its own, by its name: another cause, or another rate of
 * one, moves no fault of the others.
 */
export function drawFaults(
  random: Random,
  causes: readonly Cause[],
  nodes: readonly NodeDescription[],
  horizonMs: number,
): Fault[] {
  return causes
    .flatMap((cause) => {
      const own = random.split(cause.name)
      const [where, which] = [drawFrom(own.split('where')), drawFrom(own.split('which'))]
      const some = drawFrom(own.split('share'))
      const { weight, choose } = placesOf(nodes, cause, own)
      return timesOf(own.split('when'), cause, weight, horizonMs).map((atMs, turn) => {
        const within = choose(where, turn)
        return {
          atMs,
          cause,
          nodes: strikesNodes(cause.kind) ? someOf(within, cause.share, some) : [],
          pick: which.int(0, 1_000_000),
        }
      })
    })
    .toSorted((a, b) => a.atMs - b.atMs)
}

/** Each with this probability, and one in any case. */
function someOf(nodes: readonly string[], share: number, draw: Draw): readonly string[] {
  if (share >= 1 || nodes.length === 0) return nodes
  const struck = nodes.filter(() => draw.chance(share))
  return struck.length > 0 ? struck : [draw.one(nodes)]
}

/** When it was told to; a Poisson process where the cause has a rate; else as many as it says, at even chances over the run. */
function timesOf(
  random: Random,
  { perNodeDay, perDomainDay, count, atMs: beginsMs, everyMs }: Cause,
  weight: number,
  horizonMs: number,
): number[] {
  const draw = drawFrom(random)
  if (beginsMs !== undefined) {
    const [stepMs, most] = everyMs === undefined ? [horizonMs, 1] : [everyMs, count ?? Number.POSITIVE_INFINITY]
    const length = Math.min(most, Math.max(0, Math.ceil((horizonMs - beginsMs) / stepMs)))
    return Array.from({ length }, (_, index) => beginsMs + index * stepMs)
  }
  if (count !== undefined)
    return Array.from({ length: count }, () => draw.int(0, horizonMs - 1)).toSorted((a, b) => a - b)
  const times: number[] = []
  const meanMs = dayMs / ((perDomainDay ?? perNodeDay ?? 0) * weight)
  if (!Number.isFinite(meanMs)) return times
  for (let atMs = draw.wait(meanMs); atMs < horizonMs; atMs += draw.wait(meanMs)) times.push(Math.round(atMs))
  return times
}
