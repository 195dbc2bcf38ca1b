import type { Node } from '../../model/kinds/kubernetes.ts'
import { failuresAnnotation } from '../../model/lemons.ts'
import { annotation } from '../../model/names.ts'
import { leavingBy, slow, withTaint } from '../../model/nodes.ts'
import { refOf } from '../../model/refs.ts'
import type { Store } from '../../store/contract.ts'
import type { Events } from '../events.ts'
import { whyNotClosed } from '../nodes/budget.ts'
import type { Views } from '../views.ts'

/**
 * Takes nodes out of service, never more than the budget of their pool. 'stale': somebody else wrote the node meanwhile, it is
 * to be looked at again.
 */
export interface Closing {
  /** Why it may not be closed, and all of these together with it; undefined: it may. */
  whyNot(node: Node, together?: ReadonlySet<string>): string | undefined
  /** It takes no new work; what runs there goes on. */
  close(node: Node, because: string): Promise<'stale' | undefined>
  /** It takes no new work, and what runs there leaves. `of`: whose rank is slow there. */
  leave(node: Node, because: string, of: SlowMark): Promise<'stale' | undefined>
  /**
   * For what a GPU tells of it, or its conditions: it takes no new work, what runs there leaves where `leaves` says what for, and
   * `record` says that this was acted on, all in one write. What it was closed for before does not matter any more.
   */
  takeOut(node: Node, because: string, record: object, leaves: string | undefined): Promise<'stale' | undefined>
}

/** The gang by its uid, so that one made again under its name starts from nothing. */
export interface SlowMark {
  gang: string
  rank: number
}

export function createClosing({ store, views, events }: { store: Store; views: Views; events: Events }): Closing {
  const nodes = views.of('Node')
  /**
   * What is being written: until its own answer is there, or its node changes, for by then it is written or never will be. Of one
   * node there may be several, for different signs.
   */
  const writing = new Set<{ name: string }>()
  nodes.onChange(({ object }) => {
    for (const one of writing) if (one.name === object.metadata.name) writing.delete(one)
  })

  async function write(node: Node, because: string, annotations: object, spec: object): Promise<'stale' | undefined> {
    const { name, resourceVersion } = node.metadata
    const own = { name }
    writing.add(own)
    const before = { [annotation.slow]: null, [annotation.unhealthy]: null }
    const said = { ...before, [annotation.cordonedBecause]: because, ...annotations }
    const patch = { metadata: { annotations: said }, spec: { unschedulable: true, ...spec } }
    const written = await store.patch('Node', refOf(node), patch, { resourceVersion })
    writing.delete(own)
    if (typeof written !== 'string') events.record(node, 'Warning', 'Cordoned', because)
    return written === 'stale' ? written : undefined
  }

  return {
    whyNot: (node, together = new Set()) => {
      const closing = [...writing].map(({ name }) => name)
      return whyNotClosed(node, nodes.list(), new Set([...closing, ...together]))
    },
    // Opened again it starts anew.
    close: (node, because) => write(node, because, { [failuresAnnotation]: null }, {}),
    leave: (node, because, of) => {
      const spec = { taints: withTaint(node, leavingBy(slow)) }
      return write(node, because, { [annotation.slow]: JSON.stringify(of) }, spec)
    },
    takeOut: (node, because, record, leaves) => {
      const spec = leaves === undefined ? {} : { taints: withTaint(node, leavingBy(leaves)) }
      return write(node, because, record, spec)
    },
  }
}
