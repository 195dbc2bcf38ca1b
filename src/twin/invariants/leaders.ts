import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease } from '../../model/kinds/kubernetes.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/**
 * At most one leader's decisions take effect. Its epoch only rises, in the lease and on each gang; attempts only rise; and
 * no seats are decided by an epoch that is older than the gang's.
 */
export class Leaders implements Invariant {
  readonly name = 'leaders'
  readonly #epochs = new Map<string, number>()
  readonly #gangs = new Map<string, { uid: string; attempt: number; epoch: number; seatsAt: string }>()

  check({ kind, type, object }: Entry): string | undefined {
    if (kind === 'Lease') return this.#seeLease(object as Lease)
    if (kind !== 'Gang') return undefined
    const gang = object as Gang
    if (type !== 'DELETED') return this.#seeGang(gang)
    this.#gangs.delete(keyOf(gang))
    return undefined
  }

  #seeLease(lease: Lease): string | undefined {
    const key = keyOf(lease)
    const epoch = lease.spec?.leaseTransitions ?? 0
    const before = this.#epochs.get(key) ?? 0
    this.#epochs.set(key, epoch)
    return epoch < before ? `the epoch of lease ${key} went back from ${before} to ${epoch}` : undefined
  }

  #seeGang(gang: Gang): string | undefined {
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    const { attempt } = gang.spec
    const { seats, epoch = 0 } = gang.status ?? {}
    const now = { uid: gang.metadata.uid ?? '', attempt, epoch, seatsAt: `${seats?.attempt} ${seats?.at}` }
    this.#gangs.set(key, now)
    if (before === undefined || before.uid !== now.uid) return undefined
    if (attempt < before.attempt) return `the attempt of gang ${key} went back from ${before.attempt} to ${attempt}`
    if (epoch < before.epoch) return `the epoch of gang ${key} went back from ${before.epoch} to ${epoch}`
    const isNew = seats !== undefined && now.seatsAt !== before.seatsAt
    if (isNew && seats.epoch < before.epoch)
      return `gang ${key} was seated by epoch ${seats.epoch}, and epoch ${before.epoch} had touched it before`
    return undefined
  }
}
