import { assert } from '../base/errors.ts'
import { conditionOf, isTrue } from '../model/conditions.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { keyOf } from '../model/refs.ts'
import { withoutLeft } from '../model/seats.ts'
import { mayUseSpares } from '../model/spares.ts'
import type { Change, Scheduler, Verdict, Why } from './contract.ts'
import { Defragmentation } from './defragmentation/defragmentation.ts'
import type { Fit } from './fit/fit.ts'
import { heldPlaces, isHeld } from './fit/held.ts'
import { fitOrLeast } from './fit/least.ts'
import type { Placed } from './fit/search.ts'
import { seatsOf } from './fit/seats.ts'
import { besideSparesFor, type Reserved } from './fit/shortage.ts'
import { Mix } from './fleet/mix.ts'
import {
  type GangState,
  hasLeft,
  isElastic,
  keptBy,
  newState,
  noFewerThanBefore,
  noMoreThanHeld,
  podsOf,
  serviceOf,
} from './gangs.ts'
import { queueBlock, quotaLeft } from './line/admission.ts'
import { yieldsIn } from './line/entitled.ts'
import { Growth, type Resize } from './line/growth.ts'
import { type Blocked, isPreempting, type Lane, type Line, type Start, type Waiting } from './line/line.ts'
import { Order } from './line/order.ts'
import { Rejoin } from './line/rejoin.ts'
import {
  type ExpectedEnd,
  earliestStart,
  endIfStarted,
  endOf,
  type LastKept,
  nothingReserved,
  Reservations,
} from './line/reservations.ts'
import { soonerThan } from './line/sooner.ts'
import { isWithinReach } from './preemption/arrivals.ts'
import { Departures } from './preemption/departures.ts'
import { displace, displaceable, limitsOn } from './preemption/preemption.ts'
import { Sparing } from './preemption/sparing.ts'
import { State } from './state.ts'
import type { Explained } from './why/explained.ts'
import { constraintOf, type Described, reasonOf } from './why/reasons.ts'
import { explain } from './why/why.ts'

/**
 * Order: priority, then fair share, then age, then name. A gang that does not fit displaces whom it may, if it then fits:
 * what it will sit on is kept for it until they have left. Else it keeps, for its accelerator model, the nodes on which it
 * can start first (`reservations.ts`): whoever comes later in line may not take that model there unless it ends before, so
 * that a large gang is not starved by a stream of small ones. It blocks nobody on other nodes or of another model, and
 * nothing at all while what holds it back is its queue's quota or the size of the fleet. A gang that restarts keeps what
 * its void seats name until it sits again.
 */
export function createScheduler(): FleetScheduler {
  return new FleetScheduler()
}

/** When a lane's reason changes, so many from its front are told; the others keep what they were told first. */
const retoldAtOnce = 20
/** Killed pods are gone in milliseconds: saying so would only cost the restart a write. */
const endingToldAfterMs = 1_000
const endingReason = 'Ending'
/** So long a gang that starts again waits for its own pods to end rather than to sit elsewhere; one that cannot be killed must not keep it longer. */
const inPlacePatienceMs = 10_000

type Unfit = Fit & { fits: false }

export class FleetScheduler extends State implements Scheduler, Explained {
  readonly #mix = new Mix()
  readonly #departures = new Departures(this)
  readonly #growth = new Growth()
  readonly #rejoin = new Rejoin()
  readonly #defragmentation = new Defragmentation()
  /** When gangs that sit are expected to end, where that is known. */
  readonly ends = new Map<string, ExpectedEnd>()
  readonly #changed = new Set<string>()
  readonly #lastKept: LastKept = new Map()

  apply(change: Change): void {
    if ('deleted' in change) this.#forget(change.kind, change.deleted)
    else if (change.kind === 'Node') this.setNode(change.object)
    else if (change.kind === 'Pod') this.#tellOf(this.setPod(change.object))
    else if (change.kind === 'Gang') this.#setGang(withoutLeft(change.object))
    else if (change.kind === 'Pool') this.#lookAgainIf(this.fleet.spares.set(change.object))
    else this.#setQueue(change.object)
  }

  /** When something about it is wrong nobody gets a verdict: what was decided of some by then is decided anew. */
  decide(nowMs: number): Verdict[] {
    const verdicts: Verdict[] = []
    try {
      this.#look(nowMs, verdicts)
    } catch (error) {
      for (const { gang } of verdicts) this.#takeBack(gang)
      throw error
    }
    return verdicts
  }

