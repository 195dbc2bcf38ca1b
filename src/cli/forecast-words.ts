import { humanDuration } from '../api/age.ts'
import { counted } from '../scheduler/why/counted.ts'
import { type Row, serviceTitle } from '../twin/forecast/figures.ts'
import type { Forecast } from '../twin/forecast/forecast.ts'
import type { GangFigure, GangFigures, GangForecast } from '../twin/forecast/gangs.ts'
import type { Spread } from '../twin/forecast/spread.ts'
import { shortList, table } from './output.ts'

/** Gangs of jobs in the table; all stand in the other forms. */
const gangsShown = 15

/**
 * A forecast for people.
 *
 * @param isLive It is of now, and of a factory that runs.
 */
export function textOf(found: Forecast, { isWide, isLive }: { isWide: boolean; isLive: boolean }): string {
  const hasChange = found.rows.some((row) => row.with !== undefined)
  const moved = hasChange && !isWide ? found.gangs.filter(isGangMoved) : found.gangs
  const shown = isWide ? moved : mostChanged(moved).slice(0, gangsShown)
  const rows = isWide || !hasChange ? found.rows : found.rows.filter(isOfInterest)
  const blocks = [headOf(found, { hasChange, isLive }), rowsTable(rows, hasChange)]
  if (found.seeds > 1 && rows.length > 0) blocks.push(hasChange ? readingOfPairs : reading)
  if (shown.length > 0) blocks.push(gangsTable(shown, found.horizonSeconds, hasChange))
  const [more, unmoved] = [moved.length - shown.length, found.gangs.length - moved.length]
  if (more + unmoved > 0) {
    const parts = [
      more === 0 ? [] : `${more} more ${more === 1 ? 'job' : 'jobs'}`,
      unmoved === 0 ? [] : `${counted(unmoved, 'job')} that the change does not move`,
    ].flat()
    blocks.push(`${parts.join(', and ')}; \`-o wide\` shows all.`)
  }
  const stuck = neverStarting(found.gangs)
  if (stuck.length > 0) blocks.push(stuckLines(stuck, isLive))
  const unasked = withoutRequests(found.rows)
  if (unasked.length > 0)
    blocks.push(
      `Who is answered in time is not foretold of ${shortList(unasked)}: \`--traffic\` says which requests come.`,
    )
  for (const { service, why } of found.unready)
    blocks.push(
      `${serviceTitle(service)} answers nobody now (${why}). Foretold is that its replicas sit, not that they answer.`,
    )
  blocks.push(...found.pricesKept.map(priceKept))
  return blocks.join('\n\n')
}

const reading = 'Figures are means of the courses; waits, completions, starts and ends are medians.'
const readingOfPairs = `Figures are means of the pairs, and subtract; waits, completions, starts and ends are medians: their DIFFERENCE is the median
of the pairs', and need not be that of the medians.`

function priceKept(pool: string): string {
  return `pool/${pool} is paid for in another way at the price that it names, as before; name the new one (pricePerSlotHour), or null for the price book's.`
}

/** Jobs that most seeds do not start, and what the scheduler says of them, by what it says: first what no wait changes. */
function neverStarting(gangs: readonly GangForecast[]): [said: string, titles: string[]][] {
  const titles = new Map<string, string[]>()
  const inOrder = gangs.flatMap(({ title, without, with: after }) => {
    const { startsWithin = 1, waits } = after ?? without ?? {}
    return startsWithin < 0.5 && waits !== undefined ? [{ title, waits }] : []
  })
  const rankOf = ({ waits }: (typeof inOrder)[number]) => [...lasting, waits.reason].indexOf(waits.reason)
  for (const { title, waits } of inOrder.toSorted((a, b) => rankOf(a) - rankOf(b)))
    titles.set(waits.message, [...(titles.get(waits.message) ?? []), title])
  return [...titles]
}

const lasting: readonly string[] = ['NeverFits', 'OverQuota']

function stuckLines(stuck: readonly [said: string, titles: string[]][], isLive: boolean): string {
  const lines = stuck.slice(0, stuckShown).map(([message, titles]) => {
    return `${shortList(titles, 4)} ${titles.length === 1 ? 'does' : 'do'} not start in this time: ${message}.`
  })
  if (stuck.length > stuckShown) lines.push(`${stuck.length - stuckShown} more reasons; \`-o json\` has all.`)
  if (isLive) lines.push('`millwright why NAME` says what would start one.')
  return lines.join('\n')
}

