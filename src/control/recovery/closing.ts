import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { faulty, leavingBy, slow, withTaint } from '../../model/nodes.ts'
import { refOf } from '../../model/refs.ts'
import type { Store } from '../../store/contract.ts'
import type { Events } from '../events.ts'
import { whyNotClosed } from '../nodes/budget.ts'
import type { Views } from '../views.ts'
import { failuresAnnotation } from './lemons.ts'

/** Takes nodes out of service, never more than the budget of their pool. */
export interface Closing {
  /** Why it may not be closed; undefined: it may. */
  whyNot(node: Node): string | undefined
  /** It takes no new work; what runs there goes on. */
  close(node: Node, because: string): Promise<void>
  /** It takes no new work, and what runs there leaves. `of`: whose rank is slow there. */
  leave(node: Node, because: string, of: SlowMark): Promise<void>
  /**
   * For an XID of a GPU: it takes no new work, what runs there leaves where `leaves`, and `record` says that this was acted on,
   * all in one write. 'stale': somebody else wrote it meanwhile.
   */
  takeOut(node: Node, because: string, record: object, leaves: boolean): Promise<'stale' | undefined>
}

/** The gang by its uid, so that one made again under its name starts from nothing. */
export interface SlowMark {
  gang: string
  rank: number
}

export function createClosing({ store, views, events }: { store: Store; views: Views; events: Events }): Closing {
  const nodes = views.of('Node')
  /** Nodes that were closed a moment ago, until that comes round. */
  const closing = new Set<string>()
  nodes.onChange(({ object }) => void (object.spec?.unschedulable === true && closing.delete(object.metadata.name)))

  /** Opened again it starts anew. */
  async function write(
    node: Node,
    because: string,
    annotations: object,
    spec: object,
    on: { resourceVersion?: string | undefined } = {},
  ): Promise<'stale' | undefined> {
    closing.add(node.metadata.name)
    const said = { [annotation.cordonedBecause]: because, [failuresAnnotation]: null, ...annotations }
    const patch = { metadata: { annotations: said }, spec: { unschedulable: true, ...spec } }
    const written = await store.patch('Node', refOf(node), patch, on)
    if (written === 'stale') {
      closing.delete(node.metadata.name)
      return written
    }
    events.record(node, 'Warning', 'Cordoned', because)
    return undefined
  }

  return {
    whyNot: (node) => whyNotClosed(node, nodes.list(), closing),
    close: async (node, because) => void (await write(node, because, {}, {})),
    leave: async (node, because, of) => {
      const spec = { taints: withTaint(node, leavingBy(slow)) }
      await write(node, because, { [annotation.slow]: JSON.stringify(of) }, spec)
    },
    takeOut: async (node, because, record, leaves) => {
      const { resourceVersion } = node.metadata
      const spec = leaves ? { taints: withTaint(node, leavingBy(faulty)) } : {}
      return await write(node, because, record, spec, { resourceVersion })
    },
  }
}
