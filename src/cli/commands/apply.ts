import type { Client } from '../../api/client.ts'
import { messageOf } from '../../base/errors.ts'
import { formatErrors, readDocuments, type TextFile, type Written } from '../../compile/documents.ts'
import { type Change, formatPlan, plan, shownChange } from '../../compile/plan.ts'
import { kindsOfState } from '../../compile/state.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { type KindName, kinds, type Resource } from '../../model/registry.ts'
import { oneOf } from '../arguments.ts'
import { confirmDestruction } from '../confirm.ts'
import { choose, connectTo } from '../connect.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { dump, plain, useColor } from '../output.ts'
import { textsOf } from '../texts-of.ts'
import type { Foretold } from './forecast.ts'

interface FileOptions {
  file: string[]
  output?: string
  yes?: boolean
}

export async function planFiles(options: FileOptions, global: Global): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json', 'yaml'], 'text')
  const choice = await choose(global)
  const texts = textsOf(options.file)
  const wanted = readTexts(texts, choice.namespace, 'planned')
  const changes = await planAgainst(connectTo(choice).client, wanted)
  if (output === 'text') console.log(formatPlan(changes, { color: useColor() }))
  const { lines, ...foretold } = await foretell(changes, texts, global)
  if (output !== 'text') {
    const whole = { apiVersion: millwrightVersion, kind: 'Plan', changes: changes.map(shownChange), ...foretold }
    return console.log(await dump(whole, output))
  }
  if (lines.length > 0) console.log(['\nForecast of the next 24h:', ...lines].map(plain).join('\n  '))
}

async function foretell(changes: readonly Change[], texts: TextFile[], global: Global): Promise<Foretold> {
  if (changes.every(({ action, kind }) => action === 'unchanged' || !decidedBy.has(kind))) return { lines: [] }
  const { forecastOfPlan, notForetold } = await import('./forecast.ts')
  return await forecastOfPlan(texts, global).catch((error: unknown) => notForetold(messageOf(error)))
}

/** What waits, who leaves and what is spent hangs on these. */
const decidedBy: ReadonlySet<KindName> = new Set(kindsOfState)

export async function applyFiles(options: FileOptions, global: Global): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json', 'name'], 'text')
  const choice = await choose(global)
  const wanted = readAll(options.file, choice.namespace, 'applied')
  const { client } = connectTo(choice)
  const changes = await planAgainst(client, wanted)
  refuseBlocked(changes)
  const destroying = changes.filter((change) => change.disturbs === 'destroys')
  const lines = destroying.map((change) => `${change.kind}/${change.name}: ${change.disturbance}`)
  if (lines.length > 0 && options.yes !== true) await confirmDestruction(lines)
  for (const change of changes) {
    const object = await carryOut(client, change)
    const info = kinds[change.kind]
    if (output === 'json') console.log(JSON.stringify(object))
    else console.log(`${info.singular}/${change.name}${output === 'name' ? '' : ` ${words[change.action]}`}`)
  }
}

/** Nothing is applied when a part of it is known to be refused. */
function refuseBlocked(changes: Change[]): void {
  const blocked = changes.filter((change) => change.blocked !== undefined)
  if (blocked.length === 0) return
  const reasons = blocked.map((change) => `${change.kind}/${change.name}: ${change.blocked}`)
  throw new Exit(exit.failed, `nothing was applied\n${reasons.join('\n')}`)
}

const words = { create: 'created', update: 'changed', unchanged: 'unchanged' } as const

type Done = 'planned' | 'applied' | 'deleted'

/** All files, all documents, all errors at once; nothing was `done` when this throws. */
export function readAll(files: string[], namespace: string, done: Done): Written[] {
  return readTexts(textsOf(files), namespace, done)
}

function readTexts(texts: readonly TextFile[], namespace: string, done: Done): Written[] {
  const read = readDocuments(texts, { namespace })
  if ('errors' in read) {
    const count = read.errors.length
    throw new Exit(
      exit.usage,
      `nothing was ${done}: ${count} error${count === 1 ? '' : 's'}\n${formatErrors(read.errors)}`,
    )
  }
  return read.documents.map((document) => document.object)
}

async function planAgainst(client: Client, wanted: Written[]): Promise<Change[]> {
  const live = new Map<string, Resource>()
  for (const object of wanted) {
    const found = await client.get(object.kind as KindName, {
      name: object.metadata.name,
      namespace: object.metadata.namespace,
    })
    if (found !== undefined) live.set(keyOf(object), found)
  }
  const namespaces = new Set<string>()
  for (const name of new Set(wanted.flatMap(({ metadata }) => metadata.namespace ?? []))) {
    if ((await client.get('Namespace', { name })) !== undefined) namespaces.add(name)
  }
  return plan(
    wanted,
    (object) => live.get(keyOf(object)),
    (name) => namespaces.has(name),
  )
}

const keyOf = (object: { kind: string; metadata: { namespace?: string | undefined; name: string } }) =>
  `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`

async function carryOut(client: Client, change: Change): Promise<unknown> {
  const ref = { name: change.name, namespace: change.namespace }
  if (change.action === 'create') return await client.create(change.kind, change.object as never)
  if (change.action === 'update') return await client.patch(change.kind, ref, change.patch)
  return change.object
}
