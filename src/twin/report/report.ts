import { millwrightVersion } from '../../model/metadata.ts'
import type { Recording, Sitting } from '../play/recording.ts'
import { inOrder, type Measure, measuresOf } from './measures.ts'
import { type SeedReport, seedReportOf } from './seed-report.ts'

/** All that came of a scenario, over its seeds. */
export interface TwinReport {
  apiVersion: typeof millwrightVersion
  kind: 'TwinReport'
  scenario: { name: string; horizonSeconds: number; nodes: number; accelerators: number }
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

/** The report of a scenario's runs, one a seed. Figures have nine digits. */
export function reportOf(name: string, recordings: readonly Recording[]): TwinReport {
  const [first] = recordings
  const seeds = recordings.map(seedReportOf)
  const report: TwinReport = {
    apiVersion: millwrightVersion,
    kind: 'TwinReport',
    scenario: {
      name,
      horizonSeconds: (first?.horizonMs ?? 0) / 1000,
      nodes: first?.nodes ?? 0,
      accelerators: first?.accelerators ?? 0,
    },
    measures: rowsOf(seeds),
    seeds,
    sittings: (first?.sittings ?? []).map(({ fromMs, toMs, ...rest }) => ({
      ...rest,
      fromSeconds: fromMs / 1000,
      toSeconds: toMs / 1000,
    })),
  }
  return rounded(report)
}

function rowsOf(seeds: readonly SeedReport[]): Row[] {
  const found = seeds.map((seed) => new Map(measuresOf(seed).map((one) => [one.name, one])))
  const names = new Map(found.flatMap((measures) => [...measures]))
  return [...names.values()].toSorted(inOrder).map(({ name, unit, value: _, absent }) => {
    const values = found.map((measures) => measures.get(name)?.value ?? absent ?? null)
    const known = values.filter((value) => value !== null)
    return {
      name,
      unit,
      mean: known.reduce((sum, value) => sum + value, 0) / known.length,
      min: Math.min(...known),
      max: Math.max(...known),
      values,
    }
  })
}

/** Sums of floating-point numbers say nothing beyond this. */
function rounded<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_, each: unknown) => (typeof each === 'number' ? Number(each.toPrecision(9)) : each)),
  )
}
