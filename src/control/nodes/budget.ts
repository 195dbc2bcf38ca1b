import { conditionOf } from '../../model/conditions.ts'
import { health } from '../../model/health.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { closedBecause, poolOf } from '../../model/nodes.ts'

/**
 * Of a pool's nodes no more than this share, but one in any case, may be out of service before recovery stops closing more
 * of them, whatever the signals claim: where Karpenter stops to repair nodes (facts/reliability.md §4).
 */
const outShareMax = health.outOfService.at

/** Why recovery may not close the node; undefined: it may. `closing`: those that are being closed. */
export function whyNotClosed(node: Node, all: readonly Node[], closing: ReadonlySet<string>): string | undefined {
  const pool = inPoolOf(node, all)
  const others = pool.filter((one) => one.metadata.name !== node.metadata.name)
  const goOn = all.filter(({ metadata: { name } }) => name !== node.metadata.name && !closing.has(name))
  if (!goOn.some(takesWork)) return 'no other node takes work'
  const out = others.filter(
    (one) => !isReady(one) || closedBecause(one) !== undefined || closing.has(one.metadata.name),
  ).length
  const outMax = outMaxOf(pool.length)
  return out < outMax
    ? undefined
    : `${out} of the ${pool.length} nodes of pool ${poolOf(node) ?? '(none)'} are out of service already, and no more than ${outMax} may be`
}

/** The nodes of its pool, itself among them. */
export function inPoolOf(node: Node, all: readonly Node[]): Node[] {
  return all.filter((one) => poolOf(one) === poolOf(node))
}

/** Of so many nodes. */
export function outMaxOf(nodes: number): number {
  return Math.max(1, Math.floor(outShareMax * nodes))
}

export function isReady(node: Node | undefined): boolean {
  const ready = conditionOf(node?.status?.conditions, 'Ready')
  return node !== undefined && (ready === undefined || ready.status === 'True')
}

function takesWork(node: Node): boolean {
  return node.spec?.unschedulable !== true && isReady(node)
}
