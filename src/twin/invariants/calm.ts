import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

const windowMs = 10_000
/** Who reports every second, or tries again after a tenth of one, is far below. */
const writesMax = 400

/** Nobody works in circles: no object is written again and again without time passing, or without a rest. */
export class Calm implements Invariant {
  readonly name = 'calm'
  #startMs = 0
  readonly #writes = new Map<string, number>()

  check({ kind, object }: Entry, nowMs: number): string | undefined {
    if (nowMs - this.#startMs >= windowMs) {
      this.#writes.clear()
      this.#startMs = nowMs
    }
    const key = `${kind} ${keyOf(object)}`
    const writes = (this.#writes.get(key) ?? 0) + 1
    this.#writes.set(key, writes)
    return writes === writesMax ? `${key} was written ${writes} times within ${windowMs / 1000} s` : undefined
  }
}
