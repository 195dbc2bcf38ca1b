import { neededOf } from '../model/kinds/disruption-budget.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node } from '../model/kinds/kubernetes.ts'
import { annotation } from '../model/names.ts'
import { poolOf } from '../model/nodes.ts'
import type { Verdict, Victim } from './contract.ts'
import { hasEnded } from './fleet/read-pod.ts'
import type { Drawn } from './game-drawn.fixture.ts'
import { hasLeft, keptBy, movesTo } from './gangs.ts'
import type { Rehearsal } from './rehearsal/rehearsal.ts'

/** What must hold in a game after each move and at each decision, counted from the objects alone. */
export class Referee {
  readonly #world: Rehearsal
  readonly #owned: ReturnType<typeof ownedIn>
  readonly #broken: (what: string) => never

  /** `broken`: tells of a rule that does not hold, and ends the game. */
  constructor(world: Rehearsal, drawn: Drawn, broken: (what: string) => never) {
    this.#world = world
    this.#owned = ownedIn(drawn)
    this.#broken = broken
  }

  /** Whoever is asked to leave has had its minimum run time, by the nearest Queue that both are part of. */
  checkHasRun(by: string, key: string): void {
    const { spec, status } = this.#world.gangOf(key)
    const isAsked = status?.eviction?.attempt === spec.attempt || this.#isVictim(key)
    if (isAsked || status?.seats === undefined) return
    const theirs = this.#pathOf(spec.queue)
    const common = this.#pathOf(this.#world.gangOf(by).spec.queue).filter((name) => theirs.includes(name))
    const policies = common.flatMap((name) => this.#world.queues.get(name)?.spec.preemption?.minRunSeconds ?? [])
    const ranMs = this.#world.nowMs - Date.parse(status.seats.at)
    if (ranMs < 1000 * (policies[0] ?? 0))
      this.#broken(`${key} leaves for ${by} after ${ranMs} ms, not ${policies[0]} s`)
  }

  /** Within its own queue nobody breaks a disruption budget. */
  checkBudgets(by: string, victims: readonly Victim[], leaving: ReadonlySet<string>): void {
    const gangs = this.#world.gangs
    const isAvailable = (key: string) => {
      const gang = gangs.get(key)
      const isAsked = gang?.status?.eviction?.attempt === gang?.spec.attempt
      return gang !== undefined && isSeated(gang) && !isAsked && !leaving.has(key) && !this.#isVictim(key)
    }
    for (const { gang, reason } of victims) {
      const budget = gangs.get(gang)?.spec.disruptionBudget
      if (budget === undefined || reason !== 'InQueue' || !isAvailable(gang)) continue
      const sharing = [...gangs].filter(([, { spec }]) => spec.disruptionBudget?.of === budget.of && !spec.suspend)
      const gone = new Set(victims.flatMap((one) => (one.reason === 'InQueue' ? [one.gang] : [])))
      const stay = sharing.filter(([key]) => isAvailable(key) && !gone.has(key)).length
      const needed = neededOf(budget, sharing.length)
      if (stay < needed) this.#broken(`${gang} leaves for ${by}: ${stay} of ${sharing.length} stay, not ${needed}`)
    }
  }

  /**
   * Whoever has not lost a node leaves as many nodes free as its pool wants, or as there were. What a gang gives back may
   * count as free already.
   */
  checkSpares(verdicts: readonly Verdict[]): void {
    const { gangs, pods, pools } = this.#world
    if (pools.size === 0) return
    const nodesOf = (members: readonly { node: string }[] = []) => members.map(({ node }) => node)
    const held = new Map([...gangs].map(([key, gang]) => [key, nodesOf(heldBy(gang))]))
    const givenBack = new Set([...gangs].flatMap(([key, gang]) => (hasLeft(gang) ? [key] : [])))
    for (const { kind, gang } of verdicts) if (kind === 'release') givenBack.add(gang)
    const live = [...pods.values()].flatMap((pod) => (hasEnded(pod) ? [] : (pod.spec.nodeName ?? [])))
    const freeIn = (pool: string, isHeld: (gang: string) => boolean) => {
      const taken = new Set([...live, ...[...held].flatMap(([gang, nodes]) => (isHeld(gang) ? nodes : []))])
      return this.#openNodes(pool).filter((name) => !taken.has(name)).length
    }
    for (const verdict of verdicts) {
      if (verdict.kind === 'wait' || verdict.kind === 'release') continue
      const { spec } = this.#world.gangOf(verdict.gang)
      const before = new Map([...pools.keys()].map((pool) => [pool, freeIn(pool, () => true)]))
      const own = verdict.kind === 'resize' ? (held.get(verdict.gang) ?? []) : []
      held.set(verdict.gang, [...own, ...nodesOf(verdict.kind === 'resize' ? verdict.added : verdict.seats.members)])
      givenBack.delete(verdict.gang)
      for (const { gang, movesTo } of verdict.kind === 'preempt' ? verdict.victims : [])
        held.set(gang, [...(held.get(gang) ?? []), ...nodesOf(movesTo)])
      const isAllowed = verdict.kind !== 'resize' && spec.spareAttempt === spec.attempt
      for (const [pool, object] of isAllowed ? [] : pools) {
        const [wanted, left] = [Number(object.spec.spares), freeIn(pool, (gang) => !givenBack.has(gang))]
        if (left < Math.min(wanted, before.get(pool) ?? 0))
          this.#broken(`${verdict.gang} leaves ${left} spares of pool ${pool}: ${before.get(pool)} were free`)
      }
    }
  }

  #openNodes(pool: string): string[] {
    const nodes = [...this.#world.nodes.values()]
    return nodes
      .filter((node) => poolOf(node) === pool && node.spec?.unschedulable !== true)
      .map(({ metadata }) => metadata.name)
  }

  /** Somebody is to sit on what its present attempt holds: who has left for that, and sits again, is nobody's victim. */
  #isVictim(key: string): boolean {
    const attempt = this.#world.gangs.get(key)?.spec.attempt
    return [...this.#world.gangs.values()].some(
      ({ spec, status }) =>
        status?.hold?.attempt === spec.attempt &&
        status.hold.victims.some((victim) => victim.gang === key && victim.attempt === attempt),
    )
  }

