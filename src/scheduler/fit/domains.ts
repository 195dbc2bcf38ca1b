import { nodeLevel } from '../../model/fabric.ts'
import type { Domain } from '../fleet/fabric.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { liking } from '../fleet/liking.ts'
import type { NodeState } from '../fleet/nodes.ts'
import type { Demand } from '../fleet/rooms.ts'
import type { Part, Place } from './parts.ts'
import { evenness, likedBy, type OpenRoom, openRoom } from './spread.ts'

/** Where members sit together: inside a domain of the fabric, among nodes that share a label's value, or both. */
export interface Within {
  domain?: Domain | undefined
  nodes?: ReadonlySet<NodeState> | undefined
}

/** One group, as far as choosing among domains goes. */
export interface Choosing {
  min: number
  max: number
  /** Its alternatives; the nodes that are kept for others of their model. */
  demands: readonly { demand: Demand; closed: ReadonlySet<NodeState> | undefined }[]
  isBalanced: boolean
}

/**
 * Domains to try inside `outer`, in order: of the preferred level, then of each wider one up to what is required, then,
 * where nothing is required, all of `outer`. Of a level, only those whose counters leave it possible.
 */
export function* domainsFor(
  fleet: Fleet,
  part: Part,
  groups: readonly Choosing[],
  outer: Within,
): IterableIterator<Within> {
  const { required, preferred } = part
  const around = outer.domain?.level ?? -1
  const level = required !== undefined && 'level' in required ? required.level : -1
  const isKnown = ({ domain }: Within) => domain === undefined || isReal(fleet, domain, level)
  if (preferred !== undefined && 'label' in preferred) yield* possible(fleet, groups, inside(fleet, preferred, outer))
  if (preferred !== undefined && 'level' in preferred) {
    for (let at = preferred.level; at > Math.max(level, around); at--) {
      yield* possible(fleet, groups, atLevel(fleet, at, outer).filter(isKnown))
    }
  }
  if (required !== undefined && level > around) yield* possible(fleet, groups, atLevel(fleet, level, outer))
  else if (required !== undefined && 'label' in required) {
    yield* possible(fleet, groups, inside(fleet, required, outer))
  } else if (isKnown(outer)) yield outer
}

/** Where members that want each other beside them may gather, the tightest that holds them first; else all of `outer`. */
export function gatheringPlaces(fleet: Fleet, group: Choosing, { company }: Demand, outer: Within): Within[] {
  const places = company?.gathering()
  if (places === undefined) return [outer]
  return possible(
    fleet,
    [group],
    places.map((indices) => {
      const nodes = indices.flatMap((index) => fleet.order[index] ?? []).filter((node) => isInside(node, outer))
      return { domain: outer.domain, nodes: new Set(nodes) }
    }),
  )
}

/** Whether labels say which domain of a wider level it is in; they need not where none is meant. */
function isReal({ fabric }: Fleet, { from }: Domain, level: number): boolean {
  return level < 0 || fabric.domains[level]?.[fabric.domainOf[level]?.[from] ?? -1]?.isReal === true
}

/** Every place of that kind inside `outer`. */
export function inside(fleet: Fleet, place: Place, outer: Within): Within[] {
  return 'level' in place ? atLevel(fleet, place.level, outer) : valuesOf(fleet, place.label, outer)
}

export function isInside(node: NodeState, { domain, nodes }: Within): boolean {
  if (nodes?.has(node) === false) return false
  return domain === undefined || (node.index >= domain.from && node.index < domain.to)
}

/** How many members of the demand have room there: whole slices of them. */
export function roomIn(fleet: Fleet, demand: Demand, closed: ReadonlySet<NodeState> | undefined, outer: Within) {
  const { slices = [] } = demand
  const base = openRoom(fleet, demand, closed, outer.nodes)
  const rest = slices[0]?.size ?? 1
  return ({ domain, nodes }: Within): OpenRoom => {
    const room = nodes === outer.nodes ? base : openRoom(fleet, demand, closed, nodes)
    if (domain === undefined) return room
    // Narrower than its slices, the domain has not counted them itself.
    if (!slices.every(({ level }) => level >= domain.level || isReal(fleet, domain, level)))
      return { total: 0, in: room.in }
    const total = room.in(domain)
    return { total: total - (total % rest), in: room.in }
  }
}

function atLevel(fleet: Fleet, level: number, { domain: outer, nodes }: Within): Within[] {
  const found: Within[] = []
  for (const domain of fleet.fabric.domains[level] ?? []) {
    if (domain.isReal && (outer === undefined || (domain.from >= outer.from && domain.to <= outer.to))) {
      found.push({ domain, nodes })
    }
  }
  return found
}

/** A label that is no level of the fabric: nodes that share a value of it, wherever they are. */
function valuesOf(fleet: Fleet, label: string, outer: Within): Within[] {
  const byValue = new Map<string, Set<NodeState>>()
  for (const node of fleet.order) {
    const value = node.labels[label]
    if (value === undefined || !isInside(node, outer)) continue
    const nodes = byValue.get(value)
    if (nodes === undefined) byValue.set(value, new Set([node]))
    else nodes.add(node)
  }
  return [...byValue.values()].map((nodes) => ({ domain: outer.domain, nodes }))
}

/**
 * Those where each group alone fits, by the counters; whether all do together only trying tells. The one that takes most
 * members first, then the one that is liked best, then, for who wants it, the most even, then the tightest.
 */
function possible(fleet: Fleet, groups: readonly Choosing[], places: readonly Within[]): Within[] {
  const [first] = places
  if (first === undefined) return []
  const outer = { nodes: first.nodes }
  const counters = groups.map(({ demands }) =>
    demands.map(({ demand, closed }) => ({ demand, room: roomIn(fleet, demand, closed, outer) })),
  )
  const found = places.flatMap((within) => {
    let [members, room, liked, least, more] = [0, 0, 0, 0, 0]
    for (const [index, { min, max, isBalanced }] of groups.entries()) {
      let most: { demand: Demand; open: OpenRoom } | undefined
      for (const one of counters[index] ?? []) {
        const open = one.room(within)
        if (most === undefined || open.total > most.open.total) most = { demand: one.demand, open }
      }
      if (most === undefined || most.open.total < min) return []
      const taken = Math.min(max, most.open.total)
      members += taken
      room += most.open.total
      liked += taken * likes(fleet, most.demand, most.open, within)
      if (!isBalanced || within.domain === undefined) continue
      const even = evenness(within.domain, taken, { ...plain(most.demand, most.open), isBalanced })
      least += even.least
      more += even.more
    }
    return [{ within, members, room, liked, least, more }]
  })
  return found
    .sort(
      (a, b) => b.members - a.members || b.liked - a.liked || b.least - a.least || a.more - b.more || a.room - b.room,
    )
    .map(({ within }) => within)
}

function likes(fleet: Fleet, demand: Demand, room: OpenRoom, { domain, nodes }: Within): number {
  const liked = liking(fleet, demand)
  if (liked === undefined) return 0
  if (domain !== undefined) return likedBy(fleet, demand, room)?.(domain) ?? 0
  let [weight, rooms] = [0, 0]
  for (const node of nodes ?? []) {
    const own = fleet.fabric.domains[nodeLevel]?.[node.index]
    const here = own === undefined ? 0 : room.in(own)
    weight += here * liked(node)
    rooms += here
  }
  return rooms === 0 ? 0 : weight / rooms
}

function plain({ slices }: Demand, room: OpenRoom) {
  return { domain: undefined, room, loose: room, slices, isScattered: false, isNear: undefined, liked: undefined }
}
