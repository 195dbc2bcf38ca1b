import { assert } from '../base/errors.ts'
import { conditionOf, isTrue } from '../model/conditions.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { label } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import type { Change, Scheduler, Seats, Verdict, Why } from './contract.ts'
import { type Fit, fitGang, nodesToWaitFor, type Reservation, type Reserved, type Shortage } from './fit.ts'
import { claimFromPod, Fleet, hasEnded } from './fleet.ts'
import { type Blocked, goesBefore, type Lane, Line, type Waiting } from './line.ts'
import { Mix } from './mix.ts'
import { constraintOf, type Described, describe, reasonOf } from './reasons.ts'
import { claimsOf, seatsOf } from './seats.ts'
import { type Explained, explain } from './why.ts'

/**
 * The scheduler's first form.
 *
 * Order: priority, then age, then name. A gang that does not fit keeps, for its accelerator model, every node that it
 * could sit on: whoever comes later in line may not take that model there, so that a large gang is not starved by a
 * stream of small ones. It blocks nobody on other nodes or of another model, and nothing at all while what holds it back
 * is its queue's quota or the size of the fleet. (Passing it where that provably delays nothing comes with expected
 * ends.) A gang that restarts keeps what its void seats name until it sits again.
 */
export function createScheduler(): Scheduler {
  return new FirstScheduler()
}

/** When a lane's reason changes, so many from its front are told; the others keep what they were told first. */
const retoldAtOnce = 20
/** Killed pods are gone in milliseconds: saying so would only cost the restart a write. */
const endingToldAfterMs = 1_000
const endingReason = 'Ending'

interface GangState {
  key: string
  object: Gang
  /** What the fleet currently counts as this gang's seats, and under which pods. */
  seats: Seats | undefined
  seatPods: string[]
  inFlight: { verdict: Verdict; outcome?: 'committed' | 'stale' } | undefined
  /** Since when it waits for pods of its own to end. */
  endingSinceMs: number | undefined
}

class FirstScheduler implements Scheduler, Explained {
  readonly fleet = new Fleet()
  readonly gangs = new Map<string, GangState>()
  readonly queues = new Map<string, Queue>()
  readonly pods = new Map<string, Pod>()
  readonly line = new Line()
  readonly #mix = new Mix()
  readonly #livePods = new Map<string, Set<string>>()
  readonly #changed = new Set<string>()

  apply(change: Change): void {
    if ('deleted' in change) this.#forget(change.kind, change.deleted)
    else if (change.kind === 'Node') this.fleet.setNode(change.object)
    else if (change.kind === 'Pod') this.#setPod(change.object)
    else if (change.kind === 'Gang') this.#setGang(change.object)
    else this.#setQueue(change.object)
  }

  decide(nowMs: number): Verdict[] {
    const verdicts: Verdict[] = []
    for (const key of this.#changed) this.#sort(key, verdicts)
    this.#changed.clear()
    this.#mix.teach(this.fleet)
    this.#walk(nowMs, verdicts)
    return verdicts
  }

  settle(verdict: Verdict, outcome: 'committed' | 'stale'): void {
    const state = this.gangs.get(verdict.gang)
    if (state?.inFlight === undefined || !isSame(state.inFlight.verdict, verdict)) return
    state.inFlight.outcome = outcome
    this.#land(state)
    this.#changed.add(state.key)
  }

  fork(): FirstScheduler {
    const copy = new FirstScheduler()
    copy.fleet.packing = this.fleet.packing
    for (const object of this.queues.values()) copy.apply({ kind: 'Queue', object })
    for (const { object } of this.fleet.nodes.values()) copy.apply({ kind: 'Node', object })
    for (const { key, object, inFlight } of this.gangs.values()) {
      copy.apply({ kind: 'Gang', object })
      const state = copy.gangs.get(key)
      if (state === undefined || inFlight === undefined) continue
      if (inFlight.verdict.kind === 'wait') continue
      state.inFlight = inFlight
      copy.#countSeats(state)
    }
    for (const object of this.pods.values()) copy.apply({ kind: 'Pod', object })
    return copy
  }

  why(gang: string, nowMs: number): Why {
    return explain(this, gang, nowMs)
  }

  /** After `decide`: what keeps a waiting gang out. */
  blockedOf(key: string): Blocked | undefined {
    return this.line.laneOf(key)?.blocked?.verdict
  }

  describe(gang: Gang, blocked: Blocked): Described {
    return describe(blocked, gang, this)
  }

  /** Pods of the gang that are bound and have not ended, of whatever attempt. */
  livePodsOf(key: string): ReadonlySet<string> {
    return this.#livePods.get(key) ?? new Set()
  }

  // ---- what is told ----

  #setGang(object: Gang): void {
    const key = keyOf(object)
    const state = this.gangs.get(key) ?? newState(key, object)
    this.gangs.set(key, state)
    state.object = object
    this.#mix.set(key, object)
    this.#land(state)
    this.#countSeats(state)
    this.#changed.add(key)
  }

