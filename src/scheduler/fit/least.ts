import { isGeneric, isMeant } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { alternativesOf, demandOf, membersBy, perMember } from './demand.ts'
import { type Fit, fitGang } from './fit.ts'
import { spreadingOf } from './parts.ts'
import type { FitRequest } from './search.ts'

/**
 * Seats the gang as `fitGang` does, or else at its fewest members: a group that takes all it can, or the best of its
 * alternatives, must not leave the next one of its own gang without room.
 */
export function fitOrLeast(fleet: Fleet, request: FitRequest): Fit {
  const fit = fitGang(fleet, request)
  const { groups } = request.object.spec
  if (fit.fits || groups.length === 1) return fit
  if (groups.every(isFixed)) return quotaFirst(fleet, request, fit)
  for (const object of atLeast(request.object, fleet)) {
    const least = fitGang(fleet, { ...request, object })
    if (least.fits) return least
  }
  return quotaFirst(fleet, request, fit)
}

/**
 * A quota that is too small for the fewest members of all groups is what holds the gang back, whichever group found no room
 * before that: it keeps no nodes meanwhile. Groups that could take other models say nothing.
 */
function quotaFirst(fleet: Fleet, { object, quotaLeft }: FitRequest, fit: Fit & { fits: false }): Fit {
  const { kind } = fit.shortage
  if (kind === 'quota' || kind === 'never' || kind === 'nodes') return fit
  const left = new Map(quotaLeft)
  for (const [index, group] of object.spec.groups.entries()) {
    const [alternative, ...others] = alternativesOf(fleet, group)
    if (alternative === undefined || others.length > 0 || isGeneric(alternative.model)) continue
    const company = fleet.neighbours.of(object, group)
    const demand = demandOf(group, alternative, spreadingOf(object, index).slices, company)
    const quota = left.get(alternative.model)
    const membersFit = membersBy(quota, demand)
    if (membersFit < group.min)
      return { fits: false, shortage: { group, alternative, demand, membersFit, kind: 'quota' } }
    if (quota !== undefined) left.set(alternative.model, quota - group.min * perMember(demand))
  }
  return fit
}

/** It leaves nothing to choose. */
function isFixed({ min, max, accelerators }: Group): boolean {
  const [only, ...others] = accelerators
  return min === max && only !== undefined && others.length === 0 && !isGeneric(only.model)
}

/** The gang at its fewest members, by each choice of accelerators. */
export function atLeast(gang: Gang, fleet: Fleet): Gang[] {
  const { groups } = gang.spec
  const choices = groups.reduce((most, { accelerators }) => Math.max(most, accelerators.length), 0)
  return Array.from({ length: choices }, (_, choice) => choice).flatMap((choice) => {
    const generic = groups.flatMap((group) => chosen(group, choice)?.model ?? []).filter(isGeneric)
    const models =
      generic.length === 0
        ? [undefined]
        : fleet.models().filter((model) => generic.some((asked) => isMeant(asked, model)))
    return models.map((model) => ({
      ...gang,
      spec: {
        ...gang.spec,
        groups: groups.map((group) => {
          const accelerator = chosen(group, choice)
          const isIt = accelerator !== undefined && model !== undefined && isMeant(accelerator.model, model)
          const named = isIt ? { ...accelerator, model } : accelerator
          return { ...group, max: group.min, accelerators: named === undefined ? [] : [named] }
        }),
      },
    }))
  })
}

type Group = Gang['spec']['groups'][number]

function chosen({ accelerators }: Group, choice: number): Group['accelerators'][number] | undefined {
  return accelerators[Math.min(choice, accelerators.length - 1)]
}
