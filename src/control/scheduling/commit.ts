import { setCondition } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Verdict, Victim } from '../../scheduler/contract.ts'
import { preemptingMessage } from '../../scheduler/reasons.ts'
import type { Store } from '../../store/contract.ts'
import { evictionNow, type GangStatus, gangStatusOf, holdNow, seatsNow } from '../gangs.ts'

/** Evictions of a hold are asked, one write to each victim: repeatable, and named by uid and attempt. */
export async function askVictims(
  store: Store,
  gang: Gang,
  gangOf: (key: string) => Gang | undefined,
  nowMs: number,
): Promise<'asked' | 'again'> {
  const hold = holdNow(gang)
  const outcomes = (hold?.victims ?? []).map(async (victim) => {
    const other = gangOf(victim.gang)
    if (other === undefined || !isToBeAsked(other, victim)) return 'asked'
    const { namespace = 'default', name } = gang.metadata
    const by = `${namespace}/${name}`
    const message = `its seats are needed by gang ${by} (${victim.reason}); it goes on from its last checkpoint when there is room`
    const eviction = { attempt: victim.attempt, by, reason: victim.reason, message, at: new Date(nowMs).toISOString() }
    return store.updateStatus('Gang', { ...other, status: { ...gangStatusOf(other), eviction } })
  })
  return (await Promise.all(outcomes)).includes('stale') ? 'again' : 'asked'
}

function isToBeAsked(gang: Gang, victim: Victim): boolean {
  return (
    gang.metadata.uid === victim.uid &&
    seatsNow(gang)?.attempt === victim.attempt &&
    evictionNow(gang) === undefined &&
    !gang.spec.suspend
  )
}

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
  const { seats: _, hold: _hold, eviction: _eviction, ...unseated } = base
  const at = new Date(nowMs).toISOString()
  if (verdict.kind === 'bind') {
    const seats = { ...verdict.seats, epoch, at }
    return { ...unseated, seats, conditions: conditions('True', 'Seated', `${seats.members.length} members sit`) }
  }
  if (verdict.kind === 'preempt') {
    const { attempt, victims, seats } = verdict
    const hold = { attempt, epoch, at, members: seats.members, victims }
    return { ...unseated, hold, conditions: conditions('False', 'Preempting', preemptingMessage(victims)) }
  }
  const [reason, message] = gang.spec.suspend
    ? ['Suspended', 'it wants no seats']
    : ['Released', 'its seats were of an earlier attempt']
  return { ...unseated, conditions: conditions('False', reason, message) }
}