  #setQueue(object: Queue): void {
    this.queues.set(object.metadata.name, object)
    this.fleet.generation++
  }

  #setPod(object: Pod): void {
    const key = keyOf(object)
    this.pods.set(key, object)
    const gang = gangOf(object)
    const live = object.spec.nodeName !== undefined && !hasEnded(object)
    if (!live) {
      this.#dropPod(key, gang)
      return
    }
    const known = this.fleet.claimOf(key)
    // The seats know more than the pod's annotations (shares of a device), and are remembered when they are gone.
    const claim =
      known?.node === object.spec.nodeName
        ? known
        : claimFromPod(object, this.gangs.get(gang ?? '')?.object.spec.queue, (id) =>
            this.#modelOf(object.spec.nodeName ?? '', id),
          )
    this.fleet.setClaim(key, 'pod', claim)
    if (gang !== undefined) {
      const pods = this.#livePods.get(gang) ?? new Set()
      this.#livePods.set(gang, pods)
      pods.add(key)
    }
  }

  #dropPod(key: string, gang: string | undefined): void {
    this.fleet.setClaim(key, 'pod', undefined)
    const pods = gang === undefined ? undefined : this.#livePods.get(gang)
    if (gang === undefined || pods === undefined || !pods.delete(key)) return
    if (pods.size === 0) this.#livePods.delete(gang)
    this.fleet.generation++ // its own gang may wait for just this
  }

  #forget(kind: Change['kind'], key: string): void {
    if (kind === 'Node') this.fleet.removeNode(key)
    else if (kind === 'Queue') {
      this.queues.delete(key)
      this.fleet.generation++
    } else if (kind === 'Pod') {
      const pod = this.pods.get(key)
      this.pods.delete(key)
      if (pod !== undefined) this.#dropPod(key, gangOf(pod))
    } else {
      const state = this.gangs.get(key)
      if (state === undefined) return
      this.#leaveLine(key)
      this.#setSeats(state, undefined)
      this.gangs.delete(key)
      this.#mix.set(key, undefined)
      this.#changed.delete(key)
    }
  }

  /** A verdict is no longer in flight once its write ended and the state that followed is known. */
  #land(state: GangState): void {
    const { inFlight } = state
    if (inFlight?.outcome === undefined || inFlight.verdict.resourceVersion === state.object.metadata.resourceVersion) {
      if (inFlight?.outcome === 'stale') this.#countSeats(state)
      return
    }
    state.inFlight = undefined
    this.#countSeats(state)
  }

  /** Seats that were just decided count from now on; seats that are being taken away count until they are gone. */
  #countSeats(state: GangState): void {
    const { inFlight, object } = state
    const assumed =
      inFlight?.outcome !== 'stale' && inFlight?.verdict.kind === 'bind' ? inFlight.verdict.seats : undefined
    this.#setSeats(state, assumed ?? object.status?.seats)
  }

  #setSeats(state: GangState, seats: Seats | undefined): void {
    if (sameSeats(state.seats, seats)) return
    const claims = seats === undefined ? [] : claimsOf(state.object, seats, (node, id) => this.#modelOf(node, id))
    const kept = new Set(claims.map(([pod]) => pod))
    for (const pod of state.seatPods) if (!kept.has(pod)) this.fleet.setClaim(pod, 'seat', undefined)
    for (const [pod, claim] of claims) this.fleet.setClaim(pod, 'seat', claim)
    state.seats = seats
    state.seatPods = [...kept]
  }

  #modelOf(node: string, device: string): string | undefined {
    return this.fleet.nodes.get(node)?.devices.get(device)?.model
  }

  // ---- what is decided ----

  /** Who stands in line, and who gives seats back. */
  #sort(key: string, verdicts: Verdict[]): void {
    const state = this.gangs.get(key)
    if (state === undefined || state.inFlight !== undefined) return
    const { object, seats } = state
    if (object.spec.suspend || object.metadata.deletionTimestamp !== undefined) {
      this.#leaveLine(key)
      if (seats !== undefined) verdicts.push(this.#send(state, { kind: 'release', ...about(state) }))
    } else if (seats?.attempt === object.spec.attempt) {
      this.#leaveLine(key)
    } else {
      this.line.put(key, object, laneKeyOf(state))
    }
  }

  /** Lane by lane in the order of their first gangs: seat it and look at the next, or keep for it what it waits for. */
  #walk(nowMs: number, verdicts: Verdict[]): void {
    const reserved = new Reservations(this.fleet)
    const heads: { lane: Lane; head: Waiting }[] = []
    const enter = (lane: Lane) => {
      const head = lane.waiting[0]
      if (head === undefined) return
      let index = heads.length
      while (index > 0 && goesBefore(heads[index - 1]?.head ?? head, head)) index--
      heads.splice(index, 0, { lane, head })
    }
    for (const lane of this.line.lanes()) enter(lane)
    for (let next = heads.pop(); next !== undefined; next = heads.pop()) {
      const { lane, head } = next
      const state = this.gangs.get(head.key)
      assert(state !== undefined, `gang ${head.key} stands in line but is not known`)
      if (state.inFlight === undefined && this.#mayHaveChanged(lane, head.key)) {
        const blocked = this.#try(state, reserved, verdicts)
        if (blocked === 'seated') {
          enter(lane)
          continue
        }
        this.#block(lane, head.key, blocked)
      }
      if (lane.blocked !== undefined) {
        reserved.add(lane.blocked.verdict, head.key)
        this.#tell(lane, lane.blocked.verdict, nowMs, verdicts)
      }
    }
  }

  #mayHaveChanged(lane: Lane, head: string): boolean {
    return lane.blocked?.generation !== this.fleet.generation || lane.blocked.head !== head
  }

  #block(lane: Lane, head: string, verdict: Blocked): void {
    const before = lane.blocked?.verdict
    if (before !== undefined && reasonOf(before) !== reasonOf(verdict)) {
      for (const { key } of lane.waiting.slice(0, retoldAtOnce)) lane.untold.add(key)
    }
    lane.blocked = { generation: this.fleet.generation, head, verdict }
  }

  #try(state: GangState, reserved: Reserved, verdicts: Verdict[]): Blocked | 'seated' {
    const { object, key } = state
    const queue = this.#queueBlock(object)
    if (queue !== undefined) return queue
    if (this.#hasLivePodsOf(state)) return ending(object)
    const restarting = state.seats !== undefined
    const fit = this.#fit(state, restarting ? nothingReserved : reserved)
    if (fit.fits) {
      this.#leaveLine(key)
      const seats = seatsOf(object, fit.placed)
      verdicts.push(this.#send(state, { kind: 'bind', ...about(state), seats }))
      this.#countSeats(state)
      return 'seated'
    }
    const leftovers = this.livePodsOf(key).size > 0
    if (restarting && !leftovers) verdicts.push(this.#send(state, { kind: 'release', ...about(state) }))
    return leftovers ? ending(object) : { kind: 'shortage', shortage: fit.shortage }
  }

  /** The gang's own void seats don't stand in its way; its own live pods do, whatever attempt they are of. */
  #fit(state: GangState, reserved: Reserved): Fit {
    const { object, seats, key } = state
    const { generation } = this.fleet
    this.#setSeats(state, undefined)
    const fit = fitGang(this.fleet, { gang: key, object, quotaLeft: this.#quotaLeft(object), reserved })
    this.#setSeats(state, seats)
    this.fleet.generation = generation
    return fit
  }

  #quotaLeft(gang: Gang): Map<string, number> {
    const quota = this.queues.get(gang.spec.queue)?.spec.nominalQuota ?? {}
    return new Map(
      Object.entries(quota).map(([model, count]) => [model, count * 1000 - this.fleet.usage(gang.spec.queue, model)]),
    )
  }

  #queueBlock(gang: Gang): Blocked | undefined {
    const name = gang.spec.queue
    const queue = this.queues.get(name)
    const namespace = gang.metadata.namespace ?? 'default'
    const blocked = (reason: string, message: string): Blocked => ({ kind: 'queue', reason, message })
    if (queue === undefined) return blocked('QueueMissing', `queue ${name} does not exist; create it or name another`)
    if (!queue.spec.namespaces.some((one) => one === '*' || one === namespace)) {
      return blocked('NamespaceNotAllowed', `queue ${name} does not list namespace ${namespace} in spec.namespaces`)
    }
    if (queue.spec.stopPolicy === 'None') return undefined
    return blocked('QueueStopped', `queue ${name} is stopped (spec.stopPolicy: ${queue.spec.stopPolicy})`)
  }

  /** Pods of this very attempt that still live without seats would be seated a second time. */
  #hasLivePodsOf(state: GangState): boolean {
    if (state.seats?.attempt === state.object.spec.attempt) return false
    const attempt = String(state.object.spec.attempt)
    return [...this.livePodsOf(state.key)].some(
      (key) => this.pods.get(key)?.metadata.labels?.[label.attempt] === attempt,
    )
  }

  #tell(lane: Lane, blocked: Blocked, nowMs: number, verdicts: Verdict[]): void {
    const head = lane.waiting[0]?.key
    const due = [...lane.untold]
    if (head !== undefined && !lane.untold.has(head)) due.push(head)
    lane.untold.clear()
    let described: Described | undefined
    for (const key of due) {
      const state = this.gangs.get(key)
      if (state === undefined) continue
      if (state.inFlight !== undefined) {
        if (key !== head) lane.untold.add(key)
        continue
      }
      if (reasonOf(blocked) === endingReason) {
        state.endingSinceMs ??= nowMs
        if (nowMs - state.endingSinceMs < endingToldAfterMs) continue
      } else state.endingSinceMs = undefined
      const told = toldTo(state.object)
      described ??= constraintOf(blocked, state.object, this)
      if (told?.reason === described.reason && told.message === described.message) continue
      verdicts.push(this.#send(state, { kind: 'wait', ...about(state), ...described }))
    }
  }

  #send<V extends Verdict>(state: GangState, verdict: V): V {
    state.inFlight = { verdict }
    return verdict
  }

  #leaveLine(key: string): void {
    // Whoever waited behind it may go now.
    if (this.line.laneOf(key)?.blocked?.head === key) this.fleet.generation++
    this.line.remove(key)
  }
}

