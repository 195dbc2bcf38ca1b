import { isMeant } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { type LostWork, priceOfGang } from '../../model/lost-work.ts'
import { acceleratorsHeld } from '../../model/seats.ts'
import type { Seats, Verdict } from '../contract.ts'
import { demandOf } from '../fit/demand.ts'
import { fitGang } from '../fit/fit.ts'
import { spreadingOf } from '../fit/parts.ts'
import type { Placed } from '../fit/search.ts'
import { modelOf, seatsJoined, seatsOf } from '../fit/seats.ts'
import { waitsForNodes } from '../fit/shortage.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { type GangState, isElastic, membersByGroup, nextOf } from '../gangs.ts'
import type { QuotaTree } from '../quota/tree.ts'
import { queueBlock, quotaLeft } from './admission.ts'
import type { Lane, Line, Waiting } from './line.ts'
import { Order } from './order.ts'
import { endOf, nothingReserved } from './reservations.ts'

/** What growing needs of a scheduler. */
export interface Scene {
  fleet: Fleet
  quota: QuotaTree
  gangs: ReadonlyMap<string, GangState>
  queues: ReadonlyMap<string, Queue>
  line: Line
}

export type Resize = Verdict & { kind: 'resize' }
export type Bind = Verdict & { kind: 'bind' }

/**
 * Room must have been there for so long: whoever was asked to leave, or starts again, is back in line within a few of the
 * control plane's rounds (5 s), and comes first.
 */
export const idleSeconds = 10
/**
 * Idle accelerators are counted on for so long at most. An hour is also the longest that `interval: auto` lets pass
 * between two checkpoints.
 */
const horizonSeconds = 3600
/** What is grown into may be asked back, and then a second restart is paid: the gain has to pay for both. */
export const gainPerPrice = 2
/** From seats to the next resize: with ten restarts' time between, growing takes less than a tenth of a gang's time. */
export const restartsApart = 10

/**
 * Which elastic gangs are to grow. A larger size means a checkpoint and a restart of all members, so it is taken only when
 * room has been idle for a while, nobody in line could use it, and the work that the new members are expected to do is
 * worth several times what the restart costs; then with all the room that there is at once. Looks only when something was
 * freed, or when the time for what it found then has come: at most once at each gang that has fewer members than it could.
 */
export class Growth {
  /** Gangs that sit with fewer members than are of use, and what more they would take. */
  readonly #small = new Map<string, Gang | undefined>()
  readonly #roomSinceMs = new Map<string, number>()
  #generation = -1

  /** Follows what is known of the gang. */
  follow({ key, object }: GangState): void {
    const { spec, status } = object
    const sits = !spec.suspend && status?.seats?.attempt === spec.attempt
    const changes = status?.eviction?.attempt === spec.attempt || status?.resize?.attempt === spec.attempt
    const isSmall = isElastic(object) && sizeMax(object) > (status?.seats?.members.length ?? 0)
    if (isSmall && sits && !changes) this.#small.set(key, undefined)
    else this.forget(key)
  }

  forget(key: string): void {
    this.#small.delete(key)
    this.#roomSinceMs.delete(key)
  }

