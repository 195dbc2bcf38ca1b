import type { Gang } from '../../model/kinds/gang.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/**
 * Nobody is asked to leave but for a gang that holds what it frees, and whoever is not preemptible is never asked.
 */
export class Evictions implements Invariant {
  readonly name = 'evictions'
  readonly #gangs = new Map<string, Gang>()

  check({ kind, type, object }: Entry): string | undefined {
    if (kind !== 'Gang') return undefined
    const gang = object as Gang
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    if (type === 'DELETED') {
      this.#gangs.delete(key)
      return undefined
    }
    this.#gangs.set(key, gang)
    const eviction = gang.status?.eviction
    if (eviction === undefined || eviction.at === before?.status?.eviction?.at) return undefined
    if (!gang.spec.preemptible) return `gang ${key} is not preemptible and was asked to leave for ${eviction.by}`
    const hold = this.#gangs.get(eviction.by)?.status?.hold
    const isNamed = hold?.victims.some((victim) => victim.gang === key && victim.attempt === eviction.attempt) === true
    return isNamed ? undefined : `gang ${key} was asked to leave for ${eviction.by}, which holds nothing of it`
  }
}
