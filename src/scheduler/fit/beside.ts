import { nodeLevel } from '../../model/fabric.ts'
import type { Domain } from '../fleet/fabric.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { bankFor, type Claim, copyOf, type NodeState } from '../fleet/nodes.ts'
import { type Demand, roomFor } from '../fleet/rooms.ts'

/** How many members of the others a node has room for less when one of the demand sits there. */
export function costTo(others: readonly Demand[], demand: Demand): (node: NodeState) => number {
  return (node) => roomForAll(others, node) - roomForAll(others, withOne(node, demand))
}

/** How many members of the others have room beside one of the demand. */
export function roomBeside(others: readonly Demand[], demand: Demand): (node: NodeState) => number {
  return (node) => roomForAll(others, withOne(node, demand))
}

function roomForAll(demands: readonly Demand[], node: NodeState): number {
  return demands.reduce((room, demand) => room + roomFor(node, demand), 0)
}

/** A member on its node, of one of the groups. */
interface Seated {
  group: number
  node: NodeState
  claim: Claim
}

/**
 * For how many members of the demand there is no room any more beside what was placed on open nodes: at least, since it
 * is left open which devices shares of them take.
 */
export function lostTo(
  fleet: Fleet,
  placed: readonly Seated[],
  demand: Demand,
  isOpen: (node: NodeState) => boolean,
): number {
  const rooms = fleet.rooms(demand)
  let lost = 0
  for (let at = 0, count = 1; at < placed.length; at += count) {
    const { node, claim } = placed[at] as Seated
    count = 1
    while (placed[at + count]?.node === node && placed[at + count]?.group === placed[at]?.group) count++
    if (!isOpen(node)) continue
    const room = rooms.on(node)
    lost += room - Math.max(0, Math.min(room, roomBesideClaims(node, claim, count, demand)))
  }
  return lost
}

/** At most so many, beside so many claims that are alike. */
function roomBesideClaims(node: NodeState, claim: Claim, count: number, demand: Demand): number {
  let room = Number.POSITIVE_INFINITY
  if (demand.cpuMilli > 0) room = Math.floor((node.cpuMilliFree - count * claim.cpuMilli) / demand.cpuMilli)
  if (demand.memoryBytes > 0) {
    room = Math.min(room, Math.floor((node.memoryBytesFree - count * claim.memoryBytes) / demand.memoryBytes))
  }
  if (demand.whole === 0) return room
  const bank = bankFor(node, demand.model)
  const whole = bank[0]?.model === claim.model ? claim.devices.filter(({ milli }) => milli === 1000).length : 0
  const idle = bank.reduce((sum, { healthy, usedMilli }) => (healthy && usedMilli <= 0 ? sum + 1 : sum), 0)
  return Math.min(room, Math.floor((idle - count * whole) / (demand.milli > 0 ? demand.whole + 1 : demand.whole)))
}

/** The node with one member of the demand on it; whatever share of an accelerator it takes, the whole one counts. */
function withOne(node: NodeState, demand: Demand): NodeState {
  const after = copyOf(node)
  after.claims.set('', nobody)
  after.cpuMilliFree -= demand.cpuMilli
  after.memoryBytesFree -= demand.memoryBytes
  let whole = demand.whole + (demand.milli > 0 ? 1 : 0)
  for (const device of bankFor(after, demand.model)) {
    if (whole === 0 || !device.healthy || device.usedMilli > 0) continue
    device.usedMilli = 1000
    whole--
  }
  return after
}

const nobody: Claim = { node: '', model: '', devices: [], cpuMilli: 0, memoryBytes: 0, ports: [] }

/** In levels of the fabric up to the narrowest domain that it shares with one of them. */
export function distanceTo(fleet: Fleet, near: ReadonlySet<NodeState>): (node: NodeState) => number {
  const isNear = nearTo(fleet, near)
  return (node) => {
    for (let level = nodeLevel; level >= 0; level--) {
      const domain = fleet.fabric.domains[level]?.[fleet.fabric.domainOf[level]?.[node.index] ?? -1]
      if (domain?.isReal === true && isNear?.(domain) === true) return nodeLevel - level
    }
    return nodeLevel + 1
  }
}

/** Whether one of the nodes is in a domain. */
export function nearTo(
  { fabric }: Fleet,
  nodes: ReadonlySet<NodeState> | undefined,
): ((domain: Domain) => boolean) | undefined {
  if (nodes === undefined || nodes.size === 0) return undefined
  const inUse = fabric.domainOf.map((domains) => new Set([...nodes].map(({ index }) => domains[index])))
  return ({ level, index }) => inUse[level]?.has(index) === true
}

/** Those of which the wish is least. */
export function least(nodes: readonly NodeState[], wish: (node: NodeState) => number): NodeState[] {
  let [best, found] = [Number.POSITIVE_INFINITY, [] as NodeState[]]
  for (const node of nodes) {
    const value = wish(node)
    if (value > best) continue
    if (value < best) found = []
    best = value
    found.push(node)
  }
  return found
}
