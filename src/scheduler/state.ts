import type { Node, Pod } from '../model/kinds/kubernetes.ts'
import type { Queue } from '../model/kinds/queue.ts'
import { label } from '../model/names.ts'
import { controllerOf, keyOf } from '../model/refs.ts'
import type { Victim } from './contract.ts'
import { NextSeats } from './defragmentation/next-seats.ts'
import { portsInstead } from './fit/claims.ts'
import { claimsOf } from './fit/seats.ts'
import { Fleet } from './fleet/fleet.ts'
import { type Claim, heldMilli, type NodeState } from './fleet/nodes.ts'
import { claimFromPod, hasEnded } from './fleet/read-pod.ts'
import {
  type GangState,
  hasLeft,
  isEnough,
  type Kept,
  keptBy,
  larger,
  leftOfHold,
  podsOf,
  standingOf,
  victimsOf,
} from './gangs.ts'
import { Line } from './line/line.ts'
import { Arrivals } from './preemption/arrivals.ts'
import { Budgets } from './preemption/budgets.ts'
import { comingFrom, lessBy } from './preemption/coming.ts'
import { Seated } from './preemption/seated.ts'
import { Displacements } from './quota/displacements.ts'
import { QuotaTree } from './quota/tree.ts'

/**
 * What is known: the fleet, the queues and what they hold, the gangs and their seats, their pods, who stands in line and
 * who displaced whom. It is kept up with each change and decides nothing.
 */
export class State {
  readonly quota = new QuotaTree()
  readonly fleet = new Fleet({
    add: (queue, model, milli, gang) => {
      const state = gang === undefined ? undefined : this.gangs.get(gang)
      if (state?.leaving !== true) this.quota.add(queue, model, milli)
      if (state?.firm === true) this.quota.addFirm(queue, model, milli)
    },
  })
  readonly gangs = new Map<string, GangState>()
  readonly queues = new Map<string, Queue>()
  readonly pods = new Map<string, Pod>()
  readonly line = new Line()
  readonly displaced = new Displacements()
  readonly budgets = new Budgets(this.gangs, this.pods)
  readonly arrivals = new Arrivals()
  readonly nextSeats = new NextSeats(this.fleet, this.gangs)
  readonly #seated = new Map<string, Seated>()
  readonly #livePods = new Map<string, Set<string>>()
  /** Gangs that left to go on with what is left to them. */
  readonly #shrinking = new Set<string>()
  /** Gangs of which some pods have ended since that was last asked, but not all. */
  readonly ending = new Set<string>()
  #countedAt = -1

  /** Pods of the gang that are bound and have not ended, of whatever attempt. */
  livePodsOf(gang: string): ReadonlySet<string> {
    return this.#livePods.get(gang) ?? noPods
  }

  /** Pods of this very attempt that still live without seats would be seated a second time. */
  hasLivePodsOf({ key, seats, object }: GangState): boolean {
    const live = this.#livePods.get(key)
    if (live === undefined || seats?.attempt === object.spec.attempt) return false
    const attempt = String(object.spec.attempt)
    return [...live].some((pod) => this.pods.get(pod)?.metadata.labels?.[label.attempt] === attempt)
  }