  /** One after the other: what one is given is taken when the next is asked for. */
  *look(scene: Scene, nowMs: number): Generator<Resize | Bind> {
    if (this.#small.size === 0) return
    const isFreed = this.#generation !== scene.fleet.generation
    if (!isFreed && this.#roomSinceMs.size === 0) return
    this.#generation = scene.fleet.generation
    const isWanted = wantedIn(scene.line)
    if (isFreed) for (const key of this.#small.keys()) this.#seek(scene, key, isWanted, nowMs)
    const due = [...this.#roomSinceMs].filter(([, sinceMs]) => nowMs - sinceMs >= idleSeconds * 1000)
    const lanes = due.flatMap(([key]) => this.#laneOf(scene, key, nowMs))
    const order = new Order(scene.quota, lanes)
    for (let next = order.next(); next !== undefined; next = order.next()) {
      const { key, gang: more } = next.head
      const state = scene.gangs.get(key)
      const placed = state === undefined || isWanted(more) ? [] : placesFor(scene, state, more)
      if (state === undefined || placed.length === 0) {
        this.#roomSinceMs.delete(key)
        continue
      }
      const verdict = rejoins(state)
        ? joinedBy(scene, state, placed)
        : verdictOn(state, seatsOf(nextOf(state.object), placed).members, nowMs)
      if (verdict === undefined) continue
      this.forget(key)
      yield verdict
    }
  }

  #seek(scene: Scene, key: string, isWanted: (more: Gang) => boolean, nowMs: number): void {
    const state = scene.gangs.get(key)
    const more = state === undefined ? undefined : this.#moreOf(scene, state)
    const isStaying = state !== undefined && !isGoing(state)
    const isOpen = isStaying && more !== undefined && !isWanted(more) && hasRoom(scene.fleet, more)
    if (!isOpen) this.#roomSinceMs.delete(key)
    else if (!this.#roomSinceMs.has(key) && placesFor(scene, state, more).length > 0) this.#roomSinceMs.set(key, nowMs)
  }

  #moreOf({ fleet }: Scene, state: GangState): Gang | undefined {
    const known = this.#small.get(state.key)
    if (known !== undefined) return known
    const more = noFewer(state.object, fleet)
    this.#small.set(state.key, more)
    return more
  }

  /** Nobody is tried who could not be worth it with all that he may have. */
  #laneOf(scene: Scene, key: string, nowMs: number): Waiting[][] {
    const state = scene.gangs.get(key)
    if (state === undefined || state.inFlight !== undefined || isGoing(state)) return []
    const gang = this.#moreOf(scene, state)
    if (gang === undefined) return []
    return rejoins(state) || mayPay(state.object, gpusMax(gang), nowMs) ? [[{ key, gang }]] : []
  }
}

/** Whether others join it while it runs: it need not start again to grow, and that costs next to nothing. */
function rejoins({ object }: GangState): boolean {
  return object.spec.rejoins === true
}

/** These join it. */
export function joinedBy({ fleet }: Pick<Scene, 'fleet'>, { key, object }: GangState, placed: readonly Placed[]): Bind {
  const seats = seatsJoined(object, placed, (node) => fleet.nodes.get(node)?.address ?? '')
  const { attempt } = object.spec
  return { kind: 'bind', gang: key, resourceVersion: object.metadata.resourceVersion ?? '', attempt, seats }
}

/** To make room for another. */
export function isGoing({ leaving, moving }: GangState): boolean {
  return leaving || moving !== undefined
}

export function sizeMax({ spec }: Gang): number {
  return spec.groups.reduce((sum, { max }) => sum + max, 0)
}

/** Whether somebody in line could use what the gang would take: then it is not idle, however little of it there is. */
function wantedIn(line: Line): (more: Gang) => boolean {
  const wanted = wantedModels(line)
  return (more) => wantedBy(wanted, more) !== undefined
}

/** Who in line could use what the gang would take, and of which model. */
export function whoWants(line: Line, more: Gang): Wanted | undefined {
  return wantedBy(wantedModels(line), more)
}

interface Wanted {
  key: string
  model: string
}

/** By model, the first of a lane that could use it. */
function wantedModels(line: Line): ReadonlyMap<string, Wanted> {
  const wanted = new Map<string, Wanted>()
  for (const lane of line.lanes()) {
    const [first] = lane.waiting
    if (first === undefined || !canUseMore(lane)) continue
    for (const { accelerators } of first.gang.spec.groups) {
      for (const { model } of accelerators) if (!wanted.has(model)) wanted.set(model, { key: first.key, model })
    }
  }
  return wanted
}

function wantedBy(wanted: ReadonlyMap<string, Wanted>, { spec }: Gang): Wanted | undefined {
  for (const { accelerators } of spec.groups) {
    for (const { model } of accelerators) {
      for (const [asked, by] of wanted) if (isMeant(asked, model)) return by
    }
  }
  return undefined
}

/** No accelerator helps a gang that its queue holds back, or that the nodes could not take were they empty. */
export function canUseMore({ blocked }: Lane): boolean {
  if (blocked === undefined) return true
  const { verdict } = blocked
  if (verdict.kind === 'queue') return verdict.reason === 'Ending' || verdict.reason === 'Preempting'
  return waitsForNodes(verdict.shortage)
}

/** The gang with no fewer members than it has, on the accelerators that it has. */
export function noFewer(gang: Gang, fleet: Fleet): Gang {
  const { spec, status } = gang
  const members = status?.seats?.members ?? []
  const had = membersByGroup({ members })
  const groups = spec.groups.map((group) => {
    const { asked, model } = alternativeInUse(group, members, fleet)
    const accelerators = asked === undefined ? [] : [{ ...asked, model }]
    return { ...group, min: Math.min(group.max, had.get(group.name) ?? group.min), accelerators }
  })
  return { ...gang, spec: { ...spec, groups } }
}

/** Which of the group's alternatives it was given, and of which model. */
export function alternativeInUse(
  { name, accelerators }: Gang['spec']['groups'][number],
  members: Seats['members'],
  fleet: Fleet,
): { asked: (typeof accelerators)[number] | undefined; model: string } {
  const seat = members.find(({ group }) => group === name)
  const model = seat === undefined ? undefined : modelOf(seat, fleet.modelOf)
  const asked = accelerators.find((one) => model !== undefined && isMeant(one.model, model)) ?? accelerators[0]
  return { asked, model: model ?? asked?.model ?? '' }
}

/**
 * Where it would have more members now, if anywhere; those that it has stay where they are. Spares are left alone, but for
 * up to `size` members, where some of so many have left.
 */
export function placesFor(
  { fleet, quota, queues }: Scene,
  { key, object, seatPods }: GangState,
  more: Gang,
  size?: number,
): Placed[] {
  const { seats } = object.status ?? {}
  if (seats === undefined || queueBlock(queues, object) !== undefined) return []
  if (object.spec.rejoins !== true && !seats.members.every((seat) => canComeBack(fleet, seat))) return []
  return fleet.attempt(() => {
    for (const pod of seatPods) fleet.lift(pod)
    const before = { members: seats.members, mayMove: false, ...(size === undefined ? {} : { size }) }
    const left = quotaLeft(quota, fleet, more)
    const fit = fitGang(fleet, { gang: key, object: more, quotaLeft: left, reserved: nothingReserved, before })
    return fit.fits ? addedTo(more, seats, fit.placed) : []
  })
}

/** Where it could not sit again, it is left alone: it would come back smaller. */
export function canComeBack(fleet: Fleet, { node: name, devices }: Seats['members'][number]): boolean {
  const node = fleet.nodes.get(name)
  return node?.closed === undefined && devices.every(({ id }) => node?.devices.get(id)?.healthy === true)
}

/** Of each group, those that come after the ones that it has. */
function addedTo({ spec }: Gang, seats: Pick<Seats, 'members'>, placed: readonly Placed[]): Placed[] {
  const had = membersByGroup(seats)
  return spec.groups.flatMap(({ name }, index) =>
    placed.filter(({ group }) => group === index).slice(had.get(name) ?? 0),
  )
}

/** Accelerators that it would get if there were room for all its members. */
function gpusMax({ spec, status }: Gang): number {
  const had = membersByGroup({ members: status?.seats?.members ?? [] })
  return spec.groups.reduce((sum, { name, max, accelerators }) => {
    return sum + Math.max(0, max - (had.get(name) ?? 0)) * (accelerators[0]?.count ?? 0)
  }, 0)
}

/** By the counters: whether there is room for one member more of any group. */
function hasRoom(fleet: Fleet, gang: Gang): boolean {
  const had = membersByGroup({ members: gang.status?.seats?.members ?? [] })
  return gang.spec.groups.some((group, index) => {
    const [one] = group.accelerators
    if (one === undefined || group.max <= (had.get(group.name) ?? 0)) return false
    return (
      fleet.rooms(demandOf(group, one, spreadingOf(gang, index).slices, fleet.neighbours.of(gang, group))).total > 0
    )
  })
}

interface Worth {
  price: LostWork
  priceSeconds: number
  gainSeconds: number
  workSeconds: number
  satSeconds: number
  /** It has sat for long enough. */
  isRested: boolean
}

/** What so many accelerators more are worth to it. */
export function worthOf(gang: Gang, gpus: number, nowMs: number): Worth | undefined {
  const price = priceOfGang(gang, nowMs)
  const { seats } = gang.status ?? {}
  if (price === undefined || seats === undefined) return undefined
  const satSeconds = (nowMs - Date.parse(seats.at)) / 1000
  const workSeconds = workFor(gang, price, gpus, nowMs)
  const priceSeconds = price.gpuSeconds + price.restartSeconds * gpus
  const gainSeconds = gpus * workSeconds
  const isRested = satSeconds >= restartsApart * price.restartSeconds
  return { price, priceSeconds, gainSeconds, workSeconds, satSeconds, isRested }
}

function unsaved({ onRequestSeconds, sinceCheckpointSeconds }: LostWork): string {
  if (onRequestSeconds !== undefined) return `${said(onRequestSeconds)} s for the checkpoint that it writes first`
  return `${said(sinceCheckpointSeconds)} s of work not saved`
}

/** Before it is known how many accelerators there are: with more of them the gain is larger, and so is the price. */
function mayPay(gang: Gang, gpus: number, nowMs: number): boolean {
  const most = worthOf(gang, gpus, nowMs)
  return most?.isRested === true && most.gainSeconds >= gainPerPrice * most.price.gpuSeconds
}

/** The rule, with its numbers; undefined while it says no. */
function verdictOn({ key, object }: GangState, added: Seats['members'], nowMs: number): Resize | undefined {
  const gpus = acceleratorsHeld(added)
  const worth = worthOf(object, gpus, nowMs)
  if (worth?.isRested !== true || worth.gainSeconds < gainPerPrice * worth.priceSeconds) return undefined
  const { price, priceSeconds, gainSeconds, workSeconds, satSeconds } = worth
  const from = object.status?.seats?.members.length ?? 0
  const to = from + added.length
  return {
    kind: 'resize',
    gang: key,
    resourceVersion: object.metadata.resourceVersion ?? '',
    attempt: object.spec.attempt,
    added,
    from,
    to,
    priceSeconds,
    gainSeconds,
    message: [
      `grows from ${from} to ${to} members`,
      `gains ${said(gainSeconds)} accelerator-seconds (${said(gpus)} idle × ${said(workSeconds)} s)`,
      `for ${said(priceSeconds)} (${said(price.gpus)} × ${unsaved(price)}, ${said(price.gpus + gpus)} × ${said(price.restartSeconds)} s to start again)`,
      `at least ${gainPerPrice} times as much; it has sat for ${said(satSeconds)} s, at least ${restartsApart} restarts`,
    ].join('; '),
  }
}

/** For how long the new members would work: until it ends, which they bring nearer, or as far as idle room is counted on. */
function workFor(gang: Gang, { gpus }: LostWork, added: number, nowMs: number): number {
  const endMs = endOf(gang)?.atMs
  if (endMs === undefined) return horizonSeconds
  const leftSeconds = Math.max(0, endMs - nowMs) / 1000
  return Math.min(horizonSeconds, (leftSeconds * gpus) / Math.max(gpus + added, Number.EPSILON))
}

function said(number: number): string {
  return String(Math.round(number * 10) / 10)
}
