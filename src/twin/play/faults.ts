import type { NodeDescription } from '../../agent/contract.ts'
import type { Random } from '../../base/random.ts'
import { strikesNodes } from '../../model/faults.ts'
import { label } from '../../model/names.ts'
import { type Draw, drawFrom } from '../draw.ts'
import type { Cause } from '../scenario/causes.ts'

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
      const domains = domainsOf(nodes, cause.reach)
      // A domain by its own rate, else by that of its nodes.
      const places =
        cause.perDomainDay === undefined
          ? nodes.map((node) => domains.get(domainOf(node, cause.reach)) ?? [])
          : [...domains.values()]
      const { weight, choose } = weighed(places, cause.lemons, own)
      return timesOf(own.split('when'), cause, weight, horizonMs).map((atMs) => {
        const within = choose(where)
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

/** The names of the nodes of each rack, block or zone; of each node alone where nothing more is within reach. */
function domainsOf(nodes: readonly NodeDescription[], reach: Cause['reach']): Map<string, string[]> {
  const domains = new Map<string, string[]>()
  for (const node of nodes) {
    const domain = domainOf(node, reach)
    const within = domains.get(domain)
    if (within === undefined) domains.set(domain, [node.name])
    else within.push(node.name)
  }
  return domains
}

function domainOf({ name, labels }: NodeDescription, reach: Cause['reach']): string {
  return reach === undefined ? name : (labels[label[reach]] ?? name)
}

/**
 * How often all places together are struck, in times that one is on average, and which one is the next. So that this is the
 * average also where some are lemons, the others are struck less often by as much.
 */
function weighed(
  places: readonly (readonly string[])[],
  lemons: Cause['lemons'],
  random: Random,
): { weight: number; choose(draw: Draw): readonly string[] } {
  if (lemons === undefined) return { weight: places.length, choose: (draw) => draw.one(places) }
  const { share, times } = lemons
  const spoilt = drawFrom(random.split('lemons'))
  const isLemon = places.map(() => spoilt.chance(share))
  const bad = places.filter((_, index) => isLemon[index] === true)
  const sound = places.filter((_, index) => isLemon[index] === false)
  const all = times * bad.length + sound.length
  return {
    weight: all / (1 + share * (times - 1)),
    choose: (draw) => draw.one(draw.chance((times * bad.length) / all) ? bad : sound),
  }
}

/** Each with this probability, and one in any case. */
function someOf(nodes: readonly string[], share: number, draw: Draw): readonly string[] {
  if (share >= 1 || nodes.length === 0) return nodes
  const struck = nodes.filter(() => draw.chance(share))
  return struck.length > 0 ? struck : [draw.one(nodes)]
}

/** A Poisson process where the cause has a rate; else as many as it says, at even chances over the run. */
function timesOf(
  random: Random,
  { perNodeDay, perDomainDay, count }: Cause,
  weight: number,
  horizonMs: number,
): number[] {
  const draw = drawFrom(random)
  if (count !== undefined)
    return Array.from({ length: count }, () => draw.int(0, horizonMs - 1)).toSorted((a, b) => a - b)
  const times: number[] = []
  const meanMs = dayMs / ((perDomainDay ?? perNodeDay ?? 0) * weight)
  if (!Number.isFinite(meanMs)) return times
  for (let atMs = draw.wait(meanMs); atMs < horizonMs; atMs += draw.wait(meanMs)) times.push(Math.round(atMs))
  return times
}