function newState(key: string, object: Gang): GangState {
  return {
    key,
    object,
    seats: undefined,
    seatPods: [],
    inFlight: undefined,
    endingSinceMs: undefined,
  }
}

function isSame(a: Verdict, b: Verdict): boolean {
  return a.kind === b.kind && a.gang === b.gang && a.resourceVersion === b.resourceVersion
}

function about(state: GangState): { gang: string; resourceVersion: string; attempt: number } {
  const { metadata, spec } = state.object
  return { gang: state.key, resourceVersion: metadata.resourceVersion ?? '', attempt: spec.attempt }
}

function ending(gang: Gang): Blocked {
  return {
    kind: 'queue',
    reason: endingReason,
    message: `pods of an earlier attempt of gang ${gang.metadata.name} have not ended yet`,
  }
}

/**
 * The first in line for a model keeps nodes for itself; what waits only for the fleet's size or its queue keeps none. Which
 * nodes is worked out only when somebody behind it asks.
 */
class Reservations implements Reserved {
  readonly #fleet: Fleet
  readonly #waiting = new Map<string, { gang: string; shortage: Shortage; reservation?: Reservation }>()

  constructor(fleet: Fleet) {
    this.#fleet = fleet
  }

  add(blocked: Blocked, gang: string): void {
    if (blocked.kind === 'queue') return
    const { kind, alternative } = blocked.shortage
    if (kind === 'quota' || kind === 'never' || kind === 'nodes' || this.#waiting.has(alternative.model)) return
    this.#waiting.set(alternative.model, { gang, shortage: blocked.shortage })
  }

  of(model: string): Reservation | undefined {
    const waiting = this.#waiting.get(model)
    if (waiting === undefined) return undefined
    waiting.reservation ??= { gang: waiting.gang, nodes: nodesToWaitFor(this.#fleet, waiting.shortage) }
    return waiting.reservation
  }
}

const nothingReserved: Reserved = { of: () => undefined }

/** A gang that restarts stands in a lane of its own: it has room that others alike have not. */
function laneKeyOf(state: GangState): string {
  const { spec, metadata } = state.object
  const own = state.seats === undefined && state.object.spec.attempt === 1 ? '' : state.key
  return JSON.stringify([spec.queue, metadata.namespace, spec.groups, own])
}

function toldTo(gang: Gang): { reason: string; message: string } | undefined {
  if (isTrue(gang.status?.conditions, 'Scheduled')) return undefined
  const condition = conditionOf(gang.status?.conditions, 'Scheduled')
  return condition === undefined ? undefined : { reason: condition.reason ?? '', message: condition.message ?? '' }
}

function sameSeats(a: Seats | undefined, b: Seats | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined || a.attempt !== b.attempt || a.members.length !== b.members.length)
    return false
  return a.members.every((one, index) => {
    const other = b.members[index]
    return (
      other !== undefined &&
      one.pod === other.pod &&
      one.node === other.node &&
      one.ports.join() === other.ports.join() &&
      one.devices.length === other.devices.length &&
      one.devices.every(
        (device, at) => device.id === other.devices[at]?.id && device.milli === other.devices[at]?.milli,
      )
    )
  })
}

function gangOf(pod: Pod): string | undefined {
  const gang = pod.metadata.labels?.[label.gang]
  if (gang === undefined) return undefined
  const { namespace } = pod.metadata
  return namespace === undefined ? gang : `${namespace}/${gang}`
}
