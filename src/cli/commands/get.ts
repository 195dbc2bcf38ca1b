import { humanAge } from '../../api/age.ts'
import type { Client, TableRow } from '../../api/client.ts'
import type { Event, Secret } from '../../model/kinds/kubernetes.ts'
import { annotation, label } from '../../model/names.ts'
import { apiVersionOf, type KindInfo, kinds, type Resource } from '../../model/registry.ts'
import { kindNamed, oneOf } from '../arguments.ts'
import { connect, sayPresence } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { dump, paint, plain, table } from '../output.ts'
import { troubleOf } from './status.ts'

interface GetOptions {
  output: string
  allNamespaces?: boolean
  selector?: string
  watch?: boolean
}

const everything = [
  'TrainingJob',
  'InferenceService',
  'Gang',
  'Pod',
  'Model',
  'Dataset',
  'Queue',
  'Pool',
  'Node',
] as const

export async function get(word: string, names: string[], options: GetOptions, global: Global): Promise<void> {
  const format = oneOf('--output', options.output, ['table', 'wide', 'json', 'yaml', 'name'], 'table')
  const infos = word === 'all' ? everything.map((kind) => kinds[kind]) : word.split(',').map(kindNamed)
  const connected = await connect(global, options.watch === true ? sayPresence() : undefined)
  const { client } = connected
  const namespace = options.allNamespaces ? undefined : connected.namespace
  if (options.watch === true) return await follow(client, infos, names, namespace, options, format)
  if (format === 'table' || format === 'wide')
    return await printTables(client, infos, names, namespace, options, format === 'wide')
  const items = await collect(client, infos, names, namespace, options)
  if (format === 'name') {
    for (const item of items) console.log(`${item.kind.toLowerCase()}/${item.metadata.name}`)
  } else {
    const single = names.length === 1 && items.length === 1
    console.log(await dump(single ? items[0] : { apiVersion: 'v1', kind: 'List', items }, format))
  }
}

interface Any {
  kind: string
  metadata: { name: string; namespace?: string | undefined }
}

async function collect(
  client: Client,
  infos: KindInfo[],
  names: string[],
  namespace: string | undefined,
  options: GetOptions,
): Promise<Any[]> {
  const found: Any[] = []
  for (const info of infos) {
    const scope = info.namespaced ? namespace : undefined
    if (names.length > 0 && (scope !== undefined || !info.namespaced)) {
      for (const name of names) {
        const object = await client.get(info.kind, { name, namespace: scope })
        if (object === undefined) throw notFound(info, name, scope)
        found.push(object)
      }
      continue
    }
    const all: readonly Any[] = (await client.list(info.kind, { namespace: scope, labels: options.selector })).items
    for (const name of names) if (!all.some(({ metadata }) => metadata.name === name)) throw notFound(info, name, scope)
    found.push(...all.filter(({ metadata }) => names.length === 0 || names.includes(metadata.name)))
  }
  return found
}

function notFound(info: KindInfo, name: string, namespace: string | undefined): Exit {
  return new Exit(
    exit.notFound,
    `there is no ${info.kind} "${name}"${info.namespaced ? (namespace === undefined ? ' in any namespace' : ` in namespace ${namespace}`) : ''}; \`millwright get ${info.plural}\` lists them.`,
  )
}

