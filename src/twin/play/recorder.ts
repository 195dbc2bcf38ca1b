import { recoveryAnnotation, recoveryOf } from '../../control/recovery/record.ts'
import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Report, RestoredFrom } from '../../model/kinds/report.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { label } from '../../model/names.ts'
import { keyOf } from '../../model/refs.ts'
import { acceleratorsHeld, acceleratorsOf, nodesUnder, seatsNow, seatsOn } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Strike } from './injector.ts'
import type { Eviction, Failure, JobRecord, Level, Recording, ReplicaLevel, Sitting } from './recording.ts'

type Seats = NonNullable<NonNullable<Gang['status']>['seats']>

interface GangNow {
  gang: Gang
  asked: number
  seats: Seats | undefined
  sinceMs: number
  sitting: Sitting[]
  isWaiting: boolean
  /** Training jobs alone. */
  owner: string | undefined
  /** What recovery had written of it. */
  record: string | undefined
  failedAttempt: number
  lostSeconds: number
}

/** Watches the writes of a run and keeps what its report is made of. */
export class Recorder {
  readonly #now: () => number
  readonly #jobs = new Map<string, JobRecord>()
  readonly #gangs = new Map<string, GangNow>()
  readonly #sittings: Sitting[] = []
  readonly #failures: Failure[] = []
  /** Failures whose gang is not back yet. */
  readonly #open = new Map<string, Failure[]>()
  readonly #evictions: Eviction[] = []
  readonly #strikes: Strike[] = []
  readonly #levels: Level[] = []
  readonly #nodesOut = new Set<string>()
  /** By gang: what struck it last. */
  readonly #struck = new Map<string, { cause: string; attempt: number; atMs: number }>()
  /** By node: why it was lost last. */
  readonly #lost = new Map<string, string>()
  /** By service: replicas that there were. */
  readonly #replicas = new Map<string, ReplicaLevel[]>()
  readonly #restores: Partial<Record<RestoredFrom, number>> = {}
  /** By gang: pods of its present attempt that are counted there. */
  readonly #restored = new Map<string, { attempt: number; pods: Set<string> }>()
  #inUse = 0
  #waiting = 0
  #asked = 0

  /** `now`: milliseconds from the start of the run. */
  constructor(now: () => number) {
    this.#now = now
  }

  see({ kind, type, object }: Entry): void {
    const isGone = type === 'DELETED'
    if (kind === 'Gang') this.#seeGang(object as Gang, isGone)
    else if (kind === 'TrainingJob') this.#seeJob(object as TrainingJob, isGone)
    else if (kind === 'Report') this.#seeReport(object as Report)
    else if (kind === 'InferenceService') this.#seeService(object as InferenceService, isGone)
    else if (kind === 'Node') this.#seeNode(object as Node, isGone)
    else return
    this.#level()
  }

  seeStrike(strike: Strike): void {
    const atMs = this.#now()
    this.#strikes.push({ ...strike, atMs })
    if (strike.kind === 'straggler') return
    if (strike.kind === 'node-loss' || strike.kind === 'network-partition')
      for (const node of strike.nodes) this.#lost.set(node, strike.cause)
    const pods = new Set(strike.pods)
    for (const [key, { gang, seats }] of this.#gangs) {
      const isHit = seats?.members.some(({ pod }) => pods.has(`${gang.metadata.namespace}/${pod}`)) === true
      if (isHit) this.#struck.set(key, { cause: strike.cause, attempt: gang.spec.attempt, atMs })
    }
  }

  /** How many replicas a service had, over time. */
  replicasOf(service: string): ReplicaLevel[] {
    return this.#replicas.get(service) ?? []
  }

