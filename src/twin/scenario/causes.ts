import type { DocumentError } from '../../compile/documents.ts'
import { durationMs } from '../../model/duration.ts'
import { type FaultKind, type Harm, harmOf, lastsMsOf, noticeMsOf } from '../../model/faults.ts'
import { fieldError, shown } from '../../model/field-error.ts'
import { nearest } from '../../model/nearest.ts'
import type { FaultSpec } from './cause.ts'
import { presetOf } from './presets.ts'
import type { ReadScenario } from './read.ts'
import type { FleetShape } from './scenario.ts'

/** One thing that goes wrong, and how often. */
export interface Cause {
  name: string
  kind: FaultKind
  /** How often a node and day, a domain (see `reach`) and day, or in all, or when first: one of them. */
  perNodeDay: number | undefined
  perDomainDay: number | undefined
  count: number | undefined
  atMs: number | undefined
  /** With `atMs`: and so often again, place after place, `count` times at most. */
  everyMs: number | undefined
  /** Whose nodes alone it may strike. */
  pools: readonly string[] | undefined
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
export function causesOf({ faults, fleet }: ReadScenario['scenario']['spec']): Cause[] {
  const { preset, scale, mix } = faults
  const all: Record<string, FaultSpec> = { ...(preset === undefined ? {} : presetOf(preset, scale)), ...mix }
  return Object.entries(all).map(([name, { kind, lasts, notice, at, every, share = 1, ...rest }]) => ({
    name,
    kind,
    perNodeDay: rest.perNodeDay,
    perDomainDay: rest.perDomainDay,
    count: rest.count,
    atMs: at === undefined ? undefined : durationMs(at),
    everyMs: every === undefined ? undefined : durationMs(every),
    pools: isAnywhere(rest) ? undefined : shapesFor(fleet, rest).map((shape) => shape.name),
    lastsMs: lastsMsOf({ kind, lasts }),
    reach: rest.reach,
    share,
    lemons: rest.lemons,
    noticeMs: noticeMsOf({ notice }),
    harm: harmOf({ kind, ...rest }),
    xid: rest.xid,
  }))
}

type Where = Pick<FaultSpec, 'pools' | 'capacityType'>

function isAnywhere({ pools, capacityType }: Where): boolean {
  return pools === undefined && capacityType === undefined
}

/** Whose nodes it may strike. */
function shapesFor(fleet: readonly FleetShape[], { pools, capacityType }: Where): FleetShape[] {
  return fleet.filter(
    (shape) =>
      (pools === undefined || pools.includes(shape.name)) &&
      (capacityType === undefined || capacityType === shape.capacityType),
  )
}

/** Nodes that causes name and that are not there, or of no rack: those would all be one. */
export function missingNodes({ file, scenario, positionOf }: ReadScenario): DocumentError[] {
  const { fleet, faults } = scenario.spec
  const { preset, mix } = faults
  const refuse = (
    within: readonly (string | number)[],
    message: string,
    more: { found: string; suggestion?: string | undefined },
  ) => {
    const at = ['spec', 'faults', ...within]
    return { ...fieldError(at, message, more), file, ...positionOf(at) }
  }
  const unknown = Object.entries(mix).flatMap(([name, { pools = [] }]) =>
    pools.flatMap((pool, index) => {
      const names = fleet.map((shape) => shape.name)
      const more = { found: shown(pool), suggestion: nearest(pool, names) }
      const at = ['mix', name, 'pools', index]
      return names.includes(pool) ? [] : [refuse(at, 'names no nodes of this scenario', more)]
    }),
  )
  const ofMix = Object.entries(mix).map(([name, spec]) => ({
    spec,
    say: (field: 'reach' | 'capacityType', message: string) =>
      refuse(['mix', name, field], message, { found: shown(spec[field]) }),
  }))
  const ofPreset = Object.entries(preset === undefined ? {} : presetOf(preset, 1))
    .filter(([name]) => !Object.hasOwn(mix, name))
    .map(([, spec]) => ({
      spec,
      say: (_: string, message: string) => refuse(['preset'], message, { found: shown(preset) }),
    }))
  const missing = [...ofMix, ...ofPreset].flatMap(({ spec, say }) => {
    const { reach, capacityType } = spec
    const shapes = shapesFor(fleet, spec)
    if (capacityType !== undefined && shapes.length === 0)
      return [say('capacityType', `needs nodes whose capacityType is ${capacityType}`)]
    if (reach === undefined) return []
    const field = fieldOf[reach]
    return shapes
      .filter((shape) => shape[field] === undefined)
      .map((shape) => say('reach', `needs ${field} of the nodes called ${shape.name}`))
  })
  return [...unknown, ...missing]
}

/** What of a shape says which of its nodes are struck together. */
const fieldOf = { nvlink: 'nodesPerNvlink', rack: 'nodesPerRack', block: 'nodesPerBlock', zone: 'zone' } as const
