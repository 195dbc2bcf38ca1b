import { preference } from './affinity.ts'
import type { NodeState } from './nodes.ts'
import type { Demand } from './rooms.ts'

/**
 * How much a member of the demand would like a node, more the better: the weights of what it prefers of the node, and of who
 * else is there. Undefined where it does not mind.
 */
export function liking({ preferences, company }: Demand): ((node: NodeState) => number) | undefined {
  const ofCompany = company?.liking
  if (preferences === undefined) return ofCompany === undefined ? undefined : ({ index }) => ofCompany(index)
  if (ofCompany === undefined) return (node) => preference(node, preferences)
  return (node) => preference(node, preferences) + ofCompany(node.index)
}
