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
