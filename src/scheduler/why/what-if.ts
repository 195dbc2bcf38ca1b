import { assert } from '../../base/errors.ts'
import { isGeneric } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import type { Victim } from '../contract.ts'
import { gainOf } from '../defragmentation/defragmentation.ts'
import { findMoves } from '../defragmentation/moves.ts'
import { type Alternative, demandOf } from '../fit/demand.ts'
import type { Fit } from '../fit/fit.ts'
import { fitOrLeast } from '../fit/least.ts'
import type { Placed } from '../fit/search.ts'
import { besideSparesFor, type Reserved } from '../fit/shortage.ts'
import { openRoom } from '../fit/spread.ts'
import { heldMilli, type NodeState } from '../fleet/nodes.ts'
import type { GangState } from '../gangs.ts'
import { podsOf } from '../gangs.ts'
import { queueBlock, quotaLeft } from '../line/admission.ts'
import { yieldsIn } from '../line/entitled.ts'
import type { Line, Start, Waiting } from '../line/line.ts'
import { type Head, Order } from '../line/order.ts'
import { type ExpectedEnd, Reservations } from '../line/reservations.ts'
import { allSoonerThan } from '../line/sooner.ts'
import { displace, displaceable, type Scene as Preemption } from '../preemption/preemption.ts'

/** What what-ifs need of a scheduler that has decided. */
export interface Scene extends Preemption {
  queues: ReadonlyMap<string, Queue>
  line: Line
  /** Of gangs that sit, or are given seats: when they are expected to end, where that is known. */
  ends: ReadonlyMap<string, ExpectedEnd>
  /** When and where a gang that waits would start, as far as that is known. */
  startOf(gang: string, nowMs: number): Start | undefined
}

/** What is changed before it is asked again. */
export interface Edit {
  /** The gang itself, edited. */
  gang?: Gang
  /** Gangs that hold nothing any more. */
  without?: readonly string[]
  queue?: Queue
  /** Nodes that take new work again. */
  open?: readonly NodeState[]
  /** A pool keeps so many spares. */
  spares?: { pool: string; spares: number }
  /** Others may move for it. */
  moves?: true
}

/** It would start; at once, or when `evicts` have left. */
export interface Started {
  evicts: readonly Victim[]
  /** Those of them who move: what the gang gains by starting sooner. */
  gainSeconds?: number
}

/**
 * Answers whether a waiting gang would start if something were different, on the state itself: what is tried is taken
 * back, so an answer costs what it looks at. Those before it in line go first, as they would. They are not asked whom
 * they could displace after the edit: they could displace nobody before it.
 */
export class WhatIf {
  readonly #scene: Scene
  readonly #state: GangState
  readonly #nowMs: number
  /** What those before it keep for themselves as things are. */
  #ahead: Reservations | undefined
  /** The turns of all others. */
  #others: Order | undefined

  constructor(scene: Scene, key: string, nowMs: number) {
    const state = scene.gangs.get(key)
    assert(state !== undefined, `gang ${key} is known`)
    this.#scene = scene
    this.#state = state
    this.#nowMs = nowMs
  }

