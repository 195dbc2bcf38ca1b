import { preference } from './affinity.ts'
import type { LaidOut } from './laid-out.ts'
import type { NodeState } from './nodes.ts'
import { type Demand, tolerates } from './rooms.ts'

/** What Kubernetes gives no weight weighs as its heaviest preference: an avoided taint, a type of capacity further down the list. */
const heaviest = 100

/** How much a member of the demand would like a node for what it is, more the better; undefined where all are alike. */
export function likingOfNode(
  { hasSoftTaints, hasCapacityTypes }: LaidOut,
  { preferences, tolerations, capacityTypes = [] }: Demand,
): ((node: NodeState) => number) | undefined {
  const wishes: ((node: NodeState) => number)[] = []
  if (preferences !== undefined) wishes.push((node) => preference(node, preferences))
  if (hasCapacityTypes && capacityTypes.length > 1) {
    wishes.push(({ capacityType }) => -heaviest * capacityTypes.indexOf(capacityType))
  }
  if (hasSoftTaints) {
    wishes.push((node) => {
      const soft = softTaints(node).filter((taint) => !tolerations.some((one) => tolerates(one, taint)))
      return -heaviest * soft.length
    })
  }
  const [only] = wishes
  if (wishes.length < 2) return only
  return (node) => wishes.reduce((sum, wish) => sum + wish(node), 0)
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
