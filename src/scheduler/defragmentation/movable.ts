import type { Gang } from '../../model/kinds/gang.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import { demandsOf } from '../fit/demand.ts'
import type { Demand } from '../fleet/rooms.ts'
import { type GangState, isReplica, standingOf } from '../gangs.ts'
import { queueBlock } from '../line/admission.ts'
import type { Seating } from '../preemption/stage.ts'
import type { QuotaTree } from '../quota/tree.ts'

/** What looking for moves needs of a scheduler. */
export interface Scene extends Seating {
  quota: QuotaTree
  queues: ReadonlyMap<string, Queue>
}

/** A gang that may be asked to move. */
export interface Movable {
  key: string
  state: GangState
  seats: Seats
  /** GPU-seconds at full speed that its moving loses. */
  price: number
}

type Seats = NonNullable<NonNullable<Gang['status']>['seats']>

/** From seats to a move: with ten restarts' time between, moving takes less than a tenth of a gang's time. */
const restartsApart = 10

/**
 * Gangs of one tree that could move for a gang of it: those that sit undisturbed, may be displaced, have sat for ten
 * restarts' time and for their minimum run time, would be let in again by their queue, and are not of a higher priority. A replica may be, since it serves on until
 * another does in its place: all that it loses is the time that both of them are there.
 */
export class Movables {
  readonly #scene: Scene
  readonly #for: Gang
  readonly #nowMs: number
  readonly #isOfTree = new Map<string, boolean>()
  readonly #known = new Map<string, Movable | undefined>()
  readonly #roomElsewhere = new Map<string, boolean>()

  constructor(scene: Scene, gang: Gang, nowMs: number) {
    this.#scene = scene
    this.#for = gang
    this.#nowMs = nowMs
  }

  get(key: string): Movable | undefined {
    const known = this.#known.get(key)
    if (known !== undefined || this.#known.has(key)) return known
    const state = this.#scene.gangs.get(key)
    const found = state === undefined ? undefined : this.#look(state)
    this.#known.set(key, found)
    return found
  }

  /** It found no other place. */
  leaveOut(key: string): void {
    this.#known.set(key, undefined)
  }

  /** Whether one of its members has room anywhere now: by the counters, once for all alike. */
  hasRoomElsewhere({ state }: Movable): boolean {
    for (const demand of demandsOf(this.#scene.fleet, state.object)) if (this.#hasRoom(demand)) return true
    return false
  }

  #hasRoom(demand: Demand): boolean {
    const known = this.#roomElsewhere.get(demand.key)
    if (known !== undefined) return known
    const hasRoom = this.#scene.fleet.rooms(demand).total > 0
    this.#roomElsewhere.set(demand.key, hasRoom)
    return hasRoom
  }

  #look(state: GangState): Movable | undefined {
    const { object, key } = state
    const { seats } = object.status ?? {}
    if (seats === undefined || !this.#mayMove(object) || !isUndisturbed(state)) return undefined
    if (queueBlock(this.#scene.queues, object) !== undefined) return undefined
    const lost = priceOfGang(object, this.#nowMs)
    if (lost === undefined) return undefined
    const minRunSeconds = this.#scene.quota.minRunSeconds(object.spec.queue, this.#for.spec.queue)
    const restSeconds = Math.max(restartsApart * lost.restartSeconds, minRunSeconds)
    if (this.#nowMs - Date.parse(seats.at) < restSeconds * 1000) return undefined
    const ofRestart = lost.restartSeconds * lost.gpus * (seats.speed ?? 1)
    return { key, state, seats, price: isReplica(object) ? ofRestart : lost.price }
  }

  #mayMove(gang: Gang): boolean {
    const { preemptible, queue, disruptionBudget } = gang.spec
    const isStopped = !isReplica(gang)
    if (
      !preemptible ||
      (isStopped && (standingOf(gang.spec) > standingOf(this.#for.spec) || disruptionBudget !== undefined))
    )
      return false
    const known = this.#isOfTree.get(queue)
    if (known !== undefined) return known
    const { quota } = this.#scene
    const isOfTree = quota.rootOf(queue) === quota.rootOf(this.#for.spec.queue)
    this.#isOfTree.set(queue, isOfTree)
    return isOfTree
  }
}

function isUndisturbed({ object: { metadata, spec, status }, inFlight, leaving, moving }: GangState): boolean {
  if (inFlight !== undefined || leaving || moving !== undefined) return false
  if (spec.suspend || metadata.deletionTimestamp !== undefined || status?.seats?.attempt !== spec.attempt) return false
  return status.eviction?.attempt !== spec.attempt && status.resize?.attempt !== spec.attempt
}
