import { attemptOf, evictionNow, hasLeft, isLeaving, isLive, resizeNow, stopIsAsked } from '../../control/gangs.ts'
import { recoveryOf } from '../../control/recovery/record.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease, Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Report } from '../../model/kinds/report.ts'
import { label } from '../../model/names.ts'
import { isOwnedBy } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'
import { Terms } from './terms.ts'

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
  readonly #pods = new Map<string, Pod>()
  /** Pods whose end, hang, damaged checkpoint or wrong results were reported. */
  readonly #ill = new Set<string>()
  /** By uid, pods that told a step or ended well. */
  readonly #worked = new Set<string>()
  /** By pod, since when it is bound. */
  readonly #boundMs = new Map<string, number>()
  /** By pod, when somebody evicted it who is no part of the factory. */
  readonly #evictedMs = new Map<string, number>()
  /** When a node was not ready last. */
  readonly #unreadyMs = new Map<string, number>()
  readonly #terms = new Terms()
  readonly #lateMs: number
  readonly #isUpToDate: () => boolean
  /** When a server last answered a control plane that was behind. */
  #behindMs = Number.NEGATIVE_INFINITY

  /** `lateMs`: so long after it was sent a write may arrive. `isUpToDate`: no server that is behind answers a control plane. */
  constructor(lateMs: number, isUpToDate: () => boolean = () => true) {
    this.#lateMs = lateMs
    this.#isUpToDate = isUpToDate
  }

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (!this.#isUpToDate()) this.#behindMs = nowMs
    if (kind === 'Lease') this.#terms.see(object as Lease, nowMs)
    if (kind === 'Pod') return this.#seePod(object as Pod, type === 'DELETED', nowMs, by)
    if (kind === 'Report' && type !== 'DELETED') this.#seeReport(object as Report)
    if (kind === 'Node') this.#seeNode(object as Node, type === 'DELETED', nowMs)
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
    const isOfJob = gang.metadata.labels?.[label.job] !== undefined
    const wrong = isOfJob ? (wrongBetween(before, gang) ?? this.#wrongFor(before, gang, nowMs)) : undefined
    if (wrong !== undefined) return `gang ${keyOf(gang)} ${wrong}`
    return gang.spec.attempt > before.spec.attempt ? this.#tooOften(gang, nowMs) : undefined
  }

  #seePod(pod: Pod, isGone: boolean, nowMs: number, by: string | undefined): string | undefined {
    const key = keyOf(pod)
    const isNew = !isGone && this.#pods.get(key)?.metadata.uid !== pod.metadata.uid
    const isEvicted =
      by === undefined && isLeaving(pod) && this.#pods.get(key)?.metadata.deletionTimestamp === undefined
    if (isNew) this.#evictedMs.delete(key)
    if (isEvicted) this.#evictedMs.set(key, nowMs)
    if (isGone) this.#forget(pod)
    else this.#pods.set(key, pod)
    if (isGone) this.#boundMs.delete(key)
    else if (pod.spec.nodeName !== undefined && !this.#boundMs.has(key)) this.#boundMs.set(key, nowMs)
    return isNew ? this.#forWhichAttempt(pod, nowMs) : undefined
  }

  #forget(pod: Pod): void {
    this.#pods.delete(keyOf(pod))
    this.#evictedMs.delete(keyOf(pod))
    for (const told of [this.#ill, this.#worked]) told.delete(pod.metadata.uid ?? '')
  }

  /** Whoever raised an attempt makes no more pods of the one before. */
  #forWhichAttempt(pod: Pod, nowMs: number): string | undefined {
    for (const gang of this.#gangs.values()) {
      if (!isOf(pod, gang) || attemptOf(pod) >= gang.spec.attempt) continue
      const raisedMs = this.#raisedMs.get(gang.metadata.uid ?? '')?.at(-1) ?? nowMs
      const [made, is] = [attemptOf(pod), gang.spec.attempt]
      if (nowMs - raisedMs > this.#lateMs)
        return `pod ${keyOf(pod)} is made for attempt ${made}, and its gang is at ${is}`
    }
    return undefined
  }

  #hasWorked(pod: string): boolean {
    return this.#worked.has(this.#pods.get(pod)?.metadata.uid ?? '')
  }

  #seeNode({ metadata, status }: Node, isGone: boolean, nowMs: number): void {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status
    if (ready === 'True' && !isGone) {
      if (this.#unreadyMs.get(metadata.name) === Number.POSITIVE_INFINITY) this.#unreadyMs.set(metadata.name, nowMs)
    } else this.#unreadyMs.set(metadata.name, Number.POSITIVE_INFINITY)
  }

  #seeReport({ spec, status }: Report): void {
    const { ended, hungSinceMs, damaged, lossSpike } = status ?? {}
    const isDone = ended?.exitCode === 0 && ended.byAgent !== true
    if (status?.step !== undefined || isDone) this.#worked.add(spec.pod?.uid ?? '')
    const signs = [ended, hungSinceMs, damaged, lossSpike]
    if (signs.some((sign) => sign !== undefined)) this.#ill.add(spec.pod?.uid ?? '')
  }

  /** A restart has a cause among the members; and who stopped stands in line again when all have. */
  #wrongFor(before: Gang, now: Gang, nowMs: number): string | undefined {
    const from = before.spec.attempt
    const members = (seatsNow(before)?.members ?? []).map(({ pod }) => `${before.metadata.namespace ?? ''}/${pod}`)
    const pods = members.map((name) => this.#pods.get(name))
    if (recoveryOf(now).restarts > recoveryOf(before).restarts) {
      const isWell = (pod: Pod | undefined) =>
        pod !== undefined && isLive(pod) && !isLeaving(pod) && !this.#ill.has(pod.metadata.uid ?? '')
      if (pods.every(isWell)) return `counts a restart of attempt ${from}, and nothing ails its members`
    }
    const leaves = (seatsNow(before)?.members ?? []).find(({ pod: name, node }) => {
      const pod = this.#pods.get(`${before.metadata.namespace ?? ''}/${name}`)
      const isWell = pod !== undefined && isLive(pod) && !isLeaving(pod) && !this.#ill.has(pod.metadata.uid ?? '')
      const isOnWellNode = nowMs - (this.#unreadyMs.get(node) ?? Number.NEGATIVE_INFINITY) > windowMs
      return isWell && isOnWellNode && hasLeft(now, name)
    })?.pod
    if (leaves !== undefined) return `goes on without ${leaves}, and nothing ails it`
    const stays = seatsNow(now)?.members ?? []
    const isLess = stays.length < members.length && now.spec.attempt === from && seatsNow(before) !== undefined
    if (
      isLess &&
      stays.length > 0 &&
      !stays.some(({ pod }) => this.#hasWorked(`${now.metadata.namespace ?? ''}/${pod}`))
    )
      return `goes on with members of whom none has done a step, or has ended well`
    const evicted = members.find((name) =>
      this.#terms.couldAct(Math.max(this.#behindMs, this.#evictedMs.get(name) ?? nowMs), nowMs - this.#lateMs),
    )
    if (now.spec.attempt > from && evicted !== undefined && !isAsked(before))
      return `gives up attempt ${from}, and ${evicted} was evicted`
    if (now.spec.attempt === from || !before.spec.suspend) return undefined
    const still = [...this.#pods.values()].find(
      (pod) => isOf(pod, before) && isLive(pod) && nowMs - (this.#boundMs.get(keyOf(pod)) ?? nowMs) > this.#lateMs,
    )
    return still === undefined ? undefined : `stands in line again, and ${keyOf(still)} still runs`
  }

  #tooOften(gang: Gang, nowMs: number): string | undefined {
    const key = gang.metadata.uid ?? ''
    const raised = [...(this.#raisedMs.get(key) ?? []).filter((atMs) => atMs > nowMs - windowMs), nowMs]
    this.#raisedMs.set(key, raised)
    const isReplica = gang.metadata.labels?.[label.service] !== undefined
    if (!isReplica || raised.length <= raisesMax) return undefined
    return `gang ${keyOf(gang)} started ${raised.length} times within ${windowMs / 1000} s`
  }
}

/** Of this one, not of an older one of its name. */
function isOf(pod: Pod, gang: Gang): boolean {
  return pod.metadata.namespace === gang.metadata.namespace && isOwnedBy(pod, gang)
}

function isAsked(gang: Gang): boolean {
  const isStopped = gang.spec.suspend || stopIsAsked(gang)
  return isStopped || evictionNow(gang) !== undefined || resizeNow(gang) !== undefined
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
  if (to > from && !isAsked(before) && is.last?.attempt !== from) return `gave up attempt ${from} and does not say why`
  return undefined
}
