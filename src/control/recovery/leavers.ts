import type { Gang } from '../../model/kinds/gang.ts'
import { seatsNow } from '../../model/seats.ts'
import { isEnough } from '../../scheduler/gangs.ts'
import { membersRejoin } from '../gangs.ts'
import type { End } from './cause.ts'
import { isNewer, progressOf, recoveryOf } from './record.ts'

/** Members that leave their gang, which goes on without them. */
export interface Leavers {
  pods: readonly string[]
  /** All of them came to join the others, and had not done a step: as a restart that fails, that is counted. */
  neverJoined: boolean
}

/** After these it is not known whether what the others have is right, or whether they can go on. */
const endsOfAll: readonly End['kind'][] = ['diverged', 'stalled', 'by agent']

/** What is known of members, by pod. */
export interface KnownOf {
  /** Whether it told a step. */
  hasStepped: ReadonlyMap<string, boolean>
  /** Who has ended well. */
  done: ReadonlySet<string>
}

/**
 * Pure: who leaves, where the others can go on without them; undefined: the gang starts again as a whole. They can where
 * the job says so (`failurePolicy.restart: worker`), while enough are left, and one of them that has stepped: who comes gets
 * the job's state from it. When as many have left since the last checkpoint as it has members, that is no bad luck any more: it starts again from that.
 * Where all others have ended well the work is done, and nobody starts again for it.
 */
export function leaversOf(
  gang: Gang,
  cause: End,
  failed: readonly string[],
  { hasStepped, done }: KnownOf,
): Leavers | undefined {
  const seats = seatsNow(gang)
  if (!membersRejoin(gang) || seats === undefined || endsOfAll.includes(cause.kind)) return undefined
  const pods = new Set([cause.pod, ...failed])
  const leaving = seats.members.filter(({ pod }) => pods.has(pod))
  const staying = seats.members.filter(({ pod }) => !pods.has(pod))
  if (staying.length > 0 && staying.every(({ pod }) => done.has(pod)))
    return { pods: leaving.map(({ pod }) => pod), neverJoined: false }
  const record = recoveryOf(gang)
  const before = isNewer(progressOf(gang), record.progress) ? 0 : record.replacedSinceProgress
  if (before >= seats.members.length || !isEnough(gang, staying)) return undefined
  if (!staying.some(({ pod }) => hasStepped.get(pod) === true)) return undefined
  const neverJoined = leaving.every(({ pod, joined }) => joined === true && hasStepped.get(pod) !== true)
  return { pods: leaving.map(({ pod }) => pod), neverJoined }
}
