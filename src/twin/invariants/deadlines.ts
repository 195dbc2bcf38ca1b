import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/** Whoever was not there when seats were given does not know by so much for how long they are had. */
const unsureMs = 30_000

/** How long each gang really had seats: no job fails of its deadline before it was active so long. */
export class Deadlines implements Invariant {
  readonly name = 'deadlines'
  /** By gang: for how long it had seats before, and since when it has those of now. */
  readonly #active = new Map<string, { beforeMs: number; sinceMs: number | undefined }>()
  readonly #overdue = new Set<string>()

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    if (kind === 'Gang') this.#seeGang(object as Gang, type === 'DELETED', nowMs)
    if (kind !== 'TrainingJob') return undefined
    const job = object as TrainingJob
    const uid = job.metadata.uid ?? ''
    const failed = conditionOf(job.status?.conditions, 'Failed')
    if (failed?.status !== 'True' || failed.reason !== 'DeadlineExceeded' || this.#overdue.has(uid)) return undefined
    this.#overdue.add(uid)
    const { beforeMs = 0, sinceMs = nowMs } = this.#active.get(keyOf(job)) ?? {}
    const activeMs = beforeMs + nowMs - sinceMs
    const deadlineMs = 1000 * (job.spec.activeDeadlineSeconds ?? 0)
    if (activeMs + unsureMs >= deadlineMs) return undefined
    return `job ${keyOf(job)} fails after ${activeMs} ms with seats, and may have them for ${deadlineMs} ms`
  }

  #seeGang(gang: Gang, isGone: boolean, nowMs: number): void {
    const key = keyOf(gang)
    const { beforeMs = 0, sinceMs } = this.#active.get(key) ?? {}
    const sits = !isGone && !gang.spec.suspend && seatsNow(gang) !== undefined
    if (isGone) this.#active.delete(key)
    else if (!sits) this.#active.set(key, { beforeMs: beforeMs + (nowMs - (sinceMs ?? nowMs)), sinceMs: undefined })
    else if (sinceMs === undefined) this.#active.set(key, { beforeMs, sinceMs: nowMs })
  }
}
