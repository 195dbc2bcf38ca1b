import type { Candidate, Chosen, Request, Stage } from './candidates.ts'
import type { QuotaTree } from './tree.ts'

/**
 * Who has to leave so that the request fits; undefined: nobody is evicted for it. Leaves the stage and the tree as it
 * found them.
 */
export function victimsFor(
  _tree: QuotaTree,
  _request: Request,
  _candidatesOf: (queue: string) => Iterable<Candidate>,
  _stage: Stage,
): Chosen[] | undefined {
  return undefined
}
