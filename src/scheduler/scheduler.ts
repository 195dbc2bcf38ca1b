import { assert } from '../base/errors.ts'
import { conditionOf, isTrue } from '../model/conditions.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { label } from '../model/names.ts'
import { keyOf } from '../model/refs.ts'
import type { Change, Scheduler, Verdict, Victim, Why } from './contract.ts'
import type { Fit } from './fit/fit.ts'
import { heldPlaces, isHeld } from './fit/held.ts'
import { fitOrLeast } from './fit/least.ts'
import { claimsOf, seatsOf } from './fit/seats.ts'
import type { Reserved } from './fit/shortage.ts'
import { claimFromPod, Fleet, hasEnded } from './fleet/fleet.ts'
import { Mix } from './fleet/mix.ts'
import { type Claim, heldMilli } from './fleet/nodes.ts'
import {
  type GangState,
  type Kept,
  keptBy,
  larger,
  newState,
  noFewerThanBefore,
  noMoreThanHeld,
  podsOf,
  victimsOf,
  wantsOf,
} from './gangs.ts'
import { queueBlock, quotaLeft } from './line/admission.ts'
import { Growth, type Resize } from './line/growth.ts'
import { type Blocked, type Lane, Line, type Waiting } from './line/line.ts'
import { Order } from './line/order.ts'
import {
  earliestStart,
  endIfStarted,
  endOfGang,
  nothingReserved,
  Reservations,
  type Start,
} from './line/reservations.ts'
import { type Displaced, displace, displaceable } from './preemption/preemption.ts'
import { Seated } from './preemption/seated.ts'
import { Displacements } from './quota/displacements.ts'
import { QuotaTree } from './quota/tree.ts'
import { constraintOf, type Described, preemptingMessage, reasonOf } from './why/reasons.ts'
import { type Explained, explain } from './why/why.ts'

/**
 * Order: priority, then fair share, then age, then name. A gang that does not fit displaces whom it may, if it then fits:
 * what it will sit on is kept for it until they have left. Else it keeps, for its accelerator model, the nodes on which it
 * can start first (`reservations.ts`): whoever comes later in line may not take that model there unless it ends before, so
 * that a large gang is not starved by a stream of small ones. It blocks nobody on other nodes or of another model, and
 * nothing at all while what holds it back is its queue's quota or the size of the fleet. A gang that restarts keeps what
 * its void seats name until it sits again.
 */
export function createScheduler(): Scheduler {
  return new FleetScheduler()
}

/** When a lane's reason changes, so many from its front are told; the others keep what they were told first. */
const retoldAtOnce = 20
/** Killed pods are gone in milliseconds: saying so would only cost the restart a write. */
const endingToldAfterMs = 1_000
const endingReason = 'Ending'
const preemptingReason = 'Preempting'

type Unfit = Fit & { fits: false }

class FleetScheduler implements Scheduler, Explained {
  readonly quota = new QuotaTree()
  readonly fleet = new Fleet({
    add: (queue, model, milli, gang) => {
      if (gang === undefined || this.gangs.get(gang)?.leaving !== true) this.quota.add(queue, model, milli)
    },
  })
  readonly gangs = new Map<string, GangState>()
  readonly queues = new Map<string, Queue>()
  readonly pods = new Map<string, Pod>()
  readonly line = new Line()
  readonly #mix = new Mix()
  readonly displaced = new Displacements()
  readonly #seated = new Map<string, Seated>()
  /** When gangs that sit are expected to end, where that is known. */
  readonly #ends = new Map<string, number>()
  /** Gangs that wait for a gang to leave. */
  readonly #waitingFor = new Map<string, Set<string>>()
  readonly #livePods = new Map<string, Set<string>>()
  readonly #growth = new Growth()
  readonly #changed = new Set<string>()
  #countedAt = -1
  /** Rises whenever somebody comes to hold more than his queue owns. */
  #borrowings = 0

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
    this.#countCapacity()
    this.#walk(nowMs, verdicts)
    for (const verdict of this.#growth.look(this, nowMs)) verdicts.push(this.#grow(verdict))
    return verdicts
  }

  settle(verdict: Verdict, outcome: 'committed' | 'stale'): void {
    const state = this.gangs.get(verdict.gang)
    if (state?.inFlight === undefined || !isSame(state.inFlight.verdict, verdict)) return
    state.inFlight.outcome = outcome
    this.#land(state)
    this.#changed.add(state.key)
  }

