import type { Gang } from './kinds/gang.ts'
import type { Node } from './kinds/kubernetes.ts'
import type { Pool } from './kinds/pool.ts'
import { leavingReasonOf } from './nodes.ts'
import { sparesFor, sparesMax } from './reliability.ts'

/**
 * How many nodes of the pool are to be kept free for gangs that lost one; `nodes`: how many it has. Of `auto` as many as
 * `control/nodes` has found, or would without having seen any of them fail.
 */
export function sparesWanted({ spec, status }: Pick<Pool, 'spec' | 'status'>, nodes: number): number {
  const { spares = 0 } = spec
  return spares === 'auto' ? Math.min(sparesMax(nodes), status?.spares?.wanted ?? sparesFor(nodes)) : spares
}

/** Whether it may be another number of as many nodes. */
export function wantsOthers(
  before: Pick<Pool, 'spec' | 'status'> | undefined,
  now: Pick<Pool, 'spec' | 'status'>,
): boolean {
  const [was, is] = [before?.spec.spares ?? 0, now.spec.spares ?? 0]
  return was !== is || (is === 'auto' && before?.status?.spares?.wanted !== now.status?.spares?.wanted)
}

/** Whether its present attempt may sit on them: it has lost a node, or is to leave one. */
export function mayUseSpares({ spec }: Pick<Gang, 'spec'>): boolean {
  return spec.spareAttempt === spec.attempt
}

/** Whether the node could stand in for another, were it free: a node that work is to leave could not. */
export function couldBeSpare(node: Node): boolean {
  return leavingReasonOf(node) === undefined
}
