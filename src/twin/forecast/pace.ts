import type { Gang } from '../../model/kinds/gang.ts'
import { type StepModel, stepMsOf } from '../work/step-time.ts'
import { membersAsked } from './size.ts'

/** What a scenario says of the steps of a job. */
export type StepsKnown = Pick<StepModel, 'scaling'>

/** How long a gang with so many members takes, of what its owner declares for all of them. */
export function paceOf(gang: Gang, members: number, steps: StepsKnown = {}): number {
  return stepMsOf({ ...steps, stepMs: 1, ranks: membersAsked(gang) }, members)
}
