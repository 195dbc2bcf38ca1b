import type { Ages } from '../../base/ages.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { keyOf } from '../../model/refs.ts'
import { askedOf, statusAfter } from '../../scheduler/committed.ts'
import type { Verdict } from '../../scheduler/contract.ts'
import type { Store } from '../../store/contract.ts'
import { gangStatusOf, holdNow, seatsAgeMs } from '../gangs.ts'

/** Evictions of a hold are asked, one write to each victim: repeatable, and named by uid and attempt. */
export async function askVictims(
  store: Store,
  gang: Gang,
  gangOf: (key: string) => Gang | undefined,
  nowMs: number,
): Promise<'asked' | 'again'> {
  const { victims = [], epoch = 0 } = holdNow(gang) ?? {}
  const outcomes = victims.map(async (victim) => {
    const other = gangOf(victim.gang)
    const asked = other === undefined ? undefined : askedOf(other, victim, { by: keyOf(gang), epoch, nowMs })
    if (other === undefined || asked === undefined) return 'asked'
    return store.updateStatus('Gang', { ...other, status: { ...gangStatusOf(other), ...asked } })
  })
  return (await Promise.all(outcomes)).includes('stale') ? 'again' : 'asked'
}

/**
 * One decision, one compare-and-set: nothing of it shows anywhere before this write, and everything after it can be
 * done from this write alone. 'stale': the verdict was about a gang that has changed since.
 */
export async function commitVerdict(
  store: Store,
  gang: Gang,
  verdict: Verdict,
  { ages, epoch, nowMs }: { ages: Pick<Ages, 'of'>; epoch: number; nowMs: number },
): Promise<'committed' | 'stale'> {
  if (gang.metadata.resourceVersion !== verdict.resourceVersion) return 'stale'
  const status = statusAfter(gang, verdict, { epoch, nowMs })
  // From now on it is known how old they are.
  if (status.seats !== undefined) seatsAgeMs(gang, status.seats, ages)
  const written = await store.updateStatus('Gang', { ...gang, status })
  return typeof written === 'string' ? 'stale' : 'committed'
}
