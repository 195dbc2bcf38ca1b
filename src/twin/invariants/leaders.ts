import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease } from '../../model/kinds/kubernetes.ts'
import type { KindName } from '../../model/registry.ts'
import { seatsNow } from '../../model/seats.ts'
import { isElastic } from '../../scheduler/gangs.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/**
 * At most one leader's decisions take effect. Its epoch only rises, in the lease and on each gang; attempts only rise; and
 * no seats are decided by an epoch that is older than the gang's. The lease is only taken from a holder that was silent for
 * all of its duration; and a control plane sends no write but while it holds it, nor does one get through that a newer
 * leader was there for, where the store checks fences. A leader that seats somebody has its epoch on every gang that the one
 * before it could still seat.
 */
export class Leaders implements Invariant {
  readonly name = 'leaders'
  readonly #fencing: boolean
  readonly #epochs = new Map<string, number>()
  readonly #gangs = new Map<string, { uid: string; attempt: number; epoch: number; seatsAt: string }>()
  /** Since when gangs could be given seats, or more of them. */
  readonly #openMs = new Map<string, number>()
  #tookOverMs = 0
  #lease: { holder: string; durationMs: number; writtenMs: number } | undefined

  constructor(fencing: boolean) {
    this.#fencing = fencing
  }

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'Lease') return this.#seeLease(object as Lease, nowMs)
    const late = this.#fencing ? this.sent(by, kind) : undefined
    if (kind !== 'Gang') return late
    const gang = object as Gang
    if (type !== 'DELETED') return this.#seeGang(gang, nowMs) ?? late
    this.#gangs.delete(keyOf(gang))
    this.#openMs.delete(keyOf(gang))
    return late
  }

  /** A process sends a write, or one of it got through. Contenders write the lease itself. */
  sent(by: string | undefined, kind: KindName): string | undefined {
    if (by?.startsWith('control') !== true || kind === 'Lease' || by === this.#lease?.holder) return undefined
    return `${by} writes a ${kind}, and ${this.#lease?.holder} leads`
  }

  #seeLease(lease: Lease, nowMs: number): string | undefined {
    const key = keyOf(lease)
    const { leaseTransitions: epoch = 0, holderIdentity: holder = '', leaseDurationSeconds = 0 } = lease.spec ?? {}
    const before = this.#epochs.get(key) ?? 0
    const last = this.#lease
    this.#epochs.set(key, epoch)
    if (epoch > before) this.#tookOverMs = nowMs
    this.#lease = { holder, durationMs: leaseDurationSeconds * 1000, writtenMs: nowMs }
    if (epoch < before) return `the epoch of lease ${key} went back from ${before} to ${epoch}`
    if (last === undefined || last.holder === '' || last.holder === holder) return undefined
    const silentMs = nowMs - last.writtenMs
    return silentMs < last.durationMs
      ? `${holder} took lease ${key} ${silentMs} ms after ${last.holder} wrote it`
      : undefined
  }

  #seeGang(gang: Gang, nowMs: number): string | undefined {
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    const { attempt } = gang.spec
    const { seats, epoch = 0 } = gang.status ?? {}
    const now = { uid: gang.metadata.uid ?? '', attempt, epoch, seatsAt: `${seats?.attempt} ${seats?.at}` }
    this.#gangs.set(key, now)
    if (gang.spec.suspend || (seatsNow(gang) !== undefined && !isElastic(gang))) this.#openMs.delete(key)
    else if (!this.#openMs.has(key)) this.#openMs.set(key, nowMs)
    if (before === undefined || before.uid !== now.uid) return undefined
    if (attempt < before.attempt) return `the attempt of gang ${key} went back from ${before.attempt} to ${attempt}`
    if (epoch < before.epoch) return `the epoch of gang ${key} went back from ${before.epoch} to ${epoch}`
    const isNew = seats !== undefined && now.seatsAt !== before.seatsAt
    if (isNew && seats.epoch < before.epoch)
      return `gang ${key} was seated by epoch ${seats.epoch}, and epoch ${before.epoch} had touched it before`
    return isNew ? this.#unclaimed(key, seats.epoch) : undefined
  }

  /** A gang that waited already when the leader came, and that the one before it could still seat. */
  #unclaimed(seated: string, epoch: number): string | undefined {
    if (epoch !== Math.max(...this.#epochs.values())) return undefined
    for (const [key, openMs] of this.#openMs) {
      const known = this.#gangs.get(key)
      if (openMs < this.#tookOverMs && known !== undefined && known.epoch < epoch)
        return `epoch ${epoch} seats gang ${seated}, and epoch ${known.epoch} could still seat gang ${key}`
    }
    return undefined
  }
}
