import { setCondition } from '../model/conditions.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Verdict, Victim } from './contract.ts'
import { counted } from './why/counted.ts'
import { preemptingMessage } from './why/reasons.ts'

type GangStatus = NonNullable<Gang['status']>

/** The condition of a gang that says whether it sits, and while it does not, what it waits for. */
export const scheduledCondition = 'Scheduled'

/** What a verdict makes of the status of its gang: the one write that decides. */
export function statusAfter(
  gang: Gang,
  verdict: Verdict,
  { epoch, nowMs }: { epoch: number; nowMs: number },
): GangStatus {
  const observedGeneration = gang.metadata.generation
  const { conditions: before = [], checkpoints = [] } = gang.status ?? {}
  const base = { ...gang.status, checkpoints, epoch, observedGeneration }
  const conditions = (status: 'True' | 'False', reason: string, message: string) =>
    setCondition(before, { type: scheduledCondition, status, reason, message, observedGeneration }, nowMs)
  const { seats: _, hold: _hold, eviction: _eviction, resize: _resize, ...unseated } = base
  const at = new Date(nowMs).toISOString()
  switch (verdict.kind) {
    case 'wait':
      return { ...base, conditions: conditions('False', verdict.reason, verdict.message) }
    case 'bind': {
      // Whoever joins a gang that sits finds it sitting since then.
      const sat = gang.spec.rejoins === true ? gang.status?.seats : undefined
      const seats = { ...verdict.seats, epoch, at: sat?.attempt === verdict.attempt ? sat.at : at }
      return {
        ...unseated,
        seats,
        conditions: conditions('True', 'Seated', counted(seats.members.length, 'member sits', 'members sit')),
      }
    }
    case 'preempt': {
      const { attempt, victims, seats, gainSeconds } = verdict
      const gain = gainSeconds === undefined ? {} : { gainSeconds }
      const hold = { attempt, epoch, at, members: seats.members, victims, ...gain }
      return {
        ...unseated,
        hold,
        conditions: conditions('False', 'Preempting', preemptingMessage(victims, gainSeconds)),
      }
    }
    case 'resize': {
      const { attempt, added, priceSeconds, gainSeconds, message } = verdict
      return {
        ...base,
        conditions: before,
        resize: { attempt, epoch, at, members: added, priceSeconds, gainSeconds, message },
      }
    }
    case 'release': {
      const [reason, message] = gang.spec.suspend
        ? ['Suspended', 'it wants no seats']
        : ['Released', 'its seats were of an earlier attempt']
      return { ...unseated, conditions: conditions('False', reason, message) }
    }
  }
}

/**
 * What asks a victim for its seats, and keeps for its next attempt those that it moves to; undefined when it is another
 * gang by now, has left, or was asked already.
 */
export function askedOf(
  gang: Gang,
  victim: Victim,
  { by, epoch, nowMs }: { by: string; epoch: number; nowMs: number },
): Pick<GangStatus, 'eviction' | 'hold'> | undefined {
  const { metadata, spec, status } = gang
  const { attempt, reason, movesTo } = victim
  if (metadata.uid !== victim.uid || spec.suspend || spec.attempt !== attempt) return undefined
  if (status?.seats?.attempt !== attempt || status.eviction?.attempt === attempt) return undefined
  const at = new Date(nowMs).toISOString()
  const goesOn = movesTo === undefined ? 'when there is room' : 'where seats are kept for it'
  const message = `its seats are needed by gang ${by} (${reason}); it goes on from its last checkpoint ${goesOn}`
  const shrinks = victim.shrinks === true ? { shrinks: true } : {}
  const eviction = { attempt, by, reason, message, at, ...shrinks }
  if (movesTo === undefined) return { eviction }
  return { eviction, hold: { attempt: attempt + 1, epoch, at, members: movesTo, victims: [] } }
}
