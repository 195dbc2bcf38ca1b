import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/** Seats are as old as what was decided: a leader may stand still before it writes that, or while others give them. */
const unsureMs = 90_000

/**
 * How long each gang really had seats: no job fails of its deadline before it was active so long, unless another leader gave
 * seats that it had: how long ago that was only clocks say, which somebody may have set.
 */
export class Deadlines implements Invariant {
  readonly name = 'deadlines'
  readonly #active = new Map<string, Active>()
  readonly #failed = new Set<string>()
  #epoch = 0

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    if (kind === 'Lease') this.#seeLease(object as Lease)
    if (kind === 'Gang') this.#seeGang(object as Gang, type === 'DELETED', nowMs)
    return kind === 'TrainingJob' ? this.#early(object as TrainingJob, nowMs) : undefined
  }

  #early(job: TrainingJob, nowMs: number): string | undefined {
    const { uid = '' } = job.metadata
    const failed = conditionOf(job.status?.conditions, 'Failed')
    if (failed?.status !== 'True' || failed.reason !== 'DeadlineExceeded' || this.#failed.has(uid)) return undefined
    this.#failed.add(uid)
    const { beforeMs, sinceMs = nowMs, isOurs } = this.#active.get(keyOf(job)) ?? never
    const activeMs = beforeMs + nowMs - sinceMs
    const deadlineMs = 1000 * (job.spec.activeDeadlineSeconds ?? 0)
    if (!isOurs || activeMs + unsureMs >= deadlineMs) return undefined
    return `job ${keyOf(job)} fails after ${activeMs} ms with seats, and may have them for ${deadlineMs} ms`
  }

  #seeLease({ spec }: Lease): void {
    const { leaseTransitions = 0 } = spec ?? {}
    if (leaseTransitions <= this.#epoch) return
    this.#epoch = leaseTransitions
    for (const [key, active] of this.#active)
      if (active.sinceMs !== undefined) this.#active.set(key, { ...active, isOurs: false })
  }

  #seeGang(gang: Gang, isGone: boolean, nowMs: number): void {
    const key = keyOf(gang)
    const { beforeMs, sinceMs, isOurs } = this.#active.get(key) ?? never
    const sits = !isGone && !gang.spec.suspend && seatsNow(gang) !== undefined
    if (isGone) this.#active.delete(key)
    else if (sits) this.#active.set(key, { beforeMs, sinceMs: sinceMs ?? nowMs, isOurs })
    else this.#active.set(key, { beforeMs: beforeMs + nowMs - (sinceMs ?? nowMs), sinceMs: undefined, isOurs })
  }
}

interface Active {
  /** For how long it had seats before. */
  beforeMs: number
  /** Since when it has those of now. */
  sinceMs: number | undefined
  /** It had none that were given by another leader than the one who was there when it gave them back. */
  isOurs: boolean
}

const never: Active = { beforeMs: 0, sinceMs: undefined, isOurs: true }
