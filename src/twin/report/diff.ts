import { formatDuration } from '../../model/duration.ts'
import { figure, figureOver } from './figures.ts'
import { inOrder, type Measure } from './measures.ts'
import type { Comparable } from './read-report.ts'
import { type Row, rowOf } from './report.ts'
import { fleetSaid, type Table } from './tables.ts'

/** What one measure is in two reports. */
export interface Change extends Measure {
  /** As the reports have it; where seeds are compared one by one, of those alone that have it in both, if any do. */
  before: Row | undefined
  after: Row | undefined
  /** After less before: of means, or seed by seed. */
  change: { mean: number; min: number; max: number } | undefined
  /** Whether chance alone would have it so less than once in twenty. */
  isClear: boolean
}

/** How what was played differs, apart from the scenario: then differences of measures are not of it alone. */
export function unlike(before: Comparable, after: Comparable): string[] {
  const said = (what: string, one: string, other: string) =>
    one === other ? [] : [`The reports are of different ${what}: ${one} before, ${other} after.`]
  const of = (read: (report: Comparable) => string): [string, string] => [read(before), read(after)]
  return [
    ...said('horizons', ...of(({ scenario }) => formatDuration(scenario.horizonSeconds * 1000))),
    ...said('fleets', ...of(({ scenario }) => fleetSaid(scenario))),
    ...said('seeds', ...of(seedsSaid)),
  ]
}

/** They follow each other. */
function seedsSaid({ seeds }: Comparable): string {
  const [first, last] = [seeds[0]?.seed, seeds.at(-1)?.seed]
  return first === last ? `${first}` : `${first} to ${last}`
}

/** How two reports differ, measure by measure. The same seeds are compared one by one: their faults are the same. */
export function differencesOf(before: Comparable, after: Comparable): Change[] {
  const seedsOf = ({ seeds }: Comparable) => seeds.map(({ seed }) => seed).join()
  const isPaired = seedsOf(before) === seedsOf(after)
  const rows = (report: Comparable) => new Map(report.measures.map((row) => [row.name, row]))
  const [first, second] = [rows(before), rows(after)]
  return [...new Map([...first, ...second]).values()].toSorted(inOrder).map(({ name, unit }) => {
    const [one, other] = [first.get(name) ?? absent(second.get(name)), second.get(name) ?? absent(first.get(name))]
    const [before, after] = isPaired ? [inBoth(one, other), inBoth(other, one)] : [one, other]
    return { name, unit, before, after, ...changeOf(before, after, isPaired) }
  })
}

/** A row of the seeds that have it in the other one, too: what the change is of. All of it where none do. */
function inBoth(row: Row | undefined, other: Row | undefined): Row | undefined {
  if (row === undefined || other === undefined) return row
  const values = row.values.map((value, index) => (typeof other.values[index] === 'number' ? value : null))
  const isAllOrNone =
    values.every((value, index) => value === row.values[index]) || values.every((value) => value === null)
  return isAllOrNone ? row : rowOf(row, values)
}

/** What happened in one report alone happened zero times in the other; but a report of one queue does not tell it apart. */
function absent(row: Row | undefined): Row | undefined {
  if (row === undefined || (row.unit !== 'count' && row.unit !== 'hours') || row.name.startsWith('queue.'))
    return undefined
  return { ...row, mean: 0, min: 0, max: 0, values: row.values.map(() => 0) }
}

function changeOf(
  before: Row | undefined,
  after: Row | undefined,
  isPaired: boolean,
): Pick<Change, 'change' | 'isClear'> {
  if (before === undefined || after === undefined) return { change: undefined, isClear: false }
  if (!isPaired) {
    const mean = after.mean - before.mean
    const change = { mean, min: after.min - before.max, max: after.max - before.min }
    const known = ({ values }: Row) => values.filter((value) => value !== null).length
    const isEnough = Math.min(known(before), known(after)) >= rangesMin
    return { change, isClear: isEnough && isOfOneSign(change) }
  }
  const pairs = before.values.flatMap((value, index) => {
    const other = after.values[index]
    return value === null || other === null || other === undefined ? [] : [other - value]
  })
  if (pairs.length === 0) return { change: undefined, isClear: false }
  const mean = pairs.reduce((sum, value) => sum + value, 0) / pairs.length
  const change = { mean, min: Math.min(...pairs), max: Math.max(...pairs) }
  return { change, isClear: pairs.length >= pairsMin && isOfOneSign(change) }
}

/** All of so many pairs change one way by chance with 2 / 2⁶ = 3 % (sign test). */
const pairsMin = 6
/** So many seeds on either side lie apart by chance with 2 × 4! × 4! / 8! = 3 % (rank sum test). */
const rangesMin = 4

function isOfOneSign({ min, max }: { min: number; max: number }): boolean {
  return min > 0 || max < 0
}

/** Those that differ, as a table; `*` marks what is clear. */
export function differenceTable(changes: readonly Change[]): Table {
  const cell = (row: Row | undefined) => (row === undefined ? '–' : figureOver(row, row.unit))
  const rows = changes
    .filter(({ before, after }) => JSON.stringify(before?.values) !== JSON.stringify(after?.values))
    .map(({ name, unit, before, after, change, isClear }) => [
      name,
      cell(before),
      cell(after),
      change === undefined ? '–' : signedOver(change, unit),
      isClear ? '*' : '',
    ])
  return { title: 'Differences', header: ['MEASURE', 'BEFORE', 'AFTER', 'CHANGE', 'CLEAR'], rows }
}

function signedOver({ mean, min, max }: { mean: number; min: number; max: number }, unit: Measure['unit']): string {
  const [middle, low, high] = [signed(mean, unit), signed(min, unit), signed(max, unit)]
  return low === high ? middle : `${middle} (${low} – ${high})`
}

function signed(value: number, unit: Measure['unit']): string {
  if (unit === 'ratio') return `${value > 0 ? '+' : ''}${(100 * value).toFixed(1)} pp`
  return `${value > 0 ? '+' : ''}${figure(value, unit)}`
}
