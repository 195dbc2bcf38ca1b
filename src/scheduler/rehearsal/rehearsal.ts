import { assert, InvariantError } from '../../base/errors.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { label } from '../../model/names.ts'
import { bindingAnnotations } from '../../model/pods.ts'
import { keyOf, ownerReferenceTo } from '../../model/refs.ts'
import { askedOf, statusAfter } from '../committed.ts'
import type { Change, Scheduler, Verdict, Victim } from '../contract.ts'
import { hasEnded } from '../fleet/read-pod.ts'
import { isReplica } from '../gangs.ts'
import { endOf } from '../line/reservations.ts'

/** What came to pass, in order. */
export type Happening =
  | { kind: 'decided'; verdict: Verdict }
  /** Its pods have ended; it gives its seats back and stands in line again, as the next attempt. */
  | { kind: 'left'; gang: string; attempt: number; why: Leaving }
  /** Its expected end has come. */
  | { kind: 'ended'; gang: string; attempt: number }

/**
 * On whose behalf a gang leaves: another gang's (by `Defragmentation` it moves), its queue's that drains, or its own, to sit
 * with so many members.
 */
export type Leaving = { by: string; reason: Victim['reason'] } | { queue: string } | { grows: number }

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
  readonly pools = new Map<string, Pool>()
  readonly gangs = new Map<string, Gang>()
  readonly pods = new Map<string, Pod>()
  /** Gangs that take their time: asked to leave, they stay until they are taken out of here. */
  readonly slow = new Set<string>()
  nowMs: number
  readonly #runsPods: boolean
  readonly #podsOf = new Map<string, Set<string>>()
  /** Gangs whose pods have ended and whose seats are being taken; they stand in line again once these are gone. */
  readonly #leaving = new Map<string, Leaving>()
  /** Gangs by when they came: who came first goes first in all that follows. */
  readonly #places = new Map<string, number>()
  /** Gangs of which something may follow: those that changed, until nothing does. */
  readonly #stirred = new Set<string>()
  #arrived = 0
  #version = 0

  constructor(scheduler: Scheduler, { nowMs = 0, runsPods = true }: RehearsalOptions = {}) {
    this.scheduler = scheduler
    this.nowMs = nowMs
    this.#runsPods = runsPods
  }

  // ---- what is told ----

  /** Writes a new or changed object, as a store does: it gets a resourceVersion, and a uid and a time where it has none. */
  put(object: Node | Queue | Pool | Gang | Pod): void {
    const resourceVersion = this.#next()
    const uid = `${object.kind.toLowerCase()}-${keyOf(object)}-${resourceVersion}`
    const creationTimestamp = new Date(this.nowMs).toISOString()
    const metadata = { uid, creationTimestamp, ...object.metadata, resourceVersion }
    if (object.kind === 'Node') this.apply({ kind: 'Node', object: { ...object, metadata } })
    else if (object.kind === 'Queue') this.apply({ kind: 'Queue', object: { ...object, metadata } })
    else if (object.kind === 'Pool') this.apply({ kind: 'Pool', object: { ...object, metadata } })
    else if (object.kind === 'Gang') this.apply({ kind: 'Gang', object: { ...object, metadata } })
    else this.apply({ kind: 'Pod', object: { ...object, metadata } })
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
      else if (kind === 'Pool') this.pools.delete(deleted)
      else if (kind === 'Gang') this.#forgetGang(deleted)
      else this.#forgetPod(deleted)
    } else if (change.kind === 'Node') this.nodes.set(keyOf(change.object), change.object)
    else if (change.kind === 'Queue') this.#rememberQueue(change.object)
    else if (change.kind === 'Pool') this.pools.set(keyOf(change.object), change.object)
    else if (change.kind === 'Gang') this.#rememberGang(change.object)
    else this.#rememberPod(change.object)
  }

  #rememberQueue(queue: Queue): void {
    this.queues.set(keyOf(queue), queue)
    for (const key of this.gangs.keys()) this.#stirred.add(key)
  }

  #rememberGang(gang: Gang): void {
    const key = keyOf(gang)
    if (!this.gangs.has(key)) this.#places.set(key, ++this.#arrived)
    this.gangs.set(key, gang)
    this.#stirred.add(key)
  }

  #forgetGang(key: string): void {
    this.gangs.delete(key)
    this.#places.delete(key)
    this.#stirred.delete(key)
  }

  #rememberPod(pod: Pod): void {
    const key = keyOf(pod)
    this.pods.set(key, pod)
    const gang = gangKeyOf(pod)
    if (gang === undefined) return
    this.#stirred.add(gang)
    const pods = this.#podsOf.get(gang) ?? new Set()
    this.#podsOf.set(gang, pods)
    pods.add(key)
  }

  #forgetPod(key: string): void {
    const pod = this.pods.get(key)
    this.pods.delete(key)
    this.#podsOf.get((pod === undefined ? undefined : gangKeyOf(pod)) ?? '')?.delete(key)
  }

  #next(): string {
    return String(++this.#version)
  }

  gangOf(key: string): Gang {
    const gang = this.gangs.get(key)
    assert(gang !== undefined, `gang ${key} exists`)
    return gang
  }

  edit(key: string, spec: Partial<Gang['spec']>, status: Partial<GangStatus> = {}): void {
    const gang = this.gangOf(key)
    const after = Object.keys(status).length === 0 ? {} : { status: { ...statusOf(gang), ...status } }
    this.put({ ...gang, spec: { ...gang.spec, ...spec }, ...after })
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
    const status = statusAfter(gang, verdict, { epoch: gang.status?.epoch ?? 1, nowMs: this.nowMs })
    this.scheduler.settle(verdict, 'committed')
    this.put({ ...gang, status })
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
          ownerReferences: [ownerReferenceTo(gang)],
        },
        spec: { nodeName: member.node, containers: [{ name: 'main' }] },
        status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
      })
    }
  }

  /** One pod ends. */
  end(key: string, phase: 'Succeeded' | 'Failed' = 'Failed'): void {
    const pod = this.pods.get(key)
    assert(pod !== undefined, `pod ${key} exists`)
    if (!hasEnded(pod)) this.put({ ...pod, status: { ...pod.status, phase } })
  }

  /** All pods of the gang end. */
  endAll(key: string, phase: 'Succeeded' | 'Failed' = 'Failed'): void {
    for (const pod of this.#podsOf.get(key) ?? []) this.end(pod, phase)
  }

  /** A new incarnation, as recovery begins one: it keeps what it had until it sits again. */
  restart(key: string): void {
    const attempt = this.gangOf(key).spec.attempt + 1
    this.edit(key, { attempt, spareAttempt: attempt })
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
      const atMs = gang.spec.suspend ? undefined : endOf(gang)?.atMs
      if (atMs !== undefined && atMs <= untilMs && (next === undefined || atMs < next.atMs)) next = { key, atMs }
    }
    return next
  }

  /** What the rest of the control plane would do now; whether there was anything. */
  #moveOn(course: Happening[]): boolean {
    let moved = false
    for (let key = this.#nextStirred(); key !== undefined; key = this.#nextStirred(key)) {
      const gang = this.gangOf(key)
      if (this.#follow(key, gang, course)) moved = true
      else if (this.#isAtRest(key, gang)) this.#stirred.delete(key)
    }
    return moved
  }

  /** The first of those that came after this one. */
  #nextStirred(after?: string): string | undefined {
    const afterPlace = after === undefined ? Number.NEGATIVE_INFINITY : (this.#places.get(after) ?? 0)
    let [first, firstPlace] = [undefined as string | undefined, Number.POSITIVE_INFINITY]
    for (const key of this.#stirred) {
      const place = this.#places.get(key)
      if (place !== undefined && place > afterPlace && place < firstPlace) [first, firstPlace] = [key, place]
    }
    return first
  }

  /** Nothing follows of it before it changes, or its queue does. */
  #isAtRest(key: string, { status }: Gang): boolean {
    const { hold, eviction, resize } = status ?? {}
    return hold === undefined && eviction === undefined && resize === undefined && !this.#leaving.has(key)
  }

  /** Whether anything followed of what this one is. */
  #follow(key: string, gang: Gang, course: Happening[]): boolean {
    const hasAsked = this.#askVictims(key, gang)
    const endsSome = this.#endRest(key, gang)
    return this.#leaveOrGo(key, gang, course) || hasAsked || endsSome
  }

  #leaveOrGo(key: string, gang: Gang, course: Happening[]): boolean {
    const why = this.#leaving.get(key)
    const wanted = why ?? this.#whyLeave(gang)
    if (wanted === undefined) return false
    if (why === undefined && this.slow.has(key)) return false
    const moves = 'by' in wanted && wanted.reason === 'Defragmentation'
    if (moves && isReplica(gang) && !this.#isReplaced(key, gang)) return this.#replace(key, gang)
    if (why === undefined) {
      course.push({ kind: 'left', gang: key, attempt: gang.spec.attempt, why: wanted })
      if (moves && isReplica(gang)) this.finish(key)
      else if (moves || 'grows' in wanted || gang.status?.eviction?.shrinks === true) this.#startAgain(key)
      else this.#leave(key, wanted)
      return true
    }
    if (gang.status?.seats !== undefined) return false
    this.#leaving.delete(key)
    this.edit(key, { suspend: false, attempt: gang.spec.attempt + 1 })
    return true
  }

  /** What an older attempt still runs is killed, and so is what is to run no more. */
  #endRest(key: string, { spec }: Gang): boolean {
    let ended = false
    for (const name of this.#podsOf.get(key) ?? []) {
      const pod = this.pods.get(name)
      if (pod?.spec.nodeName === undefined || hasEnded(pod)) continue
      if (!spec.suspend && Number(pod.metadata.labels?.[label.attempt] ?? 0) >= spec.attempt) continue
      this.end(name)
      ended = true
    }
    return ended
  }

  /** One write to each victim of a hold. */
  #askVictims(by: string, { spec, status }: Gang): boolean {
    const hold = status?.hold
    if (hold === undefined || hold.attempt !== spec.attempt || spec.suspend) return false
    let asked = false
    for (const victim of hold.victims) {
      const gang = this.gangs.get(victim.gang)
      const { epoch } = hold
      const status = gang === undefined ? undefined : askedOf(gang, victim, { by, epoch, nowMs: this.nowMs })
      if (status === undefined) continue
      this.edit(victim.gang, {}, status)
      asked = true
    }
    return asked
  }

  #whyLeave({ spec, status }: Gang): Leaving | undefined {
    const { seats, eviction, resize } = status ?? {}
    if (seats === undefined || seats.attempt !== spec.attempt) return undefined
    if (eviction !== undefined && eviction.attempt === spec.attempt) {
      return { by: eviction.by, reason: eviction.reason }
    }
    if (spec.suspend) return undefined
    if (this.queues.get(spec.queue)?.spec.stopPolicy === 'HoldAndDrain') return { queue: spec.queue }
    return resize?.attempt === spec.attempt ? { grows: seats.members.length + resize.members.length } : undefined
  }

  /** Another replica does its work. */
  #isReplaced(key: string, gang: Gang): boolean {
    const other = this.gangs.get(this.#replacementOf(key))
    const { spec, status } = other ?? {}
    return spec?.replaces?.uid === gang.metadata.uid && status?.seats?.attempt === spec?.attempt
  }

  /** A new one comes in the place of a replica that moves, which serves on until then; false when it has come already. */
  #replace(key: string, gang: Gang): boolean {
    const other = this.#replacementOf(key)
    if (this.gangs.has(other)) return false
    const { name, namespace, labels, uid = '' } = gang.metadata
    const metadata = { namespace, labels, name: other.slice(other.indexOf('/') + 1) }
    this.put({ ...gang, metadata, spec: { ...gang.spec, attempt: 1, replaces: { name, uid } }, status: undefined })
    return true
  }

  #replacementOf(key: string): string {
    return `${key}-moved`
  }

  /** Its pods end, and its next attempt stands in line with the seats that are kept for it. */
  #startAgain(key: string): void {
    this.endAll(key)
    this.restart(key)
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

function gangKeyOf({ metadata }: Pod): string | undefined {
  const gang = metadata.labels?.[label.gang]
  return gang === undefined ? undefined : `${metadata.namespace ?? 'default'}/${gang}`
}

function lastOf(verdicts: readonly Verdict[]): string {
  const last = verdicts.at(-1)
  return last === undefined ? 'none' : `${last.kind} ${last.gang}`
}
