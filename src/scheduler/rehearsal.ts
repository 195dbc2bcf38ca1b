import { assert, InvariantError } from '../base/errors.ts'
import { setCondition } from '../model/conditions.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { label } from '../model/names.ts'
import { bindingAnnotations } from '../model/pods.ts'
import { keyOf } from '../model/refs.ts'
import type { Change, Scheduler, Verdict, Victim } from './contract.ts'
import { hasEnded } from './fleet.ts'

/** What came to pass, in order. */
export type Happening =
  | { kind: 'decided'; verdict: Verdict }
  /** Its pods have ended, its seats are gone and it stands in line again, as the next attempt. */
  | { kind: 'left'; gang: string; attempt: number; why: Leaving }
  /** Its expected end has come. */
  | { kind: 'ended'; gang: string; attempt: number }

/** On whose behalf a gang leaves: another gang's, or its queue's that drains. */
export type Leaving = { by: string; reason: Victim['reason'] } | { queue: string }

export interface RehearsalOptions {
  nowMs?: number
  /** Whether members that are seated run, in pods. */
  runsPods?: boolean
}

/**
 * A factory in memory that has a scheduler and nothing else: verdicts are committed as the control plane does, and what
 * follows from them happens at once. Whoever is asked for its seats leaves them and stands in line again; whoever they
 * were kept for sits. Time moves only by hand. No I/O and no chance: the same story always ends the same way.
 */
export class Rehearsal {
  readonly scheduler: Scheduler
  readonly nodes = new Map<string, Node>()
  readonly queues = new Map<string, Queue>()
  readonly gangs = new Map<string, Gang>()
  readonly pods = new Map<string, Pod>()
  nowMs: number
  readonly #runsPods: boolean
  readonly #podsOf = new Map<string, Set<string>>()
  /** Gangs whose pods have ended and whose seats are being taken; they stand in line again once these are gone. */
  readonly #leaving = new Map<string, Leaving>()
  #version = 0

  constructor(scheduler: Scheduler, { nowMs = 0, runsPods = true }: RehearsalOptions = {}) {
    this.scheduler = scheduler
    this.nowMs = nowMs
    this.#runsPods = runsPods
  }

  // ---- what is told ----

  /** A new or changed object; uid, resourceVersion and creationTimestamp are given where they are missing. */
  put(object: Node | Queue | Gang | Pod): void {
    const named = { ...object, metadata: { ...this.#identity(keyOf(object), object), ...object.metadata } }
    if (named.kind === 'Node') this.apply({ kind: 'Node', object: named })
    else if (named.kind === 'Queue') this.apply({ kind: 'Queue', object: named })
    else if (named.kind === 'Gang') this.apply({ kind: 'Gang', object: named })
    else this.apply({ kind: 'Pod', object: named })
  }

  /** A change as the store would tell it. */
  apply(change: Change): void {
    this.#remember(change)
    this.scheduler.apply(change)
  }

  #remember(change: Change): void {
    if ('deleted' in change) {
      const { kind, deleted } = change
      if (kind === 'Node') this.nodes.delete(deleted)
      else if (kind === 'Queue') this.queues.delete(deleted)
      else if (kind === 'Gang') this.gangs.delete(deleted)
      else this.#forgetPod(deleted)
    } else if (change.kind === 'Node') this.nodes.set(keyOf(change.object), change.object)
    else if (change.kind === 'Queue') this.queues.set(keyOf(change.object), change.object)
    else if (change.kind === 'Gang') this.gangs.set(keyOf(change.object), change.object)
    else this.#rememberPod(change.object)
  }

  #rememberPod(pod: Pod): void {
    const key = keyOf(pod)
    this.pods.set(key, pod)
    const gang = gangKeyOf(pod)
    if (gang === undefined) return
    const pods = this.#podsOf.get(gang) ?? new Set()
    this.#podsOf.set(gang, pods)
    pods.add(key)
  }

