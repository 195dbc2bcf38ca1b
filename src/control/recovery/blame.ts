import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { refOf } from '../../model/refs.ts'
import { whyNotClosed } from '../nodes/budget.ts'
import type { Context } from '../reconciler.ts'
import type { End } from './cause.ts'
import { failuresAnnotation, failuresOf, isDrilled, isLemon, isOfMachine, withFailure } from './lemons.ts'

/** Holds a failure against the node that it happened on. `failsIt`: it fails this gang again and again. */
export type Blame = (gang: Gang, cause: End, failsIt: boolean) => Promise<void>

/**
 * What failed on a node goes on its record. A node that fails a gang again and again, or one gang after another, is closed, as
 * long as not too many are. May be done twice.
 */
export function createBlame({ store, views, clock, events }: Context): Blame {
  const nodes = views.of('Node')
  const drills = views.of('Drill')
  /** Nodes that were closed a moment ago, until that comes round. */
  const closing = new Set<string>()
  nodes.onChange(({ object }) => void (object.spec?.unschedulable === true && closing.delete(object.metadata.name)))

  async function note(node: Node, failures: string): Promise<void> {
    if (node.metadata.annotations?.[failuresAnnotation] === failures) return
    await store.patch('Node', refOf(node), { metadata: { annotations: { [failuresAnnotation]: failures } } })
  }

  async function close(node: Node, because: string): Promise<void> {
    closing.add(node.metadata.name)
    await store.patch('Node', refOf(node), closed(because))
    events.record(node, 'Warning', 'Cordoned', because)
  }

  return async (gang, cause, failsIt) => {
    const node = nodes.get({ name: cause.node })
    if (node === undefined || node.spec?.unschedulable === true) return
    const [before, nowMs] = [failuresOf(node), clock.now()]
    const failure = { atMs: nowMs, gang: gang.metadata.uid ?? '', kind: cause.kind }
    const counts = isOfMachine(cause) && !isDrilled(drills.list(), cause.node)
    const failures = counts ? withFailure(before, failure) : before
    const why = failsIt
      ? 'it fails a gang again and again'
      : isLemon(failures, nowMs)
        ? 'it fails one gang after another'
        : undefined
    const refused = why === undefined ? undefined : whyNotClosed(node, nodes.list(), closing)
    if (why !== undefined && refused === undefined)
      return await close(node, `${why}; last: ${cause.message}`.slice(0, 1000))
    if (failures !== before) await note(node, JSON.stringify(failures))
    if (why !== undefined) events.record(node, 'Warning', 'NotCordoned', `${why}, but ${refused ?? ''}`)
  }
}

/** Opened again it starts anew. */
function closed(because: string): object {
  return {
    metadata: { annotations: { [annotation.cordonedBecause]: because, [failuresAnnotation]: null } },
    spec: { unschedulable: true },
  }
}
