import type { Gang } from './kinds/gang.ts'
import type { Node } from './kinds/kubernetes.ts'
import type { Pool } from './kinds/pool.ts'
import { leavingReasonOf } from './nodes.ts'
import { sparesFor } from './reliability.ts'

/** How many nodes of the pool are to be kept free for gangs that lost one; `nodes`: how many it has. */
export function sparesWanted({ spec: { spares = 0 } }: Pick<Pool, 'spec'>, nodes: number): number {
  return spares === 'auto' ? sparesFor(nodes) : spares
}

/** Whether its present attempt may sit on them: it has lost a node, or is to leave one. */
export function mayUseSpares({ spec }: Pick<Gang, 'spec'>): boolean {
  return spec.spareAttempt === spec.attempt
}

/** Whether the node could stand in for another, were it free: a node that work is to leave could not. */
export function couldBeSpare(node: Node): boolean {
  return leavingReasonOf(node) === undefined
}