  starts(edit: Edit): Started | undefined {
    const { fleet, quota, queues } = this.#scene
    const { queue, spares } = edit
    if (spares !== undefined)
      return fleet.spares.with(spares.pool, spares.spares, () => fleet.attempt(() => this.#startsWith(edit)))
    const before = queue === undefined ? undefined : queues.get(queue.metadata.name)
    if (queue !== undefined) quota.set(queue)
    try {
      return fleet.attempt(() => this.#startsWith(edit))
    } finally {
      if (before !== undefined) quota.set(before)
    }
  }

  #startsWith(edit: Edit): Started | undefined {
    const { fleet, queues } = this.#scene
    const queuesThen = edit.queue === undefined ? queues : new Map(queues).set(edit.queue.metadata.name, edit.queue)
    const object = edit.gang ?? this.#state.object
    if (queueBlock(queuesThen, object) !== undefined) return undefined
    for (const node of edit.open ?? []) fleet.open(node)
    for (const gang of edit.without ?? []) this.#lift(gang)
    const charged: Placed[] = []
    try {
      const reservations = this.#keptAhead(edit, object, queuesThen, charged)
      if (edit.moves === true) return this.#startByMoves(object, reservations)
      return this.#start(object, reservations.for(object, this.#nowMs), edit.without)
    } finally {
      for (const { claim } of charged) this.#charge(claim, -1)
    }
  }

  #start(object: Gang, reserved: Reserved, without: Edit['without']): Started | undefined {
    const { key, seatPods } = this.#state
    const { fleet } = this.#scene
    const live = this.#scene.livePodsOf(key)
    const beside = besideSparesFor(fleet, object, reserved)
    return fleet.attempt(() => {
      for (const pod of seatPods) if (!live.has(pod)) fleet.lift(pod)
      const fit = this.#fit(key, object, reserved)
      if (fit.fits) return { evicts: [] }
      if (!displaceable.has(fit.shortage.kind)) return undefined
      const displaced = displace(this.#scene, { key, object, reserved: beside, without }, this.#nowMs)
      return displaced === undefined ? undefined : { evicts: displaced.victims }
    })
  }

  /** Where the moves lose no more than it gains, and more than they may now. */
  #startByMoves(object: Gang, reservations: Reservations): Started | undefined {
    const { key } = this.#state
    const reserved = besideSparesFor(this.#scene.fleet, object, reservations.ofOthersThan(key))
    const found = findMoves(this.#scene, { key, object, reserved }, this.#nowMs)
    const gainSeconds = gainOf(this.#scene, key, this.#nowMs)
    const { maxPrice } = this.#scene.quota.defragmentationOf(object.spec.queue) ?? {}
    if (found === undefined || found.price > gainSeconds) return undefined
    const comesByItself = maxPrice !== undefined && found.price <= maxPrice * gainSeconds
    return comesByItself ? undefined : { evicts: found.moves, gainSeconds }
  }

  #keptAhead(edit: Edit, object: Gang, queues: ReadonlyMap<string, Queue>, charged: Placed[]): Reservations {
    const frees = [edit.without, edit.open, edit.queue, edit.spares].some((one) => one !== undefined)
    const before = this.#state.object.spec
    const moves = object.spec.priority !== before.priority || object.spec.queue !== before.queue
    if (!frees && !moves) this.#ahead ??= this.#walk(object, undefined)
    return frees ? this.#walk(object, { queues, charged }) : moves ? this.#walk(object, undefined) : this.#walked()
  }

  #walked(): Reservations {
    assert(this.#ahead !== undefined, 'those before it were looked at')
    return this.#ahead
  }

  /** Those before it, in turn: where something was freed (`freed`), those who fit now take it. */
  #walk(object: Gang, freed: { queues: ReadonlyMap<string, Queue>; charged: Placed[] } | undefined): Reservations {
    const { fleet, quota, line, gangs } = this.#scene
    const own: Waiting = { key: this.#state.key, gang: object }
    const startOf = (gang: string) => this.#scene.startOf(gang, this.#nowMs)
    const reservations = new Reservations(fleet, startOf, yieldsIn(quota, gangs))
    this.#others ??= new Order(quota, line.lanesBeside(this.#state.key))
    const order = this.#others.copy()
    order.enter([own], 0)
    for (let next = order.next(); next !== undefined && next.head !== own; next = order.next()) {
      const { head } = next
      const blocked = line.laneOf(head.key)?.blocked
      const isBlockedItself = blocked?.head === head.key
      if (freed === undefined || gangs.get(head.key)?.inFlight !== undefined) {
        if (isBlockedItself) reservations.add(blocked.verdict, head.key)
        continue
      }
      if (queueBlock(freed.queues, head.gang) !== undefined) continue
      const reserved = reservations.for(head.gang, this.#nowMs)
      if (isBlockedItself && !this.#couldFit(head.gang, reserved)) {
        this.#passSooner(next, reservations, order)
        reservations.add(blocked.verdict, head.key)
      } else this.#seat(next, reservations, reserved, freed.charged, order)
    }
    return reservations
  }

  /** By the counters, each group alone. */
  #couldFit(gang: Gang, reserved: Reserved): boolean {
    const { fleet } = this.#scene
    return gang.spec.groups.every((group) => {
      const company = fleet.neighbours.of(gang, group)
      const room = (one: Alternative) =>
        openRoom(fleet, demandOf(group, one, undefined, company), reserved.of(one.model)?.nodes).total
      return group.accelerators.some((one) => isGeneric(one.model) || room(one) >= group.min)
    })
  }

  #seat(
    { head, lane, index }: Head,
    reservations: Reservations,
    reserved: Reserved,
    charged: Placed[],
    order: Order,
  ): void {
    const fit = this.#fit(head.key, head.gang, reserved)
    if (!fit.fits) {
      this.#passSooner({ head, lane, index }, reservations, order)
      reservations.add({ kind: 'shortage', shortage: fit.shortage }, head.key)
      return
    }
    for (const placed of fit.placed) {
      this.#scene.fleet.try(placed.claim)
      this.#charge(placed.claim, 1)
      charged.push(placed)
    }
    order.enter(lane, index + 1)
  }

  /** Those of its lane go on who end soon enough to use what is kept from it. */
  #passSooner({ head, lane, index }: Head, reservations: Reservations, order: Order): void {
    order.enter(allSoonerThan(lane.slice(index + 1), head, reservations, this.#nowMs), 0)
  }

  #fit(key: string, object: Gang, reserved: Reserved): Fit {
    const { fleet, quota } = this.#scene
    return fitOrLeast(fleet, { gang: key, object, quotaLeft: quotaLeft(quota, fleet, object), reserved })
  }

  #lift(gang: string): void {
    const state = this.#scene.gangs.get(gang)
    if (state === undefined) return
    for (const pod of podsOf(state, this.#scene.livePodsOf(gang))) this.#scene.fleet.lift(pod)
  }

  #charge(claim: Placed['claim'], sign: 1 | -1): void {
    if (claim.queue !== undefined) this.#scene.quota.add(claim.queue, claim.model, sign * heldMilli(claim))
  }
}
