import type { NodeDescription } from '../../agent/contract.ts'
import type { Random } from '../../base/random.ts'
import { domainIn } from '../../model/fabric.ts'
import { type Draw, drawFrom } from '../draw.ts'
import type { Cause } from '../scenario/causes.ts'

/** Nodes that are struck together. */
type Place = readonly string[]

/** Where a cause may strike. */
export interface Places {
  /** How often all of them together are struck, in times that one is on average. */
  weight: number
  /** The next one; `turn`: so many faults of the cause there were before it. */
  choose(draw: Draw, turn: number): Place
}

/** Nodes by their own rate, each with what is within reach; or what they share by its own, or in turn. */
export function placesOf(nodes: readonly NodeDescription[], cause: Cause, random: Random): Places {
  const { pools, reach, perDomainDay, atMs, lemons } = cause
  const meant = pools === undefined ? nodes : nodes.filter(({ pool }) => pools.includes(pool))
  const domains = domainsOf(meant, reach)
  if (domains.size === 0) return { weight: 0, choose: () => [] }
  const all = [...domains.values()]
  if (atMs !== undefined) return inTurn(all, drawFrom(random.split('where')))
  const places = perDomainDay === undefined ? meant.map((node) => domains.get(domainOf(node, reach)) ?? []) : all
  return lemons === undefined
    ? { weight: places.length, choose: (draw) => draw.one(places) }
    : weighed(places, lemons, random)
}

/** One after the other, in the order of the fleet; which is the first is drawn. */
function inTurn(places: readonly Place[], draw: Draw): Places {
  const first = draw.int(0, places.length - 1)
  return { weight: places.length, choose: (_, turn) => places[(first + turn) % places.length] ?? [] }
}

/** The names of the nodes of each domain; of each node alone where nothing more is within reach. */
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
  return reach === undefined ? name : (domainIn(labels, reach) ?? name)
}

/**
 * How often all places together are struck, in times that one is on average, and which one is the next. So that this is the
 * average also where some are lemons, the others are struck less often by as much.
 */
function weighed(places: readonly Place[], { share, times }: NonNullable<Cause['lemons']>, random: Random): Places {
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
