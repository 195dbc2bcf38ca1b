import type { Gang } from '../../model/kinds/gang.ts'
import { type StepModel, slowestMs, stepMsOf } from '../work/step-time.ts'
import { membersAsked } from './size.ts'

/** What a scenario says of the steps of a job. */
export type StepsKnown = Pick<StepModel, 'scaling' | 'stepSpread'>

/** How long a gang with so many members takes, of what its owner declares for all of them, were there no slowest to wait for. */
export function paceOf(gang: Gang, members: number, steps: StepsKnown = {}): number {
  const own = stepMsOf({ ...steps, stepMs: 1, ranks: membersAsked(gang) }, members)
  return slowestMs(new Map([[own, members]]), steps.stepSpread ?? 0)
}