  why(gang: string, nowMs: number): Why {
    return explain(this, gang, nowMs)
  }

  /** Pods of the gang that are bound and have not ended, of whatever attempt. */
  livePodsOf(key: string): ReadonlySet<string> {
    return this.#livePods.get(key) ?? new Set()
  }

  // ---- what is told ----

  #setGang(object: Gang): void {
    const key = keyOf(object)
    const known = this.gangs.get(key)
    const state = known ?? newState(key, object)
    this.gangs.set(key, state)
    const before = state.object
    state.object = object
    this.#mix.set(key, object)
    this.#land(state)
    this.#countSeats(state)
    this.#countSeated(state, before)
    this.#followHold(object, known === undefined ? undefined : before)
    this.#tellWaiting(key)
    this.#growth.follow(state)
    this.#expectEnd(key, endOfGang(object) ?? this.#assumedEnd(state))
    this.#changed.add(key)
  }

  #setQueue(object: Queue): void {
    const before = this.queues.get(object.metadata.name)
    this.queues.set(object.metadata.name, object)
    this.quota.set(object)
    if (JSON.stringify(before?.spec) !== JSON.stringify(object.spec)) this.displaced.clear()
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
    if (pods.size === 0) {
      this.#livePods.delete(gang)
      const state = this.gangs.get(gang)
      if (state !== undefined) this.#endLeaving(state)
      this.#tellWaiting(gang)
    }
    this.fleet.generation++ // its own gang may wait for just this
  }

  #forget(kind: Change['kind'], key: string): void {
    if (kind === 'Node') this.fleet.removeNode(key)
    else if (kind === 'Queue') {
      this.queues.delete(key)
      this.quota.remove(key)
      this.displaced.clear()
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
      this.#seated.get(state.object.spec.queue)?.delete(key)
      this.gangs.delete(key)
      this.#mix.set(key, undefined)
      this.#growth.forget(key)
      this.#changed.delete(key)
      this.#ends.delete(key)
      this.#tellWaiting(key)
      this.displaced.forget(key)
    }
  }

  /** A verdict is no longer in flight once its write ended and the state that followed is known. */
  #land(state: GangState): void {
    const { inFlight, object } = state
    if (inFlight?.outcome === undefined) return
    const isKnown = inFlight.verdict.resourceVersion !== object.metadata.resourceVersion
    if (isKnown) state.inFlight = undefined
    if (!isKnown && inFlight.outcome !== 'stale') return
    this.#countSeats(state)
    if (isKnown && this.quota.isBorrowing(object.spec.queue, state.holds.keys())) this.#borrowings++
    if (inFlight.outcome === 'stale' && inFlight.verdict.kind === 'preempt') this.#stay(inFlight.verdict.victims)
  }

  /** Seats that were just decided count from now on; seats that are being taken away count until they are gone. */
  #countSeats(state: GangState): void {
    const { inFlight, object } = state
    const verdict = inFlight?.outcome === 'stale' ? undefined : inFlight?.verdict
    const kept = keptBy(object)
    if (verdict?.kind === 'bind' || verdict?.kind === 'preempt') this.#setSeats(state, verdict.seats)
    else this.#setSeats(state, verdict?.kind === 'resize' && kept !== undefined ? larger(kept, verdict.added) : kept)
  }

  #setSeats(state: GangState, seats: Kept | undefined, counted?: 'anew'): void {
    if (counted === undefined && sameSeats(state.seats, seats)) return
    const claims = seats === undefined ? [] : this.#claimsOf(state, seats)
    const kept = new Set(claims.map(([pod]) => pod))
    for (const pod of state.seatPods) if (!kept.has(pod)) this.fleet.setClaim(pod, 'seat', undefined)
    for (const [pod, claim] of claims) this.fleet.setClaim(pod, 'seat', claim)
    state.seats = seats
    state.seatPods = [...kept]
    state.holds = sumOf(claims)
    this.#endLeaving(state)
  }

  /**
   * What is kept for a gang takes of CPU and memory only what those who leave for it will not have given back: as long as
   * they are there, they hold it.
   */
  #claimsOf(state: GangState, seats: Kept): [string, Claim][] {
    const claims = claimsOf(state.object, seats, (node, id) => this.#modelOf(node, id))
    const coming = this.#comingFrom(victimsOf(state))
    if (coming.size === 0) return claims
    return claims.map(([pod, claim]) => {
      const node = coming.get(claim.node)
      if (node === undefined) return [pod, claim]
      const cpuMilli = Math.max(0, claim.cpuMilli - node.cpuMilli)
      const memoryBytes = Math.max(0, claim.memoryBytes - node.memoryBytes)
      node.cpuMilli = Math.max(0, node.cpuMilli - claim.cpuMilli)
      node.memoryBytes = Math.max(0, node.memoryBytes - claim.memoryBytes)
      return [pod, { ...claim, cpuMilli, memoryBytes }]
    })
  }

  /** By node, what the victims still hold. */
  #comingFrom(victims: readonly Victim[]): Map<string, { cpuMilli: number; memoryBytes: number }> {
    const coming = new Map<string, { cpuMilli: number; memoryBytes: number }>()
    for (const { gang, uid } of victims) {
      const victim = this.gangs.get(gang)
      if (victim === undefined || victim.object.metadata.uid !== uid) continue
      for (const pod of podsOf(victim, this.livePodsOf(gang))) {
        const claim = this.fleet.claimOf(pod)
        if (claim === undefined) continue
        const node = coming.get(claim.node) ?? { cpuMilli: 0, memoryBytes: 0 }
        node.cpuMilli += claim.cpuMilli
        node.memoryBytes += claim.memoryBytes
        coming.set(claim.node, node)
      }
    }
    return coming
  }

  /** Gangs that hold committed seats of the queue. */
  seatedIn(queue: string): Seated | undefined {
    return this.#seated.get(queue)
  }

  /** Whoever is asked to leave for a hold leaves, and stays after all when it is given up before he was asked. */
  #followHold(object: Gang, before: Gang | undefined): void {
    const { metadata, spec, status } = object
    const hold = status?.hold
    if (hold?.at === before?.status?.hold?.at) return
    if (hold === undefined) {
      const isGivenUp = spec.suspend || status?.seats?.attempt !== spec.attempt
      if (isGivenUp) this.#stay(before?.status?.hold?.victims ?? [])
      return
    }
    for (const victim of hold.victims) this.#leave(victim)
    const by = keyOf({ metadata })
    const victims = hold.victims.map(({ gang }) => gang)
    // Whoever had been leaving already does not leave for this one.
    const own = victims.filter((gang) => (this.gangs.get(gang)?.object.status?.eviction?.by ?? by) === by)
    this.displaced.record(by, own)
  }

  #leave({ gang, uid, attempt }: Victim): void {
    const state = this.gangs.get(gang)
    if (state?.object.metadata.uid === uid && state.seats?.attempt === attempt) this.#setLeaving(state, true)
  }

  /** Who was to leave stays after all, unless it was asked already, or somebody else waits for it too. */
  #stay(victims: readonly Victim[]): void {
    const wanted = new Set<string>()
    for (const { object, inFlight } of victims.length === 0 ? [] : this.gangs.values()) {
      const { verdict, outcome } = inFlight ?? {}
      if (verdict?.kind === 'preempt' && outcome !== 'stale') for (const { gang } of verdict.victims) wanted.add(gang)
      if (isHeld(object)) for (const { gang } of object.status?.hold?.victims ?? []) wanted.add(gang)
    }
    for (const { gang } of victims) {
      const state = this.gangs.get(gang)
      const isAsked = state?.object.status?.eviction !== undefined || wanted.has(gang)
      if (state !== undefined && !isAsked) this.#setLeaving(state, false)
    }
  }

  #setLeaving(state: GangState, leaving: boolean): void {
    if (state.leaving === leaving) return
    if (leaving) this.#charge(state, -1)
    state.leaving = leaving
    if (!leaving) this.#charge(state, 1)
    this.#growth.follow(state)
    this.#countSeated(state, state.object)
    if (leaving) this.fleet.generation++
  }

  /** What it still holds. */
  #charge(state: GangState, sign: 1 | -1): void {
    for (const pod of podsOf(state, this.livePodsOf(state.key))) {
      const claim = this.fleet.claimOf(pod)
      if (claim?.queue === undefined) continue
      const milli = heldMilli(claim)
      if (milli > 0) this.quota.add(claim.queue, claim.model, sign * milli)
    }
  }

  /** Once it holds nothing, nobody waits for it to leave. */
  #endLeaving(state: GangState): void {
    if (!state.leaving || state.seatPods.length > 0 || this.livePodsOf(state.key).size > 0) return
    state.leaving = false
  }

  /** Those who wait for the gang to leave look again. */
  #tellWaiting(victim: string): void {
    for (const waiting of this.#waitingFor.get(victim) ?? []) {
      const state = this.gangs.get(waiting)
      if (state !== undefined) this.#setSeats(state, state.seats, 'anew')
      const lane = this.line.laneOf(waiting)
      if (lane !== undefined && isPreempting(lane.blocked?.verdict)) lane.blocked = undefined
    }
    this.#waitingFor.delete(victim)
  }

  #countSeated(state: GangState, before: Gang): void {
    const { spec, status } = state.object
    const isSeated = !spec.suspend && status?.seats?.attempt === spec.attempt
    if (!isSeated || before.spec.queue !== spec.queue) this.#seated.get(before.spec.queue)?.delete(state.key)
    if (!isSeated) return
    const seated = this.#seated.get(spec.queue) ?? new Seated()
    this.#seated.set(spec.queue, seated)
    seated.set(state)
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
    } else if (object.status?.seats?.attempt === object.spec.attempt) {
      this.#leaveLine(key)
    } else {
      this.line.put(key, object, laneKeyOf(state))
    }
  }

  /** Lane by lane in the order of their first gangs: seat it and look at the next, or keep for it what it waits for. */
  #walk(nowMs: number, verdicts: Verdict[]): void {
    const reserved = new Reservations(this.fleet, (key) => this.startOf(key, nowMs))
    const order = new Order(this.quota, lanesOf(this.line))
    let full: { lane: Lane; fit: Unfit } | undefined
    for (let next = order.next(); next !== undefined; next = order.next()) {
      const { head } = next
      const lane = this.line.laneOf(head.key)
      assert(lane !== undefined, `gang ${head.key} has its turn but no place in line`)
      const state = this.gangs.get(head.key)
      assert(state !== undefined, `gang ${head.key} stands in line but is not known`)
      if (state.inFlight === undefined && this.#mayHaveChanged(lane, head.key)) {
        const tried = this.#try(state, reserved, nowMs, verdicts, full?.lane === lane ? full.fit : undefined)
        if (tried.kind === 'seated' || tried.kind === 'held') {
          // Those behind it are like it, and nothing was freed: they will not fit either.
          if (tried.kind === 'held' && tried.fit.shortage.kind !== 'quota') full = { lane, fit: tried.fit }
          order.enter(lane.waiting, 0)
          continue
        }
        this.#block(lane, head.key, tried)
      }
      if (lane.blocked !== undefined) {
        reserved.add(lane.blocked.verdict, head.key)
        this.#tell(lane, lane.blocked.verdict, nowMs, verdicts)
      }
    }
  }

  /**
   * Whoever waits for others to leave is looked at again when one of them has left; who is within his own also when
   * somebody borrows, for it may be his.
   */
  #mayHaveChanged(lane: Lane, head: string): boolean {
    if (lane.blocked?.head === head && isPreempting(lane.blocked.verdict)) return false
    if (lane.blocked?.generation !== this.fleet.generation || lane.blocked.head !== head) return true
    return lane.blocked.borrowings !== this.#borrowings && this.#isEntitled(head)
  }

  #block(lane: Lane, head: string, verdict: Blocked): void {
    const before = lane.blocked?.verdict
    if (before !== undefined && reasonOf(before) !== reasonOf(verdict)) {
      for (const { key } of lane.waiting.slice(0, retoldAtOnce)) lane.untold.add(key)
    }
    lane.blocked = { generation: this.fleet.generation, borrowings: this.#borrowings, head, verdict }
  }

  #isEntitled(key: string): boolean {
    const gang = this.gangs.get(key)?.object
    if (gang === undefined) return false
    const wants = wantsOf(gang)
    return !this.quota.isBorrowing(gang.spec.queue, wants.keys(), wants)
  }

  /** `known`: why one like it did not fit just now. */
  #try(
    state: GangState,
    reservations: Reservations,
    nowMs: number,
    verdicts: Verdict[],
    known: Unfit | undefined,
  ): Blocked | { kind: 'seated' } | { kind: 'held'; fit: Unfit } {
    const { object, key } = state
    const queue = queueBlock(this.queues, object)
    if (queue !== undefined) {
      // Nobody knows when it may start: what is kept for it, or asked of it, serves others meanwhile.
      if (isHeld(object) || (state.leaving && state.seats !== undefined))
        verdicts.push(this.#send(state, { kind: 'release', ...about(state) }))
      return queue
    }
    if (this.#hasLivePodsOf(state)) return ending(object)
    const isKept = state.seats !== undefined
    const reserved = isKept ? nothingReserved : reservations.for(object, nowMs)
    const before = noFewerThanBefore(object)
    const asBefore = before === undefined ? undefined : this.#fit(state, reserved, before)
    // What its own pods still hold, it will have back: it does not come back smaller for being quicker than they.
    if (asBefore?.fits === false && this.livePodsOf(key).size > 0) return ending(object)
    const fit = asBefore?.fits === true ? asBefore : (known ?? this.#fit(state, reserved, noMoreThanHeld(object)))
    if (fit.fits) {
      this.#decide(state, { kind: 'bind', ...about(state), seats: seatsOf(object, fit.placed) }, verdicts)
      this.#expectEnd(key, endIfStarted(object, nowMs))
      return { kind: 'seated' }
    }
    if (this.livePodsOf(key).size > 0) return ending(object)
    const leaving = this.#victimsLeaving(object)
    if (leaving.length > 0) {
      for (const victim of leaving) {
        this.#leave(victim)
        this.#waitFor(victim.gang, key)
      }
      return preempting(leaving)
    }
    const held = heldPlaces(this.fleet, this.quota, object)
    if (held !== undefined) {
      this.#decide(state, { kind: 'bind', ...about(state), seats: seatsOf(object, held) }, verdicts)
      this.#expectEnd(key, endIfStarted(object, nowMs))
      return { kind: 'seated' }
    }
    // What was kept for it is of no use any more: it is given back first, and decided about anew after that.
    if (isKept) verdicts.push(this.#send(state, { kind: 'release', ...about(state) }))
    else {
      const displaced = this.#displace(state, fit, reserved, nowMs)
      if (displaced !== undefined) {
        const { placed, victims } = displaced
        this.#decide(state, { kind: 'preempt', ...about(state), seats: seatsOf(object, placed), victims }, verdicts)
        return { kind: 'held', fit }
      }
    }
    return { kind: 'shortage', shortage: fit.shortage }
  }

  /** Of seats that are not committed yet. */
  #assumedEnd({ inFlight, key }: GangState): number | undefined {
    return inFlight?.verdict.kind === 'bind' && inFlight.outcome !== 'stale' ? this.#ends.get(key) : undefined
  }

  /** Somebody may be able to run until then on what is kept for others. */
  #expectEnd(key: string, atMs: number | undefined): void {
    if (this.#ends.get(key) === atMs) return
    if (atMs === undefined) this.#ends.delete(key)
    else {
      this.#ends.set(key, atMs)
      this.fleet.generation++
    }
  }

  /** What it grows into is its own from now on. */
  #grow(verdict: Resize): Resize {
    const state = this.gangs.get(verdict.gang)
    assert(state !== undefined, `gang ${verdict.gang} grows but is not known`)
    this.#send(state, verdict)
    this.#countSeats(state)
    return verdict
  }

  #waitFor(victim: string, gang: string): void {
    const waiting = this.#waitingFor.get(victim) ?? new Set()
    this.#waitingFor.set(victim, waiting)
    waiting.add(gang)
  }

  #decide(state: GangState, verdict: Verdict & { kind: 'bind' | 'preempt' }, verdicts: Verdict[]): void {
    this.#leaveLine(state.key)
    this.#setLeaving(state, false)
    verdicts.push(this.#send(state, verdict))
    this.#countSeats(state)
    if (verdict.kind === 'preempt') for (const victim of verdict.victims) this.#leave(victim)
  }

  /** Whom it may displace, so that it fits. */
  #displace({ key, object }: GangState, fit: Unfit, reserved: Reserved, nowMs: number): Displaced | undefined {
    if (!displaceable.has(fit.shortage.kind)) return undefined
    return displace(this, { key, object, reserved }, nowMs)
  }

  /** Those that were asked to leave for it and have not yet. */
  #victimsLeaving({ spec, status }: Gang): Victim[] {
    const { hold } = status ?? {}
    if (hold?.attempt !== spec.attempt) return []
    return hold.victims.filter(({ gang, uid, attempt }) => {
      const victim = this.gangs.get(gang)
      if (victim?.object.metadata.uid !== uid) return false
      return victim.seats?.attempt === attempt || this.livePodsOf(gang).size > 0
    })
  }

  /** When and where a gang that waits would start, by the ends that are known. */
  startOf(key: string, nowMs: number): Start | undefined {
    const state = this.gangs.get(key)
    if (state === undefined) return undefined
    const endings = [...this.#ends].flatMap(([gang, atMs]) => {
      const one = gang === key ? undefined : this.gangs.get(gang)
      return one === undefined ? [] : [{ atMs, pods: podsOf(one, this.livePodsOf(gang)) }]
    })
    if (endings.length === 0) return undefined
    return earliestStart(this.fleet, endings, nowMs, () => {
      const fit = this.#fit(state, nothingReserved)
      return fit.fits ? fit.placed : undefined
    })
  }

  #countCapacity(): void {
    if (this.#countedAt === this.fleet.layout) return
    this.#countedAt = this.fleet.layout
    this.displaced.clear()
    for (const model of this.fleet.models()) this.quota.setCapacity(model, 1000 * this.fleet.countOf(model).total)
  }

  /** The gang's own void seats don't stand in its way; its own live pods do, whatever attempt they are of. */
  #fit({ object: asItIs, key, seats, seatPods }: GangState, reserved: Reserved, object: Gang = asItIs): Fit {
    const live = this.livePodsOf(key)
    return this.fleet.attempt(() => {
      for (const pod of seatPods) if (!live.has(pod)) this.fleet.lift(pod)
      const before = seats === undefined ? undefined : { members: seats.members, mayMove: true }
      const left = quotaLeft(this.quota, this.fleet, object)
      return fitOrLeast(this.fleet, { gang: key, object, quotaLeft: left, reserved, before })
    })
  }

  /** Pods of this very attempt that still live without seats would be seated a second time. */
  #hasLivePodsOf(state: GangState): boolean {
    const live = this.#livePods.get(state.key)
    if (live === undefined || state.seats?.attempt === state.object.spec.attempt) return false
    const attempt = String(state.object.spec.attempt)
    return [...live].some((key) => this.pods.get(key)?.metadata.labels?.[label.attempt] === attempt)
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

