import type { RestoredPart } from '../../agent/simulated/machine.ts'
import { committedOf } from '../../control/gangs.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease, Pod } from '../../model/kinds/kubernetes.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { keyOf } from './seats.ts'
import { Terms } from './terms.ts'

/**
 * Nothing acknowledged is lost. A committed checkpoint is only followed by a newer one, unless an agent found it damaged, or
 * the loss showed that it may hold wrong results; then nothing more of its attempt is committed. It is committed for the
 * present attempt, whole, of every rank that writes; what it names stays in storage for as long as the gang may go on from
 * it, and so does what may still be committed; what a rank starts from is what was committed, wherever it was read; and a job
 * succeeds when all of its ranks have, and stays so.
 */
export class Checkpoints implements Invariant {
  readonly name = 'checkpoints'
  readonly #gangs = new Map<string, Gang>()
  /** Checkpoints that agents found damaged, as `attempt step`. */
  readonly #damaged = new Set<string>()
  /** Since when the loss shows wrong results, by `namespace/gang attempt`. */
  readonly #spikedMs = new Map<string, number>()
  readonly #succeeded = new Set<string>()
  readonly #jobs = new Map<string, TrainingJob>()
  /** Jobs that were deleted. */
  readonly #gone = new Set<string>()
  /** Pods that ended well, by name, though they may be gone. */
  readonly #done = new Set<string>()
  /** Members of the present attempt, by gang. */
  readonly #members = new Map<string, { attempt: number; pods: string[] }>()
  /** Since when an object of storage is damaged, by key. */
  readonly #rotten = new Map<string, number>()
  readonly #terms = new Terms()
  /** By uid of the job: what its present attempt may start from, as digests by manifest. */
  readonly #committed = new Map<string, { attempt: number; digests: Map<string, string> }>()

  check({ kind, type, object }: Entry, nowMs: number, by: string | undefined): string | undefined {
    if (kind === 'Lease') this.#terms.see(object as Lease, nowMs)
    if (kind === 'Pod') this.#seePod(object as Pod, type === 'DELETED')
    if (kind === 'TrainingJob') return this.#seeJob(object as TrainingJob, type === 'DELETED')
    if (kind === 'Report') this.#seeReport(object as Report, nowMs)
    if (kind !== 'Gang') return undefined
    return this.#seeGang(object as Gang, type === 'DELETED', nowMs, by)
  }

  /** What an object of storage is deleted from under; undefined: nobody. */
  deleted(key: string): string | undefined {
    for (const gang of this.#gangs.values()) {
      if (!this.#isWanted(gang)) continue
      if (committedOf(gang).some(({ manifests }) => manifests.includes(key)))
        return `${key} is deleted, and gang ${keyOf(gang)} would go on from it`
      if (mayComeOf(gang, key)) return `${key} is deleted, and gang ${keyOf(gang)} may still commit it`
    }
    return undefined
  }

  /** A rank has read a part of the checkpoint that it starts from. What an older attempt still does has no effect. */
  restored({ place, manifest, digest, from }: RestoredPart): string | undefined {
    const known = this.#committed.get(manifest.split('/')[2] ?? '')
    if (known === undefined || place.attempt < known.attempt) return undefined
    const committed = known.digests.get(manifest)
    if (committed === digest) return undefined
    const what = committed === undefined ? 'which was not committed' : `whose digest is ${committed}`
    return `pod ${place.name} starts from ${manifest}, ${what}, as ${digest} from ${from}`
  }

  /** Of a job that was deleted nothing goes on, though its gang may still be there. */
  #isWanted({ metadata: { ownerReferences = [] } }: Gang): boolean {
    return !ownerReferences.some(({ uid }) => this.#gone.has(uid))
  }

  rotten(key: string, sinceMs: number | undefined): void {
    if (sinceMs === undefined) this.#rotten.delete(key)
    else this.#rotten.set(key, sinceMs)
  }

  #seeReport({ metadata, spec, status }: Report, nowMs: number): void {
    const { damaged, lossSpike } = status ?? {}
    const key = `${metadata.namespace}/${spec.gang} ${spec.attempt}`
    if (lossSpike !== undefined && !this.#spikedMs.has(key)) this.#spikedMs.set(key, nowMs)
    if (damaged !== undefined) this.#damaged.add(`${spec.gang} ${damaged.attempt} ${damaged.step}`)
  }

  #seePod(pod: Pod, isGone: boolean): void {
    if (pod.status?.phase === 'Succeeded') this.#done.add(keyOf(pod))
    else if (!isGone) this.#done.delete(keyOf(pod))
  }

