import { isGeneric } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Queue } from '../../model/kinds/queue.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { QuotaTree } from '../quota/tree.ts'
import type { Blocked } from './line.ts'

/** Why the gang's queue lets nothing of it start, whatever is free. */
export function queueBlock(queues: ReadonlyMap<string, Queue>, gang: Gang): Blocked | undefined {
  const name = gang.spec.queue
  const queue = queues.get(name)
  const namespace = gang.metadata.namespace ?? 'default'
  const blocked = (reason: string, message: string): Blocked => ({ kind: 'queue', reason, message })
  if (queue === undefined) return blocked('QueueMissing', `queue ${name} does not exist; create it or name another`)
  if (!queue.spec.namespaces.some((one) => one === '*' || one === namespace)) {
    return blocked('NamespaceNotAllowed', `queue ${name} does not list namespace ${namespace} in spec.namespaces`)
  }
  if (queue.spec.stopPolicy === 'None') return undefined
  return blocked('QueueStopped', `queue ${name} is stopped (spec.stopPolicy: ${queue.spec.stopPolicy})`)
}

/**
 * Milli-accelerators of each model that the gang may have of its queue's; a model that is not there is limited by the nodes
 * alone. What is not preemptible borrows nothing.
 */
export function quotaLeft(quota: QuotaTree, fleet: Fleet, gang: Gang): ReadonlyMap<string, number> {
  const { queue, preemptible } = gang.spec
  let left: Map<string, number> | undefined
  for (const model of modelsOf(gang, fleet)) {
    const firmLeft = preemptible ? Number.POSITIVE_INFINITY : quota.firmLeft(queue, model)
    const available = Math.min(quota.available(queue, model), firmLeft)
    if (available === Number.POSITIVE_INFINITY) continue
    left ??= new Map()
    left.set(model, available)
  }
  return left ?? unlimited
}

/** Nothing is short but nodes. */
export const unlimited: ReadonlyMap<string, number> = new Map()

/** Whether others' leaving could help: what is not preemptible is kept out by what nobody can take back. */
export function mayEverHold(quota: QuotaTree, { spec }: Gang, wants: ReadonlyMap<string, number>): boolean {
  if (spec.preemptible) return true
  for (const [model, milli] of wants) if (milli > quota.firmLeft(spec.queue, model)) return false
  return true
}

/** Models that its members could sit on. */
export function modelsOf(gang: Gang, fleet: Fleet): readonly string[] {
  const asked: string[] = []
  for (const { accelerators } of gang.spec.groups) {
    for (const { model } of accelerators) {
      if (isGeneric(model)) return fleet.models()
      if (!asked.includes(model)) asked.push(model)
    }
  }
  return asked
}