const stuckShown = 5

/**
 * What a plan says: when its own jobs start and end, which of the others it moves most, and the figures that it moves. Chance moves
 * some in some seeds: of the fleet and of jobs only what moves in each of them the same way is said.
 */
export function planLines({ gangs, rows, horizonSeconds, pricesKept }: Forecast, there: ReadonlySet<string>): string[] {
  const own = gangs.filter(({ gang }) => !there.has(gang))
  const others = mostChanged(gangs.filter(({ gang }) => there.has(gang)))
  const moved = others.flatMap((gang) => movedSaid(gang, horizonSeconds) ?? [])
  const figures = rows.filter(isInPlans)
  const more = Math.max(0, moved.length - jobsInPlans) + Math.max(0, figures.length - rowsInPlans)
  return [
    ...own.slice(0, jobsInPlans).map(({ title, with: then }) => {
      if ((then?.startsWithin ?? 0) < 0.5)
        return `${title} does not start${then?.waits === undefined ? '' : `: ${then.waits.message}`}`
      return `${title} starts ${gangSaid(then, 'starts', horizonSeconds)}, ends ${gangSaid(then, 'ends', horizonSeconds)}`
    }),
    ...moved.slice(0, jobsInPlans),
    ...figures.slice(0, rowsInPlans).map(({ of, figure, unit, without, with: then, difference }) => {
      const range = difference === undefined ? undefined : rangeSaid(difference, unit)
      return `${of}: ${figure} ${middleSaid(without, unit)} → ${middleSaid(then, unit)}${range === undefined ? '' : ` (${range})`}`
    }),
    ...pricesKept.map(priceKept),
    ...(more === 0 ? [] : [`and ${more} more: \`millwright forecast -f\` says all`]),
  ]
}

const [jobsInPlans, rowsInPlans] = [3, 6]

function movedSaid(
  { title, without, with: then, difference }: GangForecast,
  horizonSeconds: number,
): string | undefined {
  const said = (['starts', 'ends', 'ettr'] as const).flatMap((figure) => {
    const moved = difference?.[figure]
    if (moved === undefined || !isSameWay(moved, figure === 'ettr' ? '%' : 's')) return []
    const [from, to] = [without, then].map((courses) => gangSaid(courses, figure, horizonSeconds))
    return from === to ? [] : [`${figure === 'ettr' ? 'ETTR' : figure} ${from} → ${to}`]
  })
  return said.length === 0 ? undefined : `${title} ${said.join(', ')}`
}

function isInPlans(row: Row): boolean {
  const { of, figure, unit, without, with: then, difference } = row
  if (middleSaid(without, unit) === middleSaid(then, unit)) return false
  if (of !== 'fleet') return inPlans.others.has(figure) && isMoved(row)
  return inPlans.fleet.has(figure) && isMoved(row) && (difference === undefined || isSameWay(difference, unit))
}

const inPlans: { fleet: ReadonlySet<Row['figure']>; others: ReadonlySet<Row['figure']> } = {
  fleet: new Set(['utilisation', 'hours in checkpoints', 'ETTR', 'spend']),
  others: new Set([
    'utilisation',
    'wait, median',
    'completion, median',
    'jobs that wait at the end',
    'evictions',
    'moves off spot',
    'hours lost',
    'replica-hours missing',
  ]),
}

/** Whichever seed it is. */
function isSameWay(difference: Spread, unit: Row['unit']): boolean {
  return (difference.low > 0 || difference.high < 0) && !isNothing(difference, unit)
}

/** Services of which nobody said which requests they get. */
function withoutRequests(rows: readonly Row[]): string[] {
  const services = new Set(rows.flatMap(({ of }) => (of.startsWith('service/') ? of : [])))
  for (const { of, figure } of rows) if (figure === 'requests') services.delete(of)
  return [...services]
}

