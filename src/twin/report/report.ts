import { millwrightVersion } from '../../model/metadata.ts'
import type { Sitting } from '../play/recording.ts'
import { acceleratorCount } from '../scenario/fleet.ts'
import type { Setup } from '../scenario/setup.ts'
import { inOrder, type Measure, measuresOf } from './measures.ts'
import type { SeedReport } from './seed-report.ts'

/** All that came of a scenario, over its seeds. */
export interface TwinReport {
  apiVersion: typeof millwrightVersion
  kind: 'TwinReport'
  scenario: {
    name: string
    horizonSeconds: number
    nodes: number
    accelerators: number
    history?: Setup['history']
  }
  /** Each measure over all seeds. */
  measures: Row[]
  seeds: SeedReport[]
  /** Who sat where, of the first seed; times in seconds. */
  sittings: (Omit<Sitting, 'fromMs' | 'toMs'> & { fromSeconds: number; toSeconds: number })[]
}

/** A measure over seeds: those that have it. */
export interface Row extends Measure {
  mean: number
  min: number
  max: number
  /** By seed, in the order of the seeds; null where a seed has none. */
  values: (number | null)[]
}

/** The report of a scenario's runs, one a seed, with who sat where in the first. Figures have nine digits. */
export function reportOf(
  { name, horizonMs, nodes, history }: Pick<Setup, 'name' | 'horizonMs' | 'nodes' | 'history'>,
  seeds: readonly SeedReport[],
  sittings: readonly Sitting[],
): TwinReport {
  return rounded({
    apiVersion: millwrightVersion,
    kind: 'TwinReport' as const,
    scenario: {
      ...{ name, horizonSeconds: horizonMs / 1000, nodes: nodes.length, accelerators: acceleratorCount(nodes) },
      ...(history === undefined ? {} : { history }),
    },
    measures: rowsOf(seeds),
    seeds: [...seeds],
    sittings: sittings.map(({ fromMs, toMs, ...rest }) => ({
      ...rest,
      fromSeconds: fromMs / 1000,
      toSeconds: toMs / 1000,
    })),
  })
}

function rowsOf(seeds: readonly SeedReport[]): Row[] {
  const isOneQueue = new Set(seeds.flatMap(({ queues }) => queues.map(({ queue }) => queue))).size <= 1
  const found = seeds.map((seed) => {
    // What one queue has for itself is what there is in all.
    const measures = measuresOf(isOneQueue ? { ...seed, queues: [] } : seed)
    return new Map(measures.map((one) => [one.name, one]))
  })
  const names = new Map(found.flatMap((measures) => [...measures]))
  return [...names.values()].toSorted(inOrder).map(({ name, unit, value: _, absent }) => {
    const values = found.map((measures) => measures.get(name)?.value ?? absent ?? null)
    return rowOf({ name, unit }, values)
  })
}

export function rowOf({ name, unit }: Measure, values: Row['values']): Row {
  const known = values.filter((value) => value !== null)
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length
  return { name, unit, mean, min: Math.min(...known), max: Math.max(...known), values }
}

/** Sums of floating-point numbers say nothing beyond this. */
function rounded<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_, each: unknown) => (typeof each === 'number' ? Number(each.toPrecision(9)) : each)),
  )
}
