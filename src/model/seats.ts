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
