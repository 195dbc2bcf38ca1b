import type { Node } from '../../model/kinds/kubernetes.ts'
import { leavingTaint, outOfService } from '../../model/names.ts'
import { poolOf, withoutTaints } from '../../model/nodes.ts'
import { Fleet } from '../../scheduler/fleet/fleet.ts'

/** The first of those that most are like: of one pool, with the same healthy devices. */
export function likeMost(nodes: readonly Node[]): Node | undefined {
  const fleet = new Fleet()
  for (const node of nodes) fleet.setNode(node)
  const alike = new Map<string, Node[]>()
  for (const node of nodes) {
    const devices = [...(fleet.nodes.get(node.metadata.name)?.devices.values() ?? [])]
    const models = devices.flatMap(({ model, healthy }) => (healthy ? [model] : []))
    const shape = JSON.stringify([poolOf(node), models.sort()])
    const known = alike.get(shape)
    if (known === undefined) alike.set(shape, [node])
    else known.push(node)
  }
  return [...alike.values()].reduce((most, some) => (some.length > most.length ? some : most), [])[0]
}

/** Another like it that takes work, whatever that one is going through. */
export function anotherLike(node: Node, name: string): Node {
  const { deletionTimestamp: _, uid: __, ...metadata } = node.metadata
  const { unschedulable: ___, ...spec } = node.spec ?? {}
  const { conditions: ____, ...status } = node.status ?? {}
  const labels = { ...metadata.labels, 'kubernetes.io/hostname': name }
  const taints = withoutTaints(node, outOfService, leavingTaint)
  return { ...node, metadata: { ...metadata, name, labels }, spec: { ...spec, taints }, status }
}
