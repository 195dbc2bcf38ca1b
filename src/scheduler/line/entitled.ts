import { isMeant } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { type GangState, standingOf, wantsOf } from '../gangs.ts'
import type { Account } from '../quota/account.ts'
import { isAllowed } from '../quota/candidates.ts'
import { lowestCommon } from '../quota/pool.ts'
import type { QuotaTree } from '../quota/tree.ts'
import type { Yields } from './reservations.ts'

/** Whoever would borrow yields what is kept for him to those who could have it back. */
export function yieldsIn(quota: QuotaTree, gangs: ReadonlyMap<string, Pick<GangState, 'object'>>): Yields {
  return (keeper, gang, model) => {
    const other = gangs.get(keeper)
    return other !== undefined && couldReclaim(quota, gang, other.object, model)
  }
}

/**
 * Whether the gang, within what its queue owns, could have back at once what the other would sit on of the model, for
 * that one would borrow it. Nodes that are kept for the other are not kept from this one then, free or not. That moves
 * nobody who sits, so what `quota/displacements.ts` says of an end stays true; and the other could not hold them anyway.
 */
function couldReclaim(quota: QuotaTree, gang: Gang, other: Gang, model: string): boolean {
  const { queue } = gang.spec
  if (queue === other.spec.queue || !other.spec.preemptible) return false
  if (!isAllowed(quota.policyOf(queue).reclaimWithinCohort, contenderOf(gang), contenderOf(other))) return false
  const wants = wantsOf(gang)
  if (quota.isBorrowing(queue, wants.keys(), wants)) return false
  return wouldBorrow(quota, other, model, quota.accountOf(queue))
}

function contenderOf({ metadata, spec }: Gang): { priority: number; createdAt: string } {
  return { priority: standingOf(spec), createdAt: metadata.creationTimestamp ?? '' }
}

/** From outside of all that it and the other account are both part of: what a tree owns it shares out itself. */
function wouldBorrow(quota: QuotaTree, { spec }: Gang, model: string, beside: Account): boolean {
  const milli = spec.groups.reduce((sum, { min, accelerators }) => {
    const one = accelerators.find((alternative) => isMeant(alternative.model, model))
    return sum + min * Math.round(1000 * (one?.count ?? 0))
  }, 0)
  quota.add(spec.queue, model, milli)
  try {
    const from = quota.accountOf(spec.queue)
    const common = lowestCommon(from, beside)
    for (let one: Account | undefined = from; one !== undefined && one !== common; one = one.parent) {
      if (!one.isOver([model])) return false
    }
    return true
  } finally {
    quota.add(spec.queue, model, -milli)
  }
}