  #forgetPod(key: string): void {
    const pod = this.pods.get(key)
    this.pods.delete(key)
    this.#podsOf.get((pod === undefined ? undefined : gangKeyOf(pod)) ?? '')?.delete(key)
  }

  #identity(
    key: string,
    { kind }: { kind: string },
  ): { uid: string; resourceVersion: string; creationTimestamp: string } {
    const resourceVersion = String(++this.#version)
    const uid = `${kind.toLowerCase()}-${key}-${resourceVersion}`
    return { uid, resourceVersion, creationTimestamp: new Date(this.nowMs).toISOString() }
  }

  /** A write: what it was decided on before is stale. */
  #write(gang: Gang): void {
    const resourceVersion = String(++this.#version)
    this.apply({ kind: 'Gang', object: { ...gang, metadata: { ...gang.metadata, resourceVersion } } })
  }

  gangOf(key: string): Gang {
    const gang = this.gangs.get(key)
    assert(gang !== undefined, `gang ${key} exists`)
    return gang
  }

  edit(key: string, spec: Partial<Gang['spec']>, status: Partial<GangStatus> = {}): void {
    const gang = this.gangOf(key)
    const after = Object.keys(status).length === 0 ? {} : { status: { ...statusOf(gang), ...status } }
    this.#write({ ...gang, spec: { ...gang.spec, ...spec }, ...after })
  }

  // ---- what follows ----

  /** Decides and commits until nothing more is decided. */
  decide(): Verdict[] {
    const said: Verdict[] = []
    for (let round = 0; round < decideRoundsMax; round++) {
      const verdicts = this.scheduler.decide(this.nowMs)
      if (verdicts.length === 0) return said
      for (const verdict of verdicts) {
        said.push(verdict)
        this.commit(verdict)
      }
    }
    throw new InvariantError(`the scheduler finds no rest in ${decideRoundsMax} rounds; last: ${lastOf(said)}`)
  }

  /** Plays on until nothing more changes without time going by. */
  play(): Happening[] {
    const course: Happening[] = []
    for (let round = 0; round < playRoundsMax; round++) {
      for (const verdict of this.decide()) course.push({ kind: 'decided', verdict })
      if (!this.#moveOn(course)) return course
    }
    throw new InvariantError(`what follows finds no rest in ${playRoundsMax} rounds`)
  }

  /** One compare-and-set on the gang; everything after it only carries it out. */
  commit(verdict: Verdict): void {
    const gang = this.gangs.get(verdict.gang)
    if (gang?.metadata.resourceVersion !== verdict.resourceVersion) {
      this.scheduler.settle(verdict, 'stale')
      return
    }
    const status = statusAfter(gang, verdict, this.nowMs)
    this.scheduler.settle(verdict, 'committed')
    this.#write({ ...gang, status })
    if (verdict.kind === 'bind' && this.#runsPods) this.run(verdict.gang)
  }

  /** Binds pods for the gang's seats, running. */
  run(key: string): void {
    const gang = this.gangOf(key)
    const seats = gang.status?.seats
    assert(seats !== undefined, `gang ${key} sits`)
    for (const member of seats.members) {
      this.put({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: member.pod,
          namespace: gang.metadata.namespace,
          labels: { [label.gang]: gang.metadata.name, [label.attempt]: String(seats.attempt) },
          annotations: bindingAnnotations(seats, member, ''),
        },
        spec: { nodeName: member.node, containers: [{ name: 'main' }] },
        status: { phase: 'Running' },
      })
    }
  }

  /** One pod ends. */
  end(key: string, phase: 'Succeeded' | 'Failed' = 'Failed'): void {
    const pod = this.pods.get(key)
    assert(pod !== undefined, `pod ${key} exists`)
    if (!hasEnded(pod)) this.#writePod({ ...pod, status: { ...pod.status, phase } })
  }

  /** All pods of the gang end. */
  endAll(key: string, phase: 'Succeeded' | 'Failed' = 'Failed'): void {
    for (const pod of this.#podsOf.get(key) ?? []) this.end(pod, phase)
  }

  /** A new incarnation, as recovery begins one: it keeps what it had until it sits again. */
  restart(key: string): void {
    this.edit(key, { attempt: this.gangOf(key).spec.attempt + 1 })
  }

  /** It has done its work. */
  finish(key: string): void {
    this.endAll(key, 'Succeeded')
    this.edit(key, { suspend: true })
  }

  /** Lets time go by; gangs whose expected end comes meanwhile end then, one after another. */
  advance(ms: number): Happening[] {
    const untilMs = this.nowMs + ms
    const course: Happening[] = []
    for (let next = this.#nextEnd(untilMs); next !== undefined; next = this.#nextEnd(untilMs)) {
      this.nowMs = Math.max(this.nowMs, next.atMs)
      const { attempt } = this.gangOf(next.key).spec
      this.finish(next.key)
      course.push({ kind: 'ended', gang: next.key, attempt }, ...this.play())
    }
    this.nowMs = untilMs
    return [...course, ...this.play()]
  }

  #nextEnd(untilMs: number): { key: string; atMs: number } | undefined {
    let next: { key: string; atMs: number } | undefined
    for (const [key, gang] of this.gangs) {
      const atMs = expectedEndMs(gang)
      if (atMs !== undefined && atMs <= untilMs && (next === undefined || atMs < next.atMs)) next = { key, atMs }
    }
    return next
  }

  #writePod(pod: Pod): void {
    const resourceVersion = String(++this.#version)
    this.apply({ kind: 'Pod', object: { ...pod, metadata: { ...pod.metadata, resourceVersion } } })
  }

  /** What the rest of the control plane would do now; whether there was anything. */
  #moveOn(course: Happening[]): boolean {
    let moved = false
    for (const [key, gang] of this.gangs) {
      if (this.#askVictims(key, gang)) moved = true
      const why = this.#leaving.get(key)
      const wanted = why ?? this.#whyLeave(gang)
      if (wanted === undefined) continue
      if (why === undefined) this.#leave(key, wanted)
      else if (gang.status?.seats === undefined) {
        this.#leaving.delete(key)
        course.push({ kind: 'left', gang: key, attempt: gang.spec.attempt, why })
        this.edit(key, { suspend: false, attempt: gang.spec.attempt + 1 })
      } else continue
      moved = true
    }
    return moved
  }

  /** One write to each victim of a hold. */
  #askVictims(by: string, { spec, status }: Gang): boolean {
    const hold = status?.hold
    if (hold === undefined || hold.attempt !== spec.attempt || spec.suspend) return false
    const asked = hold.victims.filter((victim) => {
      const gang = this.gangs.get(victim.gang)
      if (gang === undefined || gang.metadata.uid !== victim.uid || !isToBeAsked(gang, victim)) return false
      const { attempt, reason } = victim
      const message = `its seats are needed by gang ${by} (${reason})`
      const at = new Date(this.nowMs).toISOString()
      this.edit(victim.gang, {}, { eviction: { attempt, by, reason, message, at } })
      return true
    })
    return asked.length > 0
  }

  #whyLeave({ spec, status }: Gang): Leaving | undefined {
    const holds = status?.seats !== undefined && status.seats.attempt === spec.attempt
    if (!holds) return undefined
    const { eviction } = status
    if (eviction !== undefined && eviction.attempt === spec.attempt) {
      return { by: eviction.by, reason: eviction.reason }
    }
    const drains = this.queues.get(spec.queue)?.spec.stopPolicy === 'HoldAndDrain'
    return drains && !spec.suspend ? { queue: spec.queue } : undefined
  }

  /** Its pods end, then it wants no seats; the scheduler takes them and only then does it stand in line again. */
  #leave(key: string, why: Leaving): void {
    this.#leaving.set(key, why)
    this.endAll(key)
    this.edit(key, { suspend: true })
  }
}