  /** Pods of the attempt, and of those before it, that are bound and have not ended: of this very gang, be it gone or not. */
  #livePodsUntil({ gang, uid, attempt }: { gang: string; uid: string | undefined; attempt: number }): string[] {
    return [...this.livePodsOf(gang)].filter((key) => {
      const pod = this.pods.get(key)
      return pod !== undefined && controllerOf(pod)?.uid === uid && attemptOf(pod) <= attempt
    })
  }

  /** Gangs that hold committed seats of the queue. */
  seatedIn(queue: string): Seated | undefined {
    return this.#seated.get(queue)
  }

  /** Whoever was known to sit on a node before the node itself was counted by what it asks for; the node says what it has. */
  setNode(object: Node): void {
    const { name } = object.metadata
    const isNew = !this.fleet.nodes.has(name)
    this.fleet.setNode(object)
    if (!isNew) return
    for (const { gang = '' } of [...(this.fleet.nodes.get(name)?.claims.values() ?? [])]) {
      const state = this.gangs.get(gang)
      if (state !== undefined) this.countSeatsAnew(state)
    }
  }

  /** The gang of whose attempt, and those before it, this was the last live pod, if it was. */
  setPod(object: Pod): string | undefined {
    const key = keyOf(object)
    this.pods.set(key, object)
    const gang = gangOf(object)
    this.followBudget(gang)
    const node = object.spec.nodeName
    if (node === undefined || hasEnded(object)) return this.#endPod(object)
    const known = this.fleet.claimOf(key)
    // The seats know more than the pod's annotations (shares of a device), and are remembered when they are gone.
    const claim =
      known?.node === node
        ? known
        : claimFromPod(object, this.gangs.get(gang ?? '')?.object.spec.queue, (id) => this.fleet.modelOf(node, id))
    this.fleet.setClaim(key, 'pod', claim)
    if (gang !== undefined) this.#livePods.set(gang, (this.#livePods.get(gang) ?? new Set()).add(key))
    return undefined
  }

  /** The gang of whose attempt, and those before it, this was the last live pod, if it was. */
  removePod(key: string): string | undefined {
    const pod = this.pods.get(key)
    this.pods.delete(key)
    return pod === undefined ? undefined : this.#endPod(pod)
  }

  #endPod(pod: Pod): string | undefined {
    const [key, gang] = [keyOf(pod), gangOf(pod)]
    this.fleet.setClaim(key, 'pod', undefined)
    const live = gang === undefined ? undefined : this.#livePods.get(gang)
    if (gang === undefined || live === undefined || !live.delete(key)) return undefined
    this.fleet.generation++ // its own gang may wait for just this
    if (live.size > 0) {
      this.ending.add(gang)
      const isLast = this.#livePodsUntil({ gang, uid: controllerOf(pod)?.uid, attempt: attemptOf(pod) }).length === 0
      return isLast ? gang : undefined
    }
    this.#livePods.delete(gang)
    const state = this.gangs.get(gang)
    if (state !== undefined) this.#endLeaving(state)
    return gang
  }

  /** Seats that were just decided count from now on; seats that are being taken away count until they are gone. */
  countSeats(state: GangState): void {
    const { inFlight, object } = state
    const verdict = inFlight?.verdict
    const kept = keptBy(object)
    if (kept !== undefined && kept.attempt < object.spec.attempt && hasLeft(object)) this.#shrinking.add(state.key)
    if (state.moving !== undefined && state.moving.attempt <= object.spec.attempt) this.setMoving(state, undefined)
    this.#keepHeld(state, verdict?.kind === 'bind' ? leftOfHold(object, verdict.seats) : undefined)
    if (verdict?.kind === 'bind' || verdict?.kind === 'preempt') this.#setSeats(state, verdict.seats)
    else this.#setSeats(state, verdict?.kind === 'resize' && kept !== undefined ? larger(kept, verdict.added) : kept)
    this.nextSeats.follow(state)
  }

  /**
   * Who sits elsewhere than was held for it leaves that to others once its seats are committed, and no sooner: were the
   * write of another's seats there before its own, and its own never, it would have lost what others left for it.
   */
  #keepHeld(state: GangState, held: Kept | undefined): void {
    for (const pod of state.heldPods) this.fleet.setClaim(pod, 'seat', undefined)
    const claims = held === undefined ? [] : claimsOf(state.object, held, this.fleet.modelOf)
    state.heldPods = claims.map(([pod, claim]) => {
      const key = `${pod} as held`
      this.fleet.setClaim(key, 'seat', { ...claim, cpuMilli: 0, memoryBytes: 0, ports: [], queue: undefined })
      return key
    })
  }

  /** It sits elsewhere next: that is kept for it, and nobody asks it to leave meanwhile. It stays charged for what it has. */
  setMoving(state: GangState, moving: Kept | undefined): void {
    if (sameSeats(state.moving, moving)) return
    state.moving = moving
    this.nextSeats.keep(state)
    this.countSeated(state)
    const replacement = this.nextSeats.replacementOf(state)
    if (replacement !== undefined) this.countSeated(replacement)
  }

  /** Of the seats of those who shrink, what nobody else holds by now is kept for them, if it is enough for them. */
  keepRest(): void {
    for (const key of this.#shrinking) {
      const state = this.gangs.get(key)
      if (state === undefined || !hasLeft(state.object) || state.inFlight !== undefined) continue
      this.#claim(state, undefined)
      this.setLeaving(state, false)
      const kept = keptBy(state.object)
      const rest = kept === undefined ? [] : this.#besideOthers(state, kept)
      if (kept === undefined || !isEnough(state.object, rest)) continue
      this.#claim(state, { attempt: kept.attempt, members: rest })
      if (this.#isOverdrawnFor(state)) this.#claim(state, undefined)
    }
    this.#shrinking.clear()
  }

  /** With what it holds, its queue has too much, or theirs that it left for. */
  #isOverdrawnFor({ key, object, holds }: GangState): boolean {
    const queues = new Set([object.spec.queue])
    for (const other of this.gangs.values()) {
      if (victimsOf(other).some(({ gang }) => gang === key)) queues.add(other.object.spec.queue)
    }
    return [...queues].some((queue) => [...holds.keys()].some((model) => this.quota.available(queue, model) < 0))
  }

  /** Those of the members that others leave room for, all at once: of two that share a device, it may be left for one. */
  #besideOthers(state: GangState, kept: Kept): Kept['members'] {
    const claims = this.#claimsOf(state, kept)
    return this.fleet.attempt(() =>
      kept.members.flatMap((member, index) => {
        const claim = claims[index]?.[1]
        const node = this.fleet.nodes.get(member.node)
        if (claim === undefined || node === undefined || !this.#isFree(state, member, node)) return []
        const ports = portsInstead(node, member.ports)
        if (ports === undefined) return []
        this.fleet.try({ ...claim, ports })
        return [{ ...member, ports: [...ports] }]
      }),
    )
  }

  #isFree(
    { object: { spec } }: GangState,
    { group: name, devices }: Kept['members'][number],
    node: NodeState,
  ): boolean {
    const group = spec.groups.find((one) => one.name === name)
    if (node.closed !== undefined || group === undefined) return false
    if (node.cpuMilliFree < group.cpuMilli || node.memoryBytesFree < group.memoryBytes) return false
    return devices.every(({ id, milli }) => {
      const device = node.devices.get(id)
      return device?.healthy === true && device.usedMilli + milli <= 1000
    })
  }

  /** The same seats: who leaves for them has given back more. */
  countSeatsAnew(state: GangState): void {
    this.#claim(state, state.seats)
  }

  #setSeats(state: GangState, seats: Kept | undefined): void {
    if (!sameSeats(state.seats, seats)) this.#claim(state, seats)
  }

  #claim(state: GangState, seats: Kept | undefined): void {
    const claims = seats === undefined ? [] : this.#claimsOf(state, seats)
    const pods = claims.map(([pod]) => pod)
    if (state.seatPods.length > 0) {
      const kept = new Set(pods)
      for (const pod of state.seatPods) if (!kept.has(pod)) this.fleet.setClaim(pod, 'seat', undefined)
    }
    for (const [pod, claim] of claims) this.fleet.setClaim(pod, 'seat', claim)
    state.seats = seats
    state.seatPods = pods
    state.holds = sumOf(claims)
    this.#endLeaving(state)
  }

  /**
   * What is kept for a gang takes of CPU and memory only what those who leave for it will not have given back: as long as
   * they are there, they hold it.
   */
  #claimsOf(state: GangState, seats: Kept): [string, Claim][] {
    const claims = claimsOf(state.object, seats, this.fleet.modelOf)
    const victims = victimsOf(state)
    if (victims.length === 0) return claims
    const coming = comingFrom(victims.flatMap((victim) => this.#holdsOf(victim)))
    return claims.map(([pod, claim]) => [pod, lessBy(coming, claim)])
  }

  /** Whether the attempt that leaves, or an older one, holds anything; its pods may outlive their gang. */
  holdsStill(victim: Victim): boolean {
    return this.#seatPodsOf(victim).length > 0 || this.#livePodsUntil(victim).length > 0
  }

  /** What it still holds. */
  #holdsOf(victim: Victim): Claim[] {
    const pods = new Set([...this.#seatPodsOf(victim), ...this.#livePodsUntil(victim)])
    return [...pods].flatMap((pod) => this.fleet.claimOf(pod) ?? [])
  }

  #seatPodsOf({ gang, uid, attempt }: Victim): readonly string[] {
    const state = this.gangs.get(gang)
    if (state === undefined || state.object.metadata.uid !== uid) return []
    return state.seats?.attempt === attempt && !hasLeft(state.object) ? state.seatPods : []
  }

  /** The gang is forgotten, and what it held is free. */
  removeGang(state: GangState): void {
    this.setMoving(state, undefined)
    this.#keepHeld(state, undefined)
    this.#setSeats(state, undefined)
    if (state.leaving) this.#dischargePods(state.key)
    this.countFirm(state, false)
    this.#seated.get(state.object.spec.queue)?.delete(state.key)
    this.gangs.delete(state.key)
    if (this.displaced.end(state.key)) this.fleet.generation++
    this.nextSeats.forget(state)
    if (this.budgets.forget(state.key)) this.fleet.generation++
  }

  /** What was charged to no queue any more while the gang left is not either while its pods outlive it. */
  #dischargePods(gang: string): void {
    for (const pod of this.livePodsOf(gang)) {
      const claim = this.fleet.claimOf(pod)
      if (claim !== undefined) this.fleet.setClaim(pod, 'pod', { ...claim, queue: undefined })
    }
  }

  /** Whether others may leave who share its disruption budget is another question when it comes, goes, or is ready. */
  followBudget(gang: string | undefined): void {
    const state = gang === undefined ? undefined : this.gangs.get(gang)
    if (state !== undefined && this.budgets.follow(state)) this.fleet.generation++
  }

  /**
   * Whether it is among those that hold committed seats, and may be asked for them: who moves is not, nor who steps in for
   * it, in whose place only another would come. `before`: what was known of it until now.
   */
  countSeated(state: GangState, before = state.object): void {
    const { spec, status } = state.object
    const sits = !spec.suspend && status?.seats?.attempt === spec.attempt
    const isSeated = sits && state.moving === undefined && !this.nextSeats.stepsIn(state)
    if (!isSeated || before.spec.queue !== spec.queue) this.#seated.get(before.spec.queue)?.delete(state.key)
    if (!isSeated) return
    const seated = this.#seated.get(spec.queue) ?? new Seated()
    this.#seated.set(spec.queue, seated)
    if (seated.set(state)) this.noteArrival(state)
  }

  /** Others may take from it now, or because of it. */
  noteArrival({ object: { spec }, holds }: GangState): void {
    this.arrivals.note({ queue: spec.queue, priority: standingOf(spec), models: [...holds.keys()] })
  }

  /** Who leaves is charged to its queue no more for what it still holds. */
  setLeaving(state: GangState, leaving: boolean): void {
    if (state.leaving === leaving) return
    state.leaving = leaving
    this.charge(state, leaving ? -1 : 1)
    this.countSeated(state)
    if (leaving) this.fleet.generation++
  }

  /** What it holds, to its queue. */
  charge(state: GangState, sign: 1 | -1): void {
    for (const { queue, model, milli } of this.#heldBy(state)) this.quota.add(queue, model, sign * milli)
  }

  /** What it holds counts, or counts no more, as what nobody can take back. */
  countFirm(state: GangState, firm: boolean): void {
    if (state.firm === firm) return
    state.firm = firm
    for (const { queue, model, milli } of this.#heldBy(state)) this.quota.addFirm(queue, model, firm ? milli : -milli)
  }

  /** By seats, or by pods that live. */
  holdsAny({ key, seatPods }: GangState): boolean {
    return seatPods.length > 0 || this.livePodsOf(key).size > 0
  }

  *#heldBy(state: GangState): Generator<{ queue: string; model: string; milli: number }> {
    for (const pod of podsOf(state, this.livePodsOf(state.key))) {
      const claim = this.fleet.claimOf(pod)
      if (claim?.queue === undefined) continue
      const milli = heldMilli(claim)
      if (milli > 0) yield { queue: claim.queue, model: claim.model, milli }
    }
  }

  /** Once it holds nothing, nobody waits for it to leave. */
  #endLeaving(state: GangState): void {
    if (!this.holdsAny(state)) state.leaving = false
  }

  /** What each model comes to, when nodes have come or gone. */
  countCapacity(): void {
    if (this.#countedAt === this.fleet.layout) return
    this.#countedAt = this.fleet.layout
    let isOther = false
    for (const model of new Set([...this.quota.counted(), ...this.fleet.models()]))
      if (this.quota.setCapacity(model, 1000 * this.fleet.countOf(model).total)) isOther = true
    if (isOther) this.displaced.clear()
  }
}

const noPods: ReadonlySet<string> = new Set()

function sumOf(claims: readonly [string, Claim][]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const [, claim] of claims) {
    const milli = heldMilli(claim)
    if (milli > 0) sums.set(claim.model, (sums.get(claim.model) ?? 0) + milli)
  }
  return sums
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
      one.ports.length === other.ports.length &&
      one.ports.every((port, at) => port === other.ports[at]) &&
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

function attemptOf(pod: Pod): number {
  return Number(pod.metadata.labels?.[label.attempt] ?? 0)
}
