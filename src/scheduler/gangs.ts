import type { Gang } from '../model/kinds/gang.ts'
import { label } from '../model/names.ts'
import { servedStepsMax } from '../model/served.ts'
import type { Seats, Verdict, Victim } from './contract.ts'

/** What the scheduler keeps of each gang. */
export interface GangState {
  key: string
  object: Gang
  /** What the fleet currently counts as this gang's seats (or what is kept for it), and under which pods. */
  seats: Kept | undefined
  seatPods: string[]
  /** What they come to, in milli-accelerators by model. */
  holds: ReadonlyMap<string, number>
  /** Its seats are kept for another: what it still holds is charged to its queue no more. */
  leaving: boolean
  /** It is not preemptible: what it holds is charged to its queue as what nobody can take back. */
  firm: boolean
  /** It moves: where its next attempt will sit, while this one still does. */
  moving: Kept | undefined
  /** The pods under which what it does not hold yet of that is kept for it. */
  movingPods: readonly string[]
  /** The pods under which is kept what was held for it and it was not given, until what it was given is committed. */
  heldPods: readonly string[]
  /** `outcome`: how its write was answered. What came of it is known with the version of the gang that follows. */
  inFlight: { verdict: Verdict; outcome?: 'committed' | 'stale' } | undefined
  /** Since when it waits for pods of its own to end. */
  endingSinceMs: number | undefined
}

/** Higher goes first, and may take from lower: its priority, and of equal ones whoever has had fewer steps of accelerator-time. */
export function standingOf({ priority, served = 0 }: Pick<Gang['spec'], 'priority' | 'served'>): number {
  return priority - served / (servedStepsMax + 1)
}

/** Seats that it has, or that it will have once others have left. */
export type Kept = Pick<Seats, 'attempt' | 'members'>

const nothingHeld: ReadonlyMap<string, number> = new Map()

export function newState(key: string, object: Gang): GangState {
  return {
    key,
    object,
    seats: undefined,
    seatPods: [],
    holds: nothingHeld,
    leaving: false,
    firm: false,
    moving: undefined,
    movingPods: [],
    heldPods: [],
    inFlight: undefined,
    endingSinceMs: undefined,
  }
}

/**
 * Seats that it has, void or not, or what is kept for it. Seats that were asked back are void with their attempt, save what
 * a gang that shrinks goes on with; beside those of one that grows is kept what it grows into.
 */
export function keptBy(gang: Gang): Kept | undefined {
  const { spec, status } = gang
  const { seats, hold, eviction, resize } = status ?? {}
  if (hold !== undefined && hold.attempt === spec.attempt) return hold
  if (seats === undefined || (hasLeft(gang) && eviction?.shrinks !== true)) return undefined
  return resize?.attempt === seats.attempt ? larger(seats, resize.members) : seats
}

/** What was held for it and is none of the seats that it is given now; of a device that it is given nothing is left. */
export function leftOfHold({ spec, status }: Gang, seats: Pick<Seats, 'members'>): Kept | undefined {
  const { hold } = status ?? {}
  if (hold === undefined || hold.attempt !== spec.attempt) return undefined
  const given = new Set(seats.members.flatMap(({ node, devices }) => devices.map(({ id }) => `${node} ${id}`)))
  const members = hold.members.flatMap((seat) => {
    const devices = seat.devices.filter(({ id }) => !given.has(`${seat.node} ${id}`))
    return devices.length === 0 ? [] : [{ ...seat, devices }]
  })
  return members.length === 0 ? undefined : { attempt: hold.attempt, members }
}

/** Its seats were asked back, and it wants others by now. */
export function hasLeft({ spec, status }: Gang): boolean {
  const { seats, eviction } = status ?? {}
  return seats !== undefined && seats.attempt !== spec.attempt && eviction?.attempt === seats.attempt
}

/** Whether so many members are enough for it to sit. */
export function isEnough({ spec }: Gang, members: Kept['members']): boolean {
  const counts = membersByGroup({ members })
  return spec.groups.every(({ name, min }) => (counts.get(name) ?? 0) >= min)
}

