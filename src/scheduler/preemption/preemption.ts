import { assert } from '../../base/errors.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import type { Victim } from '../contract.ts'
import { atLeast } from '../fit/least.ts'
import type { Placed } from '../fit/search.ts'
import { type Reserved, type Shortage, taken } from '../fit/shortage.ts'
import { type GangState, isElastic, isEnough, podsOf, standingOf, wantsOf } from '../gangs.ts'
import { mayEverHold } from '../line/admission.ts'
import type { Limits, Start } from '../line/line.ts'
import type { Candidate, Request } from '../quota/candidates.ts'
import type { Displacements } from '../quota/displacements.ts'
import type { QuotaTree } from '../quota/tree.ts'
import { victimsFor } from '../quota/victims.ts'
import type { Budgets } from './budgets.ts'
import type { Seated } from './seated.ts'
import { Sparing } from './sparing.ts'
import { Nodes, type Seating } from './stage.ts'

/** Where a gang will sit, and who has to leave for it. */
export interface Displaced {
  placed: readonly Placed[]
  victims: Victim[]
}

/** What displacing needs of a scheduler. */
export interface Scene extends Seating {
  quota: QuotaTree
  /** Gangs that hold committed seats of a queue. */
  seatedIn(queue: string): Seated | undefined
  displaced: Displacements
  budgets: Budgets
}

export interface Incoming {
  key: string
  object: Gang
  reserved: Reserved
  /** Gangs that are gone already in what is tried. */
  without?: readonly string[] | undefined
}

/** What a gang lacks that others could give up. */
export const displaceable: ReadonlySet<Shortage['kind']> = new Set([...taken, 'spares', 'quota', 'company'])

/**
 * Whom the gang may displace so that its fewest members fit, at the lowest price of lost work among its alternatives;
 * undefined when nobody's leaving would let it start. Nothing is changed.
 */
export function displace(
  scene: Scene,
  incoming: Incoming,
  nowMs: number,
  sparing = new Sparing(scene, incoming.object.spec.queue, nowMs),
): Displaced | undefined {
  if (displacesNobody(incoming.object)) return undefined
  const found = atLeast(incoming.object, scene.fleet).flatMap(
    (object) => displaceFor(scene, { ...incoming, object }, nowMs, sparing) ?? [],
  )
  const best = found.toSorted((a, b) => lostBy(a) - lostBy(b))[0]
  if (best !== undefined || !sparing.mayPassOthers) return best
  return displace(scene, incoming, nowMs, sparing.passing('others'))
}

export function displacesNobody({ spec }: Gang): boolean {
  return spec.preemptionPolicy === 'Never'
}

/**
 * Where shares are compared, whom a gang may take first depends on what each would lose, and that on the time and on
 * checkpoints: whoever may take nobody as it is looks again after so long.
 */
export const pricesLastMs = 60_000

/**
 * What alone keeps the gang from displacing somebody, when it could displace nobody: that it may displace nobody
 * (`wouldLeave`: whom it would), minimum run times that have not ended
 * (`later`: when and where it could sit at the earliest, as far as that can be foreseen), or disruption budgets (whose).
 * `lookAtMs`: when the first of these times ends, or prices may be others.
 */
export function limitsOn(scene: Scene, incoming: Incoming, nowMs: number, sparing: Sparing): Limits {
  if (displacesNobody(incoming.object)) return { wouldLeave: displaceAsOthers(scene, incoming, nowMs)?.victims ?? [] }
  const ends = [...sparing.ends].sort((a, b) => a - b)
  const isByShare = sparing.hasMetOthers && scene.quota.isFair(incoming.object.spec.queue)
  const looks = [...ends.slice(0, 1), ...(isByShare ? [nowMs + pricesLastMs] : [])]
  const look = looks.length === 0 ? {} : { lookAtMs: Math.min(...looks) }
  const later = displaceLater(scene, incoming, nowMs, ends)
  if (later !== undefined) return { ...look, later }
  if (!sparing.hasBudgetsInTheWay) return look
  const { victims = [] } = displace(scene, incoming, nowMs, sparing.passing('all')) ?? {}
  const names = victims.flatMap(({ gang }) => scene.gangs.get(gang)?.object.spec.disruptionBudget?.of ?? [])
  return names.length === 0 ? look : { ...look, budgets: [...new Set(names)] }
}

/** Whom it would displace if it were like others. */
function displaceAsOthers(scene: Scene, incoming: Incoming, nowMs: number): Displaced | undefined {
  const { preemptionPolicy: _, ...spec } = incoming.object.spec
  return displace(scene, { ...incoming, object: { ...incoming.object, spec } }, nowMs)
}

/**
 * The earliest of the times at which it could displace somebody, if it could at the last: whoever may leave by then may be
 * asked instead of others that would be of more use, so that it could at an earlier one alone is not foreseen.
 */
