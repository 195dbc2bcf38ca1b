import { z } from 'zod'
import { label } from './names.ts'

/** How a node is paid for. Spot nodes may be taken away at any moment. */
export const capacityType = z.enum(['reserved', 'on-demand', 'spot'])
export type CapacityType = z.output<typeof capacityType>

export const capacityWanted = z.union([capacityType, z.array(capacityType).min(1).max(3)])

/** Services have to be up: they take what stays first, and spot where there is nothing else. */
export const servingCapacity: readonly CapacityType[] = ['reserved', 'on-demand', 'spot']

/** Best first. */
export function capacityTypesOf(wanted: z.output<typeof capacityWanted>): CapacityType[] {
  return [...new Set(typeof wanted === 'string' ? [wanted] : wanted)]
}

/**
 * By the node's labels: ours, from its Pool, then those of Karpenter, EKS, GKE and AKS. A node that says nothing is on
 * demand, as such nodes are in the clouds.
 */
export function capacityTypeOf(labels: Readonly<Record<string, string>>): CapacityType {
  for (const [name, types] of Object.entries(known)) {
    const found = types[(labels[name] ?? '').toLowerCase()]
    if (found !== undefined) return found
  }
  return 'on-demand'
}

const asWritten = { reserved: 'reserved', 'on-demand': 'on-demand', spot: 'spot' } as const

const known: Readonly<Record<string, Readonly<Record<string, CapacityType>>>> = {
  [label.capacityType]: asWritten,
  'karpenter.sh/capacity-type': asWritten,
  'eks.amazonaws.com/capacityType': { spot: 'spot', on_demand: 'on-demand', capacity_block: 'reserved' },
  'cloud.google.com/gke-spot': { true: 'spot' },
  'cloud.google.com/gke-preemptible': { true: 'spot' },
  'kubernetes.azure.com/scalesetpriority': { spot: 'spot', regular: 'on-demand' },
}
