import type { Random } from '../../base/random.ts'
import { drawFrom } from '../draw.ts'
import type { Cause } from '../scenario/setup.ts'

/** One fault, drawn: when, where, and which of what runs there. */
export interface Fault {
  atMs: number
  cause: Cause
  /** Place of its node in the fleet. */
  node: number
  /** Whoever has to choose among what runs there takes this one of them, counted round. */
  pick: number
}

const dayMs = 86_400_000

/**
 * All faults of a run, in order. Each cause draws from a split of its own, by its name: another cause, or another rate of
 * one, moves no fault of the others.
 */
export function drawFaults(random: Random, causes: readonly Cause[], nodes: number, horizonMs: number): Fault[] {
  return causes
    .flatMap((cause) => {
      const own = random.split(cause.name)
      const [where, which] = [drawFrom(own.split('where')), drawFrom(own.split('which'))]
      return timesOf(own.split('when'), cause, nodes, horizonMs).map((atMs) => ({
        atMs,
        cause,
        node: where.int(0, nodes - 1),
        pick: which.int(0, 1_000_000),
      }))
    })
    .toSorted((a, b) => a.atMs - b.atMs)
}

/** A Poisson process where the cause has a rate; else as many as it says, at even chances over the run. */
function timesOf(random: Random, { perNodeDay, count }: Cause, nodes: number, horizonMs: number): number[] {
  const draw = drawFrom(random)
  if (count !== undefined)
    return Array.from({ length: count }, () => draw.int(0, horizonMs - 1)).toSorted((a, b) => a - b)
  const times: number[] = []
  const meanMs = dayMs / ((perNodeDay ?? 0) * nodes)
  if (!Number.isFinite(meanMs)) return times
  for (let atMs = draw.wait(meanMs); atMs < horizonMs; atMs += draw.wait(meanMs)) times.push(Math.round(atMs))
  return times
}
