import { isGeneric, isMeant } from '../model/accelerators.ts'
import { conditionOf } from '../model/conditions.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Node } from '../model/kinds/kubernetes.ts'

/** Pure: which free slots are free in vain, because a gang that waits for as many cannot use them where they are. */

type Group = Gang['spec']['groups'][number]

/** What a gang waits for. Gangs of one shape have the same `key`. */
export interface Demand {
  key: string
  groups: readonly Group[]
}

/** What is free of one accelerator model on one node. */
export interface Room {
  node: Node
  model: string
  freeMilli: number
}

/**
 * Only of a gang that is told it finds too little where members would sit. One that never fits, may not (its queue, its
 * quota), waits its turn or for nodes that are closed leaves nothing unused by its shape.
 */
export function demandOf({ spec, status }: Gang): Demand | undefined {
  const scheduled = conditionOf(status?.conditions, 'Scheduled')
  const isShort = scheduled?.status === 'False' && scheduled.reason?.startsWith('Insufficient') === true
  if (spec.suspend || !isShort) return undefined
  const shapes = spec.groups.map(({ min, accelerators, nodeSelector, tolerations }) => [
    min,
    accelerators,
    nodeSelector,
    tolerations.length,
  ])
  return { key: JSON.stringify(shapes), groups: spec.groups }
}

/** The rooms that hold, together, as much as some demand asks for. */
export function fragmentedRooms<R extends Room>(demands: Iterable<Demand>, rooms: readonly R[]): Set<R> {
  const free = rooms.filter((room) => room.freeMilli > 0)
  const found = new Set<R>()
  const distinct = new Map([...demands].map((demand) => [demand.key, demand]))
  for (const demand of distinct.values()) for (const room of enoughFor(demand, free)) found.add(room)
  return found
}

/** Nothing where less is free than the whole gang needs: then it is short of slots, not of their shape. */
function enoughFor<R extends Room>({ groups }: Demand, rooms: readonly R[]): R[] {
  const asked = new Map<string, number>()
  const enough: R[] = []
  for (const group of groups) {
    let isEnough = false
    for (const { model, milli } of modelsFor(group, rooms)) {
      const usable = rooms.filter((room) => room.model === model && admits(group, room.node))
      const total = milli + (asked.get(model) ?? 0)
      if (usable.reduce((sum, room) => sum + room.freeMilli, 0) < total) continue
      asked.set(model, total)
      enough.push(...usable)
      isEnough = true
    }
    if (!isEnough) return []
  }
  return enough
}

function modelsFor({ min, accelerators }: Group, rooms: readonly Room[]): { model: string; milli: number }[] {
  const models = [...new Set(rooms.map((room) => room.model))]
  return accelerators.flatMap(({ model, count }) =>
    (isGeneric(model) ? models.filter((one) => isMeant(model, one)) : [model]).map((each) => ({
      model: each,
      milli: Math.ceil(count * 1000) * min,
    })),
  )
}

function admits({ nodeSelector, tolerations }: Group, { metadata, spec }: Node): boolean {
  const isTainted = (spec?.taints ?? []).some(({ effect }) => effect !== 'PreferNoSchedule')
  if (isTainted && tolerations.length === 0) return false
  return Object.entries(nodeSelector).every(([name, value]) => metadata.labels?.[name] === value)
}
