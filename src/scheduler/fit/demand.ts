import { isGeneric, isMeant } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { preferencesOf, requiredTerms } from '../fleet/affinity.ts'
import type { Fleet } from '../fleet/fleet.ts'
import type { Demand, Neighbourhood, Slice } from '../fleet/rooms.ts'

export type Group = Gang['spec']['groups'][number]
export type Alternative = Group['accelerators'][number]

/** What one member of the group asks of a node with this alternative. */
export function demandOf(
  group: Group,
  { model, count }: Alternative,
  slices?: readonly Slice[],
  company?: Neighbourhood,
): Demand {
  const whole = Math.floor(count)
  const milli = Math.ceil((count - whole) * 1000 - 1e-9)
  const { cpuMilli, memoryBytes, ports, nodeSelector, tolerations, affinity, capacityTypes } = group
  const isPlain = tolerations.length === 0 && affinity === undefined && Object.keys(nodeSelector).length === 0
  const where = isPlain ? '' : JSON.stringify([nodeSelector, tolerations, affinity])
  const sliced = slices === undefined ? '' : slices.map(({ level, size }) => `${level}/${size}`).join()
  const paid = capacityTypes === undefined ? '' : capacityTypes.join()
  const beside = company === undefined ? '' : company.key
  const key = `${model} ${whole} ${milli} ${cpuMilli} ${memoryBytes} ${ports} ${sliced} ${paid} ${where}${beside}`
  return {
    key,
    model,
    whole,
    milli,
    cpuMilli,
    memoryBytes,
    ports,
    pods: 1,
    slices,
    nodeSelector,
    tolerations,
    terms: requiredTerms(affinity),
    preferences: preferencesOf(affinity),
    company,
    capacityTypes,
  }
}

/** What counters say at most: where one member opens or bars the place of the next, only placing them tells. */
export function countable(demand: Demand): Demand {
  return demand.company?.isInTurn === true ? withoutCompany(demand) : demand
}

/** The same, did it not care who else is there. */
export function withoutCompany(demand: Demand): Demand {
  return { ...demand, company: undefined, key: `${demand.key} -company` }
}

/** Milli-accelerators of one member. */
export function perMember({ whole, milli }: Demand): number {
  return whole * 1000 + milli
}

/** Members that the quota leaves room for. */
export function membersBy(quota: number | undefined, demand: Demand): number {
  const each = perMember(demand)
  return quota === undefined || each === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(quota / each))
}

/** "Any GPU" (or a slice of any) means one model for all members of the group, whichever has room; a single member takes the best there is. */
export function alternativesOf(fleet: Fleet, group: Group): readonly Alternative[] {
  if (!group.accelerators.some(({ model }) => isGeneric(model))) return group.accelerators
  return group.accelerators.flatMap((alternative) => {
    if (!isGeneric(alternative.model) || group.max === 1) return [alternative]
    const models = fleet.models().filter((model) => isMeant(alternative.model, model))
    return models.length === 0 ? [alternative] : models.map((model) => ({ ...alternative, model }))
  })
}

/** One for each accelerator that each of its groups could have. */
export function demandsOf({ neighbours }: Fleet, gang: Gang): Demand[] {
  return gang.spec.groups.flatMap((group) => {
    const company = neighbours.of(gang, group)
    return group.accelerators.map((one) => demandOf(group, one, undefined, company))
  })
}
