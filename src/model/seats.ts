import type { Gang, Seat } from './kinds/gang.ts'

/** Accelerators that seats come to, shares as such. */
export function acceleratorsHeld(members: readonly Pick<Seat, 'devices'>[]): number {
  return milliHeld(members) / 1000
}

/** Of whole seats, which never change: counted once. */
export function acceleratorsOf(seats: { members: readonly Pick<Seat, 'devices'>[] }): number {
  const known = counted.get(seats)
  if (known !== undefined) return known
  const count = acceleratorsHeld(seats.members)
  counted.set(seats, count)
  return count
}

const counted = new WeakMap<object, number>()

/** What seats hold in thousandths: a whole number. */
export function milliHeld(members: readonly Pick<Seat, 'devices'>[]): number {
  let sum = 0
  for (const { devices } of members) for (const { milli } of devices) sum += milli
  return sum
}

/** Those of one node. */
export function seatsOn(members: readonly Seat[], node: string): readonly Seat[] {
  return sortedByNode(members).get(node) ?? []
}

/** The nodes that seats are on, each once. */
export function nodesUnder(members: readonly Seat[]): readonly string[] {
  const known = nodes.get(members)
  if (known !== undefined) return known
  const found = [...sortedByNode(members).keys()]
  nodes.set(members, found)
  return found
}

/** Seats never change: they are sorted once. */
const byNode = new WeakMap<readonly Seat[], ReadonlyMap<string, readonly Seat[]>>()
const nodes = new WeakMap<readonly Seat[], readonly string[]>()

function sortedByNode(members: readonly Seat[]): ReadonlyMap<string, readonly Seat[]> {
  const known = byNode.get(members)
  if (known !== undefined) return known
  const sorted = new Map<string, Seat[]>()
  for (const seat of members) {
    const there = sorted.get(seat.node)
    if (there === undefined) sorted.set(seat.node, [seat])
    else there.push(seat)
  }
  byNode.set(members, sorted)
  return sorted
}

/** Seats that count: committed for the present attempt, and not of members that have left it. */
export function seatsNow(gang: Gang): NonNullable<Gang['status']>['seats'] {
  const { seats } = withoutLeft(gang).status ?? {}
  return seats !== undefined && seats.attempt === gang.spec.attempt ? seats : undefined
}

/**
 * The gang as it is without the members that have left: nobody need know of those whose seats are void. The same object
 * where none has, and for the same gang always the same.
 */
export function withoutLeft(gang: Gang): Gang {
  const { spec, status } = gang
  const { left = [] } = spec
  const seats = status?.seats
  if (left.length === 0 || status === undefined || seats === undefined) return gang
  const known = remaining.get(gang)
  if (known !== undefined) return known
  const gone = new Set(left)
  const members = seats.members.filter(({ pod }) => !gone.has(pod))
  const isSame = members.length === seats.members.length
  const without = isSame ? gang : { ...gang, status: { ...status, seats: { ...seats, members } } }
  remaining.set(gang, without)
  return without
}

const remaining = new WeakMap<Gang, Gang>()
