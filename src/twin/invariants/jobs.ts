import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

interface Sitting {
  attempt: number
  members: number
  /** How many there were a while ago. */
  before: { members: number; untilMs: number }[]
}

/** Whoever writes what runs of a job knows what was so long before. */
const knownMs = 30_000

/** A job that says that it runs counts all members that sit. */
export class Jobs implements Invariant {
  readonly name = 'jobs'
  /** By gang, members of its present attempt. */
  readonly #seats = new Map<string, Sitting>()

  check({ kind, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'Gang') this.#seeGang(object as Gang, nowMs)
    // What people write to a job says nothing of what runs.
    if (kind !== 'TrainingJob' || by === undefined) return undefined
    const job = object as TrainingJob
    const { phase, attempt, workers } = job.status ?? {}
    const seats = this.#seats.get(keyOf(job))
    if (phase !== 'Running' || seats?.attempt !== attempt || seats?.members === workers) return undefined
    // Members may leave or join while it is written.
    if (seats?.before.some(({ members, untilMs }) => members === workers && nowMs - untilMs <= knownMs))
      return undefined
    return `job ${keyOf(job)} says that ${workers} workers run, and ${seats?.members} sit`
  }

  #seeGang(gang: Gang, nowMs: number): void {
    const seats = seatsNow(gang)
    const known = this.#seats.get(keyOf(gang))
    if (seats === undefined) this.#seats.delete(keyOf(gang))
    else if (known?.attempt !== seats.attempt || known.members !== seats.members.length) {
      const members = seats.members.length
      const recent = (known?.before ?? []).filter(({ untilMs }) => nowMs - untilMs <= knownMs)
      const before = known?.attempt === seats.attempt ? [...recent, { members: known.members, untilMs: nowMs }] : []
      this.#seats.set(keyOf(gang), { attempt: seats.attempt, members, before })
    }
  }
}
