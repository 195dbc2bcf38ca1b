import { assert } from '../../base/errors.ts'
import { nodeLevel } from '../../model/fabric.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { alternativesOf, demandOf } from './demand.ts'
import { domainsFor, inside, roomIn } from './domains.ts'
import { isBound, type Part, partsOf, spreadingOf, unbound } from './parts.ts'
import { type FitRequest, type Placed, Search } from './search.ts'
import type { Shortage } from './shortage.ts'

export type Fit = { fits: true; placed: Placed[] } | { fits: false; shortage: Shortage }

/**
 * Seats every member or none: half a gang burns accelerators waiting for its other half. Groups are placed in order,
 * each on the first of its alternatives that holds at least `min` members, as close together as the fabric allows. Leaves
 * the fleet as it was; the caller claims what it takes.
 */
export function fitGang(fleet: Fleet, request: FitRequest): Fit {
  const { before } = request
  const parts = partsOf(request.object)
  const staying = before === undefined ? undefined : tried(fleet, parts, new Search(fleet, request, before))
  if (staying !== undefined && before?.mayMove === false) return staying
  const fresh = tried(fleet, parts, new Search(fleet, request))
  if (staying?.fits === true) return isCloser(fleet, fresh, staying.placed) ? fresh : staying
  return fresh.fits ? fresh : { fits: false, shortage: bindingShortage(fleet, request, parts, fresh.shortage) }
}

/** The same for who does not ask why not, and had no seats before. */
export function placeGang(fleet: Fleet, request: Omit<FitRequest, 'before'>): readonly Placed[] | undefined {
  const search = new Search(fleet, request)
  return fleet.attempt(() => (search.isPlaced(partsOf(request.object), {}) ? search.placed : undefined))
}

function tried(fleet: Fleet, parts: Part, search: Search): Fit {
  return fleet.attempt((): Fit => {
    const shortage = search.place(parts, {})
    return shortage === undefined ? { fits: true, placed: search.placed } : { fits: false, shortage }
  })
}

/** Who starts anew may as well move to where its members are on fewer domains of the fabric. */
function isCloser({ fabric }: Fleet, fresh: Fit, staying: readonly Placed[]): boolean {
  if (!fresh.fits || fresh.placed.length < staying.length) return false
  for (const domains of fabric.domainOf.slice(0, nodeLevel)) {
    const used = (placed: readonly Placed[]) => new Set(placed.map(({ node }) => domains[node.index])).size
    const fewer = used(fresh.placed) - used(staying)
    if (fewer !== 0) return fewer < 0
  }
  return false
}

/** It would fit nowhere; or only because some of it must stay together. */
function bindingShortage(fleet: Fleet, request: FitRequest, parts: Part, shortage: Shortage): Shortage {
  const { object } = request
  if (!isBound(parts) && object.spec.groups.every((_, index) => spreadingOf(object, index).slices === undefined)) {
    return shortage
  }
  const free = { ...request, object: unbound(object) }
  return fleet.attempt(() => new Search(fleet, free).missing()) ?? tooFarApart(fleet, request, parts)
}

/** Names the widest part that no domain holds, or else the first that must stay together. */
function tooFarApart(fleet: Fleet, request: FitRequest, parts: Part): Shortage {
  const { object, reserved } = request
  const bound = boundParts(parts)
  const part = bound.find((one) => isTooNarrow(fleet, request, one)) ?? bound[0] ?? parts
  const index = part.groups[0] ?? 0
  const group = object.spec.groups[index]
  const [alternative] = group === undefined ? [] : alternativesOf(fleet, group)
  assert(group !== undefined && alternative !== undefined, 'a gang has groups and they name accelerators')
  const { slices, widest } = spreadingOf(object, index)
  const demand = demandOf(group, alternative, slices, fleet.neighbours.of(object, group))
  const room = roomIn(fleet, demand, reserved.of(alternative.model)?.nodes, {})
  const places = part.required === undefined ? [{}] : inside(fleet, part.required, {})
  const membersFit = places.reduce((most, within) => Math.max(most, room(within).total), 0)
  const together = { within: part.required?.name, slice: widest }
  return { kind: 'topology', group, alternative, demand, membersFit, ...together }
}

function isTooNarrow(fleet: Fleet, request: FitRequest, part: Part): boolean {
  const { required } = part
  if (required === undefined) return false
  const groups = part.groups.map((index) => new Search(fleet, request).choosing(index))
  const [first] = domainsFor(fleet, { ...part, preferred: undefined }, groups, {})
  return first === undefined
}

/** Parts that must share a domain, the widest first. */
function boundParts(part: Part): Part[] {
  return [...(part.required === undefined ? [] : [part]), ...part.parts.flatMap(boundParts)]
}
