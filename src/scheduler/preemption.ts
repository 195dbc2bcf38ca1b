import { assert } from '../base/errors.ts'
import { anyGpu, cpuModel } from '../model/accelerators.ts'
import type { Gang } from '../model/kinds/gang.ts'
import { priceOfGang } from '../model/lost-work.ts'
import type { Victim } from './contract.ts'
import { demandOf, fitGang, type Placed, type Reserved } from './fit.ts'
import type { Fleet } from './fleet.ts'
import { type GangState, podsOf } from './gangs.ts'
import { wantsOf } from './order.ts'
import type { Candidate, Request } from './quota/candidates.ts'
import type { QuotaTree } from './quota/tree.ts'
import { victimsFor } from './quota/victims.ts'
import type { Demand } from './rooms.ts'

/** Where a gang will sit, and who has to leave for it. */
export interface Displaced {
  placed: readonly Placed[]
  victims: Victim[]
}

/** What a gang could be given room in. */
export interface Scene {
  fleet: Fleet
  quota: QuotaTree
  gangs: ReadonlyMap<string, GangState>
  /** Gangs that hold committed seats of a queue. */
  seatedIn(queue: string): Iterable<GangState>
  livePodsOf(gang: string): ReadonlySet<string>
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
  'topology',
])

const unlimited: ReadonlyMap<string, number> = new Map()

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

function displaceFor(scene: Scene, { key, object, reserved }: Incoming, nowMs: number): Displaced | undefined {
  const { fleet, quota } = scene
  const place = () => fitGang(fleet, { gang: key, object, quotaLeft: unlimited, reserved })
  const lift = (victim: string) => forPods(scene, victim, (pod) => fleet.lift(pod))
  return fleet.attempt(() => {
    const candidatesOf = (queue: string) => candidatesIn(scene, queue, nowMs)
    const chosenVictims = victimsFor(quota, requestOf(key, object), candidatesOf, {
      lift,
      putBack: (victim) => forPods(scene, victim, (pod) => fleet.putBack(pod)),
      fits: () => place().fits,
      helps: helpsIn(scene, object),
    })
    if (chosenVictims === undefined) return undefined
    for (const { key: victim } of chosenVictims) lift(victim)
    const fit = place()
    assert(fit.fits, `gang ${key} fits once those that it displaces have left`)
    const victims = chosenVictims.flatMap(({ key: victim, reason }) => {
      const state = scene.gangs.get(victim)
      if (state === undefined) return []
      const { metadata, spec } = state.object
      const lostSeconds = priceOfGang(state.object, nowMs)?.gpuSeconds ?? 0
      return [{ gang: victim, uid: metadata.uid ?? '', attempt: spec.attempt, reason, lostSeconds }]
    })
    return { placed: fit.placed, victims }
  })
}

function forPods(scene: Scene, gang: string, act: (pod: string) => void): void {
  const state = scene.gangs.get(gang)
  if (state !== undefined) for (const pod of podsOf(state, scene.livePodsOf(gang))) act(pod)
}

function requestOf(gang: string, object: Gang): Request {
  const { queue, priority } = object.spec
  return { gang, queue, priority, createdAt: createdAt(object), wants: wantsOf(object) }
}

function createdAt(gang: Gang): string {
  return gang.metadata.creationTimestamp ?? ''
}

/** Gangs of the queue that sit, as they were committed: what was only just decided cannot be asked back yet. */
function* candidatesIn(scene: Scene, queue: string, nowMs: number): Iterable<Candidate> {
  for (const { key, object, inFlight, holds } of scene.seatedIn(queue)) {
    const { seats, eviction } = object.status ?? {}
    const { spec, metadata } = object
    if (inFlight !== undefined || seats === undefined) continue
    yield {
      key,
      uid: metadata.uid ?? '',
      queue,
      priority: spec.priority,
      createdAt: createdAt(object),
      sinceMs: Date.parse(seats.at),
      leaving: eviction?.attempt === spec.attempt,
      preemptible: spec.preemptible,
      holds,
      price: priceOfGang(object, nowMs)?.gpuSeconds ?? 0,
    }
  }
}

/** Whether a gang sits on any node that a member could have, were it empty. */
function helpsIn(scene: Scene, { spec }: Gang): (victim: string) => boolean {
  const { fleet, gangs } = scene
  const demands = spec.groups.flatMap((group): Demand[] => group.accelerators.map((one) => demandOf(group, one)))
  return (victim) => {
    const state = gangs.get(victim)
    if (state === undefined) return false
    for (const pod of podsOf(state, scene.livePodsOf(victim))) {
      const node = fleet.nodes.get(fleet.claimOf(pod)?.node ?? '')
      if (node !== undefined && demands.some((demand) => fleet.rooms(demand).emptyOn(node) > 0)) return true
    }
    return false
  }
}