  /** The queue and those above it, nearest first. */
  #pathOf(queue: string): string[] {
    const parent = this.#world.queues.get(queue)?.spec.parent
    return parent === undefined ? [queue] : [queue, ...this.#pathOf(parent)]
  }

  /** Counted afresh, from the objects alone. */
  audit(): void {
    const { gangs, pods } = this.#world
    const used = new Map<string, number>()
    const kept = new Map<string, { milli: number; victims: ReadonlySet<string> }>()
    for (const [key, { spec, status }] of gangs) {
      const { seats, hold, eviction } = status ?? {}
      // Void seats are kept until it sits again, but not if they were asked back.
      const isGone = seats?.attempt !== spec.attempt && eviction?.attempt === seats?.attempt
      if (seats !== undefined && !isGone) {
        if (seats.attempt === spec.attempt) this.#checkMembers(key, spec, seats.members)
        for (const { devices } of seats.members) for (const { id, milli } of devices) count(used, id, milli)
      }
      // Of the seats of its next attempt, those that it has already are counted as such.
      const isNext = hold !== undefined && hold.attempt === spec.attempt + 1 && seats?.attempt === spec.attempt
      if (hold === undefined || (hold.attempt !== spec.attempt && !isNext)) continue
      this.#checkMembers(key, spec, hold.members)
      const victims = new Set(hold.victims.map(({ gang }) => gang))
      const has = new Set(isNext ? seats?.members.flatMap(({ devices }) => devices.map(({ id }) => id)) : [])
      for (const { devices } of this.#isTaken(key) ? [] : hold.members) {
        for (const { id, milli } of devices) {
          if (has.has(id)) continue
          const before = kept.get(id)
          kept.set(id, {
            milli: (before?.milli ?? 0) + milli,
            victims: new Set([...(before?.victims ?? []), ...victims]),
          })
        }
      }
    }
    for (const [id, milli] of used) if (milli > 1000) this.#broken(`${id} is promised twice: ${milli}/1000`)
    for (const [id, { milli, victims }] of kept) {
      if (milli > 1000) this.#broken(`${id} is kept twice: ${milli}/1000`)
      if ((used.get(id) ?? 0) + milli <= 1000) continue
      if (this.#stayOn(id, victims) + milli > 1000) this.#broken(`${id} is kept for one and given to another`)
    }
    this.#auditFirm()
    this.#auditPods(pods)
  }

  /** What nobody can take back is within what its queue owns, or within what no queue does. */
  #auditFirm(): void {
    const { limits, modelOf } = this.#owned
    const held = new Map<string, number>()
    for (const { spec, status } of this.#world.gangs.values()) {
      const kept = status?.hold?.attempt === spec.attempt ? status.hold : status?.seats
      for (const { devices } of spec.preemptible ? [] : (kept?.members ?? [])) {
        for (const { id, milli } of devices) {
          const own = `${spec.queue} ${modelOf.get(id)}`
          count(held, limits.has(own) ? own : `nobody ${modelOf.get(id)}`, milli)
        }
      }
    }
    for (const [owner, milli] of held) {
      const limit = limits.get(owner) ?? 0
      if (milli > limit) this.#broken(`${milli}/${limit} of ${owner} cannot be taken back`)
    }
  }

