import type { Clock } from './clock.ts'
import { createLiveness } from './liveness.ts'
import { silentLog } from './log.ts'
import { seededRandom } from './random.ts'

/** What each process of a factory has of its own, whatever it does there: its time, its chance, and nobody reads its log. */
export function processOf(clock: Clock, seed: number) {
  return { clock, liveness: createLiveness(clock), random: seededRandom(seed), log: silentLog }
}