/** Those whose end the change moves most; without one, those that wait. */
function mostChanged(gangs: readonly GangForecast[]): GangForecast[] {
  const startOf = ({ without, with: after }: GangForecast) => (without ?? after)?.starts.median ?? 0
  const movedOf = ({ difference }: GangForecast) =>
    difference === undefined ? Infinity : Math.abs(difference.ends.median)
  const hasChange = gangs.some((gang) => gang.with !== undefined)
  return hasChange
    ? gangs.toSorted((a, b) => movedOf(b) - movedOf(a))
    : gangs.toSorted((a, b) => startOf(b) - startOf(a))
}

/** In what is said of it; it may also come or go with the change. */
function isGangMoved({ difference }: GangForecast): boolean {
  if (difference === undefined) return true
  return columns.some(({ figure, unit }) => {
    const moved = difference[figure]
    return moved !== undefined && !isNothing(moved, unit)
  })
}

/** What the change changes, and how full the fleet is. */
function isOfInterest(row: Row): boolean {
  return (row.of === 'fleet' && row.figure === 'utilisation') || isMoved(row)
}

/** In what is said of it. */
function isMoved({ unit, without, with: after, difference }: Row): boolean {
  if (difference === undefined) return (without === undefined) !== (after === undefined)
  return !isNothing(difference, unit)
}

function isNothing(spread: Spread, unit: Row['unit']): boolean {
  return [middleOf(spread, unit), spread.low, spread.high].every(
    (value) => said(Math.abs(value), unit) === said(0, unit),
  )
}

function headOf(
  { now, horizonSeconds, seeds, bases, arrivals }: Forecast,
  { hasChange, isLive }: { hasChange: boolean; isLive: boolean },
): string {
  const courses = hasChange ? counted(seeds, 'pair of courses', 'pairs of courses') : counted(seeds, 'course')
  const known = [
    bases.pace === undefined ? [] : [`${bases.pace} by ${bases.pace === 1 ? 'its' : 'their'} pace`],
    bases.history === undefined
      ? []
      : [`${bases.history} by what jobs like ${bases.history === 1 ? 'it' : 'them'} took`],
    bases.declared === undefined ? [] : [`${bases.declared} by what was declared`],
    bases.nothing === undefined ? [] : [`${bases.nothing} by nothing`],
  ].flat()
  const coming = arrivals === 0 ? 'nobody new comes' : `${Math.round(arrivals)} jobs come, as in the history`
  const ends = known.length === 0 ? '' : ` How long jobs work is known of ${known.join(', ')}.`
  const from = isLive ? '' : ` as of ${now.replace(/\.\d+Z$/, 'Z')}`
  return `The next ${humanDuration(1000 * horizonSeconds)}${from}, in ${courses}; ${coming}.${ends}`
}

// ---- fleet, queues, services ----

function rowsTable(rows: readonly Row[], hasChange: boolean): string {
  if (rows.length === 0) return hasChange ? 'The change changes nothing.' : 'Nothing happens.'
  const header = hasChange ? ['OF', 'FIGURE', 'WITHOUT', 'WITH', 'DIFFERENCE (10-90 %)'] : ['OF', 'FIGURE', '(10-90 %)']
  return table(
    header,
    rows.map(({ of, figure, unit, without, with: after, difference }) => {
      if (!hasChange) return [of, figure, spreadSaid(without, unit)]
      return [of, figure, middleSaid(without, unit), middleSaid(after, unit), spreadSaid(difference, unit, true)]
    }),
  )
}

function spreadSaid(spread: Spread | undefined, unit: Row['unit'], isSigned = false): string {
  if (spread === undefined) return '-'
  const [middle, range] = wordsOf(spread, unit, (value) => (isSigned ? signed(value, unit) : said(value, unit)))
  return range === undefined ? middle : `${middle} (${range})`
}

function middleSaid(spread: Spread | undefined, unit: Row['unit']): string {
  return spread === undefined ? '-' : said(middleOf(spread, unit), unit)
}

function said(value: number, unit: Row['unit']): string {
  if (unit === 's') return value <= -0.5 ? `-${humanDuration(-1000 * value)}` : humanDuration(1000 * Math.max(0, value))
  const rounded = String(Math.round(10 * value) / 10)
  return unit === '' ? rounded : `${rounded} ${unit}`
}

