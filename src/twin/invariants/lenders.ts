import { evictionNow, isLive } from '../../control/gangs.ts'
import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease, Node, Pod } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import { cpuSlot } from '../../model/names.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { Due } from './due.ts'
import { amountsOf } from './quotas.ts'
import { keyOf } from './seats.ts'

/**
 * A lender gets back what it lent: who waits for no more than its queue owns and leaves unused, and fits where the queues beside
 * it give back what they borrow, sits within two minutes in which one leader led. Said of what is certain: single slots, any of
 * which will do, on nodes that are all open, while nobody else leaves, grows or is owed seats.
 */
export class Lenders implements Invariant {
  readonly name = 'lenders'
  readonly #queues = new Map<string, Queue['spec']>()
  readonly #gangs = new Map<string, Gang>()
  readonly #nodes = new Map<string, Node>()
  readonly #pods = new Map<string, Pod>()
  /** Whom others displaced, and so may not be displaced by. */
  readonly #displaced = new Set<string>()
  readonly #due = new Due()
  #keepsSpares = false

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    if (kind === 'Lease') return this.#due.late(object as Lease, nowMs, () => this.#isDue())
    const key = keyOf(object)
    const isGone = type === 'DELETED'
    if (kind === 'Pool' && ((object as Pool).spec.spares ?? 0) !== 0) this.#keepsSpares = true
    if (kind === 'Queue') setOrDelete(this.#queues, object.metadata.name, (object as Queue).spec, isGone)
    if (kind === 'Node') setOrDelete(this.#nodes, key, object as Node, isGone)
    if (kind === 'Pod') setOrDelete(this.#pods, key, object as Pod, isGone)
    if (kind === 'Gang') {
      setOrDelete(this.#gangs, key, object as Gang, isGone)
      if (isGone) this.#displaced.delete(key)
      else if ((object as Gang).status?.eviction !== undefined) this.#displaced.add(key)
    }
    return undefined
  }

  *#isDue(): Generator<string> {
    if (this.#queues.size < 2 || this.#keepsSpares || !this.#isCalm()) return
    const used = new Map<string, number>()
    const waiting: [string, Gang][] = []
    for (const [key, gang] of this.#gangs) {
      if (gang.spec.suspend) continue
      const slots = (amountsOf(gang).get('cpu') ?? 0) / 1000
      used.set(gang.spec.queue, (used.get(gang.spec.queue) ?? 0) + slots)
      if (seatsNow(gang) === undefined) waiting.push([key, gang])
    }
    const owned = (queue: string) => this.#queues.get(queue)?.nominalQuota?.['cpu'] ?? 0
    const left = (queue: string) => owned(queue) - (used.get(queue) ?? 0)
    const entitled = waiting.filter(([, gang]) => slotsOf(gang) <= left(gang.spec.queue))
    const [only] = entitled
    if (only === undefined || entitled.length > 1) return
    const [key, gang] = only
    const { queue } = gang.spec
    if (waiting.some(([other, { spec }]) => other !== key && (spec.queue === queue || !spec.preemptible))) return
    if (!this.#mayReclaim(queue) || !fitsAnywhere(gang) || this.#displaced.has(key)) return
    if (gang.spec.preemptionPolicy === 'Never') return
    let room = this.#slots()
    for (const slots of used.values()) room -= slots
    for (const beside of this.#besides(queue)) if (this.#givesBack(beside)) room += Math.max(0, -left(beside))
    if (slotsOf(gang) <= room)
      yield `gang ${key} waits for ${slotsOf(gang)} slots, which queue ${queue} owns and has no use for otherwise`
  }

  /** All nodes are open, all that lives sits, and nobody leaves, moves, grows, or has lost members. */
  #isCalm(): boolean {
    const seated = new Set<string>()
    for (const gang of this.#gangs.values()) {
      const { status } = gang
      if (status?.hold !== undefined || status?.resize !== undefined || evictionNow(gang) !== undefined) return false
      const { members = [], size = 0 } = seatsNow(gang) ?? {}
      if (members.length < size || (gang.spec.suspend && members.length > 0)) return false
      for (const { pod } of members) seated.add(`${gang.metadata.namespace ?? ''}/${pod}`)
    }
    for (const [key, pod] of this.#pods) if (isLive(pod) && !seated.has(key)) return false
    return [...this.#nodes.values()].every(isOpen)
  }

  #slots(): number {
    let slots = 0
    for (const { status } of this.#nodes.values()) slots += Number(status?.allocatable?.[cpuSlot] ?? 0)
    return slots
  }

  #mayReclaim(queue: string): boolean {
    const spec = this.#queues.get(queue)
    return spec?.stopPolicy === 'None' && (spec.preemption?.reclaimWithinCohort ?? 'Any') === 'Any'
  }

  /** Those that share its parent, where no minimum run time is said. */
  #besides(queue: string): string[] {
    const parent = this.#queues.get(queue)?.parent
    if (parent === undefined || [...this.#queues.values()].some(({ preemption }) => preemption?.minRunSeconds))
      return []
    return [...this.#queues].flatMap(([name, spec]) => (name !== queue && spec.parent === parent ? [name] : []))
  }

  #givesBack(queue: string): boolean {
    const those = [...this.#gangs.values()].filter(({ spec }) => spec.queue === queue)
    return those.every(({ spec }) => spec.preemptible && spec.disruptionBudget === undefined)
  }
}

function setOrDelete<V>(map: Map<string, V>, key: string, value: V, isGone: boolean): void {
  if (isGone) map.delete(key)
  else map.set(key, value)
}

function isOpen({ spec, status }: Node): boolean {
  const isSilent = conditionOf(status?.conditions, 'Ready')?.status !== 'True'
  return spec?.unschedulable !== true && !spec?.taints?.length && !isSilent
}

/** Of its fewest members. */
function slotsOf({ spec }: Gang): number {
  return spec.groups.reduce((sum, { min, accelerators }) => sum + min * (accelerators[0]?.count ?? 0), 0)
}

function fitsAnywhere({ spec }: Gang): boolean {
  const isTogether = [spec, ...spec.groups].some(({ topology }) => topology?.required !== undefined)
  const isSingle = spec.groups.every(({ accelerators: [first, ...others] }) => {
    return first?.model === 'cpu' && first.count === 1 && others.length === 0
  })
  return isSingle && !isTogether
}
