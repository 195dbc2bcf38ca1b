import { holdNow, isLive } from '../../control/gangs.ts'
import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Lease, Node, Pod } from '../../model/kinds/kubernetes.ts'
import { label } from '../../model/names.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Entry } from '../../store/history.ts'
import type { Invariant } from './contract.ts'
import { Due } from './due.ts'
import { keyOf } from './seats.ts'

/**
 * Nobody is displaced in vain: for whom others have left sits within two minutes in which one leader led, unless a node that is
 * held for it is closed.
 */
export class Causes implements Invariant {
  readonly name = 'causes'
  readonly #gangs = new Map<string, Gang>()
  readonly #nodes = new Map<string, Node>()
  /** That live, by gang. */
  readonly #pods = new Map<string, Map<string, Pod>>()
  readonly #due = new Due()

  check({ kind, type, object }: Entry, nowMs: number): string | undefined {
    const isGone = type === 'DELETED'
    if (kind === 'Lease') return this.#due.late(object as Lease, nowMs, () => this.#isDue())
    if (kind === 'Node') this.#nodes.set(object.metadata.name, object as Node)
    if (kind === 'Node' && isGone) this.#nodes.delete(object.metadata.name)
    if (kind === 'Pod') this.#seePod(object as Pod, isGone)
    if (kind !== 'Gang') return undefined
    const key = keyOf(object)
    if (isGone) this.#gangs.delete(key)
    else this.#gangs.set(key, object as Gang)
    return undefined
  }

  #seePod(pod: Pod, isGone: boolean): void {
    const gang = `${pod.metadata.namespace ?? ''}/${pod.metadata.labels?.[label.gang] ?? ''}`
    const pods = this.#pods.get(gang) ?? new Map<string, Pod>()
    if (!isGone && isLive(pod)) pods.set(keyOf(pod), pod)
    else pods.delete(keyOf(pod))
    if (pods.size === 0) this.#pods.delete(gang)
    else this.#pods.set(gang, pods)
  }

  *#isDue(): Generator<string> {
    for (const [key, gang] of this.#gangs) {
      const { members = [], victims = [] } = holdNow(gang) ?? {}
      if (victims.length === 0 || seatsNow(gang) !== undefined) continue
      if (members.some(({ node }) => !isOpen(this.#nodes.get(node)))) continue
      const isLeft = victims.every(({ gang: victim, attempt }) => this.#hasLeft(victim, attempt))
      if (isLeft && !this.#pods.has(key)) yield `gang ${key} does not sit, and all who were to leave for it have left`
    }
  }

  #hasLeft(victim: string, attempt: number): boolean {
    const gang = this.#gangs.get(victim)
    return !this.#pods.has(victim) && (gang === undefined || gang.spec.attempt > attempt)
  }
}

function isOpen(node: Node | undefined): boolean {
  const isReady = conditionOf(node?.status?.conditions, 'Ready')?.status === 'True'
  return isReady && node?.spec?.unschedulable !== true && !node?.spec?.taints?.length
}
