import type { Seat } from './kinds/gang.ts'

/** Accelerators that seats come to, shares as such. */
export function acceleratorsHeld(members: readonly Pick<Seat, 'devices'>[]): number {
  return milliHeld(members) / 1000
}

/** The same in thousandths: a whole number. */
export function milliHeld(members: readonly Pick<Seat, 'devices'>[]): number {
  let sum = 0
  for (const { devices } of members) for (const { milli } of devices) sum += milli
  return sum
}

/** Those of one node. Seats never change: they are sorted by node once. */
export function seatsOn(members: readonly Seat[], node: string): readonly Seat[] {
  const known = byNode.get(members) ?? sortedByNode(members)
  byNode.set(members, known)
  return known.get(node) ?? []
}

const byNode = new WeakMap<readonly Seat[], ReadonlyMap<string, readonly Seat[]>>()

function sortedByNode(members: readonly Seat[]): ReadonlyMap<string, readonly Seat[]> {
  const sorted = new Map<string, Seat[]>()
  for (const seat of members) {
    const there = sorted.get(seat.node)
    if (there === undefined) sorted.set(seat.node, [seat])
    else there.push(seat)
  }
  return sorted
}
