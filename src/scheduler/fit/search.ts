import { assert } from '../../base/errors.ts'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { liking } from '../fleet/liking.ts'
import type { Claim, NodeState } from '../fleet/nodes.ts'
import type { Occupant } from '../fleet/pod-terms.ts'
import { admits, type Demand, roomFor } from '../fleet/rooms.ts'
import { costTo, distanceTo, least, lostTo, nearTo, roomBeside } from './beside.ts'
import { type Claimant, claimOf, claimOn } from './claims.ts'
import { alternativesOf, countable, demandOf, type Group, membersBy, perMember } from './demand.ts'
import { type Choosing, domainsFor, gatheringPlaces, isInside, roomIn, type Within } from './domains.ts'
import { type Part, partsOf, type Spreading, spreadingOf } from './parts.ts'
import { type Reserved, type Shortage, shortageOf } from './shortage.ts'
import { likedBy, type OpenRoom, openRoom, spread } from './spread.ts'

export interface FitRequest {
  gang: string
  object: Gang
  /** Milli-accelerators of each model that its queue's quota still leaves; absent means unlimited. */
  quotaLeft: ReadonlyMap<string, number>
  reserved: Reserved
  /** Where it sat before. The caller has lifted what that holds. */
  before?: Before | undefined
}

export interface Before {
  members: readonly Seat[]
  /**
   * True when they start anew: they stay where they were as far as that leaves the others a place. False when they run
   * on: those that are still wanted keep their very seats, and only the others are placed.
   */
  mayMove: boolean
  /** How many they were with those that have left: for each of these a spare may stand in. */
  size?: number
}

/** One member's place, before it has a rank. */
export interface Placed {
  group: number
  node: NodeState
  claim: Claim
}

/**
 * Domains are tried in turn; what was placed inside one is taken back when the rest does not follow. The fleet is told
 * what was placed only when something else is looked for: of most gangs never.
 */
export class Search {
  readonly placed: Placed[] = []
  readonly #fleet: Fleet
  readonly #request: FitRequest
  readonly #groups: readonly Group[]
  readonly #before: Before | undefined
  /** Seats that members keep, by group. */
  readonly #kept: ReadonlyMap<number, readonly Seat[]>
  readonly #occupants: readonly Occupant[] | undefined
  #quotaLeft: ReadonlyMap<string, number>
  /** How many of the placed, from the first, the fleet holds by now. */
  #held = 0
  #tries = 0
  #explains = false
  #shortage: Shortage | undefined

  constructor(fleet: Fleet, request: FitRequest, before?: Before) {
    this.#fleet = fleet
    this.#request = request
    this.#groups = request.object.spec.groups
    this.#before = before
    this.#occupants = fleet.neighbours.occupantsOf(request.object)
    this.#quotaLeft = request.quotaLeft
    this.#kept = before === undefined ? nobodyStays : keptSeats(fleet, request.object, before)
  }

  /** Why not, as the first try that failed tells, or undefined: then all of the part is placed. */
  place(part: Part, outer: Within): Shortage | undefined {
    this.#explains = true
    if (this.isPlaced(part, outer)) return undefined
    return this.#shortage ?? this.#shortageOf(part.groups[0] ?? 0, outer)
  }

