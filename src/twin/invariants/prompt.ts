import type { Ages } from '../../base/ages.ts'
import {
  attemptOf,
  evictionNow,
  hasEnded,
  hasLeft,
  holdNow,
  isLeaving,
  isLive,
  isPresent,
  type ReportStatus,
  ranSecondsOf,
  resizeNow,
  stopIsAsked,
} from '../../control/gangs.ts'
import { recoveryOf } from '../../control/recovery/record.ts'
import { isFinished, stopAskedAt } from '../../control/training/job.ts'
import { conditionOf } from '../../model/conditions.ts'
import { durationMs } from '../../model/duration.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease, Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import type { Report } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { annotation, cpuSlot, label } from '../../model/names.ts'
import { isSaidToBeGone, leavingReasonOf } from '../../model/nodes.ts'
import { gangGroups, groupsOf } from '../../model/pods.ts'
import { isOwnedBy } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { Due } from './due.ts'
import { keyOf } from './seats.ts'
import { Terms } from './terms.ts'

/** Whoever begins believes for so long what clocks say of how old things are. */
const beginMs = 60_000

/**
 * What is due is done, within two minutes in which one leader led: nothing waits for somebody to look again. Of what only
 * a leader can do; looked at with its renewals.
 */
export class Prompt implements Invariant {
  readonly name = 'prompt'
  readonly #gangs = new Map<string, Gang>()
  readonly #jobs = new Map<string, TrainingJob>()
  readonly #pods = new Map<string, Pod>()
  readonly #nodes = new Map<string, Node>()
  readonly #queues = new Set<string>()
  /** Pools that keep spares. */
  readonly #sparing = new Set<string>()
  /** By pod. */
  readonly #reports = new Map<string, ReportStatus>()
  /** By gang, its present request for a checkpoint, and since when it stands. */
  readonly #asked = new Map<string, { text: string; sinceMs: number }>()
  /** When a time that a leader wrote was first seen. */
  readonly #sinceMs = new Map<string, { at: string; seenMs: number }>()
  readonly #due = new Due()
  readonly #isClockRight: () => boolean
  readonly #terms = new Terms()
  /** The clock of whoever leads was wrong when its term began. */
  #isUnsure = false

  /** `isClockRight`: whether nobody has set a control plane's clock wrong. */
  constructor(isClockRight: () => boolean = () => true) {
    this.#isClockRight = isClockRight
  }

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    if (kind === 'Lease') {
      this.#seeTerm(object as Lease, nowMs)
      return this.#due.late(object as Lease, nowMs, (atMs) => this.#isDue(atMs))
    }
    if (kind === 'Report') this.#seeReport(object as Report, type === 'DELETED')
    const known =
      kind === 'Gang' ? this.#gangs : kind === 'Pod' ? this.#pods : kind === 'Node' ? this.#nodes : undefined
    const all = (kind === 'TrainingJob' ? this.#jobs : known) as Map<string, unknown> | undefined
    if (type === 'DELETED') all?.delete(keyOf(object))
    else all?.set(keyOf(object), object)
    if (kind === 'Queue') this.#queues.add(keyOf(object))
    if (kind === 'Pool' && ((object as Pool).spec.spares ?? 0) !== 0) this.#sparing.add(keyOf(object))
    if (kind === 'Gang') this.#seeRequest(object as Gang, nowMs)
    return undefined
  }

