import { assert } from '../../base/errors.ts'
import { nodeLevel } from '../../model/fabric.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Victim } from '../contract.ts'
import { demandsOf } from '../fit/demand.ts'
import { fitGang } from '../fit/fit.ts'
import { atLeast } from '../fit/least.ts'
import { spreadingOf } from '../fit/parts.ts'
import type { Placed } from '../fit/search.ts'
import { seatsOf } from '../fit/seats.ts'
import type { Reserved } from '../fit/shortage.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { Claim, NodeState } from '../fleet/nodes.ts'
import { roomIfOpen } from '../fleet/rooms.ts'
import { isReplica, membersByGroup, nextOf, placeOf, standingOf, wantsOf } from '../gangs.ts'
import { quotaLeft, unlimited } from '../line/admission.ts'
import { alternativeInUse, canComeBack } from '../line/growth.ts'
import { comingFrom, lessBy } from '../preemption/coming.ts'
import { requestOf } from '../preemption/preemption.ts'
import { Nodes } from '../preemption/stage.ts'
import type { Candidate } from '../quota/candidates.ts'
import { giveBackUnneeded, type Pick, Trial, takeUntilFits } from '../quota/trial.ts'
import { type Clearing, clearingsOf } from './clearing.ts'
import { type Movable, Movables, type Scene } from './movable.ts'

/** Who waits, and what others keep for themselves. */
export interface Waiting {
  key: string
  object: Gang
  reserved: Reserved
}

/** Where the gang will sit, and who moves where for it. */
export interface Moves {
  placed: readonly Placed[]
  moves: Victim[]
  /** GPU-seconds that they lose together. */
  price: number
}

/** So often it is looked for others when one of those chosen finds no other place. */
const triesMax = 8

/**
 * Who has to move, and where, so that the gang's fewest members fit: at the least price found, each onto seats that are
 * free now, so that nobody waits for it; undefined when that does not help. What the gang lacks must be free somewhere
 * already, its queue's quota must allow it, and nobody further up the line may wait for its model. Nothing is changed.
 */
export function findMoves(scene: Scene, waiting: Waiting, nowMs: number): Moves | undefined {
  const movables = new Movables(scene, waiting.object, nowMs)
  const found = atLeast(waiting.object, scene.fleet)
    .filter((object) => isFragmented(scene, object, waiting.reserved))
    .flatMap((object) => new Search(scene, { ...waiting, object }, movables).find() ?? [])
  return found.toSorted((a, b) => a.price - b.price)[0]
}

function isFragmented({ fleet, quota }: Scene, object: Gang, reserved: Reserved): boolean {
  const wants = wantsOf(object)
  const left = quotaLeft(quota, fleet, object)
  for (const [model, milli] of wants) {
    if ((left.get(model) ?? milli) < milli) return false
    if (reserved.of(model)?.gang !== undefined || 1000 * fleet.countOf(model).free < milli) return false
  }
  return true
}

class Search {
  readonly #scene: Scene
  readonly #waiting: Waiting
  readonly #movables: Movables
  readonly #clearings = new Map<NodeState, Clearing[]>()

  constructor(scene: Scene, waiting: Waiting, movables: Movables) {
    this.#scene = scene
    this.#waiting = waiting
    this.#movables = movables
  }

  find(): Moves | undefined {
    for (let tries = 0; tries < triesMax; tries++) {
      const found = this.#scene.fleet.attempt(() => this.#try())
      if (found === undefined || 'moves' in found) return found
      this.#movables.leaveOut(found.stuck.key)
      for (const { node } of found.stuck.seats.members) this.#forget(node)
    }
    return undefined
  }