function displaceLater(scene: Scene, incoming: Incoming, nowMs: number, inOrder: readonly number[]): Start | undefined {
  const tried = (index: number): Start | undefined => {
    const atMs = inOrder[index] ?? nowMs
    const { placed, victims } =
      displace(scene, incoming, atMs, new Sparing(scene, incoming.object.spec.queue, atMs)) ?? {}
    return placed === undefined ? undefined : { atMs, nodes: new Set(placed.map(({ node }) => node)), victims }
  }
  let [tooSoon, enough] = [-1, inOrder.length - 1]
  let found = enough < 0 ? undefined : tried(enough)
  while (found !== undefined && enough - tooSoon > 1) {
    const middle = (tooSoon + enough) >> 1
    const sooner = tried(middle)
    if (sooner === undefined) tooSoon = middle
    else [enough, found] = [middle, sooner]
  }
  return found
}

function lostBy({ victims }: Displaced): number {
  return victims.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0)
}

function displaceFor(scene: Scene, incoming: Incoming, nowMs: number, sparing: Sparing): Displaced | undefined {
  if (!mayEverHold(scene.quota, incoming.object, wantsOf(incoming.object))) return undefined
  sparing.unbar()
  for (;;) {
    const found = searchTwice(scene, incoming, nowMs, sparing)
    if (found !== undefined || !sparing.barThoseInVain()) return found
  }
}

function searchTwice(scene: Scene, incoming: Incoming, nowMs: number, sparing: Sparing): Displaced | undefined {
  const found = search(scene, incoming, nowMs, sparing, false)
  if (found !== 'lost') return found
  const again = search(scene, incoming, nowMs, sparing, true)
  assert(again !== 'lost', `gang ${incoming.key} fits once those that it displaces have left`)
  return again
}

/** 'lost': room that was taken to stay is not found again, by groups that are placed one after another. */
function search(
  scene: Scene,
  incoming: Incoming,
  nowMs: number,
  sparing: Sparing,
  looksAgain: boolean,
): Displaced | 'lost' | undefined {
  const { fleet, quota, gangs, displaced } = scene
  const { key, object } = incoming
  return fleet.attempt(() => {
    const nodes = new Nodes(scene, incoming, looksAgain)
    const gone = new Set(incoming.without)
    const candidatesOf = (queue: string) => candidatesIn(scene, queue, gone, nowMs, sparing)
    const leaving = victimsFor(quota, requestOf(key, object), candidatesOf, nodes, displaced)
    if (leaving === undefined) return undefined
    for (const victim of leaving) nodes.lift(victim.key)
    const placed = nodes.place()
    if (placed === undefined) return 'lost'
    const victims = leaving.flatMap(({ key: victim, reason }) => {
      const state = gangs.get(victim)
      if (state === undefined) return []
      const { metadata, spec } = state.object
      const lostSeconds = state.leaving ? 0 : (priceOfGang(state.object, nowMs)?.price ?? 0)
      const shrinks = canGoOn(state.object, placed) ? { shrinks: true } : {}
      return [{ gang: victim, uid: metadata.uid ?? '', attempt: spec.attempt, reason, lostSeconds, ...shrinks }]
    })
    return { placed, victims }
  })
}

/** Whether enough of its seats are left to it. */
function canGoOn(gang: Gang, placed: readonly Placed[]): boolean {
  if (!isElastic(gang)) return false
  const taken = new Set(placed.flatMap(({ claim }) => claim.devices.map(({ id }) => `${claim.node}/${id}`)))
  const members = gang.status?.seats?.members ?? []
  return isEnough(
    gang,
    members.filter(({ node, devices }) => devices.every(({ id }) => !taken.has(`${node}/${id}`))),
  )
}

export function requestOf(gang: string, object: Gang): Request {
  const { queue } = object.spec
  return { gang, queue, priority: standingOf(object.spec), createdAt: createdAt(object), wants: wantsOf(object) }
}

function createdAt(gang: Gang): string {
  return gang.metadata.creationTimestamp ?? ''
}

/** What was only just decided cannot be asked back yet. */
function* candidatesIn(
  scene: Scene,
  queue: string,
  gone: ReadonlySet<string>,
  nowMs: number,
  sparing: Sparing,
): Iterable<Candidate> {
  for (const candidate of scene.seatedIn(queue)?.inOrder(nowMs, (state) => hasSpare(scene, state)) ?? []) {
    const state = scene.gangs.get(candidate.key)
    if (state === undefined || state.inFlight !== undefined || gone.has(candidate.key)) continue
    yield sparing.limit(candidate, state)
  }
}

/** Whether a gang that leaves has a device that is not kept for others whole. */
function hasSpare(scene: Scene, state: GangState): boolean {
  for (const pod of podsOf(state, scene.livePodsOf(state.key))) {
    const claim = scene.fleet.claimOf(pod)
    const node = claim === undefined ? undefined : scene.fleet.nodes.get(claim.node)
    for (const { id, milli } of claim?.devices ?? []) {
      const device = node?.devices.get(id)
      if (device !== undefined && device.usedMilli - milli < 1000) return true
    }
  }
  return false
}