  #seeJob(job: TrainingJob, isGone: boolean): string | undefined {
    const uid = job.metadata.uid ?? ''
    this.#jobs.set(keyOf(job), job)
    if (isGone) {
      this.#gone.add(uid)
      this.#succeeded.delete(uid)
    } else if (job.status?.phase === 'Succeeded') {
      if (this.#succeeded.has(uid)) return undefined
      this.#succeeded.add(uid)
      const { pods = [] } = this.#members.get(keyOf(job)) ?? {}
      const isOver = (name: string) => this.#done.has(name)
      // Where workers start again alone each has all of the result; who hung, or was on his way, is not needed for it.
      const isEnough = job.spec.failurePolicy.restart === 'worker' && pods.some(isOver)
      const other = isEnough ? undefined : pods.find((name) => !isOver(name))
      if (other !== undefined) return `job ${keyOf(job)} succeeded, and pod ${other} did not`
    } else if (this.#succeeded.has(uid)) return `job ${keyOf(job)} had succeeded and is ${job.status?.phase} now`
    return undefined
  }

  #seeGang(gang: Gang, isGone: boolean, nowMs: number, by: string | undefined): string | undefined {
    const key = keyOf(gang)
    const before = this.#gangs.get(key)
    const owner = gang.metadata.ownerReferences?.[0]?.uid ?? ''
    if (isGone) {
      this.#gangs.delete(key)
      this.#committed.delete(owner)
      return undefined
    }
    this.#gangs.set(key, gang)
    this.#seeCommitted(owner, gang, before)
    this.#seeMembers(gang)
    const now = gang.status?.checkpoint
    const was = before?.metadata.uid === gang.metadata.uid ? before?.status?.checkpoint : undefined
    if (now?.attempt === was?.attempt && now?.step === was?.step) return undefined
    const isFallenBack =
      was !== undefined && now !== undefined && committedBefore(before).includes(now.manifests.join())
    const partial =
      now === undefined || isFallenBack
        ? undefined
        : this.#partOf(gang, now, (sinceMs) => this.#terms.knew(by, sinceMs, nowMs))
    if (partial !== undefined) return partial
    if (was === undefined) return undefined
    const spikedMs = this.#spikedMs.get(`${key} ${gang.spec.attempt}`)
    const isStruck = spikedMs !== undefined || this.#damaged.has(`${gang.metadata.name} ${was.attempt} ${was.step}`)
    if (now === undefined) return isStruck ? undefined : `gang ${key} lost its checkpoint of step ${was.step}`
    const isNewer = now.attempt > was.attempt || (now.attempt === was.attempt && now.step > was.step)
    if (!isNewer && !isStruck)
      return `the checkpoint of gang ${key} went back from step ${was.step} (attempt ${was.attempt}) to ${now.step} (${now.attempt})`
    if (isNewer && spikedMs !== undefined && nowMs - spikedMs > seenMs)
      return `step ${now.step} of gang ${key} was committed, ${(nowMs - spikedMs) / 1000} s after its loss had risen`
    if (isNewer && now.attempt !== gang.spec.attempt)
      return `gang ${key} is at attempt ${gang.spec.attempt}, and a checkpoint of attempt ${now.attempt} was committed`
    return undefined
  }

  /** What is struck, and what is no longer kept, others of the attempt may be reading: on a full disk for a long time. */
  #seeCommitted(owner: string, gang: Gang, before: Gang | undefined): void {
    const { attempt } = gang.spec
    const [newest] = committedOf(gang)
    let known = this.#committed.get(owner)
    if (known?.attempt === attempt && newest?.manifests.every((one) => known?.digests.has(one)) !== false) return
    if (known?.attempt !== attempt) known = { attempt, digests: new Map() }
    this.#committed.set(owner, known)
    const { digests } = known
    for (const one of [...(before === undefined ? [] : committedOf(before)), ...committedOf(gang)])
      for (const [part, manifest] of one.manifests.entries()) digests.set(manifest, one.digests?.[part] ?? '')
    const tooMany = newest === undefined ? 0 : digests.size - commitsKept * newest.manifests.length
    for (const manifest of [...digests.keys()].slice(0, Math.max(0, tooMany))) digests.delete(manifest)
  }

  #seeMembers(gang: Gang): void {
    const seats = seatsNow(gang)
    if (seats === undefined) return
    const pods = seats.members.map(({ pod }) => `${gang.metadata.namespace ?? ''}/${pod}`)
    this.#members.set(keyOf(gang), { attempt: seats.attempt, pods })
  }

  /** What a newly committed checkpoint lacks. It may have been damaged after whoever commits it had looked. */
  #partOf(gang: Gang, { step, attempt, manifests }: Committed, knew: (sinceMs: number) => boolean): string | undefined {
    const key = keyOf(gang)
    const job = this.#jobs.get(key)
    const members = this.#members.get(key)
    if (job === undefined || members?.attempt !== attempt) return undefined
    const wanted = job.spec.checkpoint.ranks === 'all' ? members.pods.length : 1
    const what = `step ${step} of gang ${key} was committed`
    if (manifests.length !== wanted) return `${what} with ${manifests.length} manifests of ${wanted}`
    const foreign = manifests.find((manifest) => !manifest.includes(`/attempt-${attempt}/step-${step}/`))
    if (foreign !== undefined) return `${what} with ${foreign}`
    const rotten = manifests.find((manifest) => {
      const sinceMs = this.#rotten.get(manifest)
      return sinceMs !== undefined && (sinceMs === Number.NEGATIVE_INFINITY || knew(sinceMs))
    })
    return rotten === undefined ? undefined : `${what}, and ${rotten} is damaged`
  }
}

type Committed = NonNullable<NonNullable<Gang['status']>['checkpoint']>

/** Whoever looked before may write after. */
const seenMs = 60_000
/** Of one attempt, the last so many. */
const commitsKept = 64

function committedBefore(gang: Gang | undefined): string[] {
  return gang === undefined ? [] : committedOf(gang).map(({ manifests }) => manifests.join())
}

/** Whether a step of the present attempt, newer than what is committed, is stored under this key. */
function mayComeOf({ metadata, spec, status }: Gang, key: string): boolean {
  const [, uid, attempt, step] = /^checkpoints\/[^/]+\/([^/]+)\/attempt-([0-9]+)\/step-([0-9]+)\//.exec(key) ?? []
  if (metadata.ownerReferences?.some((owner) => owner.uid === uid) !== true) return false
  const committed = status?.checkpoint?.attempt === spec.attempt ? status.checkpoint.step : -1
  return Number(attempt) === spec.attempt && Number(step) > committed
}