  #forget(name: string): void {
    const node = this.#scene.fleet.nodes.get(name)
    if (node !== undefined) this.#clearings.delete(node)
  }

  #try(): Moves | { stuck: Movable } | undefined {
    const chosen = this.#choose()
    if (chosen === undefined) return undefined
    const nodes = new Nodes(this.#scene, this.#waiting)
    for (const { key } of chosen) nodes.lift(key)
    const placed = nodes.place()
    for (const { key } of chosen) nodes.putBack(key)
    if (placed === undefined) return undefined
    const cleared = new Set(placed.map(({ node }) => node.name))
    return this.#moveAll(
      placed,
      chosen.filter(({ seats }) => seats.members.some(({ node }) => cleared.has(node))),
    )
  }

  /** Node by node the cheapest first, until the gang fits; then without those that it does not need. */
  #choose(): Movable[] | undefined {
    const { quota } = this.#scene
    const { key, object } = this.#waiting
    const trial = new Trial(quota, requestOf(key, object), new Nodes(this.#scene, this.#waiting), true)
    try {
      if (!takeUntilFits(trial, this.#picks())) return undefined
      giveBackUnneeded(trial)
      return trial.taken.map(({ candidate }) => {
        const gang = this.#movables.get(candidate.key)
        assert(gang !== undefined, 'who was taken may be moved')
        return gang
      })
    } finally {
      trial.clear()
    }
  }

  *#picks(): Generator<Pick> {
    const taken = new Set<string>()
    const all = this.#all().sort((a, b) => a.price - b.price || a.gangs.length - b.gangs.length)
    for (const { gangs } of all) {
      for (const gang of gangs) {
        if (taken.has(gang.key)) continue
        taken.add(gang.key)
        yield { candidate: candidateOf(gang), reason: 'Defragmentation' }
      }
    }
  }

  #all(): Clearing[] {
    const { fleet } = this.#scene
    const { object, reserved } = this.#waiting
    const demands = demandsOf(fleet, object)
    const most = object.spec.groups.reduce((sum, { min }) => sum + min, 0)
    return fleet.order.flatMap((node) => {
      const known = this.#clearings.get(node)
      if (known !== undefined) return known
      const open = demands.filter((demand) => reserved.of(demand.model)?.nodes.has(node) !== true)
      const useful = open.filter((demand) => roomIfOpen(fleet, node, demand) > fleet.rooms(demand).on(node))
      const clearings = useful.flatMap((demand) => clearingsOf(node, demand, this.#movables, most))
      this.#clearings.set(node, clearings)
      return clearings
    })
  }

  /** The largest first: with the gang on its seats, each has to find free ones of its own. */
  #moveAll(placed: readonly Placed[], chosen: readonly Movable[]): Moves | { stuck: Movable } {
    const { fleet } = this.#scene
    const coming = comingFrom(chosen.flatMap((one) => this.#claimsOf(one)))
    for (const { claim } of placed) fleet.try(lessBy(coming, claim))
    const cleared = new Set(placed.map(({ node }) => node.name))
    const charged = placed.map(({ claim }) => claim)
    const moves: Victim[] = []
    try {
      this.#charge(charged, 1)
      for (const gang of chosen.toSorted((a, b) => sizeOf(b) - sizeOf(a))) {
        const found = this.#placeElsewhere(gang, cleared)
        if (found === undefined) return { stuck: gang }
        for (const claim of found.added) fleet.try(claim)
        if (isReplica(gang.state.object)) {
          this.#charge(found.added, 1)
          charged.push(...found.added)
        }
        moves.push(moveOf(gang, found.placed))
      }
    } finally {
      this.#charge(charged, -1)
    }
    return { placed, moves, price: chosen.reduce((sum, { price }) => sum + price, 0) }
  }

  /** Members on nodes that are not cleared stay where they are. A replica is replaced as a whole: for a while both are there. */
  #placeElsewhere(gang: Movable, cleared: ReadonlySet<string>): { placed: Placed[]; added: Claim[] } | undefined {
    const { fleet, quota } = this.#scene
    const { object } = gang.state
    const isWhole = isReplica(object) || object.spec.groups.some((_, index) => spreadingOf(object, index).slices)
    const stay = isWhole ? [] : gang.seats.members.filter((seat) => !cleared.has(seat.node) && canComeBack(fleet, seat))
    const same = asItSits(object, fleet, stay.length > 0)
    const pods = stay.map(({ pod }) => `${object.metadata.namespace ?? 'default'}/${pod}`)
    const placed = fleet.attempt(() => {
      for (const pod of pods) fleet.lift(pod)
      const fit = fitGang(fleet, {
        gang: gang.key,
        object: same,
        quotaLeft: isReplica(object) ? quotaLeft(quota, fleet, same) : unlimited,
        reserved: this.#waiting.reserved,
        before: { members: stay, mayMove: false },
      })
      return fit.fits && !isFurtherApart(fleet, fit.placed, gang) ? fit.placed : undefined
    })
    if (placed === undefined) return undefined
    const had = new Set(stay.map(placeOf))
    return { placed, added: placed.flatMap(({ claim }) => (had.has(placeOf(claim)) ? [] : [claim])) }
  }

  #claimsOf({ key, state }: Movable): Claim[] {
    const pods = new Set([...state.seatPods, ...this.#scene.livePodsOf(key)])
    return [...pods].flatMap((pod) => this.#scene.fleet.claimOf(pod) ?? [])
  }

  #charge(claims: readonly Claim[], sign: 1 | -1): void {
    for (const { queue, model, devices } of claims) {
      const milli = devices.reduce((sum, device) => sum + device.milli, 0)
      if (queue !== undefined && milli > 0) this.#scene.quota.add(queue, model, sign * milli)
    }
  }
}

function sizeOf({ state }: Movable): number {
  return [...state.holds.values()].reduce((sum, milli) => sum + milli, 0)
}

function candidateOf({ key, state, seats, price }: Movable): Candidate {
  const { metadata, spec } = state.object
  return {
    key,
    uid: metadata.uid ?? '',
    queue: spec.queue,
    priority: standingOf(spec),
    createdAt: metadata.creationTimestamp ?? '',
    sinceMs: Date.parse(seats.at),
    leaving: false,
    preemptible: true,
    holds: state.holds,
    price,
  }
}

function moveOf({ key, state, price }: Movable, placed: readonly Placed[]): Victim {
  const { metadata, spec } = state.object
  const { members } = seatsOf(nextOf(state.object), placed)
  return {
    gang: key,
    uid: metadata.uid ?? '',
    attempt: spec.attempt,
    reason: 'Defragmentation',
    lostSeconds: price,
    movesTo: members,
  }
}

/** With as many members, on the alternative that it has; of any GPU on the same model, if some of them stay. */
function asItSits(gang: Gang, fleet: Fleet, someStay: boolean): Gang {
  const members = gang.status?.seats?.members ?? []
  const had = membersByGroup({ members })
  const groups = gang.spec.groups.map((group) => {
    const { asked, model } = alternativeInUse(group, members, fleet)
    const size = had.get(group.name) ?? group.min
    const accelerators = asked === undefined ? [] : [{ ...asked, model: someStay ? model : asked.model }]
    return { ...group, min: size, max: size, accelerators }
  })
  return { ...gang, spec: { ...withoutSpares(gang.spec), groups } }
}

/** Nobody moves onto spares, whatever its attempt began after. */
function withoutSpares({ spareAttempt: _, ...spec }: Gang['spec']): Gang['spec'] {
  return spec
}

function isFurtherApart({ fabric, nodes }: Fleet, placed: readonly Placed[], { seats }: Movable): boolean {
  const before = seats.members.flatMap(({ node }) => nodes.get(node) ?? [])
  return fabric.domainOf.slice(0, nodeLevel).some((domains) => {
    const count = (used: readonly NodeState[]) => new Set(used.map(({ index }) => domains[index])).size
    return count(placed.map(({ node }) => node)) > count(before)
  })
}
