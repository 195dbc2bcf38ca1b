import { nodeLevel } from '../../model/fabric.ts'
import type { Domain } from '../fleet/fabric.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { liking } from '../fleet/liking.ts'
import type { NodeState } from '../fleet/nodes.ts'
import { type Demand, type Slice, unitAt } from '../fleet/rooms.ts'

/** Room as one gang sees it: without the nodes that are kept for others, and of whole slices where it has slices. */
export interface OpenRoom {
  total: number
  in(domain: Domain): number
}

/** Room outside `closed` and, where they are named, inside `nodes`. */
export function openRoom(
  fleet: Fleet,
  demand: Demand,
  closed: ReadonlySet<NodeState> | undefined,
  nodes?: ReadonlySet<NodeState>,
): OpenRoom {
  const rooms = fleet.rooms(demand)
  if (nodes !== undefined) return counted(fleet, demand, nodes, (node) => closed?.has(node) !== true)
  if (closed === undefined) return { total: rooms.total, in: ({ level, index }) => rooms.in(level, index) }
  if (demand.slices !== undefined) return counted(fleet, demand, fleet.order, (node) => !closed.has(node))
  // What is closed is short, so it is subtracted rather than the rest added up; by domains once somebody asks about one.
  let total = rooms.total
  for (const node of closed) total -= rooms.on(node)
  let shut: OpenRoom | undefined
  return {
    total,
    in: (domain) => {
      shut ??= counted(fleet, demand, closed, () => true)
      return rooms.in(domain.level, domain.index) - shut.in(domain)
    },
  }
}

/** What some nodes have room for, added up over their domains. */
function counted(
  fleet: Fleet,
  demand: Demand,
  nodes: Iterable<NodeState>,
  isOpen: (node: NodeState) => boolean,
): OpenRoom {
  const { domains, domainOf } = fleet.fabric
  const rooms = fleet.rooms(demand)
  const sums: Map<number, number>[] = []
  let here = new Map<number, number>()
  for (const node of nodes) if (isOpen(node)) here.set(node.index, rooms.whole(nodeLevel, node.index, rooms.raw(node)))
  sums[nodeLevel] = here
  for (let level = nodeLevel - 1; level >= 0; level--) {
    const above = new Map<number, number>()
    for (const [index, room] of here) {
      const domain = domainOf[level]?.[domains[level + 1]?.[index]?.from ?? 0] ?? 0
      above.set(domain, (above.get(domain) ?? 0) + room)
    }
    for (const [index, sum] of above) above.set(index, rooms.whole(level, index, sum))
    sums[level] = above
    here = above
  }
  let total = 0
  for (const room of here.values()) total += room
  return { total, in: ({ level, index }) => sums[level]?.get(index) ?? 0 }
}

/** How much members would rather be in a domain: as its nodes weigh by the room that they have. */
export function likedBy(fleet: Fleet, demand: Demand, room: OpenRoom) {
  const liked = liking(fleet, demand)
  if (liked === undefined) return undefined
  const nodes = fleet.fabric.domains[nodeLevel] ?? []
  return ({ from, to }: Domain): number => {
    let [weight, rooms] = [0, 0]
    for (let at = from; at < to; at++) {
      const [node, domain] = [fleet.order[at], nodes[at]]
      const here = domain === undefined ? 0 : room.in(domain)
      if (node === undefined || here === 0) continue
      weight += here * liked(node)
      rooms += here
    }
    return rooms === 0 ? 0 : weight / rooms
  }
}

export interface Spread {
  /** All of it where undefined. */
  domain: Domain | undefined
  room: OpenRoom
  /** Room without slices: what decides between domains that hold as many of them. */
  loose: OpenRoom
  slices: readonly Slice[] | undefined
  isBalanced: boolean
  isScattered: boolean
  /** Whether the domain is in use by what belongs next to the members: those come first. */
  isNear: ((domain: Domain) => boolean) | undefined
  liked: ((domain: Domain) => number) | undefined
}

/**
 * The node of each of `members`, on as few domains as possible at every level of the fabric: the tightest one that holds
 * all that remain, else the roomiest first. So small gangs fill what is broken open already, and whole domains are kept
 * for large ones. Where members would rather be only decides between domains of which no more are needed either way. The
 * room is there: the caller has looked.
 */
export function spread(fleet: Fleet, members: number, asked: Spread): NodeState[] {
  const nodes: NodeState[] = []
  const fill = (places: readonly Domain[], wanted: number, isBalanced: boolean): void => {
    const taken = isBalanced ? evenShares(places, wanted, asked) : shares(places, wanted, asked)
    for (const [{ level, from, children }, count] of taken) {
      const node = fleet.order[from]
      if (level < nodeLevel) fill(children, count, isBalanced && taken.length === 1)
      else if (node !== undefined) for (let left = count; left > 0; left--) nodes.push(node)
    }
  }
  if (asked.isScattered) for (const [place, count] of scraps(fleet, members, asked)) fill([place], count, false)
  else fill(asked.domain === undefined ? (fleet.fabric.domains[0] ?? []) : [asked.domain], members, asked.isBalanced)
  return nodes
}

