import type { Ages } from '../base/ages.ts'
import { health } from '../model/health.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import type { Report } from '../model/kinds/report.ts'
import { label } from '../model/names.ts'
import { seatsNow } from '../model/seats.ts'
import { isElastic } from '../scheduler/gangs.ts'

/** What control rooms read off a gang and its pods, each question answered in one place. */

export type GangStatus = NonNullable<Gang['status']>
export type ReportStatus = NonNullable<Report['status']>

/** Its status to write on: whole, also where none was written yet or a patch wrote only a part. */
export function gangStatusOf(gang: Gang): GangStatus {
  return { ...gang.status, conditions: gang.status?.conditions ?? [], checkpoints: gang.status?.checkpoints ?? [] }
}

/** What asks for the seats that it has now. */
export function evictionNow(gang: Gang): GangStatus['eviction'] {
  const eviction = gang.status?.eviction
  return eviction !== undefined && eviction.attempt === gang.spec.attempt ? eviction : undefined
}

/** What asks its present attempt to start again where seats are kept for the next. */
export function moveNow(gang: Gang): GangStatus['eviction'] {
  return gang.status?.hold?.attempt === gang.spec.attempt + 1 ? evictionNow(gang) : undefined
}

/** What its present attempt is to grow into, once it has stopped. */
export function resizeNow(gang: Gang): GangStatus['resize'] {
  const resize = gang.status?.resize
  return resize !== undefined && resize.attempt === gang.spec.attempt ? resize : undefined
}

/** What is kept for its present attempt while others leave. */
export function holdNow(gang: Gang): GangStatus['hold'] {
  const hold = gang.status?.hold
  return hold !== undefined && hold.attempt === gang.spec.attempt && !gang.spec.suspend ? hold : undefined
}

/** Its durable checkpoints that retention keeps, newest first. */
export function committedOf(gang: Gang): GangStatus['checkpoints'] {
  const { checkpoint, checkpoints = [] } = gang.status ?? {}
  return checkpoint === undefined ? checkpoints : [checkpoint, ...checkpoints]
}

export function isCommitted(gang: Gang, { attempt, step }: { attempt: number; step: number }): boolean {
  return committedOf(gang).some((one) => one.attempt === attempt && one.step === step)
}

/**
 * Seconds with seats in the attempts before, written with whatever ends one (a failure, a suspension), so that no crash
 * counts them twice or loses them.
 */
export const ranAnnotation = 'millwright.dev/ran-seconds'

/** Whoever leads sees what is decided within so long. */
export const seenMs = 1_000

/** For how many milliseconds it has had these seats. Who gives them asks, so that no clock that is set later makes them older. */
export function seatsAgeMs({ metadata }: Gang, seats: { at: string }, ages: Pick<Ages, 'of'>): number {
  return ages.of(`${metadata.uid} sits`, Date.parse(seats.at), seenMs)
}

/** For how long it has had seats in all. */
export function ranSecondsOf(gang: Gang, ages: Pick<Ages, 'of'>): number {
  const before = Number(gang.metadata.annotations?.[ranAnnotation] ?? 0)
  const seats = gang.spec.suspend ? undefined : seatsNow(gang)
  const now = seats === undefined ? 0 : seatsAgeMs(gang, seats, ages) / 1000
  return (Number.isFinite(before) ? before : 0) + now
}

/** How many members its present attempt has: those that sit; before that, at least so many will. */
export function memberCount(gang: Gang): number {
  return seatsNow(gang)?.members.length ?? gang.spec.groups.reduce((sum, group) => sum + group.min, 0)
}

/** What failed so often in a row displaces nobody any more: each further try would cost others their work. */
export const displacingTriesMax = health.crashLoop.at

export function stopIsAsked(gang: Gang): boolean {
  return gang.spec.checkpointRequest?.stop === true
}

/** Whether the member has left its gang, which goes on without it. */
export function hasLeft({ spec: { left = [] } }: Gang, pod: string): boolean {
  return left.includes(pod)
}

/** Whether another takes the place of a member that fails, while the others go on. */
export function membersRejoin({ spec }: Gang): boolean {
  return spec.rejoins === true
}

/** Whether all of its pods are made before any of them starts: who is missing later was there. */
export function startsAtOnce(gang: Gang): boolean {
  return !membersRejoin(gang) && !isElastic(gang)
}

export function attemptOf(pod: Pod): number {
  return Number(pod.metadata.labels?.[label.attempt] ?? 0)
}

/** Whether a pod of the gang is of its present attempt, and its member has not left that. */
export function isPresent(pod: Pod, gang: Gang): boolean {
  return attemptOf(pod) === gang.spec.attempt && !hasLeft(gang, pod.metadata.name)
}

/** `namespace/name` of the gang that a pod is of; a list because a watch wants one. */
export function gangKeyOf(pod: Pod): string[] {
  const gang = pod.metadata.labels?.[label.gang]
  return gang === undefined ? [] : [`${pod.metadata.namespace ?? 'default'}/${gang}`]
}

export function gangKeyOfReport(report: Report): string[] {
  return report.spec.gang === undefined ? [] : [`${report.metadata.namespace ?? 'default'}/${report.spec.gang}`]
}

export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/** On a node and not ended: it holds devices, and its agent still has something to do. */
export function isLive(pod: Pod): boolean {
  return pod.spec.nodeName !== undefined && !hasEnded(pod)
}

/** Asked to end, and still in its grace period. */
export function isLeaving(pod: Pod): boolean {
  return isLive(pod) && pod.metadata.deletionTimestamp !== undefined
}
