import type { DocumentError } from '../../compile/documents.ts'
import { type FaultKind, type Harm, harmOf, lastsMsOf, noticeMsOf } from '../../model/faults.ts'
import { fieldError, shown } from '../../model/field-error.ts'
import type { FaultSpec } from './cause.ts'
import { presetOf } from './presets.ts'
import type { ReadScenario } from './read.ts'

/** One thing that goes wrong, and how often. */
export interface Cause {
  name: string
  kind: FaultKind
  /** How often a node and day, a domain (see `reach`) and day, or in all: one of them. */
  perNodeDay: number | undefined
  perDomainDay: number | undefined
  count: number | undefined
  /** Undefined: until it is recovered from. */
  lastsMs: number | undefined
  /** What is lost with a node; undefined: nothing but it. */
  reach: FaultSpec['reach']
  /** Of the nodes within reach each is struck with this probability. */
  share: number
  /** Nodes that are struck so many times as often as others: each is one with the probability `share`. */
  lemons: FaultSpec['lemons']
  /** It is known so long before. */
  noticeMs: number
  harm: Harm
  /** Of a gpu-error. */
  xid: number | undefined
}

/** Causes of the preset, and those of the scenario's own. */
export function causesOf({ preset, scale, mix }: ReadScenario['scenario']['spec']['faults']): Cause[] {
  const all: Record<string, FaultSpec> = { ...(preset === undefined ? {} : presetOf(preset, scale)), ...mix }
  return Object.entries(all).map(([name, { kind, lasts, notice, share = 1, ...rest }]) => ({
    name,
    kind,
    perNodeDay: rest.perNodeDay,
    perDomainDay: rest.perDomainDay,
    count: rest.count,
    lastsMs: lastsMsOf({ kind, lasts }),
    reach: rest.reach,
    share,
    lemons: rest.lemons,
    noticeMs: noticeMsOf({ notice }),
    harm: harmOf(rest),
    xid: rest.xid,
  }))
}

/** Nodes of no rack would all be one. */
export function missingDomains({ file, scenario, positionOf }: ReadScenario): DocumentError[] {
  const field = { rack: 'nodesPerRack', block: 'nodesPerBlock', zone: 'zone' } as const
  const { fleet, faults } = scenario.spec
  const { preset } = faults
  const ofPreset = Object.entries(preset === undefined ? {} : presetOf(preset, 1)).filter(
    ([name]) => !Object.hasOwn(faults.mix, name),
  )
  const needs = [
    ...Object.entries(faults.mix).map(([name, { reach }]) => ({ at: ['mix', name, 'reach'], reach, found: reach })),
    ...ofPreset.map(([, { reach }]) => ({ at: ['preset'], reach, found: preset })),
  ]
  return needs.flatMap(({ at: within, reach, found }) => {
    if (reach === undefined) return []
    const at = ['spec', 'faults', ...within]
    return fleet
      .filter((shape) => shape[field[reach]] === undefined)
      .map((shape) => {
        const message = `needs ${field[reach]} of the nodes called ${shape.name}`
        return { ...fieldError(at, message, { found: shown(found) }), file, ...positionOf(at) }
      })
  })
}
