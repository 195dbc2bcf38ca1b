import type { Condition } from './metadata.ts'

/** What a controller knows of a condition; the time of its last change is kept here. */
export type ConditionNow = Pick<Condition, 'type' | 'status'> & {
  reason: string
  message?: string | undefined
  observedGeneration?: number | undefined
}

/**
 * The list with `now` in it. `lastTransitionTime` moves only when the status does. When nothing changed the very same
 * list comes back, so that a writer sees that there is nothing to write.
 */
export function setCondition(list: Condition[] | undefined, now: ConditionNow, nowMs: number): Condition[] {
  const before = conditionOf(list, now.type)
  const after: Condition = {
    type: now.type,
    status: now.status,
    reason: now.reason,
    message: now.message ?? '',
    lastTransitionTime:
      before?.status === now.status && before.lastTransitionTime !== undefined
        ? before.lastTransitionTime
        : new Date(nowMs).toISOString(),
    ...(now.observedGeneration === undefined ? {} : { observedGeneration: now.observedGeneration }),
  }
  if (before === undefined) return [...(list ?? []), after]
  if (list !== undefined && same(before, after)) return list
  return (list ?? []).map((condition) => (condition.type === now.type ? after : condition))
}

export function conditionOf(list: readonly Condition[] | undefined, type: string): Condition | undefined {
  return list?.find((condition) => condition.type === type)
}

export function isTrue(list: readonly Condition[] | undefined, type: string): boolean {
  return conditionOf(list, type)?.status === 'True'
}

function same(a: Condition, b: Condition): boolean {
  return (
    a.status === b.status &&
    a.reason === b.reason &&
    (a.message ?? '') === b.message &&
    a.lastTransitionTime === b.lastTransitionTime &&
    a.observedGeneration === b.observedGeneration
  )
}
