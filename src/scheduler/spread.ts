import { type Domain, levels } from './fabric.ts'
import type { Fleet } from './fleet.ts'
import type { NodeState } from './nodes.ts'
import type { Rooms } from './rooms.ts'

/** Room as one gang sees it: without the nodes that are kept for others. */
export interface OpenRoom {
  total: number
  on(node: NodeState): number
  in(domain: Domain): number
}

/** `closed` is short, so it is subtracted rather than the rest added up. */
export function openRoom(fleet: Fleet, rooms: Rooms, closed: ReadonlySet<NodeState> | undefined): OpenRoom {
  if (closed === undefined) {
    return { total: rooms.total, on: (node) => rooms.on(node), in: (domain) => rooms.in(domain.level, domain.index) }
  }
  let shut = 0
  const shutIn = levels.map(() => new Map<number, number>())
  for (const node of closed) {
    const room = rooms.on(node)
    if (room === 0) continue
    shut += room
    for (const [level, sums] of shutIn.entries()) {
      const domain = fleet.fabric.domainOf[level]?.[node.index] ?? 0
      sums.set(domain, (sums.get(domain) ?? 0) + room)
    }
  }
  return {
    total: rooms.total - shut,
    on: (node) => (closed.has(node) ? 0 : rooms.on(node)),
    in: ({ level, index }) => rooms.in(level, index) - (shutIn[level]?.get(index) ?? 0),
  }
}

/**
 * The node of each of `members`, inside `within` or anywhere, on as few domains as possible at every level of the fabric:
 * the tightest one that holds all that remain, else the roomiest first. So small gangs fill what is broken open already,
 * and whole domains are kept for large ones. The room is there: the caller has looked.
 */
export function spread(fleet: Fleet, room: OpenRoom, members: number, within?: Domain): NodeState[] {
  const nodes: NodeState[] = []
  const fill = (domains: readonly Domain[], wanted: number): void => {
    for (const [domain, count] of shares(domains, wanted, (one) => room.in(one))) {
      if (domain.children.length > 0) fill(domain.children, count)
      else {
        const here = fleet.order.slice(domain.from, domain.to)
        for (const [node, some] of shares(here, count, (one) => room.on(one))) {
          for (let left = some; left > 0; left--) nodes.push(node)
        }
      }
    }
  }
  fill(within === undefined ? (fleet.fabric.domains[0] ?? []) : [within], members)
  return nodes
}

/** How many of `wanted` each place takes. */
function shares<T>(places: readonly T[], wanted: number, roomOf: (place: T) => number): [T, number][] {
  const [only] = places
  if (only !== undefined && places.length === 1) return [[only, wanted]]
  const open = places
    .map((place, at) => ({ place, at, room: roomOf(place) }))
    .filter(({ room }) => room > 0)
    .sort((a, b) => b.room - a.room || a.at - b.at)
  const taken: [T, number][] = []
  let left = wanted
  for (const [index, { place, room }] of open.entries()) {
    if (left === 0) break
    if (room < left) {
      taken.push([place, room])
      left -= room
      continue
    }
    // All that remain fit into one: the tightest such, and among equals the first.
    let tightest = index
    for (let next = index + 1; next < open.length && (open[next]?.room ?? 0) >= left; next++) {
      if ((open[next]?.room ?? 0) < (open[tightest]?.room ?? 0)) tightest = next
    }
    taken.push([open[tightest]?.place ?? place, left])
    left = 0
  }
  return taken
}
