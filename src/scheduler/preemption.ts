import { assert } from '../base/errors.ts'
import { anyGpu, cpuModel } from '../model/accelerators.ts'
import type { Gang } from '../model/kinds/gang.ts'
import { priceOfGang } from '../model/lost-work.ts'
import type { Victim } from './contract.ts'
import type { Fleet } from './fleet.ts'
import { type GangState, podsOf } from './gangs.ts'
import { wantsOf } from './order.ts'
import type { Candidate, Request } from './quota/candidates.ts'
import type { Displacements } from './quota/displacements.ts'
import type { QuotaTree } from './quota/tree.ts'
import { victimsFor } from './quota/victims.ts'
import type { Placed } from './search.ts'
import type { Seated } from './seated.ts'
import type { Reserved } from './shortage.ts'
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
}

interface Incoming {
  key: string
  object: Gang
  reserved: Reserved
}

/** What a gang lacks that others could give up. */
export const displaceable: ReadonlySet<string> = new Set([
  'quota',
  'accelerators',
  'cpu',
  'memory',
  'ports',
  'pods',
  'topology',
])

/**
 * Whom the gang may displace so that its fewest members fit, at the lowest price of lost work among its alternatives;
 * undefined when nobody's leaving would let it start. Nothing is changed.
 */
export function displace(scene: Scene, incoming: Incoming, nowMs: number): Displaced | undefined {
  const found = alternativesOf(incoming.object, scene.fleet).flatMap(
    (object) => displaceFor(scene, { ...incoming, object }, nowMs) ?? [],
  )
  return found.toSorted((a, b) => lostBy(a) - lostBy(b))[0]
}

function lostBy({ victims }: Displaced): number {
  return victims.reduce((sum, { lostSeconds }) => sum + lostSeconds, 0)
}

/** The gang at its fewest members, by each choice of accelerators. */
function alternativesOf(gang: Gang, fleet: Fleet): Gang[] {
  const { groups } = gang.spec
  const choices = groups.reduce((most, { accelerators }) => Math.max(most, accelerators.length), 0)
  return Array.from({ length: choices }, (_, choice) => choice).flatMap((choice) => {
    const models = groups.some((group) => chosen(group, choice)?.model === anyGpu)
      ? fleet.models().filter((model) => model !== cpuModel)
      : [undefined]
    return models.map((model) => ({
      ...gang,
      spec: {
        ...gang.spec,
        groups: groups.map((group) => {
          const accelerator = chosen(group, choice)
          const named = accelerator?.model === anyGpu && model !== undefined ? { ...accelerator, model } : accelerator
          return { ...group, max: group.min, accelerators: named === undefined ? [] : [named] }
        }),
      },
    }))
  })
}

type Group = Gang['spec']['groups'][number]

function chosen({ accelerators }: Group, choice: number): Group['accelerators'][number] | undefined {
  return accelerators[Math.min(choice, accelerators.length - 1)]
}

function displaceFor(scene: Scene, incoming: Incoming, nowMs: number): Displaced | undefined {
  const { fleet, quota, gangs, displaced } = scene
  const { key, object } = incoming
  return fleet.attempt(() => {
    const nodes = new Nodes(scene, incoming)
    const candidatesOf = (queue: string) => candidatesIn(scene, queue, nowMs)
    const leaving = victimsFor(quota, requestOf(key, object), candidatesOf, nodes, displaced)
    if (leaving === undefined) return undefined
    for (const victim of leaving) nodes.lift(victim.key)
    const placed = nodes.place()
    assert(placed !== undefined, `gang ${key} fits once those that it displaces have left`)
    const victims = leaving.flatMap(({ key: victim, reason }) => {
      const state = gangs.get(victim)
      if (state === undefined) return []
      const { metadata, spec } = state.object
      const lostSeconds = state.leaving ? 0 : (priceOfGang(state.object, nowMs)?.gpuSeconds ?? 0)
      return [{ gang: victim, uid: metadata.uid ?? '', attempt: spec.attempt, reason, lostSeconds }]
    })
    return { placed, victims }
  })
}

function requestOf(gang: string, object: Gang): Request {
  const { queue, priority } = object.spec
  return { gang, queue, priority, createdAt: createdAt(object), wants: wantsOf(object) }
}

function createdAt(gang: Gang): string {
  return gang.metadata.creationTimestamp ?? ''
}

/** What was only just decided cannot be asked back yet. */
function* candidatesIn(scene: Scene, queue: string, nowMs: number): Iterable<Candidate> {
  for (const candidate of scene.seatedIn(queue)?.inOrder(nowMs, (state) => hasSpare(scene, state)) ?? []) {
    if (scene.gangs.get(candidate.key)?.inFlight === undefined) yield candidate
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
