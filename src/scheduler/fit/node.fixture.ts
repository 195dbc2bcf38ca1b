import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'

/** A node with these devices, and those of the labels that have a value. */
export function nodeWith(
  name: string,
  labels: Readonly<Record<string, string | undefined>>,
  devices: readonly { id: string; model: string; healthy: boolean }[],
  { cpu = 8, gib = 8 }: { cpu?: number | undefined; gib?: number | undefined } = {},
): Node {
  const said = Object.entries(labels).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: Object.fromEntries(said),
      annotations: { [annotation.nodeDevices]: JSON.stringify(devices) },
    },
    status: { allocatable: { cpu: String(cpu), memory: `${gib}Gi` } },
  }
}
