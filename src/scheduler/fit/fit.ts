import { assert } from '../../base/errors.ts'
import { nodeLevel } from '../../model/fabric.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { mayUseSpares } from '../../model/spares.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { membersByGroup } from '../gangs.ts'
import { alternativesOf, demandOf } from './demand.ts'
import { domainsFor, inside, roomIn } from './domains.ts'
import { isBound, type Part, partsOf, spreadingOf, unbound } from './parts.ts'
import { type Before, type FitRequest, type Placed, Search } from './search.ts'
import { besideSpares, roomOfSpares, type Shortage, waitsForNodes } from './shortage.ts'

export type Fit = { fits: true; placed: Placed[] } | { fits: false; shortage: Shortage }

/**
 * Seats every member or none: half a gang burns accelerators waiting for its other half. Groups are placed in order,
 * each on the first of its alternatives that holds at least `min` members, as close together as the fabric allows. As many
 * spares stay free as pools want, unless the gang has lost a node: then it takes of them what it needs to come back as it
 * was. Leaves the fleet as it was; the caller claims what it takes.
 */
export function fitGang(fleet: Fleet, request: FitRequest): Fit {
  const fit = fitAnywhere(fleet, request)
  const { object, reserved, before } = request
  const own = new Set(before?.members.map(({ node }) => node))
  if (!fit.fits) return mayUseSpares(object) ? fit : { fits: false, shortage: besideThem(fleet, fit.shortage) }
  if (fleet.spares.areLeftBy(fit.placed, own)) return fit
  const beside = fitAnywhere(fleet, { ...request, reserved: besideSpares(fleet, reserved, own) })
  if (!beside.fits && !mayUseSpares(object))
    return { fits: false, shortage: besideThem(fleet, { ...beside.shortage, kind: 'spares' }) }
  if (beside.fits && !mayComeBackLarger(request, fit.placed, beside.placed)) return beside
  return fitAnywhere(fleet, { ...request, object: noLarger(object, before) })
}

/** Spares stand in for some of those that have left. */
function mayComeBackLarger(
  { object, before }: FitRequest,
  placed: readonly Placed[],
  beside: readonly Placed[],
): boolean {
  return before?.size !== undefined && mayUseSpares(object) && beside.length < placed.length
}

/** With no more members than it had, or needs: nobody grows into spares. */
function noLarger(gang: Gang, before: Before | undefined): Gang {
  const had = membersByGroup({ members: [...(before?.members ?? [])] })
  const groups = gang.spec.groups.map((group) => {
    return { ...group, max: Math.max(group.min, Math.min(group.max, before?.size ?? had.get(group.name) ?? 0)) }
  })
  return { ...gang, spec: { ...gang.spec, groups } }
}

/** Whatever it lacks now: as long as so many are kept it would not fit were all nodes empty. */
function besideThem(fleet: Fleet, shortage: Shortage): Shortage {
  const spared = waitsForNodes(shortage) ? roomOfSpares(fleet, shortage.demand) : 0
  const isForGood = spared > 0 && fleet.emptyRoom(shortage.demand) - spared < shortage.group.min
  return isForGood ? { ...shortage, kind: 'spares', isForGood } : shortage
}

/** On spares, too. */
function fitAnywhere(fleet: Fleet, request: FitRequest): Fit {
  const { before } = request
  const parts = partsOf(request.object)
  const staying = before === undefined ? undefined : tried(fleet, parts, new Search(fleet, request, before))
  if (staying !== undefined && before?.mayMove === false) return staying
  const fresh = tried(fleet, parts, new Search(fleet, request))
  if (staying?.fits === true) return isCloser(fleet, fresh, staying.placed) ? fresh : staying
  return fresh.fits ? fresh : { fits: false, shortage: bindingShortage(fleet, request, parts, fresh.shortage) }
}

/** The same for who does not ask why not, and had no seats before; what is kept from it, `reserved` says. */
export function placeGang(fleet: Fleet, request: Omit<FitRequest, 'before'>): readonly Placed[] | undefined {
  const search = new Search(fleet, request)
  return fleet.attempt(() => (search.isPlaced(partsOf(request.object), {}) ? search.placed : undefined))
}

/** The same for who may have to leave spares free. */
export function placeLeavingSpares(fleet: Fleet, request: Omit<FitRequest, 'before'>): readonly Placed[] | undefined {
  const placed = placeGang(fleet, request)
  const mayKeep = placed === undefined || mayUseSpares(request.object) || fleet.spares.areLeftBy(placed, nobodys)
  return mayKeep ? placed : placeGang(fleet, { ...request, reserved: besideSpares(fleet, request.reserved) })
}

const nobodys: ReadonlySet<string> = new Set()

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
