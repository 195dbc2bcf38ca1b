import { preference } from './affinity.ts'
import type { LaidOut } from './laid-out.ts'
import type { NodeState } from './nodes.ts'
import { type Demand, tolerates } from './rooms.ts'

/** A PreferNoSchedule taint that is not tolerated weighs as much as the heaviest preference against the node. */
const taintWeight = 100

/** How much a member of the demand would like a node for what it is, more the better; undefined where all are alike. */
export function likingOfNode(
  { hasSoftTaints }: LaidOut,
  { preferences, tolerations }: Demand,
): ((node: NodeState) => number) | undefined {
  if (!hasSoftTaints) return preferences === undefined ? undefined : (node) => preference(node, preferences)
  return (node) => {
    const soft = softTaints(node).filter((taint) => !tolerations.some((one) => tolerates(one, taint)))
    return (preferences === undefined ? 0 : preference(node, preferences)) - taintWeight * soft.length
  }
}

/** The same, and for who sits there. */
export function liking(fleet: LaidOut, demand: Demand): ((node: NodeState) => number) | undefined {
  const [ofNode, ofCompany] = [likingOfNode(fleet, demand), demand.company?.liking]
  if (ofCompany === undefined) return ofNode
  return (node) => (ofNode?.(node) ?? 0) + ofCompany(node.index)
}

/** Taints that keep nobody out, but are to be avoided. */
export function softTaints({ object }: NodeState) {
  return object.spec?.taints?.filter(({ effect }) => effect === 'PreferNoSchedule') ?? []
}
