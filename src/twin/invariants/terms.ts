import type { Lease } from '../../model/kinds/kubernetes.ts'

/** What a leader can be held to: it took over knowing all that was there, and hears of everything else after a while. */
export class Terms {
  #holder = ''
  #epoch = 0
  #beganMs = Number.POSITIVE_INFINITY

  see({ spec }: Lease, nowMs: number): void {
    const { holderIdentity = '', leaseTransitions = 0 } = spec ?? {}
    if (leaseTransitions > this.#epoch) this.#beganMs = nowMs
    this.#epoch = Math.max(this.#epoch, leaseTransitions)
    this.#holder = holderIdentity
  }

  /** Whether `by`, who writes now, knew of what is so since then. */
  knew(by: string | undefined, sinceMs: number, nowMs: number): boolean {
    return nowMs - sinceMs > knownMs || (by === this.#holder && sinceMs < this.#beganMs)
  }
}

/** After so long whoever decides has heard of it, or decides no more. */
const knownMs = 60_000