  #look(nowMs: number, verdicts: Verdict[]): void {
    this.#departures.keepEnded(this.ending)
    this.keepRest()
    for (const key of this.#changed) this.#sort(key, verdicts)
    this.#changed.clear()
    this.#mix.teach(this.fleet)
    this.countCapacity()
    for (const verdict of this.#rejoin.look(this, nowMs)) this.#join(verdict, verdicts)
    const reservations = this.#walk(nowMs, verdicts)
    for (const verdict of this.#defragmentation.look(this, reservations, nowMs)) this.#makeRoom(verdict, verdicts)
    for (const verdict of this.#growth.look(this, nowMs)) {
      if (verdict.kind === 'bind') this.#join(verdict, verdicts)
      else this.#grow(verdict, verdicts)
    }
  }

  #takeBack(gang: string): void {
    const state = this.gangs.get(gang)
    if (state === undefined) return
    state.inFlight = undefined
    this.countSeats(state)
    this.#departures.follow(state)
    this.#changed.add(gang)
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

  /** Told the same objects as another, goes on from what that one remembers beyond them: it decides the same. */
  takeOver(other: FleetScheduler): void {
    this.countCapacity()
    this.#mix.takeOver(other.#mix)
    this.fleet.packAs(other.fleet)
    this.displaced.takeOver(other.displaced)
  }

  // ---- what is told ----

  #setGang(object: Gang): void {
    const key = keyOf(object)
    const known = this.gangs.get(key)
    const state = known ?? newState(key, object)
    this.gangs.set(key, state)
    const before = state.object
    state.object = object
    const service = serviceOf(object)
    if (known === undefined && service !== undefined) this.displaced.join(key, service)
    // What it was to others it was with less accelerator-time: they may ask each other once more.
    if (before.spec.served !== object.spec.served && this.displaced.forget(key)) this.fleet.generation++
    this.countFirm(state, !object.spec.preemptible)
    this.#mix.set(key, object)
    this.#land(state)
    this.countSeats(state)
    this.countSeated(state, before)
    this.#departures.follow(state)
    this.#departures.remember(state, known === undefined ? undefined : before)
    this.#departures.tell(key)
    this.followBudget(key)
    this.#growth.follow(state)
    this.#rejoin.follow(state)
    this.#expectEnd(key, endOf(object) ?? this.#assumedEnd(state))
    this.#changed.add(key)
  }

  #setQueue(object: Queue): void {
    const before = this.queues.get(object.metadata.name)
    this.queues.set(object.metadata.name, object)
    this.quota.set(object)
    if (JSON.stringify(before?.spec) === JSON.stringify(object.spec)) return
    this.displaced.clear()
    this.fleet.generation++
  }

