import { slotPriceIn } from '../../model/catalogue.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { Pool } from '../../model/kinds/pool.ts'
import { label } from '../../model/names.ts'
import { Fleet } from '../../scheduler/fleet/fleet.ts'

/**
 * What each node costs in an hour, in USD, and each of its devices on average: by its Pool for the Pool's own accelerator, else
 * by the price book, as in the ledger. What nobody knows a price of costs nothing.
 */
export function pricesBy(nodes: readonly Node[], pools: readonly Pool[]): ReadonlyMap<string, Price> {
  const fleet = new Fleet()
  for (const node of nodes) fleet.setNode(node)
  const byName = new Map(pools.map((pool) => [pool.metadata.name, pool.spec]))
  return new Map(
    [...fleet.nodes].map(([name, { devices, object }]) => {
      const pool = byName.get(object.metadata.labels?.[label.pool] ?? '')
      const node = [...devices.values()].reduce(
        (sum, { model }) => sum + (slotPriceIn(pool, model)?.usdPerHour ?? 0),
        0,
      )
      return [name, { node, device: devices.size === 0 ? 0 : node / devices.size }]
    }),
  )
}

export interface Price {
  node: number
  device: number
}

/** Pools that are paid for in another way after a change, and name the price that they named before. */
export function pricesKept(before: readonly Pool[], after: readonly Pool[]): string[] {
  const known = new Map(before.map(({ metadata, spec }) => [metadata.name, spec]))
  return after.flatMap(({ metadata: { name }, spec: { capacityType, pricePerSlotHour } }) => {
    const old = known.get(name)
    if (pricePerSlotHour === undefined || pricePerSlotHour !== old?.pricePerSlotHour) return []
    return capacityType === old.capacityType ? [] : [name]
  })
}
