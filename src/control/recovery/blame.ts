import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { failuresAnnotation, failuresOf, lemonScore, withFailure } from '../../model/lemons.ts'
import { refOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Context } from '../reconciler.ts'
import type { End } from './cause.ts'
import type { Closing } from './closing.ts'
import { isDrilled, isOfMachine } from './lemons.ts'

/**
 * Holds a failure against the node that it happened on. `failsIt`: it fails this gang again and again. 'stale': the node was to
 * be closed, but somebody wrote it meanwhile.
 */
export type Blame = (gang: Gang, cause: End, failsIt: boolean) => Promise<'stale' | undefined>

/**
 * What failed on a node goes on its record. A node that fails a gang again and again, or one gang after another, or has so much
 * against it otherwise, is closed, as long as not too many are. May be done twice.
 */
export function createBlame({ store, views, clock, events }: Context, closing: Closing): Blame {
  const nodes = views.of('Node')
  const drills = views.of('Drill')

  async function note(node: Node, failures: string): Promise<void> {
    if (node.metadata.annotations?.[failuresAnnotation] === failures) return
    await store.patch('Node', refOf(node), { metadata: { annotations: { [failuresAnnotation]: failures } } })
  }

  return async (gang, cause, failsIt) => {
    const node = nodes.get({ name: cause.node })
    if (node === undefined || node.spec?.unschedulable === true) return undefined
    const [before, nowMs] = [failuresOf(node), clock.now()]
    const alone = seatsNow(gang)?.members.every((seat) => seat.node === cause.node) ?? false
    const failure = { atMs: nowMs, gang: gang.metadata.uid ?? '', kind: cause.kind, alone }
    const counts = isOfMachine(cause) && !isDrilled(drills.list(), cause.node)
    const failures = counts ? withFailure(before, failure) : before
    const score = lemonScore(failures, nowMs)
    const lemonBecause = failures.every(({ gang: of }) => of !== '')
      ? 'it fails one gang after another'
      : `a lemon, ${score.said}`
    const why = failsIt ? 'it fails a gang again and again' : score.isLemon ? lemonBecause : undefined
    const refused = why === undefined ? undefined : closing.whyNot(node)
    if (why !== undefined && refused === undefined)
      return await closing.close(node, `${why}; last: ${cause.message}`.slice(0, 1000))
    if (failures !== before) await note(node, JSON.stringify(failures))
    if (why !== undefined) events.record(node, 'Warning', 'NotCordoned', `${why}, but ${refused ?? ''}`)
    return undefined
  }
}