  #forget(kind: Change['kind'], key: string): void {
    if (kind === 'Node') this.fleet.removeNode(key)
    else if (kind === 'Pool') this.#lookAgainIf(this.fleet.spares.remove(key))
    else if (kind === 'Queue') {
      this.queues.delete(key)
      this.quota.remove(key)
      this.displaced.clear()
      this.fleet.generation++
    } else if (kind === 'Pod') this.#tellOf(this.removePod(key))
    else {
      const state = this.gangs.get(key)
      if (state === undefined) return
      this.#leaveLine(key)
      this.removeGang(state)
      this.fleet.neighbours.forget(key)
      this.#mix.set(key, undefined)
      this.#growth.forget(key)
      this.#rejoin.forget(key)
      this.#changed.delete(key)
      this.ends.delete(key)
      this.#departures.forget(key)
      this.#departures.tell(key)
    }
  }

  /** Everybody. */
  #lookAgainIf(mayFit: boolean): void {
    if (mayFit) this.fleet.generation++
  }

  /** Those who wait for it look again. */
  #tellOf(gang: string | undefined): void {
    if (gang !== undefined) this.#departures.tell(gang)
  }

  /**
   * A verdict is no longer in flight once its write ended and the state that followed is known. One that was refused may
   * have been refused for its own sake: an earlier try was written, and its answer lost.
   */
  #land(state: GangState): void {
    const { inFlight, object } = state
    if (inFlight?.outcome === undefined) return
    if (inFlight.verdict.resourceVersion === object.metadata.resourceVersion) return
    state.inFlight = undefined
    this.countSeats(state)
    if (inFlight.verdict.kind === 'release') this.#lookAgain(state.key)
    if (keptBy(object) !== undefined) this.noteArrival(state)
    this.#departures.follow(state)
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
      this.line.put(key, object, this.#laneKeyOf(state))
    }
  }

  /** Lane by lane in the order of their first gangs: seat it and look at the next, or keep for it what it waits for. */
  #walk(nowMs: number, verdicts: Verdict[]): Reservations {
    const yields = yieldsIn(this.quota, this.gangs)
    const reserved = new Reservations(this.fleet, (key) => this.startOf(key, nowMs), yields, this.#lastKept)
    const order = new Order(this.quota, lanesOf(this.line, this.fleet.layout))
    let full: { lane: Lane; fit: Unfit } | undefined
    for (let next = order.next(); next !== undefined; next = order.next()) {
      const { head } = next
      const lane = this.line.laneOf(head.key)
      assert(lane !== undefined, `gang ${head.key} has its turn but no place in line`)
      const state = this.gangs.get(head.key)
      assert(state !== undefined, `gang ${head.key} stands in line but is not known`)
      const isFirst = lane.waiting[0] === head
      if (state.inFlight === undefined && this.#mayHaveChanged(lane, head, reserved, nowMs)) {
        const tried = this.#try(state, reserved, nowMs, verdicts, isFirst && full?.lane === lane ? full.fit : undefined)
        if (tried.kind !== 'seated' && tried.kind !== 'held') {
          this.#block(lane, head, tried, reserved)
          this.#tellOf(this.nextSeats.inPlaceOf(state)?.key)
        } else if (isFirst) {
          // Those behind it are like it, and nothing was freed: they will not fit either.
          if (tried.kind === 'held' && tried.fit.shortage.kind !== 'quota') full = { lane, fit: tried.fit }
          order.enter(lane.waiting, 0)
          continue
        }
      }
      if (lane.blocked === undefined) continue
      const hasSat = this.line.laneOf(head.key) !== lane
      const sooner = soonerThan(lane, hasSat ? lane.waiting[0] : head, reserved, nowMs)
      if (isFirst) reserved.add(lane.blocked.verdict, head.key)
      if (sooner !== undefined) order.enter(lane.waiting, sooner)
      // What the first waits for may be another thing since; that is looked at next time.
      else if (!hasSat) this.#tell(lane, nowMs, verdicts)
    }
    return reserved
  }

  /**
   * Whether the gang may fare otherwise than when it was looked at last. Whoever waits for others to leave is
   * told when one of them has left, and looks again when nodes have come. Others look again when something was freed, or is kept for others than before, and when
   * somebody came of whom they might take something, or the time has come to. Whether nodes are kept for a gang, or are there but kept from it, may
   * also change when something is taken.
   */
  #mayHaveChanged(lane: Lane, { key, gang }: Waiting, reserved: Reservations, nowMs: number): boolean {
    const tried = lane.triedOf(key)
    if (tried === undefined) return true
    const { verdict, seen } = tried
    if (isPreempting(verdict)) return seen.layout !== this.fleet.layout
    if (seen.generation !== this.fleet.generation) return true
    if (isDue(verdict, nowMs)) return true
    if (verdict.kind === 'queue') return false
    const { kind } = verdict.shortage
    const keeps = () =>
      kind === 'behind' || kind === 'spares' || reserved.keepsFor(verdict) || reserved.mayKeepFor(gang)
    if (seen.taken !== this.fleet.taken && keeps()) return true
    if (kind !== 'behind' && !displaceable.has(kind)) return false
    if (seen.reserved !== reserved.versionFor(gang)) return true
    return this.arrivals.someSince(seen.arrivals, (arrival) => isWithinReach(this.quota, gang, arrival))
  }

  #block(lane: Lane, { key, gang }: Waiting, verdict: Blocked, reservations: Reservations): void {
    const isFirst = lane.waiting[0]?.key === key
    const before = isFirst ? lane.blocked?.verdict : lane.verdictOn(key)
    if (before !== undefined && reasonOf(before) !== reasonOf(verdict)) {
      if (!isFirst) lane.untold.add(key)
      else for (const one of lane.waiting.slice(0, retoldAtOnce)) lane.untold.add(one.key)
    }
    const { generation, taken, layout } = this.fleet
    const [reserved, arrivals] = [reservations.versionFor(gang), this.arrivals.count]
    const seen = { generation, taken, layout, reserved, arrivals }
    if (isFirst) {
      lane.blocked = { head: key, verdict, seen }
      lane.sooner.clear()
    } else lane.sooner.set(key, { head: key, verdict, seen })
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
      if (isHeld(object) || ((state.leaving || hasLeft(object)) && keptBy(object) !== undefined))
        verdicts.push(this.#send(state, { kind: 'release', ...about(state) }))
      return queue
    }
    if (this.hasLivePodsOf(state)) return ending(object)
    const unasked = this.#departures.unaskedBy(state)
    if (unasked !== undefined) return unasked
    const isKept = state.seats !== undefined || this.nextSeats.stepsIn(state)
    const reserved = isKept ? nothingReserved : reservations.for(object, nowMs)
    const before = noFewerThanBefore(object)
    const asBefore = before === undefined ? undefined : this.#fit(state, reserved, before)
    // What its own pods still hold, it will have back: it does not come back smaller for being quicker than they.
    if (asBefore?.fits === false && this.livePodsOf(key).size > 0) return ending(object)
    const fit = asBefore?.fits === true ? asBefore : (known ?? this.#fit(state, reserved, noMoreThanHeld(object)))
    const inPlaceUntilMs = fit.fits ? this.#inPlaceUntilMs(state, fit.placed, nowMs) : nowMs
    if (inPlaceUntilMs > nowMs) return { ...ending(object), lookAtMs: inPlaceUntilMs }
    if (fit.fits) {
      this.#seat(state, fit.placed, nowMs, verdicts)
      return { kind: 'seated' }
    }
    if (this.livePodsOf(key).size > 0) return ending(object)
    const awaited = this.#departures.awaitedBy(state)
    if (awaited !== undefined) return awaited
    const held = heldPlaces(this.fleet, this.quota, object, (gang) => this.#departures.leaversFor(gang))
    if (held !== undefined) {
      this.#seat(state, held, nowMs, verdicts)
      return { kind: 'seated' }
    }
    // What was kept for it is of no use any more: it is given back first, and decided about anew after that. So are void
    // seats that it shrinks to and that others have by now, lest whoever starts anew from the same gangs keep them for it.
    const { shortage } = fit
    const isOnRecord = keptBy(object) !== undefined
    if (isOnRecord) verdicts.push(this.#send(state, { kind: 'release', ...about(state) }))
    if (isKept || isOnRecord || !displaceable.has(shortage.kind)) return { kind: 'shortage', shortage }
    const sparing = new Sparing(this, object.spec.queue, nowMs)
    const incoming = { key, object, reserved: besideSparesFor(this.fleet, object, reserved) }
    const displaced = displace(this, incoming, nowMs, sparing)
    if (displaced === undefined) return { kind: 'shortage', shortage, ...limitsOn(this, incoming, nowMs, sparing) }
    const { placed, victims } = displaced
    this.#decide(state, { kind: 'preempt', ...about(state), seats: seatsOf(object, placed), victims }, verdicts)
    return { kind: 'held', fit }
  }

  /**
   * Until when it waits for pods of its own to end on nodes that it would otherwise leave: what it has there (images, pages,
   * copies of its checkpoint) lets it start sooner than elsewhere.
   */
  #inPlaceUntilMs(state: GangState, placed: readonly Placed[], nowMs: number): number {
    const live = this.livePodsOf(state.key)
    if (live.size === 0) {
      state.endingSinceMs = undefined
      return nowMs
    }
    const next = new Set(placed.map(({ node }) => node.name))
    const leaves = (state.seats?.members ?? []).some(({ node, pod }) => {
      const isLive = live.has(`${state.object.metadata.namespace ?? 'default'}/${pod}`)
      return isLive && !next.has(node) && this.fleet.nodes.get(node)?.closed === undefined
    })
    if (!leaves) return nowMs
    state.endingSinceMs ??= nowMs
    return state.endingSinceMs + inPlacePatienceMs
  }

  /** Of seats that are not committed yet. */
  #assumedEnd({ inFlight, key }: GangState): ExpectedEnd | undefined {
    return inFlight?.verdict.kind === 'bind' ? this.ends.get(key) : undefined
  }

  /** Somebody may be able to run until then on what is kept for others. */
  #expectEnd(key: string, end: ExpectedEnd | undefined): void {
    const before = this.ends.get(key)
    if (end === undefined) this.ends.delete(key)
    else this.ends.set(key, end)
    if (before?.atMs !== end?.atMs) this.fleet.generation++
  }

  /** What it grows into is its own from now on. */
  #grow(verdict: Resize, verdicts: Verdict[]): void {
    const state = this.gangs.get(verdict.gang)
    assert(state !== undefined, `gang ${verdict.gang} grows but is not known`)
    verdicts.push(this.#send(state, verdict))
    this.countSeats(state)
  }

  /** Members come to one that sits. */
  #join(verdict: Verdict & { kind: 'bind' }, verdicts: Verdict[]): void {
    const state = this.gangs.get(verdict.gang)
    assert(state !== undefined, `gang ${verdict.gang} is joined but is not known`)
    this.#decide(state, verdict, verdicts)
  }

  #seat(state: GangState, placed: readonly Placed[], nowMs: number, verdicts: Verdict[]): void {
    const seats = seatsOf(state.object, placed)
    state.endingSinceMs = undefined
    this.#decide(state, { kind: 'bind', ...about(state), seats }, verdicts)
    this.#expectEnd(state.key, endIfStarted(state.object, nowMs, seats.speed ?? 1))
  }

  #makeRoom(verdict: Verdict & { kind: 'preempt' }, verdicts: Verdict[]): void {
    const state = this.gangs.get(verdict.gang)
    assert(state !== undefined, `others move for gang ${verdict.gang} but it is not known`)
    this.#decide(state, verdict, verdicts)
  }

  #decide(state: GangState, verdict: Verdict & { kind: 'bind' | 'preempt' }, verdicts: Verdict[]): void {
    this.#leaveLine(state.key)
    this.setLeaving(state, false)
    verdicts.push(this.#send(state, verdict))
    this.countSeats(state)
    this.#departures.follow(state)
  }

  /** When and where a gang that waits would start: by the ends that are known, or by displacing somebody later. */
  startOf(key: string, nowMs: number): Start | undefined {
    const byEnds = this.#startByEnds(key, nowMs)
    const blocked = this.line.laneOf(key)?.verdictOn(key)
    const later = blocked?.kind === 'shortage' ? blocked.later : undefined
    return later !== undefined && later.atMs < (byEnds?.atMs ?? Number.POSITIVE_INFINITY) ? later : byEnds
  }

  #startByEnds(key: string, nowMs: number): Start | undefined {
    const state = this.gangs.get(key)
    if (state === undefined) return undefined
    const endings = [...this.ends].flatMap(([gang, { atMs }]) => {
      const one = gang === key ? undefined : this.gangs.get(gang)
      return one === undefined ? [] : [{ gang, atMs, pods: () => podsOf(one, this.livePodsOf(gang)) }]
    })
    if (endings.length === 0) return undefined
    return earliestStart(this.fleet, endings, nowMs, () => {
      const fit = this.#fit(state, nothingReserved)
      return fit.fits ? fit.placed : undefined
    })
  }

  /**
   * The gang's own void seats don't stand in its way, nor what is kept for the one in whose place it comes; its own live pods
   * do, whatever attempt they are of.
   */
  #fit(state: GangState, reserved: Reserved, object: Gang = state.object): Fit {
    const { key, seatPods } = state
    const live = this.livePodsOf(key)
    return this.fleet.attempt(() => {
      const moving = this.nextSeats.inPlaceOf(state)
      for (const pod of seatPods) if (!live.has(pod)) this.fleet.lift(pod)
      for (const pod of moving?.movingPods ?? []) this.fleet.lift(pod)
      const seats = state.seats ?? moving?.moving
      const before = seats === undefined ? undefined : { members: seats.members, mayMove: true }
      const left = this.#departures.whileTheyStay(state, () => quotaLeft(this.quota, this.fleet, object))
      return fitOrLeast(this.fleet, { gang: key, object, quotaLeft: left, reserved, before })
    })
  }

  #tell(lane: Lane, nowMs: number, verdicts: Verdict[]): void {
    const head = lane.waiting[0]?.key
    const due = [...lane.untold]
    if (head !== undefined && !lane.untold.has(head)) due.push(head)
    lane.untold.clear()
    let ofOthers: Described | undefined
    for (const key of due) {
      const state = this.gangs.get(key)
      const blocked = lane.verdictOn(key)
      if (state === undefined || blocked === undefined) continue
      if (state.inFlight !== undefined) {
        if (key !== head) lane.untold.add(key)
        continue
      }
      if (reasonOf(blocked) === endingReason) {
        state.endingSinceMs ??= nowMs
        if (nowMs - state.endingSinceMs < endingToldAfterMs) continue
      } else state.endingSinceMs = undefined
      const told = toldTo(state.object)
      const isOwn = key === head || lane.sooner.has(key)
      const described = isOwn || ofOthers === undefined ? constraintOf(blocked, state.object, this) : ofOthers
      if (!isOwn) ofOthers = described
      if (told?.reason === described.reason && told.message === described.message) continue
      verdicts.push(this.#send(state, { kind: 'wait', ...about(state), ...described }))
    }
  }

  #send<V extends Verdict>(state: GangState, verdict: V): V {
    state.inFlight = { verdict }
    return verdict
  }

  /** A gang that restarts stands in a lane of its own while it has room that others alike have not. */
  #laneKeyOf({ key, object, seats }: GangState): string {
    const { spec, metadata } = object
    const { status } = object
    const hasNothing = seats === undefined && status?.seats === undefined && status?.hold === undefined
    const isLikeOthers = hasNothing && this.livePodsOf(key).size === 0 && spec.replaces === undefined
    const own = isLikeOthers ? '' : key
    const company = spec.groups.map((group) => this.fleet.neighbours.of(object, group)?.key)
    const { queue, preemptible, preemptionPolicy, groups, topology, together } = spec
    const terms = [queue, preemptible, metadata.namespace, groups, topology, together]
    return JSON.stringify([...terms, own, company, preemptionPolicy, mayUseSpares(object)])
  }

  /** It gave something back first; nothing need have been freed by that. */
  #lookAgain(key: string): void {
    const lane = this.line.laneOf(key)
    if (lane?.blocked?.head === key) lane.blocked = undefined
  }

  #leaveLine(key: string): void {
    // Whoever waited behind it may go now.
    if (this.line.laneOf(key)?.blocked?.head === key) this.fleet.generation++
    this.line.remove(key)
    const object = this.gangs.get(key)?.object
    // Others look for more room while they sit.
    if (object !== undefined && !isElastic(object) && object.spec.rejoins !== true) this.fleet.neighbours.forget(key)
  }
}

