import type { Node } from './kinds/kubernetes.ts'
import { annotation, label, leavingTaint, outOfService } from './names.ts'

/** What people, recovery and others say of a node, each word written and read in one place. */

export type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number]

/** What a person says who empties a node; whatever else stands there is a signal, and signals can be wrong. */
export const drained = 'drain'

/** What recovery says of a node that keeps others waiting: it is not going away, so that nobody has to hurry. */
export const slow = 'slow'

/** What recovery says of a node with a GPU that asks for it by an XID: what it does not end may finish a checkpoint. */
export const faulty = 'xid'

/** What recovery says of a node whose conditions ask for it. */
export const unhealthy = 'unhealthy'

/** Work is to leave the node, and what for. */
export function leavingBy(why: string): Taint {
  return { key: leavingTaint, value: why, effect: 'NoSchedule' }
}

/** A person has the word on the node now: whatever recovery closed it for is over. */
export const handedOver = {
  annotations: { [annotation.cordonedBecause]: null, [annotation.slow]: null, [annotation.unhealthy]: null },
}

/** What opens a node again, whoever closed it: it takes work. */
export function opened(node: Node): { metadata: object; spec: object } {
  const taints = withoutTaints(node, outOfService, leavingTaint)
  return {
    metadata: handedOver,
    spec: { unschedulable: null, taints: taints.length === 0 ? null : taints },
  }
}

/** It does not come back as it is. */
export const gone: Taint = { key: outOfService, value: 'nodeshutdown', effect: 'NoExecute' }

export function taintOf(node: Node | undefined, key: string): Taint | undefined {
  return node?.spec?.taints?.find((taint) => taint.key === key)
}

export function withTaint(node: Node, taint: Taint): Taint[] {
  return [...withoutTaints(node, taint.key), taint]
}

export function withoutTaints({ spec }: Node, ...keys: string[]): Taint[] {
  return spec?.taints?.filter(({ key }) => !keys.includes(key)) ?? []
}

/** What for work is to leave it; undefined: it stays. */
export function leavingReasonOf(node: Node | undefined): string | undefined {
  const taint = taintOf(node, leavingTaint)
  return taint === undefined ? undefined : (taint.value ?? '')
}

/** By a person: nothing else can tell a node that is gone from one that is not reached. */
export function isSaidToBeGone(node: Node): boolean {
  return taintOf(node, outOfService) !== undefined
}

/** Why recovery has closed it; undefined: it has not. */
export function closedBecause({ metadata, spec }: Node): string | undefined {
  return spec?.unschedulable === true ? metadata.annotations?.[annotation.cordonedBecause] : undefined
}

export function poolOf({ metadata }: Node): string | undefined {
  return metadata.labels?.[label.pool]
}