/** Far from what any state needs: a scheduler that goes on is broken. */
const decideRoundsMax = 1000
const playRoundsMax = 10_000

type GangStatus = NonNullable<Gang['status']>

function statusOf({ status }: Gang): GangStatus {
  return { ...status, conditions: status?.conditions ?? [], checkpoints: status?.checkpoints ?? [] }
}

/** What a committed verdict writes, as control/scheduling does. */
function statusAfter(gang: Gang, verdict: Verdict, nowMs: number): GangStatus {
  const before = statusOf(gang)
  const at = new Date(nowMs).toISOString()
  const epoch = before.epoch ?? 1
  const conditions = (status: 'True' | 'False', reason: string, message: string) =>
    setCondition(before.conditions, { type: 'Scheduled', status, reason, message }, nowMs)
  const { seats: _seats, hold: _hold, eviction: _eviction, ...unseated } = before
  switch (verdict.kind) {
    case 'wait':
      return { ...before, conditions: conditions('False', verdict.reason, verdict.message) }
    case 'bind': {
      const seats = { ...verdict.seats, epoch, at }
      return { ...unseated, seats, conditions: conditions('True', 'Seated', `${seats.members.length} members sit`) }
    }
    case 'preempt': {
      const { attempt, victims, seats } = verdict
      const hold = { attempt, epoch, at, members: seats.members, victims }
      return { ...unseated, hold, conditions: conditions('False', 'Preempting', 'it sits when others have left') }
    }
    case 'release':
      return { ...unseated, conditions: conditions('False', gang.spec.suspend ? 'Suspended' : 'Released', '') }
  }
}

function isToBeAsked({ spec, status }: Gang, { attempt }: Victim): boolean {
  if (spec.suspend || spec.attempt !== attempt || status?.seats?.attempt !== attempt) return false
  return status.eviction?.attempt !== attempt
}

/** When it should be done: as measured, else as declared; undefined while it does not sit, or when nobody knows. */
function expectedEndMs({ spec, status }: Gang): number | undefined {
  const seats = status?.seats
  if (spec.suspend || seats === undefined || seats.attempt !== spec.attempt) return undefined
  if (status?.expectedEnd !== undefined) return Date.parse(status.expectedEnd)
  return spec.expectedSeconds === undefined ? undefined : Date.parse(seats.at) + spec.expectedSeconds * 1000
}

function gangKeyOf({ metadata }: Pod): string | undefined {
  const gang = metadata.labels?.[label.gang]
  return gang === undefined ? undefined : `${metadata.namespace ?? 'default'}/${gang}`
}

function lastOf(verdicts: readonly Verdict[]): string {
  const last = verdicts.at(-1)
  return last === undefined ? 'none' : `${last.kind} ${last.gang}`
}