  /** What was seen, up to now. */
  end(): Pick<Recording, 'jobs' | 'sittings' | 'failures' | 'evictions' | 'strikes' | 'levels' | 'restores'> {
    const nowMs = this.#now()
    for (const state of this.#gangs.values()) this.#pass(state)
    for (const { sitting } of this.#gangs.values()) for (const one of sitting) one.toMs = nowMs
    for (const key of this.#open.keys()) this.#close(key)
    return {
      jobs: [...this.#jobs.values()],
      sittings: this.#sittings,
      failures: this.#failures,
      evictions: this.#evictions,
      strikes: this.#strikes,
      levels: this.#levels,
      restores: this.#restores,
    }
  }

  #seeGang(gang: Gang, isGone: boolean): void {
    const key = keyOf(gang)
    const state = this.#gangs.get(key) ?? this.#newGang(gang)
    this.#gangs.set(key, state)
    this.#pass(state)
    const before = state.gang
    state.gang = gang
    state.asked = askedBy(gang)
    const job = state.owner === undefined ? undefined : this.#jobs.get(state.owner)
    const isOver = isGone || job?.endedMs !== undefined
    this.#sit(key, state, isOver || gang.spec.suspend ? undefined : seatsNow(gang))
    this.#wait(state, !isOver && !gang.spec.suspend && state.seats === undefined)
    if (job !== undefined && state.seats !== undefined) job.startedMs ??= this.#now()
    const { eviction } = gang.status ?? {}
    if (eviction !== undefined && eviction.attempt !== before.status?.eviction?.attempt)
      this.#evictions.push({ atMs: this.#now(), gang: key, reason: eviction.reason })
    this.#seeRecovery(key, state, before.status?.seats)
    if (isOver) this.#close(key)
    if (isGone) this.#gangs.delete(key)
  }

  #newGang(gang: Gang): GangNow {
    const { namespace, labels } = gang.metadata
    const job = labels?.[label.job]
    return {
      // As if it had been evicted by then: what it begins with is no news.
      gang: { ...gang, status: undefined },
      asked: 0,
      seats: undefined,
      sinceMs: this.#now(),
      sitting: [],
      isWaiting: false,
      owner: job === undefined ? undefined : `TrainingJob/${namespace}/${job}`,
      record: undefined,
      failedAttempt: 0,
      lostSeconds: 0,
    }
  }

  /** Time has passed for its job. */
  #pass(state: GangNow): void {
    const nowMs = this.#now()
    const job = state.owner === undefined ? undefined : this.#jobs.get(state.owner)
    const ms = nowMs - state.sinceMs
    state.sinceMs = nowMs
    if (job === undefined || job.startedMs === undefined || job.endedMs !== undefined) return
    if (state.seats === undefined) job.outMs += state.asked * ms
    else job.heldMs += acceleratorsOf(state.seats) * ms
  }

  #sit(key: string, state: GangNow, seats: Seats | undefined): void {
    if (isSame(state.seats, seats)) return
    const nowMs = this.#now()
    if (state.seats !== undefined) this.#inUse -= acceleratorsOf(state.seats)
    for (const one of state.sitting) one.toMs = nowMs
    state.sitting = []
    state.seats = seats
    if (seats === undefined) return
    this.#inUse += acceleratorsOf(seats)
    state.sitting = nodesUnder(seats.members).map((node) => ({
      gang: key,
      attempt: seats.attempt,
      node,
      accelerators: acceleratorsHeld(seatsOn(seats.members, node)),
      fromMs: nowMs,
      toMs: nowMs,
    }))
    for (const one of state.sitting) this.#sittings.push(one)
  }