  /** Another sits in its place already, maybe on what was kept. */
  #isTaken(key: string): boolean {
    const other = this.#world.gangs.get(`${key}-moved`)
    return other !== undefined && isSeated(other)
  }

  /** What those hold of the device who are not asked to leave. */
  #stayOn(id: string, victims: ReadonlySet<string>): number {
    let milli = 0
    for (const [key, { spec, status }] of this.#world.gangs) {
      const isOld = status?.seats?.attempt !== spec.attempt || spec.suspend
      if (victims.has(key) || isOld || status?.eviction?.attempt === spec.attempt) continue
      for (const { devices } of status?.seats?.members ?? [])
        for (const one of devices) if (one.id === id) milli += one.milli
    }
    return milli
  }

  #checkMembers(
    key: string,
    { groups }: Gang['spec'],
    members: NonNullable<NonNullable<Gang['status']>['seats']>['members'],
  ): void {
    for (const { name, min, max } of groups) {
      let seated = 0
      for (const { group } of members) if (group === name) seated++
      if (seated < min || seated > max) this.#broken(`${key} has ${seated} members of ${name}, not ${min} to ${max}`)
    }
  }

  /** No two that live use more of a device than there is. */
  #auditPods(pods: Rehearsal['pods']): void {
    const milliOf = new Map<string, number>()
    for (const { status } of this.#world.gangs.values()) {
      for (const { pod, devices } of status?.seats?.members ?? []) {
        for (const { id, milli } of devices) milliOf.set(`${pod} ${id}`, milli)
      }
    }
    const used = new Map<string, number>()
    for (const pod of pods.values()) {
      if (hasEnded(pod)) continue
      for (const id of (pod.metadata.annotations?.['millwright.dev/devices'] ?? '').split(',')) {
        count(used, id, milliOf.get(`${pod.metadata.name} ${id}`) ?? 1)
      }
    }
    for (const [id, milli] of used) if (milli > 1000) this.#broken(`pods use ${milli}/1000 of ${id}`)
  }
}

/** Milli-accelerators that each queue owns (`queue model`), and nobody; and what each device is. */
function ownedIn({ nodes, queues, models }: Drawn) {
  const devices = nodes.flatMap(devicesOf)
  const limits = new Map<string, number>()
  for (const model of models) {
    let rest = 1000 * devices.filter((one) => one.model === model).length
    for (const { metadata, spec } of queues) {
      const own = spec.nominalQuota?.[model]
      if (own === undefined) continue
      limits.set(`${metadata.name} ${model}`, 1000 * own)
      rest -= 1000 * own
    }
    limits.set(`nobody ${model}`, Math.max(0, rest))
  }
  return { limits, modelOf: new Map(devices.map(({ id, model }) => [id, model])) }
}

/** By seats, and by what is kept for it. */
function heldBy(gang: Gang): { node: string }[] {
  return [...(keptBy(gang)?.members ?? []), ...(movesTo(gang)?.members ?? [])]
}

function devicesOf({ metadata }: Node): { id: string; model: string }[] {
  return JSON.parse(metadata.annotations?.[annotation.nodeDevices] ?? '[]')
}

export function isSeated({ spec, status }: Gang): boolean {
  return !spec.suspend && status?.seats?.attempt === spec.attempt
}

export function count(amounts: Map<string, number>, id: string, milli: number): void {
  amounts.set(id, (amounts.get(id) ?? 0) + milli)
}