async function printTables(
  client: Client,
  infos: KindInfo[],
  names: string[],
  namespace: string | undefined,
  options: GetOptions,
  wide: boolean,
): Promise<void> {
  const blocks: string[] = []
  for (const info of infos) {
    const scope = info.namespaced ? namespace : undefined
    const result = await client.table(info.kind, { namespace: scope, labels: options.selector })
    const all = await inOrder(client, info, result.rows, scope)
    const rows = all.filter((row) => names.length === 0 || names.includes(row.object.metadata.name))
    for (const name of names)
      if (!rows.some((row) => row.object.metadata.name === name)) throw notFound(info, name, namespace)
    if (rows.length === 0) continue
    const shown = result.columnDefinitions
      .map((column, index) => ({ ...column, index }))
      .filter((column) => wide || column.priority === 0)
    const prefix = infos.length > 1 ? `${info.singular}/` : ''
    const withNamespace = info.namespaced && namespace === undefined
    const header = [...(withNamespace ? ['NAMESPACE'] : []), ...shown.map((column) => column.name.toUpperCase())]
    const body = rows.map((row) => [
      ...(withNamespace ? [row.object.metadata.namespace ?? ''] : []),
      ...shown.map(
        (column, position) => `${position === 0 ? prefix : ''}${plain(String(row.cells[column.index] ?? ''))}`,
      ),
    ])
    blocks.push(table(header, body))
  }
  if (blocks.length > 0) console.log(blocks.join('\n\n'))
  else
    console.error(
      `No ${infos.length === 1 ? infos[0]?.plural : 'resources'} in ${namespace === undefined ? 'any namespace' : `namespace ${namespace}`}.`,
    )
}

/** Jobs as they were made, events as they happened; the newest is nearest to the prompt. */
async function inOrder(
  client: Client,
  info: KindInfo,
  rows: readonly TableRow[],
  namespace: string | undefined,
): Promise<readonly TableRow[]> {
  if (info.kind !== 'TrainingJob' && info.kind !== 'Event') return rows
  const objects = (await client.list(info.kind, { namespace })).items
  const key = ({ metadata }: Any) => `${metadata.namespace}/${metadata.name}`
  const atMs = new Map(objects.map((object) => [key(object), timeOf(object)]))
  const rowAtMs = ({ object }: TableRow) => atMs.get(key({ kind: info.kind, ...object })) ?? 0
  return rows.toSorted((a, b) => rowAtMs(a) - rowAtMs(b))
}

function timeOf(object: Event | Resource): number {
  const last = object.kind === 'Event' && 'lastTimestamp' in object ? object.lastTimestamp : undefined
  const text = typeof last === 'string' ? last : object.metadata.creationTimestamp
  return Date.parse(text ?? '') || 0
}

/** One line per change; with json, one object per line. */
async function follow(
  client: Client,
  infos: KindInfo[],
  names: string[],
  namespace: string | undefined,
  options: GetOptions,
  format: string,
): Promise<void> {
  const info = infos[0]
  if (info === undefined || infos.length > 1) throw new Exit(exit.usage, '--watch follows one kind.')
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const scope = info.namespaced ? namespace : undefined
  let width: number[] = []
  // Asked in any format: where no factory answers now, that is an error rather than something to wait for.
  const { columnDefinitions } = await client.table(info.kind, { namespace: scope, labels: options.selector })
  const columns = format === 'table' || format === 'wide' ? columnDefinitions : []
  const isShown = (column: { priority: number }) => format === 'wide' || column.priority === 0
  if (columns.length > 0) {
    const header = columns.filter(isShown).map((column) => column.name.toUpperCase())
    width = header.map((title) => Math.max(title.length + 3, 12))
    console.log(
      header
        .map((title, i) => title.padEnd(width[i] ?? 0))
        .join('')
        .trimEnd(),
    )
  }
  for await (const event of client.watch(info.kind, { namespace: scope, labels: options.selector }, stop.signal)) {
    const object = event.object as Any
    if (names.length > 0 && !names.includes(object.metadata.name)) continue
    if (format === 'json') console.log(JSON.stringify(event.object))
    else if (format === 'yaml') console.log(`---\n${await dump(event.object, 'yaml')}`)
    else if (format === 'name') console.log(`${object.kind.toLowerCase()}/${object.metadata.name}`)
    else {
      const row = client.row(info.kind, event.object)
      const cells = columns.map((column, i) => ({ column, cell: row[i] })).filter(({ column }) => isShown(column))
      console.log(
        cells
          .map(({ cell }, i) => plain(String(cell ?? '')).padEnd(width[i] ?? 0))
          .join('')
          .trimEnd(),
      )
    }
  }
}