/** Times may be cut off at the horizon, so that their mean would say little; what adds up has one, and those of two sides subtract. */
function middleOf({ mean, median }: Spread, unit: Row['unit']): number {
  return unit === 's' ? median : mean
}

/** The middle, and the range where it is more than that in these words. */
function wordsOf(spread: Spread, unit: Row['unit'], say: (value: number) => string): [string, string | undefined] {
  const [middle, from, to] = [say(middleOf(spread, unit)), say(spread.low), say(spread.high)]
  return [middle, from === to && from === middle ? undefined : `${from} to ${to}`]
}

// ---- jobs ----

interface Column {
  title: string
  figure: GangFigure
  unit: Row['unit']
  /** Stands there whether it moves or not. */
  isAlways?: boolean
}

const columns: readonly Column[] = [
  { title: 'STARTS', figure: 'starts', unit: 's', isAlways: true },
  { title: 'ENDS', figure: 'ends', unit: 's', isAlways: true },
  { title: 'ETTR', figure: 'ettr', unit: '%', isAlways: true },
  { title: 'EVICTED', figure: 'evictions', unit: '' },
  { title: 'LOST', figure: 'hoursLost', unit: 'h' },
  { title: 'SPEND', figure: 'spend', unit: 'USD' },
]

/**
 * With a change, the columns that it moves for any of them, and by how much in brackets; without one, those in which there is
 * something, and its range.
 */
function gangsTable(gangs: readonly GangForecast[], horizonSeconds: number, hasChange: boolean): string {
  const shown = columns.filter(({ figure, unit, isAlways = false }) =>
    gangs.some(({ without, with: after, difference }) => {
      if (isAlways) return (without?.[figure] ?? after?.[figure]) !== undefined
      const spread = difference === undefined ? (without ?? after)?.[figure] : difference[figure]
      return spread !== undefined && !isNothing(spread, unit)
    }),
  )
  const titles = shown.flatMap(({ title }) => (hasChange ? [title, 'WITH'] : [title]))
  return table(
    ['JOB', 'QUEUE', ...titles],
    gangs.map((gang) => [gang.title, gang.queue, ...shown.flatMap((column) => cellsOf(gang, column))]),
  )

  function cellsOf({ without, with: after, difference }: GangForecast, column: Column): string[] {
    const { figure, unit } = column
    const say = (value: number) => valueSaid(value, column, horizonSeconds)
    const [before, then] = [without?.[figure], after?.[figure]]
    if (!hasChange) {
      const [middle, range] = before === undefined ? ['-'] : wordsOf(before, unit, say)
      return [range === undefined ? middle : `${middle} (${range})`]
    }
    const moved = difference?.[figure]
    const by =
      moved === undefined || isNothing(moved, unit)
        ? ''
        : ` (${rangeSaid(moved, unit) ?? signed(middleOf(moved, unit), unit)})`
    return [
      before === undefined ? '-' : say(middleOf(before, unit)),
      then === undefined ? '-' : `${say(middleOf(then, unit))}${by}`,
    ]
  }
}

/** What a difference ranges over; undefined where that is one number. */
function rangeSaid(difference: Spread, unit: Row['unit']): string | undefined {
  return wordsOf(difference, unit, (value) => signed(value, unit))[1]
}

function signed(value: number, unit: Row['unit']): string {
  const text = said(value, unit)
  return value > 0 && text !== said(0, unit) ? `+${text}` : text
}

/** Of shares, in hundredths: in the long run a tenth of a percent is much. */
function valueSaid(value: number, { figure, unit }: Pick<Column, 'figure' | 'unit'>, horizonSeconds: number): string {
  if (unit === '%') return `${value.toFixed(2)} %`
  if (unit !== 's') return said(value, unit)
  if (value >= horizonSeconds) return `after ${humanDuration(1000 * horizonSeconds)}`
  return figure === 'starts' && value === 0 ? 'now' : `in ${humanDuration(1000 * value)}`
}

function gangSaid(of: GangFigures | undefined, figure: 'starts' | 'ends' | 'ettr', horizonSeconds: number): string {
  const spread = of?.[figure]
  const unit = figure === 'ettr' ? '%' : 's'
  return spread === undefined ? '-' : valueSaid(middleOf(spread, unit), { figure, unit }, horizonSeconds)
}
