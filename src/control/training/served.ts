import type { Gang } from '../../model/kinds/gang.ts'
import { acceleratorsHeld, seatsNow } from '../../model/seats.ts'
import { secondsOfStep, servedSteps, servedStepsMax } from '../../model/served.ts'
import { again, type Context, type Outcome, settled } from '../reconciler.ts'
import type { Seen } from './job.ts'

/** Where its Queue is ordered by that, the steps of accelerator-time that the gang has had; they never fall. */
export function servedNow({ views }: Context, { gang, ranSeconds }: Seen): { served?: number | null } {
  const { served } = gang.spec
  if (!isOrderedByService(views, gang)) return served === undefined ? {} : { served: null }
  return { served: Math.max(served ?? 0, servedSteps(ranSeconds * acceleratorsOf(gang))) }
}

/** Comes back when it has had a step more, if it sits and its Queue asks. */
export function untilNextStep({ views }: Context, { gang, ranSeconds }: Seen): Outcome {
  const { served = servedStepsMax } = gang.spec
  const accelerators = acceleratorsOf(gang)
  if (served === servedStepsMax || accelerators === 0 || !isOrderedByService(views, gang)) return settled()
  const secondsLeft = secondsOfStep(served + 1) / accelerators - ranSeconds
  return again(Math.max(0, Math.ceil(1000 * secondsLeft)))
}

function isOrderedByService(views: Context['views'], { spec }: Gang): boolean {
  return views.of('Queue').get({ name: spec.queue })?.spec.order === 'LeastServed'
}

/** Of its seats; all of its time counts as with those that it has now. */
function acceleratorsOf(gang: Gang): number {
  return acceleratorsHeld(seatsNow(gang)?.members ?? [])
}
