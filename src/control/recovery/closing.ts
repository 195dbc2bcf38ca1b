import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { leavingBy, slow, withTaint } from '../../model/nodes.ts'
import { refOf } from '../../model/refs.ts'
import { whyNotClosed } from '../nodes/budget.ts'
import type { Context } from '../reconciler.ts'
import { failuresAnnotation } from './lemons.ts'

/** Takes nodes out of service, never more than the budget of their pool. */
export interface Closing {
  /** Why it may not be closed; undefined: it may. */
  whyNot(node: Node): string | undefined
  /** It takes no new work; what runs there goes on. */
  close(node: Node, because: string): Promise<void>
  /** It takes no new work, and what runs there leaves. `of`: whose rank is slow there. */
  leave(node: Node, because: string, of: SlowMark): Promise<void>
}

/** The gang by its uid, so that one made again under its name starts from nothing. */
export interface SlowMark {
  gang: string
  rank: number
}

export function createClosing({ store, views, events }: Context): Closing {
  const nodes = views.of('Node')
  /** Nodes that were closed a moment ago, until that comes round. */
  const closing = new Set<string>()
  nodes.onChange(({ object }) => void (object.spec?.unschedulable === true && closing.delete(object.metadata.name)))

  /** Opened again it starts anew. */
  async function write(node: Node, because: string, annotations: object, spec: object): Promise<void> {
    closing.add(node.metadata.name)
    const said = { [annotation.cordonedBecause]: because, [failuresAnnotation]: null, ...annotations }
    await store.patch('Node', refOf(node), {
      metadata: { annotations: said },
      spec: { unschedulable: true, ...spec },
    })
    events.record(node, 'Warning', 'Cordoned', because)
  }

  return {
    whyNot: (node) => whyNotClosed(node, nodes.list(), closing),
    close: (node, because) => write(node, because, {}, {}),
    leave: (node, because, of) =>
      write(node, because, { [annotation.slow]: JSON.stringify(of) }, { taints: withTaint(node, leavingBy(slow)) }),
  }
}
