import type { Client } from '../../api/client.ts'
import { formatErrors, type TextFile } from '../../compile/documents.ts'
import { kindsOfState, readState, type State, type StateOptions } from '../../compile/state.ts'
import { readDuration } from '../../model/duration.ts'
import { nearest } from '../../model/nearest.ts'
import { keyOf } from '../../model/refs.ts'
import { type Forecast, type ForecastOptions, forecastOf } from '../../twin/forecast/forecast.ts'
import { anotherLike, likeMost } from '../../twin/forecast/more-nodes.ts'
import { readHistory } from '../../twin/import/history.ts'
import { oneOf, timeMs, wholeNumber } from '../arguments.ts'
import { connect } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import { planLines, textOf } from '../forecast-words.ts'
import type { Global } from '../global.ts'
import { dump, plain } from '../output.ts'
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
  const settings: Omit<ForecastOptions, 'nowMs'> = {
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
  const now =
    options.now === undefined ? { nowMs: Date.now(), isOfItsTime: !isLive } : { nowMs: timeMs('--now', options.now) }
  const before = stateOf({ files, ...now }, global)
  const isChanged = change.length > 0 || options.addNodes !== undefined
  const after = isChanged ? stateOf({ files, ...now, change }, global) : undefined
  if (after !== undefined && options.addNodes !== undefined) after.nodes.push(...moreNodes(before, options.addNodes))
  if (before.nodes.length === 0)
    throw new Exit(exit.usage, 'there are no nodes in this state, so nothing can be foretold; add its Nodes.')
  if (settings.requests !== undefined) checkServices(settings.requests.traffic, [before, after ?? before])
  const found = forecastOf(before, after, { ...settings, nowMs: before.nowMs })
  if (format === 'table' || format === 'wide')
    console.log(plain(textOf(found, { isWide: format === 'wide', isLive: isLive && options.now === undefined })))
  else console.log(await dump(found, format))
}

/** What a plan says of the coming day. */
export interface Foretold {
  forecast?: Forecast
  /** Why there is no forecast. */
  notForetold?: string
  /** For people. */
  lines: string[]
}

export async function forecastOfPlan(change: TextFile[], global: Global): Promise<Foretold> {
  const nowMs = Date.now()
  const files = [await listed(global)]
  const [before, after] = [stateOf({ files, nowMs }, global), stateOf({ files, nowMs, change }, global)]
  if (before.nodes.length === 0) return { lines: [] }
  if (after.gangs.length > gangsInPlans)
    return notForetold(`of ${after.gangs.length} gangs \`millwright forecast -f\` says what comes`)
  const forecast = forecastOf(before, after, { ...usual, nowMs, seeds: seedsInPlans })
  return { forecast, lines: planLines(forecast, new Set(before.gangs.map(keyOf))) }
}

export function notForetold(why: string): Foretold {
  return { notForetold: why, lines: [`not foretold: ${why}`] }
}

/** In a plan, which is there at once. */
const [seedsInPlans, gangsInPlans] = [5, 300]

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

function stateOf({ files, ...asked }: { files: TextFile[] } & Omit<StateOptions, 'namespace'>, global: Global): State {
  const read = readState(files, { ...asked, namespace: global.namespace })
  if ('state' in read) return read.state
  const { length } = read.errors
  throw new Exit(exit.usage, `${length === 1 ? 'an error' : `${length} errors`}\n${formatErrors(read.errors)}`)
}

/** The state of the running factory, in the form in which it would stand in a file. */
async function listed(global: Global): Promise<TextFile> {
  const { client } = await connect(global)
  const items = await Promise.all(kindsOfState.map((kind) => itemsOf(client, kind)))
  return { name: 'the running factory', text: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: items.flat() }) }
}

async function itemsOf(client: Client, kind: (typeof kindsOfState)[number]): Promise<readonly object[]> {
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
