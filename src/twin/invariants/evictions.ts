import { isNewer, progressOf, recoveryOf } from '../../control/recovery/record.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease } from '../../model/kinds/kubernetes.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'
import { Terms } from './terms.ts'

/**
 * Nobody is asked to leave but for a gang that holds what it frees and still wants it, and whoever is not preemptible is
 * never asked. Who fails again and again displaces nobody.
 */
export class Evictions implements Invariant {
  readonly name = 'evictions'
  readonly #gangs = new Map<string, Gang>()
  readonly #suspendedMs = new Map<string, number>()
  /** Gangs that were deleted and held seats of others, by name: another may be there by now. */
  readonly #gone = new Map<string, { gang: Gang; atMs: number }>()
  readonly #terms = new Terms()

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'Lease') this.#terms.see(object as Lease, nowMs)
    if (kind !== 'Gang') return undefined
    const gang = object as Gang
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    if (type === 'DELETED') {
      // What it held it holds for whoever has not heard of that.
      if (!this.#suspendedMs.has(key)) this.#suspendedMs.set(key, nowMs)
      if (gang.status?.hold === undefined) this.#gone.delete(key)
      else this.#gone.set(key, { gang, atMs: nowMs })
      return undefined
    }
    this.#gangs.set(key, gang)
    if (!gang.spec.suspend) this.#suspendedMs.delete(key)
    else if (!this.#suspendedMs.has(key)) this.#suspendedMs.set(key, nowMs)
    if (failsAgainAndAgain(gang) && displaces(gang) && !displaces(before))
      return `gang ${key} fails again and again, and displaces others`
    const eviction = gang.status?.eviction
    if (eviction === undefined || eviction.at === before?.status?.eviction?.at) return undefined
    if (!gang.spec.preemptible) return `gang ${key} is not preemptible and was asked to leave for ${eviction.by}`
    const suspendedMs = this.#suspendedMs.get(eviction.by) ?? nowMs
    if (this.#terms.knew(by, suspendedMs, nowMs))
      return `gang ${key} was asked to leave for ${eviction.by}, which is suspended or gone`
    const isNamedBy = (one: Gang | undefined) =>
      one?.status?.hold?.victims.some(({ gang: victim, attempt }) => victim === key && attempt === eviction.attempt)
    const gone = this.#gone.get(eviction.by)
    const mayBeLate = gone !== undefined && !this.#terms.knew(by, gone.atMs, nowMs) && isNamedBy(gone.gang)
    if (mayBeLate || isNamedBy(this.#gangs.get(eviction.by))) return undefined
    return `gang ${key} was asked to leave for ${eviction.by}, which holds nothing of it`
  }
}

/** Three times without a checkpoint between them. */
function failsAgainAndAgain(gang: Gang): boolean {
  const { restartsSinceProgress, progress } = recoveryOf(gang)
  return restartsSinceProgress >= 3 && !isNewer(progressOf(gang), progress)
}

/** Its present attempt has others leave for it. */
function displaces(gang: Gang | undefined): boolean {
  const hold = gang?.status?.hold
  return hold !== undefined && hold.attempt === gang?.spec.attempt && hold.victims.length > 0
}
