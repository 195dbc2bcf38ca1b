import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { label } from '../../model/names.ts'
import { seatsNow } from '../../model/seats.ts'
import { compare } from '../compare.ts'
import type { Scheduler, Seats, Victim } from '../contract.ts'
import { claimsOf } from '../fit/seats.ts'
import { type Count, Fleet } from '../fleet/fleet.ts'
import type { Claim } from '../fleet/nodes.ts'
import { claimFromPod } from '../fleet/read-pod.ts'
import { goesBefore } from '../line/line.ts'
import { titleOf } from '../why/reasons.ts'
import { type QueueNumbers, queueNumbers } from './queue-numbers.ts'
import { type Happening, type Leaving, Rehearsal } from './rehearsal.ts'

/** What there is to decide about. */
export interface Scene {
  nodes: readonly Node[]
  queues: readonly Queue[]
  gangs: readonly Gang[]
  pods: readonly Pod[]
  pools?: readonly Pool[]
}

export interface ScheduleOptions {
  nowMs: number
  /** Also play what follows from the verdicts until nothing more changes, without time going by. */
  untilSettled?: boolean
}

/** What the scheduler would do: a verdict for each gang and the numbers of each queue. Its form is kept stable. */
export interface Schedule {
  now: string
  untilSettled: boolean
  /** `freeAfter`: once all verdicts are carried out. */
  fleet: { nodes: number; accelerators: { model: string; total: number; free: number; freeAfter: number }[] }
  /** In the order of the line. */
  gangs: GangSchedule[]
  /** With `untilSettled`: what came to pass, in order. */
  course?: Happening[]
  queues: QueueNumbers[]
}

export interface GangSchedule {
  /** namespace/name. */
  gang: string
  /** What a person calls it: `job/NAME`, `service/NAME` or `gang/NAME`. */
  title: string
  queue: string
  priority: number
  attempt: number
  asks: { group: string; min: number; max: number; accelerators: { model: string; count: number }[] }[]
  verdict: GangVerdict
  /** With `untilSettled`: it left its seats on the way. */
  left?: Leaving
}

export type GangVerdict =
  /** It gets these seats. */
  | { kind: 'bind'; seats: Seats }
  /** It gets these seats when the victims have left. */
  | { kind: 'preempt'; seats: Seats; victims: Victim[] }
  /** It had these seats before and keeps them; `leaves`: they are asked back. */
  | { kind: 'sits'; seats: Seats; leaves?: Leaving }
  /** These seats are kept for it already, until the victims have left. */
  | { kind: 'holds'; members: Seats['members']; victims: Victim[] }
  /** It has these seats, and is to sit again with some more. */
  | {
      kind: 'resize'
      seats: Seats
      added: Seats['members']
      priceSeconds: number
      gainSeconds: number
      message: string
    }
  | { kind: 'wait'; reason: string; message: string }
  /** It gives its seats back. */
  | { kind: 'release' }
  /** It wants no seats: it is suspended or has ended. */
  | { kind: 'suspended' }
  /** There are no nodes to seat it on. */
  | { kind: 'none' }

export function scheduleOf(
  scene: Scene,
  scheduler: Scheduler,
  { nowMs, untilSettled = false }: ScheduleOptions,
): Schedule {
  const world = new Rehearsal(scheduler, { nowMs })
  for (const queue of scene.queues) world.put(queue)
  for (const pool of scene.pools ?? []) world.put(pool)
  for (const node of scene.nodes) world.put(node)
  for (const gang of scene.gangs) world.put(gang)
  for (const pod of scene.pods) world.put(pod)
  const before = { gangs: new Map(world.gangs), pods: new Map(world.pods) }
  const course = untilSettled && scene.nodes.length > 0 ? world.play() : undefined
  const verdictOf =
    scene.nodes.length === 0 ? noVerdict : course === undefined ? decidedBy(scheduler, world) : afterPlay(before)
  const left = new Map(course?.flatMap((one) => (one.kind === 'left' ? [[one.gang, one.why] as const] : [])))
  const gangs = inLine(world.gangs).map(([key, gang]): GangSchedule => {
    const why = left.get(key)
    return { ...aboutGang(key, gang), verdict: verdictOf(key, gang), ...(why === undefined ? {} : { left: why }) }
  })
  const { fleet, queues } = numbersOf(scene, before, course === undefined ? undefined : world, gangs)
  return {
    now: new Date(nowMs).toISOString(),
    untilSettled,
    fleet,
    gangs,
    ...(course === undefined ? {} : { course }),
    queues,
  }
}