  #wait(state: GangNow, isWaiting: boolean): void {
    if (state.isWaiting === isWaiting) return
    state.isWaiting = isWaiting
    this.#waiting += isWaiting ? 1 : -1
    this.#asked += isWaiting ? state.asked : -state.asked
  }

  /** Recovery writes that an attempt failed, and what it lost, in one write to the gang. */
  #seeRecovery(key: string, state: GangNow, seats: Seats | undefined): void {
    const text = state.gang.metadata.annotations?.[recoveryAnnotation]
    if (text === state.record) return
    state.record = text
    const { last, lostSeconds, failed } = recoveryOf(state.gang)
    if (last === undefined || last.attempt === state.failedAttempt) return
    // Who left leaves others at work: nothing is down, and nothing lost.
    if (failed === undefined && last.attempt === state.gang.spec.attempt) return void this.#struck.delete(key)
    state.failedAttempt = last.attempt
    const decidedMs = this.#now()
    const struck = this.#struck.get(key)
    this.#struck.delete(key)
    const { cause, atMs } = struck?.attempt === last.attempt ? struck : { cause: undefined, atMs: decidedMs }
    const node = seats?.members.find(({ pod }) => pod === last.pod)?.node ?? ''
    const lost = last.reason === 'NodeLost' ? this.#lost.get(node) : undefined
    const before = this.#open.get(key) ?? []
    this.#stand(before)
    const failure: Failure = {
      gang: key,
      attempt: last.attempt,
      cause: cause ?? lost ?? last.reason,
      isAgain: before.length > 0,
      reason: last.reason,
      accelerators: state.asked,
      atMs,
      decidedMs,
      backMs: undefined,
      downMs: 0,
      lostSeconds: lostSeconds - state.lostSeconds,
    }
    state.lostSeconds = lostSeconds
    this.#failures.push(failure)
    this.#open.set(key, [...before, failure])
  }

  /** The last of failures that follow each other has kept it down until now. */
  #stand(failures: readonly Failure[]): void {
    const last = failures.at(-1)
    if (last !== undefined) last.downMs = this.#now() - last.decidedMs
  }

  /** It is not down any more. */
  #close(key: string): void {
    this.#stand(this.#open.get(key) ?? [])
    this.#open.delete(key)
  }

  #seeReport(report: Report): void {
    const { metadata, spec, status } = report
    this.#seeRestored(report)
    if (status?.firstStepAtMs === undefined || spec.gang === undefined) return
    const key = `${metadata.namespace}/${spec.gang}`
    const open = this.#open.get(key) ?? []
    if (open.length === 0 || open.some(({ attempt }) => attempt >= (spec.attempt ?? 0))) return
    for (const failure of open) failure.backMs = this.#now()
    this.#close(key)
  }

  #seeRestored({ metadata: { namespace }, spec: { gang, attempt = 0, pod }, status }: Report): void {
    const from = status?.restoredFrom
    if (from === undefined || gang === undefined || pod === undefined) return
    const key = `${namespace}/${gang}`
    const known = this.#restored.get(key)
    if (known !== undefined && known.attempt > attempt) return
    const counted = known?.attempt === attempt ? known : { attempt, pods: new Set<string>() }
    this.#restored.set(key, counted)
    if (counted.pods.has(pod.uid)) return
    counted.pods.add(pod.uid)
    this.#restores[from] = (this.#restores[from] ?? 0) + 1
  }

  #seeService(service: InferenceService, isGone: boolean): void {
    const key = keyOf(service)
    const levels = this.#replicas.get(key) ?? []
    this.#replicas.set(key, levels)
    const count = isGone ? 0 : (service.status?.replicas ?? 0)
    if (levels.at(-1)?.count !== count) levels.push({ atMs: this.#now(), count })
  }

  #seeJob({ metadata, spec, status }: TrainingJob, isGone: boolean): void {
    const owner = `TrainingJob/${metadata.namespace}/${metadata.name}`
    const known = this.#jobs.get(owner)
    if (known === undefined) {
      this.#jobs.set(owner, {
        owner,
        queue: spec.queue,
        submittedMs: this.#now(),
        startedMs: undefined,
        endedMs: undefined,
        outcome: undefined,
        heldMs: 0,
        outMs: 0,
      })
      return
    }
    const state = this.#gangs.get(`${metadata.namespace}/${metadata.name}`)
    const isOver = isGone || status?.phase === 'Succeeded' || status?.phase === 'Failed'
    if (!isOver || known.endedMs !== undefined) return
    if (state !== undefined) {
      this.#pass(state)
      this.#sit(keyOf(state.gang), state, undefined)
      this.#wait(state, false)
      this.#close(keyOf(state.gang))
    }
    known.endedMs = this.#now()
    known.outcome = status?.phase === 'Succeeded' ? 'Succeeded' : 'Failed'
  }

  #seeNode({ metadata, spec, status }: Node, isGone: boolean): void {
    const ready = conditionOf(status?.conditions, 'Ready')
    const isOut = isGone || spec?.unschedulable === true || (ready !== undefined && ready.status !== 'True')
    if (isOut) this.#nodesOut.add(metadata.name)
    else this.#nodesOut.delete(metadata.name)
  }

  /** What changed within one millisecond is one change. */
  #level(): void {
    const next = {
      atMs: this.#now(),
      inUse: this.#inUse,
      waiting: this.#waiting,
      asked: this.#asked,
      nodesOut: this.#nodesOut.size,
    }
    const last = this.#levels.at(-1)
    if (last?.atMs === next.atMs) Object.assign(last, next)
    else if (
      last?.inUse !== next.inUse ||
      last.waiting !== next.waiting ||
      last.asked !== next.asked ||
      last.nodesOut !== next.nodesOut
    )
      this.#levels.push(next)
  }
}

function askedBy({ spec }: Gang): number {
  return spec.groups.reduce((sum, { max, accelerators }) => sum + max * (accelerators[0]?.count ?? 0), 0)
}

/** The same members: who joins is counted, and of those who leave fewer are there. */
function isSame(a: Seats | undefined, b: Seats | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return a === b
  const isSameSitting = a.attempt === b.attempt && a.at === b.at
  return isSameSitting && a.made === b.made && a.members.length === b.members.length
}
