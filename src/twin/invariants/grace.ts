import { isPresent, stopIsAsked } from '../../control/gangs.ts'
import { isFinished, requestMsMax, stopAskedAt } from '../../control/training/job.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { label } from '../../model/names.ts'
import { isOwnedBy } from '../../model/refs.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'

/** Times are rounded to seconds. */
const slackMs = 2_000
/** What only just began, or was only just told, may not have been seen yet by whoever decides. */
const knownMs = 60_000

/**
 * Whoever is stopped has the time that it was promised. No pod of the present attempt ends before its grace period is over,
 * counted from when its job was asked to stop; and a job that tells its steps is given time to write a checkpoint before it
 * is told to end.
 */
export class Grace implements Invariant {
  readonly name = 'grace'
  readonly #jobs = new Map<string, TrainingJob>()
  readonly #gangs = new Map<string, Gang>()
  readonly #pods = new Map<string, Pod>()
  /** By gang, when it was asked to stop, whatever its leader took for the time. */
  readonly #asked = new Map<string, { text: string; atMs: number }>()
  /** By pod, since when it runs, and since when it tells steps. */
  readonly #runsSinceMs = new Map<string, number>()
  readonly #tellsSinceMs = new Map<string, number>()
  /** By gang, when a pod that had been told to end was gone. */
  readonly #leftMs = new Map<string, number>()

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    const isGone = type === 'DELETED'
    if (kind === 'TrainingJob' && isGone) this.#jobs.delete(keyOf(object as TrainingJob))
    else if (kind === 'TrainingJob') this.#jobs.set(keyOf(object as TrainingJob), object as TrainingJob)
    else if (kind === 'Gang' && isGone) this.#gangs.delete(keyOf(object as Gang))
    else if (kind === 'Gang') this.#seeGang(object as Gang, nowMs)
    else if (kind === 'Report') this.#seeReport(object as Report, nowMs)
    else if (kind === 'Pod') return this.#seePod(object as Pod, isGone, nowMs, by)
    return undefined
  }

  #seeGang(gang: Gang, nowMs: number): void {
    this.#gangs.set(keyOf(gang), gang)
    const key = gang.metadata.uid ?? ''
    const text = gang.metadata.annotations?.[stopAskedAt]
    if (text === undefined) this.#asked.delete(key)
    else if (this.#asked.get(key)?.text !== text) this.#asked.set(key, { text, atMs: nowMs })
  }

  #seeReport({ spec, status }: Report, nowMs: number): void {
    const uid = spec.pod?.uid
    if (uid !== undefined && status?.step !== undefined && !this.#tellsSinceMs.has(uid))
      this.#tellsSinceMs.set(uid, nowMs)
  }

  #seePod(pod: Pod, isGone: boolean, nowMs: number, by: string | undefined): string | undefined {
    const uid = pod.metadata.uid ?? ''
    const before = this.#pods.get(uid)
    if (isGone) {
      if (pod.metadata.deletionTimestamp !== undefined) this.#leftMs.set(gangKeyOf(pod), nowMs)
      for (const known of [this.#pods, this.#runsSinceMs, this.#tellsSinceMs]) known.delete(uid)
      return undefined
    }
    this.#pods.set(uid, pod)
    const isRunning = pod.status?.phase === 'Running'
    if (isRunning && !this.#runsSinceMs.has(uid)) this.#runsSinceMs.set(uid, nowMs)
    const { deletionGracePeriodSeconds: graceSeconds, deletionTimestamp } = pod.metadata
    const isNew = deletionTimestamp !== undefined && before?.metadata.deletionGracePeriodSeconds !== graceSeconds
    const isOld = nowMs - (this.#runsSinceMs.get(uid) ?? nowMs) > knownMs
    if (!isNew || !isRunning || !isOld || by === undefined) return undefined
    return this.#tooSoon(pod, before, graceSeconds ?? 0, nowMs)
  }

  #tooSoon(pod: Pod, before: Pod | undefined, graceSeconds: number, nowMs: number): string | undefined {
    const namespace = pod.metadata.namespace ?? ''
    // What a deleted job leaves goes with its own grace.
    const gang = this.#gangs.get(gangKeyOf(pod))
    const job = this.#jobs.get(`${namespace}/${pod.metadata.labels?.[label.job]}`)
    if (gang === undefined || !isOwnedBy(pod, gang) || !isPresent(pod, gang)) return undefined
    if (job !== undefined && isFinished(job)) return undefined
    const askedMs = this.#asked.get(gang.metadata.uid ?? '')?.atMs ?? nowMs
    const promisedMs = 1000 * (pod.spec.terminationGracePeriodSeconds ?? 30)
    const hasMs = nowMs + graceSeconds * 1000 - askedMs
    const key = keyOf(pod)
    if (hasMs < promisedMs - slackMs) return `pod ${key} was promised ${promisedMs} ms to stop, and has ${hasMs}`
    if (job === undefined || !stopIsAsked(gang) || before?.metadata.deletionTimestamp !== undefined) return undefined
    const heededMs = nowMs - askedMs
    if (this.#isDeaf(gang, nowMs) || heededMs >= requestMsMax(job) - slackMs) return undefined
    return `pod ${key} was told to end ${heededMs} ms after its job was asked for a checkpoint`
  }

  /** Nobody of it tells steps, for all that can be known; or somebody is leaving already, or was until lately. */
  #isDeaf(gang: Gang, nowMs: number): boolean {
    const pods = [...this.#pods.values()].filter(
      (pod) => pod.metadata.labels?.[label.gang] === gang.metadata.name && isPresent(pod, gang),
    )
    const leaving = pods.filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
    const leftMs = this.#leftMs.get(keyOf(gang)) ?? Number.NEGATIVE_INFINITY
    if (leaving.length > 1 || nowMs - leftMs <= knownMs) return true
    return !pods.some(({ metadata }) => nowMs - (this.#tellsSinceMs.get(metadata.uid ?? '') ?? nowMs) > knownMs)
  }
}

function gangKeyOf({ metadata }: Pod): string {
  return `${metadata.namespace ?? ''}/${metadata.labels?.[label.gang]}`
}
