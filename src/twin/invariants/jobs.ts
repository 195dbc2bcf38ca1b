import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'
import { Terms } from './terms.ts'

interface Sitting {
  attempt: number
  members: number
  /** Until when there were so many. */
  before: Map<number, number>
}

/** A job that says that it runs counts all members that sit. */
export class Jobs implements Invariant {
  readonly name = 'jobs'
  /** By gang, members of its present attempt. */
  readonly #seats = new Map<string, Sitting>()
  readonly #terms = new Terms()

  check({ kind, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'Lease') this.#terms.see(object as Lease, nowMs)
    if (kind === 'Gang') this.#seeGang(object as Gang, nowMs)
    // What people write to a job says nothing of what runs.
    if (kind !== 'TrainingJob' || by === undefined) return undefined
    const job = object as TrainingJob
    const { phase, attempt, workers } = job.status ?? {}
    const seats = this.#seats.get(keyOf(job))
    if (phase !== 'Running' || seats?.attempt !== attempt || seats?.members === workers) return undefined
    // Members may leave or join while it is written.
    const untilMs = seats?.before.get(workers ?? 0)
    if (untilMs !== undefined && !this.#terms.knew(by, untilMs, nowMs)) return undefined
    return `job ${keyOf(job)} says that ${workers} workers run, and ${seats?.members} sit`
  }

  #seeGang(gang: Gang, nowMs: number): void {
    const seats = seatsNow(gang)
    const known = this.#seats.get(keyOf(gang))
    if (seats === undefined) this.#seats.delete(keyOf(gang))
    else if (known?.attempt !== seats.attempt || known.members !== seats.members.length) {
      const isSame = known?.attempt === seats.attempt
      const before = isSame ? known.before.set(known.members, nowMs) : new Map<number, number>()
      this.#seats.set(keyOf(gang), { attempt: seats.attempt, members: seats.members.length, before })
    }
  }
}
