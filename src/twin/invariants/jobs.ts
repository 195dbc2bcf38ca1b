import { seatsNow } from '../../control/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/** A job that says that it runs counts all members that sit. */
export class Jobs implements Invariant {
  readonly name = 'jobs'
  /** By gang, members of its present attempt. */
  readonly #seats = new Map<string, { attempt: number; members: number }>()

  check({ kind, object }: Entry): string | undefined {
    if (kind === 'Gang') this.#seeGang(object as Gang)
    if (kind !== 'TrainingJob') return undefined
    const job = object as TrainingJob
    const { phase, attempt, workers } = job.status ?? {}
    const seats = this.#seats.get(keyOf(job))
    if (phase !== 'Running' || seats?.attempt !== attempt || seats?.members === workers) return undefined
    return `job ${keyOf(job)} says that ${workers} workers run, and ${seats?.members} sit`
  }

  #seeGang(gang: Gang): void {
    const seats = seatsNow(gang)
    if (seats === undefined) this.#seats.delete(keyOf(gang))
    else this.#seats.set(keyOf(gang), { attempt: seats.attempt, members: seats.members.length })
  }
}
