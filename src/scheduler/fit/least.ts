import { isGeneric, isMeant } from '../../model/accelerators.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { type Fit, fitGang } from './fit.ts'
import type { FitRequest } from './search.ts'

/**
 * Seats the gang as `fitGang` does, or else at its fewest members: a group that takes all it can, or the best of its
 * alternatives, must not leave the next one of its own gang without room.
 */
export function fitOrLeast(fleet: Fleet, request: FitRequest): Fit {
  const fit = fitGang(fleet, request)
  const { groups } = request.object.spec
  if (fit.fits || groups.length === 1 || groups.every(isFixed)) return fit
  for (const object of atLeast(request.object, fleet)) {
    const least = fitGang(fleet, { ...request, object })
    if (least.fits) return least
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
