import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { leavingTaint } from '../../model/names.ts'
import { drained, leavingReasonOf, poolOf, taintOf } from '../../model/nodes.ts'
import { seatsNow } from '../../model/seats.ts'
import { compare } from '../../scheduler/compare.ts'
import { tolerates } from '../../scheduler/fleet/rooms.ts'
import type { Views } from '../views.ts'
import { inPoolOf, outMaxOf } from './budget.ts'

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

export function createLeaving(views: Views): Leaving {
  const nodes = views.of('Node')
  const tainted = new Map<string, Node>()
  nodes.onChange(({ type, object }) => {
    const { name } = object.metadata
    if (type === 'DELETED' || leavingReasonOf(object) === undefined) tainted.delete(name)
    else tainted.set(name, object)
  })

  /** Whoever tolerates the taint stays: it would only sit there again. */
  function mustLeave({ spec }: Gang, { node, group }: Seat): boolean {
    const taint = taintOf(tainted.get(node), leavingTaint)
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
      return `work leaves node ${node.metadata.name} (${leavingTaint}=${leavingReasonOf(node) ?? ''}); no restart is counted`
    },
    saidTo: (gang) => leavingReasonOf(nodeToLeave(gang)),
  }
}

/** Those that a person drains, and of the others of each pool no more than recovery may take out of service. */
export function leaversAmong(tainted: readonly Node[], all: readonly Node[]): ReadonlySet<string> {
  const leave = new Set<string>()
  const perPool = new Map<string | undefined, number>()
  for (const node of tainted.toSorted((a, b) => compare(a.metadata.name, b.metadata.name))) {
    const pool = poolOf(node)
    const others = perPool.get(pool) ?? 0
    if (leavingReasonOf(node) === drained) leave.add(node.metadata.name)
    else if (others < outMaxOf(inPoolOf(node, all).length)) {
      leave.add(node.metadata.name)
      perPool.set(pool, others + 1)
    }
  }
  return leave
}