/** Of one gang. */
function isSame(a: Verdict, b: Verdict): boolean {
  return a.kind === b.kind && a.resourceVersion === b.resourceVersion
}

function about(state: GangState): { gang: string; resourceVersion: string; attempt: number } {
  const { metadata, spec } = state.object
  return { gang: state.key, resourceVersion: metadata.resourceVersion ?? '', attempt: spec.attempt }
}

/** Whether the time has come at which it may displace somebody, or waits no longer for its own pods. */
function isDue(blocked: Blocked, nowMs: number): boolean {
  return blocked.lookAtMs !== undefined && blocked.lookAtMs <= nowMs
}

function ending(gang: Gang): Blocked & { kind: 'queue' } {
  return {
    kind: 'queue',
    reason: endingReason,
    message: `pods of an earlier attempt of gang ${gang.metadata.name} have not ended yet`,
  }
}

/** Those who wait for others to leave have nothing to decide until one of them has left, or nodes have come. */
function* lanesOf(line: Line, layout: number): Iterable<readonly Waiting[]> {
  for (const { waiting, blocked, untold } of line.lanes()) {
    const isWaiting = isPreempting(blocked?.verdict) && blocked?.seen.layout === layout
    if (!isWaiting || blocked.head !== waiting[0]?.key || untold.size > 0) yield waiting
  }
}

function toldTo(gang: Gang): { reason: string; message: string } | undefined {
  if (isTrue(gang.status?.conditions, 'Scheduled')) return undefined
  const condition = conditionOf(gang.status?.conditions, 'Scheduled')
  return condition === undefined ? undefined : { reason: condition.reason ?? '', message: condition.message ?? '' }
}