  #seeReport({ spec, status }: Report, isGone: boolean): void {
    const uid = spec.pod?.uid
    if (uid === undefined) return
    if (isGone || status === undefined) this.#reports.delete(uid)
    else this.#reports.set(uid, status)
  }

  /** Since when it sits, whatever its leader took for the time. */
  #ages(nowMs: number): Pick<Ages, 'of'> {
    return { of: (key, atMs) => this.#sinceSeen(key, `${atMs}`, nowMs) }
  }

  /**
   * What was written by a clock that was ahead is no older than that for whoever leads after the writer; and for who began with
   * a clock that was wrong it may be no older than its term.
   */
  #agesAsWritten(nowMs: number): Pick<Ages, 'of'> {
    const ages = this.#ages(nowMs)
    const mostMs = this.#isUnsure ? nowMs - this.#terms.beganMs : Number.POSITIVE_INFINITY
    return { of: (key, atMs) => Math.max(0, Math.min(mostMs, ages.of(key, atMs, 0), nowMs - atMs)) }
  }

  #seeTerm(lease: Lease, nowMs: number): void {
    const { holder } = this.#terms
    this.#terms.see(lease, nowMs)
    // Who leads again knows what it took for true before.
    if (this.#terms.holder !== holder) this.#isUnsure = false
    if (nowMs - this.#terms.beganMs < beginMs && !this.#isClockRight()) this.#isUnsure = true
  }

  #sinceSeen(key: string, at: string, nowMs: number): number {
    const known = this.#sinceMs.get(key)
    if (known?.at === at) return nowMs - known.seenMs
    this.#sinceMs.set(key, { at, seenMs: nowMs })
    return 0
  }

  #seeRequest(gang: Gang, nowMs: number): void {
    const key = gang.metadata.uid ?? ''
    ranSecondsOf(gang, this.#ages(nowMs))
    const { at } = gang.status?.checkpoint ?? {}
    if (at !== undefined) this.#sinceSeen(`${key} checkpoint`, at, nowMs)
    const askedAt = gang.metadata.annotations?.[stopAskedAt]
    if (askedAt !== undefined) this.#sinceSeen(`${key} stop`, askedAt, nowMs)
    const text = `${gang.spec.attempt} ${JSON.stringify(gang.spec.checkpointRequest)}`
    if (this.#asked.get(key)?.text !== text) this.#asked.set(key, { text, sinceMs: nowMs })
  }

  *#isDue(nowMs: number): Generator<string> {
    const podsOf = new Map<string, Pod[]>()
    const isCutOff = this.#isCutOff()
    for (const pod of this.#pods.values()) {
      const key = `${pod.metadata.namespace ?? ''}/${pod.metadata.labels?.[label.gang] ?? ''}`
      const pods = podsOf.get(key)
      if (pods === undefined) podsOf.set(key, [pod])
      else pods.push(pod)
      if (isLive(pod) && this.#isSilent(pod.spec.nodeName) && !isCutOff)
        yield `pod ${keyOf(pod)} lives on a node that is silent`
    }
    yield* this.#dueOfLine()
    for (const [key, gang] of this.#gangs) {
      // One of an older gang of its name may be left, on a node that nobody reaches.
      const pods = (podsOf.get(key) ?? []).filter((pod) => isOwnedBy(pod, gang))
      if (gang.metadata.labels?.[label.service] !== undefined) yield* this.#dueOfReplica(key, gang, pods)
      const job = gang.metadata.labels?.[label.job] === undefined ? undefined : this.#jobs.get(key)
      yield* this.#dueOfGang(key, gang, pods)
      if (job !== undefined) yield* this.#dueOfJob(key, gang, job, pods, nowMs)
      if (job !== undefined && !isCutOff) yield* this.#dueOfHung(gang, job, pods)
    }
  }

  /**
   * Where nobody owns a part of the fleet and nothing is kept: who waits alone, and fits by number, sits; and who has lost
   * members while it goes on has others.
   */
  *#dueOfLine(): Generator<string> {
    const gangs = [...this.#gangs].filter(([, { spec }]) => !spec.suspend)
    const waiting = gangs.filter(([, gang]) => seatsNow(gang) === undefined || isShort(gang))
    const [only] = waiting
    if (only === undefined || waiting.length > 1 || this.#queues.size > 1 || this.#sparing.size > 0) return
    const [key, gang] = only
    if (gangs.some(([, { status }]) => status?.hold !== undefined || status?.resize !== undefined)) return
    if (gangs.some(([, other]) => evictionNow(other) !== undefined)) return
    const used = new Set<string>()
    for (const [, other] of gangs)
      for (const { node, devices } of seatsNow(other)?.members ?? [])
        for (const { id } of devices) used.add(`${node} ${id}`)
    for (const pod of this.#pods.values())
      if (isLive(pod)) for (const id of devicesOf(pod)) used.add(`${pod.spec.nodeName} ${id}`)
    let free = -used.size
    for (const { metadata, spec, status } of this.#nodes.values()) {
      const isOpen = spec?.unschedulable !== true && !spec?.taints?.length && !this.#isSilent(metadata.name)
      if (!isOpen) return
      free += Number(status?.allocatable?.[cpuSlot] ?? 0)
    }
    const fitsAnywhere =
      gang.spec.groups.every(({ accelerators }) => isOneSlot(accelerators)) && !asksFor(gang, 'required')
    const seats = seatsNow(gang)
    if (seats !== undefined && fitsAnywhere && free > 0 && !asksFor(gang, 'preferred')) {
      const { members, size = 0 } = seats
      yield `gang ${key} has ${members.length} of the ${size} members that it had, and ${free} slots are free`
    }
    const asks = gang.spec.groups.reduce((sum, { min }) => sum + min, 0)
    if (seats === undefined && fitsAnywhere && asks <= free)
      yield `gang ${key} waits alone for ${asks} slots, and ${free} are free`
  }

  *#dueOfReplica(key: string, gang: Gang, pods: readonly Pod[]): Generator<string> {
    if (gang.spec.suspend || evictionNow(gang) !== undefined) return
    const ended = pods.find((pod) => attemptOf(pod) === gang.spec.attempt && hasEnded(pod))
    if (ended !== undefined) yield `pod ${keyOf(ended)} has ended, and replica ${key} does not start again`
  }

  #isSilent(node = ''): boolean {
    return conditionOf(this.#nodes.get(`/${node}`)?.status?.conditions, 'Ready')?.status === 'Unknown'
  }

  /** While most of the fleet is silent nothing is given up. */
  #isCutOff(): boolean {
    const nodes = [...this.#nodes.values()].filter((node) => !isSaidToBeGone(node))
    const silent = nodes.filter(({ metadata }) => this.#isSilent(metadata.name)).length
    return silent > 1 && silent > nodes.length / 2
  }

  *#dueOfGang(key: string, gang: Gang, pods: readonly Pod[]): Generator<string> {
    for (const { gang: victim, attempt } of holdNow(gang)?.victims ?? []) {
      const other = this.#gangs.get(victim)
      const sits = other !== undefined && !other.spec.suspend && seatsNow(other)?.attempt === attempt
      if (sits && evictionNow(other) === undefined) yield `gang ${victim} is not asked to leave for gang ${key}`
    }
    for (const pod of pods) {
      const isOver = attemptOf(pod) < gang.spec.attempt || hasLeft(gang, pod.metadata.name)
      const isToEnd = isOver && isLive(pod) && pod.metadata.deletionTimestamp === undefined
      if (isToEnd && this.#reportOf(pod)?.ended === undefined)
        yield `pod ${keyOf(pod)} runs, and its gang ${hasLeft(gang, pod.metadata.name) ? 'goes on without it' : `is at attempt ${gang.spec.attempt}`}`
    }
    // Who is to stop, or to leave a node, needs no pods any more, however long those that are left take.
    if (isStopped(gang) || this.#isToLeave(gang)) return
    const byName = new Map(pods.map((pod) => [pod.metadata.name, pod]))
    for (const { pod } of seatsNow(gang)?.members ?? [])
      if (byName.get(pod)?.spec.nodeName === undefined) yield `member ${pod} of gang ${key} has a seat and no pod on it`
  }

  /** Once its checkpoint is durable, or is waited for no longer. */
  #isToLeave(gang: Gang): boolean {
    const members = seatsNow(gang)?.members ?? []
    return members.some(({ node }) => leavingReasonOf(this.#nodes.get(`/${node}`)) !== undefined)
  }

  #reportOf(pod: Pod): ReportStatus | undefined {
    return this.#reports.get(pod.metadata.uid ?? '')
  }

  *#dueOfJob(key: string, gang: Gang, job: TrainingJob, pods: readonly Pod[], nowMs: number): Generator<string> {
    const { attempt, suspend } = gang.spec
    const present = pods.filter((pod) => isPresent(pod, gang))
    const runs = present.filter((pod) => isLive(pod) && this.#reportOf(pod)?.ended === undefined)
    const goesOn = runs.filter((pod) => pod.metadata.deletionTimestamp === undefined)
    const isOver = isFinished(job)
    if (isOver && (!suspend || goesOn.length > 0))
      yield `job ${key} has ended, and gang ${key} still wants or holds seats`
    if (isOver || recoveryOf(gang).failed !== undefined) return
    const { activeDeadlineSeconds = Number.POSITIVE_INFINITY } = job.spec
    if (ranSecondsOf(gang, this.#agesAsWritten(nowMs)) > activeDeadlineSeconds)
      yield `job ${key} is active for longer than it may be`
    if (job.spec.suspend && !suspend && !stopIsAsked(gang)) yield `job ${key} is suspended, and not asked to stop`
    const askedAt = gang.metadata.annotations?.[stopAskedAt]
    const graceMs = job.spec.terminationGracePeriodSeconds * 1000
    const isInGrace = askedAt !== undefined && this.#sinceSeen(`${gang.metadata.uid} stop`, askedAt, nowMs) < graceMs
    if ((suspend || stopIsAsked(gang)) && !isInGrace && goesOn.length > 0)
      yield `job ${key} is to stop, and its pods are not told to end`
    if (isStopped(gang)) return
    const [asks, is] = [shapeOf(gangGroups(groupsOf(job))), shapeOf(gang.spec.groups)]
    // Where some have ended well the others may be about to; what was changed is for the next attempt, if there is one.
    if (asks !== is && !job.spec.suspend && !present.some(hasEnded))
      yield `gang ${key} sits as ${is}, and its job asks for ${asks}`
    const failed = present.find((pod) => pod.status?.phase === 'Failed')
    if (failed !== undefined) yield `pod ${keyOf(failed)} has failed, and attempt ${attempt} goes on`
    if (this.#isCheckpointDue(gang, job, present, nowMs)) yield `job ${key} is not asked for the checkpoint that is due`
  }

  *#dueOfHung(gang: Gang, job: TrainingJob, pods: readonly Pod[]): Generator<string> {
    const { attempt } = gang.spec
    if (isFinished(job) || recoveryOf(gang).failed !== undefined || isStopped(gang)) return
    const present = pods.filter((pod) => isPresent(pod, gang))
    // Where all who told steps have ended, who told none has as long again, anew under each leader.
    if (present.some((pod) => hasEnded(pod) && this.#reportOf(pod)?.step !== undefined)) return
    const runs = present.filter((pod) => isLive(pod) && !isLeaving(pod))
    for (const hung of this.#hungOf(runs)) yield `pod ${keyOf(hung)} hangs, and attempt ${attempt} goes on`
  }

  /** Who tells its steps and does none; where nobody tells any, all of them once all stand still. */
  #hungOf(pods: readonly Pod[]): readonly Pod[] {
    const tells = pods.filter((pod) => this.#reportOf(pod)?.step !== undefined)
    const hung = pods.filter((pod) => this.#reportOf(pod)?.hungSinceMs !== undefined)
    if (tells.length > 0) return hung.filter((pod) => tells.includes(pod))
    return hung.length === pods.length ? hung : []
  }

  /** It tells steps, has come to the step of its last request, and its interval is over since then. */
  #isCheckpointDue(gang: Gang, { spec }: TrainingJob, pods: readonly Pod[], nowMs: number): boolean {
    const { interval } = spec.checkpoint
    if (interval === undefined || interval === 'auto' || pods.some(hasEnded)) return false
    const step = Math.max(...pods.map((pod) => this.#reportOf(pod)?.step ?? -1))
    const { sinceMs = nowMs } = this.#asked.get(gang.metadata.uid ?? '') ?? {}
    const firstMs = Math.max(...pods.map((pod) => this.#reportOf(pod)?.firstStepAtMs ?? 0))
    const { at } = gang.status?.checkpoint ?? {}
    const committedMs = at === undefined ? 0 : nowMs - this.#sinceSeen(`${gang.metadata.uid} checkpoint`, at, nowMs)
    const begunMs = this.#isUnsure ? this.#terms.beganMs : 0
    const lastMs = Math.max(sinceMs, firstMs, committedMs, begunMs)
    return step >= (gang.spec.checkpointRequest?.step ?? 0) && nowMs - lastMs > durationMs(interval)
  }
}

/** It goes on with fewer members than it had. */
function isShort(gang: Gang): boolean {
  const { members = [], size = 0 } = seatsNow(gang) ?? {}
  return members.length < size && !isStopped(gang)
}

function devicesOf({ metadata }: Pod): string[] {
  const text = metadata.annotations?.[annotation.devices] ?? ''
  return text === '' ? [] : text.split(',')
}

function shapeOf(groups: Gang['spec']['groups']): string {
  return groups.map(({ name, min, max }) => `${name} ${min} to ${max}`).join(', ')
}

/** One domain, which may be full though others are not. Who joins what goes on in one that is preferred does not sit outside either. */
function asksFor({ spec }: Gang, how: 'required' | 'preferred'): boolean {
  return [spec, ...spec.groups].some(({ topology }) => topology?.[how] !== undefined)
}

function isOneSlot(accelerators: Gang['spec']['groups'][number]['accelerators']): boolean {
  return accelerators.every(({ model, count }) => model === 'cpu' && count === 1)
}

/** Or is about to be, or has no seats. */
function isStopped(gang: Gang): boolean {
  const isAsked = stopIsAsked(gang) || evictionNow(gang) !== undefined || resizeNow(gang) !== undefined
  return gang.spec.suspend || isAsked || seatsNow(gang) === undefined
}
