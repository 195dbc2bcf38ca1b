import { setCondition } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Verdict } from '../../scheduler/contract.ts'
import type { Store } from '../../store/contract.ts'
import { type GangStatus, gangStatusOf } from '../gangs.ts'

/** The condition of a gang that says whether it sits, and while it does not, what it waits for. */
export const scheduledCondition = 'Scheduled'

/**
 * One decision, one compare-and-set: nothing of it shows anywhere before this write, and everything after it can be
 * done from this write alone. 'stale': the verdict was about a gang that has changed since.
 */
export async function commitVerdict(
  store: Store,
  gang: Gang,
  verdict: Verdict,
  epoch: number,
  nowMs: number,
): Promise<Gang | 'stale'> {
  if (gang.metadata.resourceVersion !== verdict.resourceVersion) return 'stale'
  const written = await store.updateStatus('Gang', { ...gang, status: statusAfter(gang, verdict, epoch, nowMs) })
  return written === 'missing' ? 'stale' : written
}

function statusAfter(gang: Gang, verdict: Verdict, epoch: number, nowMs: number): GangStatus {
  const before = gangStatusOf(gang)
  const base = { ...before, epoch, observedGeneration: gang.metadata.generation }
  const observedGeneration = gang.metadata.generation
  const conditions = (status: 'True' | 'False', reason: string, message: string) =>
    setCondition(before.conditions, { type: scheduledCondition, status, reason, message, observedGeneration }, nowMs)
  if (verdict.kind === 'wait') return { ...base, conditions: conditions('False', verdict.reason, verdict.message) }
  if (verdict.kind === 'bind') {
    const seats = { ...verdict.seats, epoch, at: new Date(nowMs).toISOString() }
    return { ...base, seats, conditions: conditions('True', 'Seated', `${seats.members.length} members sit`) }
  }
  const { seats: _, ...unseated } = base
  const [reason, message] = gang.spec.suspend
    ? ['Suspended', 'it wants no seats']
    : ['Released', 'its seats were of an earlier attempt']
  return { ...unseated, conditions: conditions('False', reason, message) }
}
