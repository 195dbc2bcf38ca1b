import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { label, leavingTaint } from '../../model/names.ts'
import { tolerates } from '../../scheduler/fleet/rooms.ts'
import { seatsNow } from '../gangs.ts'
import { outMaxOf } from '../recovery/budget.ts'
import type { Views } from '../views.ts'

/**
 * Nodes that work is to leave while it still can: their taint says so. Work on them writes a checkpoint first, and replicas
 * have another in their place before they go.
 */
export interface Leaving {
  /** Why the gang is to leave one of its nodes; undefined: it stays. */
  whyOf(gang: Gang): string | undefined
  /** What the taint of that node says. */
  saidTo(gang: Gang): string | undefined
}

/** What a person says who empties a node; whatever else stands there is a signal, and signals can be wrong. */
export const drained = 'drain'

export function createLeaving(views: Views): Leaving {
  const nodes = views.of('Node')
  const tainted = new Map<string, Node>()
  nodes.onChange(({ type, object }) => {
    const { name } = object.metadata
    if (type === 'DELETED' || saidOf(object) === undefined) tainted.delete(name)
    else tainted.set(name, object)
  })

  /** Whoever tolerates the taint stays: it would only sit there again. */
  function mustLeave({ spec }: Gang, { node, group }: Seat): boolean {
    const taint = taintOf(tainted.get(node))
    const tolerations = spec.groups.find(({ name }) => name === group)?.tolerations ?? []
    return taint !== undefined && !tolerations.some((one) => tolerates(one, taint))
  }

  function nodeToLeave(gang: Gang): Node | undefined {
    if (tainted.size === 0) return undefined
    const leavers = leaversAmong([...tainted.values()], nodes.list())
    const seat = seatsNow(gang)?.members.find((one) => leavers.has(one.node) && mustLeave(gang, one))
    return seat === undefined ? undefined : tainted.get(seat.node)
  }

  return {
    whyOf(gang) {
      const node = nodeToLeave(gang)
      if (node === undefined) return undefined
      return `work leaves node ${node.metadata.name} (${leavingTaint}=${saidOf(node) ?? ''}); no restart is counted`
    },
    saidTo: (gang) => saidOf(nodeToLeave(gang)),
  }
}

/** What its taint says, if work is to leave it. */
export function saidOf(node: Node | undefined): string | undefined {
  const taint = taintOf(node)
  return taint === undefined ? undefined : (taint.value ?? '')
}

function taintOf(node: Node | undefined) {
  return node?.spec?.taints?.find(({ key }) => key === leavingTaint)
}

/** Those that a person drains, and of the others of each pool no more than recovery may take out of service. */
export function leaversAmong(tainted: readonly Node[], all: readonly Node[]): ReadonlySet<string> {
  const leave = new Set<string>()
  const perPool = new Map<string | undefined, number>()
  for (const node of tainted.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const pool = node.metadata.labels?.[label.pool]
    const size = all.filter((one) => one.metadata.labels?.[label.pool] === pool).length
    const others = perPool.get(pool) ?? 0
    if (saidOf(node) === drained) leave.add(node.metadata.name)
    else if (others < outMaxOf(size)) {
      leave.add(node.metadata.name)
      perPool.set(pool, others + 1)
    }
  }
  return leave
}
