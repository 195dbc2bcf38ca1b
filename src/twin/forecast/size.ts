import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { Fleet } from '../../scheduler/fleet/fleet.ts'

/** Accelerators of all its members, by what each group asks for first. */
export function acceleratorsAsked({ spec }: Gang): number {
  return spec.groups.reduce((sum, { max, accelerators }) => sum + max * (accelerators[0]?.count ?? 0), 0)
}

export function membersAsked({ spec }: Gang): number {
  return spec.groups.reduce((sum, { max }) => sum + max, 0)
}

/** Devices of each node that are healthy, slots included. */
export function devicesBy(nodes: readonly Node[]): ReadonlyMap<string, number> {
  const fleet = new Fleet()
  for (const node of nodes) fleet.setNode(node)
  return new Map(
    [...fleet.nodes].map(([name, { devices }]) => [name, [...devices.values()].filter((one) => one.healthy).length]),
  )
}
