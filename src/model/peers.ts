import { domainIn, levels } from './fabric.ts'
import type { Seat } from './kinds/gang.ts'
import { nodesUnder } from './seats.ts'

type Labels = Readonly<Record<string, string>>

/**
 * Which other node keeps a copy of what each node of a gang writes: one in another rack where the gang sits in several, for
 * what takes a rack takes all of it (switch, power); else another node; none where all sit on one. A function of the seats and
 * of where their nodes are in the fabric. No node keeps more for others than it must: one where no rack holds more than half
 * of the nodes, else what is in that rack is spread evenly over the nodes outside of it.
 */
export function peersOf(
  members: readonly Seat[],
  labelsAt: (node: string) => Labels | undefined,
): ReadonlyMap<string, string> {
  const nodes = byRack(nodesUnder(members), labelsAt)
  const { length } = nodes.all
  if (length < 2) return new Map()
  const { largest } = nodes
  const outside = length - largest
  // The largest rack comes first, so a step of its size leads out of every rack, unless it comes back into that one.
  const peerAt = (at: number): number => {
    if (outside === 0) return (at + 1) % length
    return at < largest && at + largest >= length ? largest + (at % outside) : (at + largest) % length
  }
  return new Map(nodes.all.map((node, at) => [node, nodes.all[peerAt(at)] ?? node]))
}

/** Rack by rack, the largest first; of equal ones, and within one, as they come in the seats. */
function byRack(
  nodes: readonly string[],
  labelsAt: (node: string) => Labels | undefined,
): { all: string[]; largest: number } {
  const racks = new Map<string, string[]>()
  for (const node of nodes) {
    const rack = rackOf(labelsAt(node) ?? {})
    const known = racks.get(rack)
    if (known === undefined) racks.set(rack, [node])
    else known.push(node)
  }
  const sorted = [...racks.values()].sort((a, b) => b.length - a.length)
  return { all: sorted.flat(), largest: sorted[0]?.length ?? 0 }
}

/** The rack with all that it is in. An NVLink domain is a rack where nothing else says; nodes that say nothing are in one. */
function rackOf(labels: Labels): string {
  const [zone, block, rack, nvlink] = levels.map((level) => domainIn(labels, level) ?? '')
  return JSON.stringify([zone, block, rack === '' ? nvlink : rack])
}