  isPlaced(part: Part, outer: Within, set?: Part): boolean {
    if (!this.#hasRoomBeside(part, outer)) return false
    this.#holdPlaced()
    for (const within of this.#domains(part, outer)) {
      if (this.#tries++ > triesMax) break
      const mark = this.placed.length
      const quotaLeft = this.#quotaLeft
      const [index] = part.groups
      const fits =
        part.parts.length === 0 && index !== undefined
          ? this.#isGroupPlaced(index, within, set)
          : part.parts.every((inner) => this.isPlaced(inner, within, part.isSet ? part : undefined))
      if (fits) return true
      this.#quotaLeft = quotaLeft
      this.#backTo(mark)
    }
    return false
  }

  /**
   * Whether what was placed last, and the fleet does not hold yet, may have left room for the part: each of its groups by
   * itself, by the counters. Whoever is asked why not tries.
   */
  #hasRoomBeside(part: Part, outer: Within): boolean {
    if (this.#held === this.placed.length || (this.#explains && this.#shortage === undefined)) return true
    const placed = this.placed.slice(this.#held)
    return part.groups.every((index) => {
      const { min, demands } = this.choosing(index)
      return demands.some(({ demand, closed }) => {
        if (demand.slices !== undefined) return true
        const room = roomIn(this.#fleet, demand, closed, outer)(outer).total
        return room - lostTo(this.#fleet, placed, demand, (node) => isInside(node, outer) && !closed?.has(node)) >= min
      })
    })
  }

  #backTo(mark: number): void {
    this.placed.length = mark
    if (this.#held <= mark) return
    this.#fleet.untry(this.#held - mark)
    this.#held = mark
  }

  /** Where members keep their seats, the others join them. */
  *#domains(part: Part, outer: Within): IterableIterator<Within> {
    if (part.required === undefined && part.preferred === undefined) {
      yield outer
      return
    }
    const held = part.groups.flatMap((index) => this.#kept.get(index) ?? [])
    const nodes = held.flatMap((seat) => this.#fleet.nodes.get(seat.node) ?? [])
    for (const within of domainsFor(this.#fleet, part, part.groups.map(this.choosing), outer)) {
      if (nodes.every((node) => isInside(node, within))) yield within
    }
  }

  /** What choosing a domain for the group goes by. */
  readonly choosing = (index: number): Choosing => {
    const group = this.#group(index)
    const spreading = spreadingOf(this.#request.object, index)
    const company = this.#fleet.neighbours.of(this.#request.object, group)
    const demands = alternativesOf(this.#fleet, group).map((alternative) => ({
      demand: countable(demandOf(group, alternative, spreading.slices, company)),
      closed: this.#request.reserved.of(alternative.model)?.nodes,
    }))
    return { min: group.min, max: group.max, demands, isBalanced: spreading.isBalanced }
  }

  /** On the first alternative that holds enough of it. */
  #isGroupPlaced(index: number, within: Within, set: Part | undefined): boolean {
    const group = this.#group(index)
    const spreading = spreadingOf(this.#request.object, index)
    const company = this.#fleet.neighbours.of(this.#request.object, group)
    for (const alternative of alternativesOf(this.#fleet, group)) {
      const demand = demandOf(group, alternative, spreading.slices, company)
      const mark = this.placed.length
      if (this.#placeAs(index, demand, spreading, within, set)) return true
      this.#backTo(mark)
    }
    if (this.#explains) this.#shortage ??= this.#shortageOf(index, within)
    return false
  }

  #placeAs(index: number, demand: Demand, spreading: Spreading, within: Within, set: Part | undefined): boolean {
    const fleet = this.#fleet
    const group = this.#group(index)
    if (demand.slices?.some(({ level }) => level < 0) === true) return false
    const stay = this.#stay(index, demand)
    if (stay === undefined) return false
    const closed = this.#request.reserved.of(demand.model)?.nodes
    const { members, room } = this.#countMembers(group, demand, within, stay)
    if (members < group.min || members < stay) return false
    if (demand.company?.isInTurn === true) return this.#placeInTurn(index, demand, within, set, stay, members)
    const quota = this.#quotaLeft.get(demand.model)
    if (quota !== undefined) this.#leave(demand.model, quota - members * perMember(demand))
    const near = set === undefined && stay === 0 ? undefined : this.#nodesOf(set?.groups ?? [index])
    const wanted = members - stay
    if (wanted === 1) {
      const node = this.#best(demand, closed, within, near, this.#others(set, index))
      assert(node !== undefined, 'a node has the room that was counted')
      this.#claim(index, demand, node)
    }
    if (wanted > 1) {
      const { slices } = demand
      const loose = slices === undefined ? room : openRoom(fleet, unsliced(demand), closed, within.nodes)
      const { isBalanced, isScattered } = spreading
      const liked = likedBy(fleet, demand, room)
      const isNear = nearTo(fleet, near)
      const asked = { domain: within.domain, room, loose, slices, isBalanced, isScattered, isNear, liked }
      for (const node of spread(fleet, wanted, asked)) this.#claim(index, demand, node)
    }
    return true
  }

  /**
   * One after the other, where each may still go once those before it sit, and near them. Where they have to gather, in
   * the first place that takes enough of them.
   */
  #placeInTurn(
    index: number,
    demand: Demand,
    within: Within,
    set: Part | undefined,
    stay: number,
    most: number,
  ): boolean {
    const fleet = this.#fleet
    const { min } = this.#group(index)
    if (demand.slices !== undefined) return false // admission refuses both together
    const closed = this.#request.reserved.of(demand.model)?.nodes
    const mark = this.placed.length
    for (const inside of gatheringPlaces(fleet, this.choosing(index), demand, within)) {
      let members = stay
      for (; members < most; members++) {
        this.#holdPlaced()
        const near = this.#nodesOf(set?.groups ?? [index])
        const node = this.#best(demand, closed, inside, near, this.#others(set, index))
        if (node === undefined) break
        this.#claim(index, demand, node)
      }
      if (members >= min) {
        const quota = this.#quotaLeft.get(demand.model)
        if (quota !== undefined) this.#leave(demand.model, quota - members * perMember(demand))
        return true
      }
      this.#backTo(mark)
    }
    return false
  }

  /** Whoever looked before may come back to what was left then. */
  #leave(model: string, milli: number): void {
    this.#quotaLeft = new Map(this.#quotaLeft).set(model, milli)
  }

  /** As many as it may have, whole slices of them; those that stay are placed already. */
  #countMembers(group: Group, demand: Demand, within: Within, stay: number): { members: number; room: OpenRoom } {
    const closed = this.#request.reserved.of(demand.model)?.nodes
    const room = roomIn(this.#fleet, countable(demand), closed, within)(within)
    const most = Math.min(group.max, stay + room.total, membersBy(this.#quotaLeft.get(demand.model), demand))
    return { members: most - (most % (demand.slices?.[0]?.size ?? 1)), room }
  }

  /** Why it would fit nowhere, wherever its members were; of one group the counters tell. */
  missing(): Shortage | undefined {
    const { object } = this.#request
    const [only, ...others] = this.#groups
    const company = only === undefined ? undefined : this.#fleet.neighbours.of(object, only)
    if (only === undefined || others.length > 0 || company?.isInTurn === true) return this.place(partsOf(object), {})
    const fits = alternativesOf(this.#fleet, only).some((alternative) => {
      const demand = demandOf(only, alternative, undefined, company)
      return this.#countMembers(only, demand, {}, 0).members >= only.min
    })
    return fits ? undefined : this.#shortageOf(0, {})
  }

  /** How many keep their seats; undefined when somebody should who cannot. */
  #stay(index: number, demand: Demand): number | undefined {
    const seats = this.#kept.get(index) ?? []
    const isWhole = demand.slices !== undefined || this.#before?.mayMove === false
    let stayed = 0
    for (const seat of seats) {
      const node = this.#fleet.nodes.get(seat.node)
      const isThere = node !== undefined && (this.#before?.mayMove === false || roomFor(node, demand) > 0)
      if (isThere) {
        if (this.#before?.mayMove === false) {
          this.placed.push({ group: index, node, claim: claimOf(seat, node, demand, this.#claimant(index)) })
        } else this.#claim(index, demand, node)
        this.#holdPlaced()
        stayed++
      } else if (isWhole) return undefined
    }
    return stayed
  }

  /** The best node for one member: near what it belongs to, where it costs the others least, where it would rather be. */
  #best(
    demand: Demand,
    closed: ReadonlySet<NodeState> | undefined,
    within: Within,
    near: ReadonlySet<NodeState> | undefined,
    others: readonly Demand[],
  ): NodeState | undefined {
    const fleet = this.#fleet
    const liked = liking(fleet, demand)
    const isAnywhere = closed === undefined && within.domain === undefined && within.nodes === undefined
    const isOpen = (node: NodeState) => closed?.has(node) !== true && isInside(node, within)
    const wishes: ((node: NodeState) => number)[] = []
    if (others.length > 0) wishes.push(costTo(others, demand))
    if (demand.company?.isInTurn === true && liked !== undefined) wishes.push((node) => -liked(node))
    if (near !== undefined && near.size > 0) wishes.push(distanceTo(fleet, near))
    // What nodes are by themselves the ranking knows.
    const isDecided = wishes.length === 0 && demand.company?.liking === undefined
    if (liked !== undefined && !isDecided) wishes.push((node) => -liked(node))
    if (others.length > 0) {
      const beside = roomBeside(others, demand)
      wishes.push((node) => -beside(node))
    }
    if (wishes.length === 0) return fleet.best(demand, isAnywhere ? undefined : isOpen)
    const rooms = fleet.rooms(demand)
    const { from, to } = within.domain ?? { from: 0, to: fleet.order.length }
    let able = fleet.order.slice(from, to).filter((node) => isOpen(node) && rooms.on(node) > 0)
    for (const wish of wishes) able = least(able, wish)
    const left = new Set(able)
    return fleet.best(demand, (node) => left.has(node))
  }

  /** What the groups of the set that are not placed yet ask for. */
  #others(set: Part | undefined, but: number): Demand[] {
    if (set === undefined) return []
    const done = new Set(this.placed.map(({ group }) => group)).add(but)
    return set.groups.flatMap((index) => (done.has(index) ? [] : (this.choosing(index).demands[0]?.demand ?? [])))
  }

  #nodesOf(groups: readonly number[]): Set<NodeState> {
    return new Set(this.placed.flatMap(({ group, node }) => (groups.includes(group) ? [node] : [])))
  }

  #claim(group: number, demand: Demand, node: NodeState): void {
    if (this.placed.at(-1)?.node === node) this.#holdPlaced()
    this.placed.push({ group, node, claim: claimOn(this.#fleet, node, demand, this.#claimant(group)) })
  }

  #holdPlaced(): void {
    for (; this.#held < this.placed.length; this.#held++) {
      const one = this.placed[this.#held]
      if (one !== undefined) this.#fleet.try(one.claim)
    }
  }

  #claimant(group: number): Claimant {
    const { gang, object } = this.#request
    return { gang, queue: object.spec.queue, occupant: this.#occupants?.[group] }
  }

  #group(index: number): Group {
    const group = this.#groups[index]
    assert(group !== undefined, 'a part names groups that there are')
    return group
  }

  /** Why the most preferred alternative that could ever fit does not. */
  #shortageOf(index: number, within: Within): Shortage {
    const group = this.#group(index)
    const spreading = spreadingOf(this.#request.object, index)
    const company = this.#fleet.neighbours.of(this.#request.object, group)
    const shortages = alternativesOf(this.#fleet, group).map((alternative) => {
      const demand = demandOf(group, alternative, spreading.slices, company)
      const kept = this.#request.reserved.of(alternative.model)
      const byQuota = membersBy(this.#quotaLeft.get(alternative.model), demand)
      const room = roomIn(this.#fleet, demand, kept?.nodes, within)(within).total
      return shortageOf(this.#fleet, group, alternative, demand, Math.min(room, byQuota), byQuota, kept)
    })
    const shortage = shortages.find((one) => one.kind !== 'never') ?? shortages[0]
    assert(shortage !== undefined, 'a group names at least one accelerator')
    return shortage
  }
}

const nobodyStays: ReadonlyMap<number, readonly Seat[]> = new Map()

/** Nobody has looked at so many domains in vain; whoever nests sets in sets could make us look for ever. */
const triesMax = 20_000

function unsliced(demand: Demand): Demand {
  return { ...demand, slices: undefined, key: `${demand.key} loose` }
}

/** Seats whose nodes still take members of their group, as many as it wants; of slices, whole ones. */
function keptSeats(fleet: Fleet, gang: Gang, { members, mayMove }: Before): Map<number, Seat[]> {
  const kept = new Map<number, Seat[]>()
  for (const [index, group] of gang.spec.groups.entries()) {
    const seats = members.filter((seat) => seat.group === group.name).slice(0, group.max)
    const size = spreadingOf(gang, index).slices?.[0]?.size ?? 1
    const demands = alternativesOf(fleet, group).map((alternative) => demandOf(group, alternative))
    const isOpen = (seat: Seat) => {
      const node = fleet.nodes.get(seat.node)
      return node !== undefined && (!mayMove || demands.some((demand) => admits(node, demand)))
    }
    const staying: Seat[] = []
    for (let from = 0; from < seats.length; from += size) {
      const slice = seats.slice(from, from + size)
      if (!mayMove || (slice.length === size && slice.every(isOpen))) staying.push(...slice)
    }
    kept.set(index, staying)
  }
  return kept
}