/** Where its next attempt will sit, while this one still does, as committed. */
export function movesTo({ spec, status }: Gang): Kept | undefined {
  const { seats, hold } = status ?? {}
  return seats?.attempt === spec.attempt && hold?.attempt === spec.attempt + 1 ? hold : undefined
}

/** The gang's next attempt: it is named after the pods that come, so that it is told from those that run. */
export function nextOf(gang: Gang): Gang {
  return { ...gang, spec: { ...gang.spec, attempt: gang.spec.attempt + 1 } }
}

/** One of a service: when it moves, another is started in its place first. */
export function isReplica(gang: Gang): boolean {
  return serviceOf(gang) !== undefined
}

/** The service of a replica, in words that no gang's key is: `service namespace/name`. */
export function serviceOf({ metadata }: Gang): string | undefined {
  const name = metadata.labels?.[label.service]
  return name === undefined ? undefined : `service ${metadata.namespace}/${name}`
}

/** The node and its accelerators: by these, a seat of one attempt is the same as one of another. */
export function placeOf({ node, devices }: { node: string; devices: readonly { id: string }[] }): string {
  return `${node} ${devices.map(({ id }) => id).join()}`
}

/** The seats, and what is added to them. */
export function larger({ attempt, members }: Kept, added: Seats['members']): Kept {
  return { attempt, members: [...members, ...added] }
}

export function isElastic({ spec }: Gang): boolean {
  return spec.groups.some(({ min, max }) => min < max)
}

/** The gang with no fewer members than it had, where it keeps seats of an earlier attempt; else undefined. */
export function noFewerThanBefore(gang: Gang): Gang | undefined {
  const { spec, status } = gang
  const { seats } = status ?? {}
  if (seats === undefined || seats.attempt === spec.attempt || !isElastic(gang)) return undefined
  const had = membersByGroup(seats)
  const groups = spec.groups.map((group) => {
    return { ...group, min: Math.min(group.max, Math.max(group.min, had.get(group.name) ?? 0)) }
  })
  return { ...gang, spec: { ...spec, groups } }
}

/**
 * The gang with no more members than are held for it: what else its victims leave is theirs to go on with, and it could
 * not be asked back by whom it displaced.
 */
export function noMoreThanHeld(gang: Gang): Gang {
  const { spec, status } = gang
  const { hold } = status ?? {}
  if (hold === undefined || hold.attempt !== spec.attempt || !isElastic(gang)) return gang
  const held = membersByGroup(hold)
  const groups = spec.groups.map((group) => ({ ...group, max: Math.max(group.min, held.get(group.name) ?? 0) }))
  return { ...gang, spec: { ...spec, groups } }
}

export function membersByGroup({ members }: Pick<Seats, 'members'>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { group } of members) counts.set(group, (counts.get(group) ?? 0) + 1)
  return counts
}

/** Its pods that hold something, by seats or by living. */
export function podsOf(state: GangState, live: ReadonlySet<string>): Iterable<string> {
  return live.size === 0 ? state.seatPods : new Set([...state.seatPods, ...live])
}

/** Those who are to leave for what is kept for it, as decided or as committed. */
export function victimsOf({ inFlight, object: { spec, status } }: GangState): readonly Victim[] {
  if (inFlight?.verdict.kind === 'preempt') return inFlight.verdict.victims
  if (inFlight?.verdict.kind === 'bind') return []
  return status?.hold?.attempt === spec.attempt ? status.hold.victims : []
}

/** Milli-accelerators that the gang's fewest members hold, of what they prefer. */
export function wantsOf({ spec }: Gang): ReadonlyMap<string, number> {
  const wants = new Map<string, number>()
  for (const { min, accelerators } of spec.groups) {
    const [one] = accelerators
    if (one !== undefined) wants.set(one.model, (wants.get(one.model) ?? 0) + min * Math.round(one.count * 1000))
  }
  return wants
}
