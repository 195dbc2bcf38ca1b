import { humanDuration } from '../../api/age.ts'
import type { Client } from '../../api/client.ts'
import { formatErrors, type TextFile } from '../../compile/documents.ts'
import { readState, type State } from '../../compile/state.ts'
import { readDuration } from '../../model/duration.ts'
import { nearest } from '../../model/nearest.ts'
import { keyOf } from '../../model/refs.ts'
import { counted } from '../../scheduler/why/counted.ts'
import {
  type Forecast,
  type ForecastOptions,
  forecastOf,
  type GangForecast,
  type Row,
  type Spread,
} from '../../twin/forecast/forecast.ts'
import { anotherLike, likeMost } from '../../twin/forecast/more-nodes.ts'
import { readHistory } from '../../twin/import/history.ts'
import { oneOf, wholeNumber } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { dump, plain, table } from '../output.ts'
import { setupFrom } from '../read-scenario.ts'
import { readTable } from '../read-table.ts'
import { textsOf } from '../texts-of.ts'

interface Options {
  file: string[]
  against: string[]
  addNodes?: string
  horizon: string
  seeds: string
  seed: string
  history?: string
  traffic?: string
  nodeFailures: string
  repair: string
  spotReclaims: string
  spotAway: string
  spotNotice: string
  now?: string
  output: string
}

/** What the coming hours bring, with a change and without it. Touches nothing. */
export async function forecast(options: Options, global: Global): Promise<void> {
  const format = oneOf('--output', options.output, ['table', 'wide', 'json', 'yaml'], 'table')
  const nowMs = Date.now()
  const settings: ForecastOptions = {
    nowMs,
    horizonMs: msOf('--horizon', options.horizon),
    seeds: wholeNumber('--seeds', options.seeds, 1, 1000),
    firstSeed: wholeNumber('--seed', options.seed, 0, 2 ** 31),
    risks: {
      nodeFailures: numberOf('--node-failures', options.nodeFailures, 10_000),
      repairMs: msOf('--repair', options.repair),
      spotReclaims: numberOf('--spot-reclaims', options.spotReclaims, 100_000),
      spotAwayMs: msOf('--spot-away', options.spotAway),
      spotNoticeMs: msOf('--spot-notice', options.spotNotice),
    },
    history:
      options.history === undefined
        ? []
        : await readTable(options.history, (bytes) => readHistory(bytes), 'nothing was foretold'),
    ...(options.traffic === undefined ? {} : { requests: await setupFrom(options.traffic) }),
    onCourse: progressOn(process.stderr),
  }
  const isLive = options.against.length === 0 || options.against.join() === 'live'
  const files = isLive ? [await listed(global)] : textsOf(options.against)
  const change = options.file.length === 0 ? [] : textsOf(options.file)
  const before = stateOf({ files, nowMs }, global)
  const isChanged = change.length > 0 || options.addNodes !== undefined
  const after = isChanged ? stateOf({ files, nowMs, change }, global) : undefined
  if (after !== undefined && options.addNodes !== undefined) after.nodes.push(...moreNodes(before, options.addNodes))
  if (before.nodes.length === 0)
    throw new Exit(exit.usage, 'there are no nodes in this state, so nothing can be foretold; add its Nodes.')
  if (settings.requests !== undefined) checkServices(settings.requests.traffic, [before, after ?? before])
  const found = forecastOf(before, after, settings)
  if (format === 'table' || format === 'wide') console.log(plain(textOf(found, format === 'wide')))
  else console.log(await dump(found, format))
}

/** What a plan says of the coming day: the figures that the change moves, and when its own jobs start and end. */
export async function forecastLines(change: TextFile[], global: Global): Promise<string[]> {
  const nowMs = Date.now()
  const files = [await listed(global)]
  const [before, after] = [stateOf({ files, nowMs }, global), stateOf({ files, nowMs, change }, global)]
  if (before.nodes.length === 0) return []
  if (after.gangs.length > gangsInPlans)
    return [`${after.gangs.length} gangs: \`millwright forecast -f\` says what comes of it`]
  const { horizonMs } = usual
  const found = forecastOf(before, after, { ...usual, nowMs, seeds: seedsInPlans })
  const rows = found.rows.filter((row) => row.of !== 'fleet' && inPlans.has(row.figure) && isMoved(row))
  const names = new Set(before.gangs.map(keyOf))
  const jobs = found.gangs.filter(({ gang }) => !names.has(gang))
  return [
    ...jobs.slice(0, jobsInPlans).map(({ title, with: ends }) => {
      if ((ends?.startsWithin ?? 0) < 0.5) return `${title} does not start`
      return `${title} starts ${timeSaid(ends, 'starts', horizonMs / 1000)}, ends ${timeSaid(ends, 'ends', horizonMs / 1000)}`
    }),
    ...rows.slice(0, rowsInPlans).map(({ of, figure, unit, without, with: value }) => {
      return `${of}: ${figure} ${middleSaid(without, unit)} → ${middleSaid(value, unit)}`
    }),
  ]
}