/** Higher priority first, then age, then name. */
function inLine(gangs: ReadonlyMap<string, Gang>): [string, Gang][] {
  return [...gangs].sort(([a, gangA], [b, gangB]) =>
    goesBefore({ key: a, gang: gangA }, { key: b, gang: gangB }) ? -1 : 1,
  )
}

function aboutGang(key: string, gang: Gang): Omit<GangSchedule, 'verdict'> {
  const { queue, priority, attempt, groups } = gang.spec
  const asks = groups.map(({ name, min, max, accelerators }) => ({ group: name, min, max, accelerators }))
  return { gang: key, title: titleOf(key, gang), queue, priority, attempt, asks }
}

// ---- verdicts ----

type VerdictOf = (key: string, gang: Gang) => GangVerdict

const noVerdict: VerdictOf = (_key, gang) => (gang.spec.suspend ? { kind: 'suspended' } : { kind: 'none' })

/** One decision. Some reasons are told, and room is given to those who sit already, only once they have lasted. */
function decidedBy(scheduler: Scheduler, { nowMs, queues }: Rehearsal): VerdictOf {
  const said = [...scheduler.decide(nowMs), ...scheduler.decide(nowMs + lastedMs)]
  const verdicts = new Map(said.map((verdict) => [verdict.gang, verdict]))
  const asked = new Map<string, Leaving>()
  for (const verdict of said) {
    if (verdict.kind !== 'preempt') continue
    for (const { gang, reason } of verdict.victims) if (!asked.has(gang)) asked.set(gang, { by: verdict.gang, reason })
  }
  return (key, gang) => {
    const verdict = verdicts.get(key)
    switch (verdict?.kind) {
      case undefined: {
        const standing = standingOf(gang)
        const { queue } = gang.spec
        const leaves = queues.get(queue)?.spec.stopPolicy === 'HoldAndDrain' ? { queue } : asked.get(key)
        return standing.kind === 'sits' && leaves !== undefined ? { ...standing, leaves } : standing
      }
      case 'bind':
        return { kind: 'bind', seats: plainSeats(verdict.seats) }
      case 'preempt':
        return { kind: 'preempt', seats: plainSeats(verdict.seats), victims: verdict.victims }
      case 'resize': {
        const { added, priceSeconds, gainSeconds, message } = verdict
        const seats = wantedSeats(gang)
        if (seats === undefined) return standingOf(gang)
        return { kind: 'resize', seats: plainSeats(seats), added, priceSeconds, gainSeconds, message }
      }
      case 'release':
        return { kind: 'release' }
      case 'wait':
        return { kind: 'wait', reason: verdict.reason, message: verdict.message }
    }
  }
}

const lastedMs = 30_000

/** What came of all verdicts: what it has now and had not before. */
function afterPlay(before: Held): VerdictOf {
  return (key, gang) => {
    const had = before.gangs.get(key)
    const standing = standingOf(gang)
    const isNew = had === undefined || wantedSeats(had) === undefined || had.spec.attempt !== gang.spec.attempt
    if (standing.kind === 'sits' && isNew) return { kind: 'bind', seats: standing.seats }
    const gaveBack = had?.status?.seats !== undefined && gang.status?.seats === undefined
    return standing.kind === 'suspended' && gaveBack ? { kind: 'release' } : standing
  }
}

function standingOf(gang: Gang): GangVerdict {
  const { spec, status } = gang
  if (spec.suspend) return { kind: 'suspended' }
  const seats = wantedSeats(gang)
  if (seats !== undefined) {
    const { eviction } = status ?? {}
    const leaves = eviction?.attempt === spec.attempt ? { leaves: { by: eviction.by, reason: eviction.reason } } : {}
    return { kind: 'sits', seats: plainSeats(seats), ...leaves }
  }
  if (status?.hold?.attempt === spec.attempt) {
    return { kind: 'holds', members: status.hold.members, victims: status.hold.victims }
  }
  const told = conditionOf(status?.conditions, 'Scheduled')
  const { reason = 'Undecided', message = 'nothing is decided about it yet' } = told ?? {}
  return { kind: 'wait', reason, message }
}

function wantedSeats(gang: Gang): Seats | undefined {
  return gang.spec.suspend ? undefined : seatsNow(gang)
}

/** Without what only a committed decision has. */
function plainSeats({ attempt, masterAddr, masterPort, members }: Seats): Seats {
  return { attempt, masterAddr, masterPort, members }
}

// ---- numbers ----

interface Held {
  gangs: ReadonlyMap<string, Gang>
  pods: ReadonlyMap<string, Pod>
}

