import type { Lease } from '../../model/kinds/kubernetes.ts'
import { fairWeather } from '../kernel/line.ts'

/** What a leader can be held to: it took over knowing all that was there, and hears of everything else after a while. */
export class Terms {
  #holder = ''
  #epoch = 0
  #beganMs = Number.POSITIVE_INFINITY
  #steadyMs = Number.POSITIVE_INFINITY
  #renewedMs = Number.NEGATIVE_INFINITY
  #durationMs = 0

  see({ spec }: Lease, nowMs: number): void {
    const { holderIdentity = '', leaseTransitions = 0, leaseDurationSeconds = 0 } = spec ?? {}
    if (leaseTransitions > this.#epoch) this.#beganMs = nowMs
    if (leaseTransitions > this.#epoch || nowMs - this.#renewedMs > 500 * leaseDurationSeconds) this.#steadyMs = nowMs
    this.#renewedMs = nowMs
    this.#durationMs = 1000 * leaseDurationSeconds
    this.#epoch = Math.max(this.#epoch, leaseTransitions)
    this.#holder = holderIdentity
  }

  /** Who leads, or led last. */
  get holder(): string {
    return this.#holder
  }

  /** Of whoever leads, or led last. */
  get epoch(): number {
    return this.#epoch
  }

  /** When that term began. */
  get beganMs(): number {
    return this.#beganMs
  }

  /**
   * Whether `by`, who writes now, knew of what is so since then. A leader that sleeps while nobody else leads may wake in
   * the middle of what it was about to write.
   */
  knew(by: string | undefined, sinceMs: number, nowMs: number): boolean {
    const sleeps = nowMs - this.#renewedMs > this.#durationMs
    const woke = this.#steadyMs > this.#beganMs && nowMs - this.#steadyMs < actedMs
    if (by === this.#holder && (sleeps || woke)) return false
    return nowMs - sinceMs > knownMs || (by === this.#holder && sinceMs < this.#beganMs)
  }

  /** Whether one leader led from then on, had heard of it though its watches broke just before, and had the time to act. */
  couldAct(sinceMs: number, nowMs: number): boolean {
    const sleeps = nowMs - this.#renewedMs > this.#durationMs / 2
    return !sleeps && this.#steadyMs < sinceMs && nowMs - sinceMs > fairWeather.timeoutMs + actedMs
  }
}

/** So long a leader may stand still between two renewals that come in time, and need to act after that. */
const actedMs = 5_000

/** After so long whoever decides has heard of it, or decides no more. */
const knownMs = 60_000