/** A job's and a service's pods speak of them, too: what holds up one member holds up all. */
async function eventsOf(client: Client, kind: string, name: string, namespace = 'default'): Promise<readonly Event[]> {
  const owner = kind === 'TrainingJob' ? label.job : kind === 'InferenceService' ? label.service : undefined
  if (owner === undefined) {
    const fields = `involvedObject.kind=${kind},involvedObject.name=${name}`
    return (await client.list('Event', { namespace, fields })).items.toSorted((a, b) => timeOf(a) - timeOf(b))
  }
  const [events, pods] = await Promise.all([
    client.list('Event', { namespace }),
    client.list('Pod', { namespace, labels: `${owner}=${name}` }),
  ])
  const names = new Set(pods.items.map((pod) => pod.metadata.name))
  return events.items
    .filter(({ involvedObject: of }) =>
      of.kind === 'Pod' ? names.has(of.name ?? '') : of.kind === kind && of.name === name,
    )
    .toSorted((a, b) => timeOf(a) - timeOf(b))
}

export async function describe(word: string, name: string, global: Global): Promise<void> {
  const info = kindNamed(word)
  const connected = await connect(global)
  const { client } = connected
  const namespace = info.namespaced ? connected.namespace : undefined
  const object = await client.get(info.kind, { name, namespace })
  if (object === undefined) throw notFound(info, name, namespace)
  console.log(await readable(info, object))
  if (object.kind === 'Node')
    for (const trouble of troubleOf(object, Date.now())) console.log(paint.yellow(plain(trouble)))
  const events = await eventsOf(client, info.kind, name, namespace)
  console.log(paint.bold('Events:'))
  if (events.length === 0) return console.log('  none')
  const rows = events.map((event) => [
    humanAge(event.lastTimestamp, Date.now()),
    event.type ?? '',
    event.reason ?? '',
    `${event.involvedObject.name === name ? '' : `${event.involvedObject.name}: `}${event.count && event.count > 1 ? `(x${event.count}) ` : ''}${event.message ?? ''}`,
  ])
  console.log(
    table(
      ['  AGE', 'TYPE', 'REASON', 'MESSAGE'],
      rows.map((row) => [`  ${row[0]}`, ...row.slice(1).map(plain)]),
    ),
  )
}

async function readable(info: KindInfo, object: Resource): Promise<string> {
  const { managedFields: _, annotations, ...others } = object.metadata
  const { [annotation.lastApplied]: applied, ...shownAnnotations } = annotations ?? {}
  const isSecret = object.kind === 'Secret' && applied !== undefined
  const metadata = { ...others, ...(annotations && { annotations: isSecret ? shownAnnotations : annotations }) }
  const { apiVersion: _version, kind, metadata: _whole, ...rest } = object
  const age = humanAge(metadata.creationTimestamp, Date.now())
  const head = `${paint.bold(plain(`${kind}/${metadata.name}`))}  (${apiVersionOf(info)}, ${age} old)`
  const shown = object.kind === 'Secret' ? withoutValues(rest) : rest
  return [head, plain(await dump({ metadata, ...shown }, 'yaml'))].join('\n')
}

/** Of a Secret: its keys, and how long their values are. What was applied last holds them as well. */
function withoutValues({ data = {}, stringData = {}, ...rest }: Partial<Secret>): object {
  const sizes = [
    ...Object.entries(data).map(([key, value]) => [key, Buffer.byteLength(value, 'base64')] as const),
    ...Object.entries(stringData).map(([key, value]) => [key, Buffer.byteLength(value)] as const),
  ]
  return { ...rest, data: Object.fromEntries(sizes.map(([key, bytes]) => [key, `${bytes} bytes`])) }
}