function numbersOf(
  { nodes, queues }: Scene,
  before: Held,
  played: Held | undefined,
  gangs: readonly GangSchedule[],
): Pick<Schedule, 'fleet' | 'queues'> {
  const fleet = new Fleet()
  for (const node of nodes) fleet.setNode(node)
  const { modelOf } = fleet
  const held = claimsIn(before, modelOf)
  const heldAfter = played === undefined ? carriedOut(held, before.gangs, gangs, modelOf) : claimsIn(played, modelOf)
  for (const [pod, claim] of held) fleet.setClaim(pod, 'seat', claim)
  const counted = countsOf(fleet)
  for (const pod of held.keys()) if (!heldAfter.has(pod)) fleet.setClaim(pod, 'seat', undefined)
  for (const [pod, claim] of heldAfter) fleet.setClaim(pod, 'seat', claim)
  const after = countsOf(fleet)
  const accelerators = [...counted].map(([model, { total, free }]) => {
    return { model, total, free, freeAfter: after.get(model)?.free ?? 0 }
  })
  const capacity = new Map(accelerators.map(({ model, total }) => [model, total * 1000]))
  return {
    fleet: { nodes: nodes.length, accelerators },
    queues: queueNumbers({ queues, capacity, held: [...held.values()], heldAfter: [...heldAfter.values()], gangs }),
  }
}

function countsOf({ nodes }: Fleet): Map<string, Count> {
  const counts = new Map<string, Count>()
  for (const { devices, closed } of nodes.values()) {
    for (const { model, healthy, usedMilli } of devices.values()) {
      const count = counts.get(model) ?? { free: 0, total: 0 }
      counts.set(model, count)
      count.total++
      if (healthy && closed === undefined) count.free += Math.max(0, 1000 - usedMilli) / 1000
    }
  }
  for (const count of counts.values()) count.free = Math.round(count.free * 1000) / 1000
  return new Map([...counts].sort(([a], [b]) => compare(a, b)))
}

/** By pod, whether it is known from seats, from a live pod or from both. */
function claimsIn({ gangs, pods }: Held, modelOf: Fleet['modelOf']): Map<string, Claim> {
  const claims = new Map<string, Claim>()
  for (const gang of gangs.values()) {
    const { seats } = gang.status ?? {}
    if (seats !== undefined) for (const [pod, claim] of claimsOf(gang, seats, modelOf)) claims.set(pod, claim)
  }
  for (const [key, pod] of pods) {
    const gang = gangs.get(`${pod.metadata.namespace ?? 'default'}/${pod.metadata.labels?.[label.gang] ?? ''}`)
    const claim = claimFromPod(pod, gang?.spec.queue, (id) => modelOf(pod.spec.nodeName ?? '', id))
    if (claim !== undefined && !claims.has(key)) claims.set(key, claim)
  }
  return claims
}

/** Once all verdicts are: victims have left, and whom they left for sits. */
function carriedOut(
  held: ReadonlyMap<string, Claim>,
  gangs: ReadonlyMap<string, Gang>,
  schedules: readonly GangSchedule[],
  modelOf: Fleet['modelOf'],
): Map<string, Claim> {
  const gone = new Set<string>()
  const sits: [string, Claim][] = []
  for (const { gang: key, verdict } of schedules) {
    if (verdict.kind === 'release' || (verdict.kind === 'sits' && verdict.leaves !== undefined)) gone.add(key)
    const gang = gangs.get(key)
    const gets = membersFor(verdict)
    if (gang === undefined || gets === undefined) continue
    gone.add(key) // what it held for an earlier attempt
    sits.push(...claimsOf(gang, gets, modelOf))
    for (const { gang: other, movesTo } of victimsOf(verdict)) {
      const moved = gangs.get(other)
      if (moved !== undefined && movesTo !== undefined) sits.push(...claimsOf(moved, { members: movesTo }, modelOf))
    }
  }
  const stays = [...held].filter(([, claim]) => claim.gang === undefined || !gone.has(claim.gang))
  return new Map([...stays, ...sits])
}

function victimsOf(verdict: GangVerdict): readonly Victim[] {
  return verdict.kind === 'preempt' || verdict.kind === 'holds' ? verdict.victims : []
}

function membersFor(verdict: GangVerdict): Pick<Seats, 'members'> | undefined {
  if (verdict.kind === 'holds') return verdict
  if (verdict.kind === 'resize') return { members: [...verdict.seats.members, ...verdict.added] }
  return verdict.kind === 'bind' || verdict.kind === 'preempt' ? verdict.seats : undefined
}