/** How even `wanted` members would be: the fewest that one of the domains takes, and how many more the fullest takes. */
export function evenness(domain: Domain, wanted: number, asked: Spread): { least: number; more: number } {
  let places: readonly Domain[] = [domain]
  for (;;) {
    const taken = evenShares(places, wanted, asked)
    const [only] = taken
    if (only !== undefined && taken.length === 1 && only[0].level < nodeLevel) places = only[0].children
    else {
      const counts = taken.map(([, count]) => count)
      const least = Math.min(...counts)
      return { least, more: Math.max(...counts) - least }
    }
  }
}

type Share = [place: Domain, members: number]

interface Open {
  place: Domain
  at: number
  room: number
  isNear: boolean
  liked: number
}

/** How many of `wanted` each place takes. */
function shares(places: readonly Domain[], wanted: number, asked: Spread): Share[] {
  const [only] = places
  if (only !== undefined && places.length === 1) return [[only, wanted]]
  const open = openPlaces(places, asked)
  // Mostly one of them holds all, and the others need no order.
  const whole = asked.isNear === undefined ? tightest(open, 0, wanted, asked) : undefined
  if (whole !== undefined) return [[whole.place, wanted]]
  const taken: Share[] = []
  let left = wanted
  for (const [index, one] of nearAndRoomiestFirst(open, asked).entries()) {
    if (left === 0) break
    const all = one.room < left ? undefined : tightest(open, index, left, asked)
    taken.push(all === undefined ? [one.place, one.room] : [all.place, left])
    left = all === undefined ? left - one.room : 0
  }
  return taken
}

/** Places with room. */
function openPlaces(places: readonly Domain[], { room, isNear, liked }: Spread): Open[] {
  const open: Open[] = []
  for (const [at, place] of places.entries()) {
    const here = room.in(place)
    if (here === 0) continue
    open.push({ place, at, room: here, isNear: isNear?.(place) === true, liked: liked?.(place) ?? 0 })
  }
  return open
}

/** In place. */
function nearAndRoomiestFirst(open: Open[], { loose }: Spread): Open[] {
  return open.sort(
    (a, b) =>
      Number(b.isNear) - Number(a.isNear) ||
      b.room - a.room ||
      b.liked - a.liked ||
      loose.in(a.place) - loose.in(b.place) ||
      a.at - b.at,
  )
}

/** The best of those from the index on that hold all that remain. */
function tightest(open: readonly Open[], from: number, wanted: number, asked: Spread): Open | undefined {
  let best: Open | undefined
  for (let at = from; at < open.length; at++) {
    const one = open[at]
    if (one === undefined || one.room < wanted) continue
    if (best === undefined || isTighter(one, best, asked)) best = one
  }
  return best
}

function isTighter(a: Open, b: Open, { loose }: Spread): boolean {
  if (a.isNear !== b.isNear) return a.isNear
  const order =
    b.liked - a.liked || a.room - b.room || loose.in(a.place) - loose.in(b.place) || a.place.from - b.place.from
  return order < 0
}

/** As many in each place as in the others, on as few as hold them all, and of those the tightest. */
function evenShares(places: readonly Domain[], wanted: number, asked: Spread): Share[] {
  const alike = { ...asked, isNear: undefined }
  const open = nearAndRoomiestFirst(openPlaces(places, alike), alike)
  let [count, sum] = [0, 0]
  while (sum < wanted && count < open.length) sum += open[count++]?.room ?? 0
  if (count <= 1) return shares(places, wanted, asked)
  const unit = unitAt(asked.slices, places[0]?.level ?? 0)
  const least = Math.min(Math.floor(wanted / count / unit) * unit, open[count - 1]?.room ?? 0)
  let chosen = open.slice(0, count)
  for (let from = 1; from + count <= open.length; from++) {
    const tighter = open.slice(from, from + count)
    const room = tighter.reduce((total, one) => total + one.room, 0)
    if (room < wanted || (tighter[count - 1]?.room ?? 0) < least) break
    chosen = tighter
  }
  let left = wanted
  // The smallest first: what it lacks the others take.
  return chosen
    .sort((a, b) => a.room - b.room || a.at - b.at)
    .map(({ place, room }, index): Share => {
      const share = Math.min(room, Math.ceil(left / (count - index) / unit) * unit)
      left -= share
      return [place, share]
    })
}

/** What is left over on the fullest nodes, or in the fullest domains that hold a slice, wherever they are. */
function scraps(fleet: Fleet, wanted: number, { domain, room, slices, liked }: Spread): Share[] {
  const level = slices?.[0]?.level ?? nodeLevel
  const isInside = ({ from, to }: Domain) => domain === undefined || (from >= domain.from && to <= domain.to)
  const places =
    domain !== undefined && domain.level >= level ? [domain] : (fleet.fabric.domains[level] ?? []).filter(isInside)
  const open = places
    .map((place) => ({ place, room: room.in(place), liked: liked?.(place) ?? 0 }))
    .filter((one) => one.room > 0)
    .sort((a, b) => b.liked - a.liked || a.room - b.room || a.place.from - b.place.from)
  const taken: Share[] = []
  let left = wanted
  for (const one of open) {
    if (left === 0) break
    const share = Math.min(one.room, left)
    taken.push([one.place, share])
    left -= share
  }
  return taken
}