const inPlans: ReadonlySet<Row['figure']> = new Set([
  'wait, median',
  'jobs that wait at the end',
  'evictions',
  'hours lost',
  'replica-hours missing',
])

/** In a plan, which is there at once. */
const [seedsInPlans, gangsInPlans, jobsInPlans, rowsInPlans] = [5, 300, 3, 6]

/**
 * For a day. Nodes fail as those of Meta's RSC-1 (6.5 of a thousand a day, facts/reliability.md §1.2) and are away for one. Of
 * instances of eight H100 on spot, AWS's Spot Instance Advisor says that 15 to 20 % are taken away within a month (read in
 * February 2026 by Thunder Compute): 6.3 of a thousand a day. AWS gives two minutes' notice. That another comes after an
 * hour is ours.
 */
const usual = {
  horizonMs: 86_400_000,
  risks: {
    nodeFailures: 6.5,
    repairMs: 86_400_000,
    spotReclaims: 6.3,
    spotAwayMs: 3_600_000,
    spotNoticeMs: 120_000,
  },
}

// ---- what is asked ----

function stateOf(
  { nowMs, ...texts }: { files: TextFile[]; change?: TextFile[]; nowMs: number },
  global: Global,
): State {
  const read = readState(texts.files, { nowMs, namespace: global.namespace, change: texts.change ?? [] })
  if ('state' in read) return read.state
  const { length } = read.errors
  throw new Exit(exit.usage, `${length === 1 ? 'an error' : `${length} errors`}\n${formatErrors(read.errors)}`)
}

/** The state of the running factory, in the form in which it would stand in a file. */
async function listed(global: Global): Promise<TextFile> {
  const { client } = await connect(global)
  const items = await Promise.all(listedKinds.map((kind) => itemsOf(client, kind)))
  return { name: 'the running factory', text: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: items.flat() }) }
}

const listedKinds = ['Node', 'Pool', 'Queue', 'Gang', 'TrainingJob', 'InferenceService', 'Pod'] as const

async function itemsOf(client: Client, kind: (typeof listedKinds)[number]): Promise<readonly object[]> {
  return (await client.list(kind, {})).items
}

