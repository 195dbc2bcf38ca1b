import { isMeant } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { type GangState, standingOf } from '../gangs.ts'
import { type Bind, canUseMore, isGoing, joinedBy, noFewer, placesFor, type Scene } from './growth.ts'

/** What seeing members off needs besides. */
export interface RejoinScene extends Scene {
  pods: ReadonlyMap<string, Pod>
  livePodsOf(gang: string): ReadonlySet<string>
}

/** So long what a member had is waited for while its pod still ends there: what is on that node lets the next one start sooner. */
const inPlacePatienceMs = 10_000

/**
 * Gangs whose members rejoin, and that have fewer than they had: another takes the place of each that has left, as soon as
 * there is room, before whoever waits in line. That is no growth, which others in line come before: the gang has what it had.
 * Only whoever goes before it and could use the same comes first, and where it would borrow, whoever could.
 */
export class Rejoin {
  readonly #short = new Set<string>()
  /** Since when pods of members that have left are waited for. */
  readonly #endingSinceMs = new Map<string, number>()
  #generation = -1

  /** Follows what is known of the gang. */
  follow({ key, object: { spec, status } }: GangState): void {
    const { seats, eviction, resize } = status ?? {}
    const sits = spec.rejoins === true && !spec.suspend && seats?.attempt === spec.attempt
    const goes = eviction?.attempt === spec.attempt || resize?.attempt === spec.attempt
    if (sits && !goes && seats.members.length < sizeOf(status)) {
      if (!this.#short.has(key)) this.#generation = -1
      this.#short.add(key)
    } else this.forget(key)
  }

  forget(key: string): void {
    this.#short.delete(key)
    this.#endingSinceMs.delete(key)
  }

  /** One after the other: what one is given is taken when the next is asked for. */
  *look(scene: RejoinScene, nowMs: number): Generator<Bind> {
    const isFreed = this.#generation !== scene.fleet.generation
    if (this.#short.size === 0 || (!isFreed && this.#endingSinceMs.size === 0)) return
    this.#generation = scene.fleet.generation
    for (const key of this.#short) {
      const state = scene.gangs.get(key)
      if (state === undefined || state.inFlight !== undefined || isGoing(state) || isDone(scene, state)) continue
      if (this.#waitsForItsOwn(scene, state, nowMs)) continue
      const more = asBefore(state.object, scene)
      const isLate = isWantedFirst(scene, state.object, more)
      const placed = isLate ? [] : placesFor(scene, state, more, sizeOf(state.object.status))
      if (placed.length > 0) yield joinedBy(scene, state, placed)
    }
  }

  #waitsForItsOwn(scene: RejoinScene, { key, seatPods }: GangState, nowMs: number): boolean {
    const seated = new Set(seatPods)
    const ends = [...scene.livePodsOf(key)].some((pod) => {
      const node = scene.fleet.nodes.get(scene.pods.get(pod)?.spec.nodeName ?? '')
      return !seated.has(pod) && node !== undefined && node.closed === undefined
    })
    if (!ends) {
      this.#endingSinceMs.delete(key)
      return false
    }
    const sinceMs = this.#endingSinceMs.get(key) ?? nowMs
    this.#endingSinceMs.set(key, sinceMs)
    return nowMs - sinceMs < inPlacePatienceMs
  }
}

/** All that are left have ended well: so has its work, and nobody has anything to join. */
function isDone({ pods }: RejoinScene, { seatPods }: GangState): boolean {
  return seatPods.every((pod) => pods.get(pod)?.status?.phase === 'Succeeded')
}

/** How many members it had at its largest; of whom, of a gang whose members rejoin, each that has left is replaced. */
function sizeOf(status: Gang['status']): number {
  return status?.seats?.size ?? 0
}

/** The gang with as many members as it had. */
function asBefore(gang: Gang, { fleet }: RejoinScene): Gang {
  const more = noFewer(gang, fleet)
  const size = sizeOf(gang.status)
  const groups = more.spec.groups.map((group) => ({ ...group, max: Math.max(group.min, Math.min(group.max, size)) }))
  return { ...more, spec: { ...more.spec, groups } }
}

/** Whether somebody in line is to have first what it would take. */
function isWantedFirst({ line, quota }: RejoinScene, gang: Gang, more: Gang): boolean {
  const [{ min = 0, max = 0, accelerators: [one] = [] } = {}] = more.spec.groups
  if (one === undefined) return false
  const wants = new Map([[one.model, (max - min) * Math.round(1000 * one.count)]])
  const borrows = quota.isBorrowing(gang.spec.queue, wants.keys(), wants)
  for (const lane of line.lanes()) {
    const first = lane.waiting[0]?.gang
    if (first === undefined || !canUseMore(lane)) continue
    const isOthers = borrows && first.spec.queue !== gang.spec.queue
    if (!isOthers && standingOf(first.spec) <= standingOf(gang.spec)) continue
    if (first.spec.groups.some(({ accelerators }) => accelerators.some(({ model }) => isMeant(model, one.model))))
      return true
  }
  return false
}
