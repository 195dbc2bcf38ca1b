import type { Gang } from '../../model/kinds/gang.ts'
import { keyOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { gangKeyOf } from '../gangs.ts'
import type { Views } from '../views.ts'

/**
 * Of gangs that leave these nodes, one that would not sit again at once with as many members: the scheduler itself is
 * asked, on a copy of all that it knows, in which they have left. They may sit on spares.
 */
export function whoHasNoRoom(
  views: Views,
  leaving: readonly Gang[],
  closed: ReadonlySet<string>,
  nowMs: number,
): string | undefined {
  const scheduler = createScheduler()
  const keys = new Set(leaving.map(keyOf))
  for (const object of views.of('Queue').list()) scheduler.apply({ kind: 'Queue', object })
  for (const object of views.of('Pool').list()) scheduler.apply({ kind: 'Pool', object })
  for (const node of views.of('Node').list()) {
    const spec = closed.has(node.metadata.name) ? { ...node.spec, unschedulable: true } : node.spec
    scheduler.apply({ kind: 'Node', object: { ...node, spec } })
  }
  for (const gang of views.of('Gang').list()) {
    const attempt = gang.spec.attempt + 1
    const spec = keys.has(keyOf(gang)) ? { ...gang.spec, attempt, spareAttempt: attempt } : gang.spec
    scheduler.apply({ kind: 'Gang', object: { ...gang, spec } })
  }
  for (const object of views.of('Pod').list())
    if (!gangKeyOf(object).some((key) => keys.has(key))) scheduler.apply({ kind: 'Pod', object })
  const verdicts = scheduler.decide(nowMs)
  const sits = (gang: Gang) =>
    verdicts.some(
      (one) =>
        one.kind === 'bind' &&
        one.gang === keyOf(gang) &&
        one.seats.members.length >= (seatsNow(gang)?.members.length ?? 0),
    )
  const without = leaving.find((gang) => !sits(gang))
  return without === undefined ? undefined : keyOf(without)
}