/** `16` more like the one that most are like, or `16=NAME` like that one. */
function moreNodes({ nodes }: State, text: string): State['nodes'] {
  const [count = '', name] = text.split('=')
  const like = name === undefined ? likeMost(nodes) : nodes.find(({ metadata }) => metadata.name === name)
  if (like === undefined) {
    const near = nearest(
      name ?? '',
      nodes.map(({ metadata }) => metadata.name),
    )
    throw new Exit(
      exit.usage,
      `--add-nodes: there is no node "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
    )
  }
  return Array.from({ length: wholeNumber('--add-nodes', count, 1, 100_000) }, (_, index) => {
    return anotherLike(like, `${like.metadata.name}-more-${index}`)
  })
}

/** Requests that go to nobody are a mistake. */
function checkServices(traffic: readonly { service: string }[], states: readonly State[]): void {
  const known = states.flatMap(({ services }) => services.map(keyOf))
  for (const { service } of traffic) {
    if (known.includes(service)) continue
    const near = nearest(service, known)
    const more = near === undefined ? '' : `; did you mean "${near}"?`
    throw new Exit(exit.usage, `--traffic: there is no service "${service}" in this state${more}`)
  }
}

function msOf(option: string, text: string): number {
  const read = readDuration(text)
  if ('ms' in read && read.ms > 0 && read.ms <= horizonMsMax) return read.ms
  throw new Exit(
    exit.usage,
    `${option}: "${text.slice(0, 64)}" ${'problem' in read ? read.problem : 'must be up to 60d'}.`,
  )
}

const horizonMsMax = 60 * 86_400_000

function numberOf(option: string, text: string, max: number): number {
  const value = Number(text)
  if (text !== '' && value >= 0 && value <= max) return value
  throw new Exit(exit.usage, `${option}: found "${text.slice(0, 64)}"; allowed are numbers from 0 to ${max}.`)
}

function progressOn(screen: NodeJS.WriteStream): NonNullable<ForecastOptions['onCourse']> {
  if (screen.isTTY !== true) return () => {}
  return (done, of) => void screen.write(done < of ? `\r${done} of ${of} courses\u001b[K` : '\r\u001b[K')
}

// ---- for people ----

/** Gangs of jobs in the table; all stand in the other forms. */
const gangsShown = 15

function textOf(found: Forecast, isWide: boolean): string {
  const hasChange = found.rows.some((row) => row.with !== undefined)
  const shown = isWide ? found.gangs : mostChanged(found.gangs).slice(0, gangsShown)
  const rows = isWide || !hasChange ? found.rows : found.rows.filter(isOfInterest)
  const blocks = [headOf(found, hasChange), rowsTable(rows, hasChange)]
  if (shown.length > 0) blocks.push(gangsTable(shown, found.horizonSeconds, hasChange))
  if (shown.length < found.gangs.length)
    blocks.push(`${found.gangs.length - shown.length} more jobs; \`-o wide\` shows all.`)
  return blocks.join('\n\n')
}

/** Those whose end the change moves most; without one, those that wait. */
function mostChanged(gangs: readonly GangForecast[]): GangForecast[] {
  const startOf = ({ without, with: after }: GangForecast) => (without ?? after)?.starts.median ?? 0
  const movedOf = ({ without, with: after }: GangForecast) =>
    without === undefined || after === undefined ? Infinity : Math.abs(after.ends.median - without.ends.median)
  const hasChange = gangs.some((gang) => gang.with !== undefined)
  return hasChange
    ? gangs.toSorted((a, b) => movedOf(b) - movedOf(a))
    : gangs.toSorted((a, b) => startOf(b) - startOf(a))
}

/** What the change changes, and how full the fleet is. */
function isOfInterest(row: Row): boolean {
  return row.figure === 'utilisation' || isMoved(row)
}

function isMoved({ without, with: after, difference }: Row): boolean {
  if (difference === undefined) return (without === undefined) !== (after === undefined)
  return difference.low !== 0 || difference.high !== 0
}

function headOf({ horizonSeconds, seeds, bases, arrivals }: Forecast, hasChange: boolean): string {
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
  return `The next ${humanDuration(1000 * horizonSeconds)}, in ${courses}; ${coming}.${ends}`
}

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

function gangsTable(gangs: readonly GangForecast[], horizonSeconds: number, hasChange: boolean): string {
  const hasRatio = gangs.some(({ without, with: after }) => (without?.ettr ?? after?.ettr) !== undefined)
  const columns = ['STARTS', 'ENDS', ...(hasRatio ? ['ETTR'] : [])]
  const header = ['JOB', 'QUEUE', ...(hasChange ? columns.flatMap((column) => [column, 'WITH']) : columns)]
  const time = (ends: GangForecast['without'], which: 'starts' | 'ends') => timeSaid(ends, which, horizonSeconds)
  return table(
    header,
    gangs.map(({ title, queue, without, with: after }) => {
      const cells = [
        (ends: GangForecast['without']) => time(ends, 'starts'),
        (ends: GangForecast['without']) => time(ends, 'ends'),
        ...(hasRatio ? [ratioSaid] : []),
      ]
      return [title, queue, ...cells.flatMap((cell) => (hasChange ? [cell(without), cell(after)] : [cell(without)]))]
    }),
  )
}

/** In the long run: how many courses fail in a day says little of one job. */
function ratioSaid(ends: GangForecast['without']): string {
  return ends?.ettr === undefined ? '-' : `${ends.ettr.toFixed(2)} %`
}

function timeSaid(ends: GangForecast['without'], which: 'starts' | 'ends', horizonSeconds: number): string {
  if (ends === undefined) return '-'
  const { median } = ends[which]
  if (median >= horizonSeconds) return `after ${humanDuration(1000 * horizonSeconds)}`
  return which === 'starts' && median === 0 ? 'now' : `in ${humanDuration(1000 * median)}`
}

function spreadSaid(spread: Spread | undefined, unit: Row['unit'], isSigned = false): string {
  if (spread === undefined) return '-'
  const { median, low, high } = spread
  const one = (value: number) => `${isSigned && value > 0 ? '+' : ''}${said(value, unit)}`
  return low === high ? one(median) : `${one(median)} (${one(low)} to ${one(high)})`
}

function middleSaid(spread: Spread | undefined, unit: Row['unit']): string {
  return spread === undefined ? '-' : said(spread.median, unit)
}

function said(value: number, unit: Row['unit']): string {
  if (unit === 's') return value < 0 ? `-${humanDuration(-1000 * value)}` : humanDuration(1000 * value)
  const rounded = String(Math.round(10 * value) / 10)
  return unit === '' ? rounded : `${rounded} ${unit}`
}