/** Those who wait for others to leave have nothing to decide until one of them has left. */
function* lanesOf(line: Line): Iterable<readonly Waiting[]> {
  for (const { waiting, blocked, untold } of line.lanes()) {
    const isLookedAt = blocked?.head !== waiting[0]?.key || !isPreempting(blocked?.verdict) || untold.size > 0
    if (isLookedAt) yield waiting
  }
}

function isPreempting(blocked: Blocked | undefined): boolean {
  return blocked?.kind === 'queue' && blocked.reason === preemptingReason
}

function preempting(victims: readonly Victim[]): Blocked {
  return { kind: 'queue', reason: preemptingReason, message: preemptingMessage(victims) }
}

function sumOf(claims: readonly [string, Claim][]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const [, claim] of claims) {
    const milli = heldMilli(claim)
    if (milli > 0) sums.set(claim.model, (sums.get(claim.model) ?? 0) + milli)
  }
  return sums
}

/** A gang that restarts stands in a lane of its own: it has room that others alike have not. */
function laneKeyOf(state: GangState): string {
  const { spec, metadata } = state.object
  const own = state.seats === undefined && state.object.spec.attempt === 1 ? '' : state.key
  return JSON.stringify([spec.queue, metadata.namespace, spec.groups, spec.topology, spec.together, own])
}

function toldTo(gang: Gang): { reason: string; message: string } | undefined {
  if (isTrue(gang.status?.conditions, 'Scheduled')) return undefined
  const condition = conditionOf(gang.status?.conditions, 'Scheduled')
  return condition === undefined ? undefined : { reason: condition.reason ?? '', message: condition.message ?? '' }
}

function sameSeats(a: Kept | undefined, b: Kept | undefined): boolean {
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
