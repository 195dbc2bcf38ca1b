import type { Lease } from '../../model/kinds/kubernetes.ts'
import { Lasting } from './lasting.ts'

/** Retries, slow lines and the pauses that a lease outlives all fit in. */
const dueMs = 120_000
const lookEveryMs = 10_000

/** What only a leader can do is done within two minutes in which one leader led; looked at with its renewals. */
export class Due {
  readonly #lasting = new Lasting()
  #lease: { holder: string; writtenMs: number } | undefined
  #lookedMs = 0

  /** What has been due for too long, of all that is at each look. */
  late({ spec }: Lease, nowMs: number, due: (nowMs: number) => Iterable<string>): string | undefined {
    const { holderIdentity = '', leaseTransitions = 0, leaseDurationSeconds = 0 } = spec ?? {}
    const holder = `${holderIdentity} ${leaseTransitions}`
    const last = this.#lease
    this.#lease = { holder, writtenMs: nowMs }
    if (last?.holder !== holder || nowMs - last.writtenMs > leaseDurationSeconds * 1000) this.#lasting.clear()
    if (nowMs - this.#lookedMs < lookEveryMs) return undefined
    this.#lookedMs = nowMs
    const late = this.#lasting.over(due(nowMs), nowMs, dueMs)
    return late === undefined ? undefined : `for ${dueMs / 1000} s ${late}`
  }
}
