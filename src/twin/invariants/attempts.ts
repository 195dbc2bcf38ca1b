import { evictionNow, resizeNow, seatsNow, stopIsAsked } from '../../control/gangs.ts'
import { recoveryOf } from '../../control/recovery/record.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { label } from '../../model/names.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

const windowMs = 60_000
/** Waits of 1, 2, 4, … seconds leave room for seven. */
const raisesMax = 12

/**
 * A failed attempt is one restart. Attempts rise one by one; one that nobody asked to stop ends with what it failed of, in
 * the same write; and a restart is counted only of an attempt that sat, and not of one that was asked to stop. What fails
 * again and again is given time.
 */
export class Attempts implements Invariant {
  readonly name = 'attempts'
  readonly #gangs = new Map<string, Gang>()
  readonly #raisedMs = new Map<string, number[]>()

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    if (kind !== 'Gang') return undefined
    const gang = object as Gang
    const key = gang.metadata.uid ?? ''
    const before = this.#gangs.get(key)
    if (type === 'DELETED') {
      this.#gangs.delete(key)
      this.#raisedMs.delete(key)
      return undefined
    }
    this.#gangs.set(key, gang)
    if (before === undefined) return undefined
    const wrong = gang.metadata.labels?.[label.job] === undefined ? undefined : wrongBetween(before, gang)
    if (wrong !== undefined) return `gang ${keyOf(gang)} ${wrong}`
    return gang.spec.attempt > before.spec.attempt ? this.#tooOften(gang, nowMs) : undefined
  }

  #tooOften(gang: Gang, nowMs: number): string | undefined {
    const key = gang.metadata.uid ?? ''
    const raised = [...(this.#raisedMs.get(key) ?? []), nowMs].filter((atMs) => atMs > nowMs - windowMs)
    this.#raisedMs.set(key, raised)
    const isReplica = gang.metadata.labels?.[label.service] !== undefined
    if (!isReplica || raised.length <= raisesMax) return undefined
    return `gang ${keyOf(gang)} started ${raised.length} times within ${windowMs / 1000} s`
  }
}

function wrongBetween(before: Gang, now: Gang): string | undefined {
  const [was, is] = [recoveryOf(before), recoveryOf(now)]
  const [from, to] = [before.spec.attempt, now.spec.attempt]
  const isStopped = before.spec.suspend || stopIsAsked(before)
  if (to > from + 1) return `went from attempt ${from} to ${to}`
  if (is.restarts < was.restarts || is.restarts > was.restarts + 1)
    return `counted ${was.restarts} restarts, and then ${is.restarts}`
  if (is.restarts > was.restarts && isStopped) return `was asked to stop, and attempt ${from} counts as a restart`
  if (is.restarts > was.restarts && seatsNow(before) === undefined)
    return `counts a restart of attempt ${from}, which never sat`
  if (is.restarts > was.restarts && to === from) return `counts a restart, and stays at attempt ${from}`
  const isAsked = isStopped || evictionNow(before) !== undefined || resizeNow(before) !== undefined
  if (to > from && !isAsked && is.last?.attempt !== from) return `gave up attempt ${from} and does not say why`
  return undefined
}
