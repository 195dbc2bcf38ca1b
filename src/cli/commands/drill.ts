import type { Client } from '../../api/client.ts'
import { type DocumentError, formatErrors, readDocuments, type WrittenDocument } from '../../compile/documents.ts'
import { rankErrors } from '../../model/drill-rank.ts'
import { durationMs } from '../../model/duration.ts'
import { faultKinds, faults } from '../../model/faults.ts'
import { type FieldError, fieldError, shown } from '../../model/field-error.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import { nearest } from '../../model/nearest.ts'
import { refOf } from '../../model/refs.ts'
import { type KindName, kinds } from '../../model/registry.ts'
import { oneOf } from '../arguments.ts'
import { choose, connectTo, sayPresence } from '../connect.ts'
import { drillLines, drillSaid, newsOf } from '../drill-words.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { familyOf, whenGone } from '../gone.ts'
import { dump, plain, table } from '../output.ts'
import { readText } from '../read-text.ts'
import type { Presence } from '../transport.ts'

/** What can be made to go wrong. */
export async function catalogue(options: { output?: string }): Promise<void> {
  const format = oneOf('--output', options.output, ['table', 'json', 'yaml'], 'table')
  const all = faultKinds.map((kind) => ({ kind, ...faults[kind] }))
  if (format !== 'table') return console.log(await dump(all, format))
  const rows = all.map(({ kind, strikes, fields, worlds, happens }) => [
    kind,
    strikes,
    fields.join(', ') || '-',
    worlds.join(', '),
    happens,
  ])
  console.log(table(['KIND', 'STRIKES', 'TAKES', 'PLAYED ON', 'WHAT HAPPENS'], rows))
}

/** Runs the drills of these files, one after the other, and says what came of each. */
export async function runDrills(files: readonly string[], options: { output?: string }, global: Global): Promise<void> {
  const format = oneOf('--output', options.output, ['text', 'json'], 'text')
  const choice = await choose(global)
  const drills = readDrills(files, choice.namespace)
  const absence = createAbsence()
  const { client } = connectTo(choice, absence)
  await checkTargets(client, drills)
  const done: Drill[] = []
  for (const { drill } of drills) {
    const ended = await runOne(client, drill, absence, format === 'text')
    if (format === 'text') for (const line of drillLines(ended)) console.log(plain(line))
    done.push(ended)
  }
  if (format === 'json') console.log(await dump(done.length === 1 ? done[0] : done, 'json'))
  if (done.some(({ status }) => status?.phase !== 'Passed')) process.exitCode = exit.failed
}

interface ReadDrill {
  drill: Drill
  file: string
  positionOf: WrittenDocument['positionOf']
}

function readDrills(files: readonly string[], namespace: string): ReadDrill[] {
  const texts = files.map((file) => ({ name: file === '-' ? 'standard input' : file, text: readText(file) }))
  const read = readDocuments(texts, { namespace })
  if ('errors' in read) throw wrong(read.errors)
  const drills: ReadDrill[] = []
  const errors: DocumentError[] = []
  for (const { file: where, admitted, positionOf } of read.documents) {
    const refuse = (at: string[], message: string, more: { found: string; allowed: string }) =>
      errors.push({ ...fieldError(at, message, more), file: where, ...positionOf(at) })
    if (admitted.kind !== 'Drill') {
      refuse(['kind'], 'is not run here; `millwright apply` takes it', {
        found: shown(admitted.kind),
        allowed: 'Drill',
      })
      continue
    }
    const { kind } = admitted.spec.fault
    if (faults[kind].worlds.includes('this machine')) drills.push({ drill: admitted, file: where, positionOf })
    else {
      const here = faultKinds.filter((one) => faults[one].worlds.includes('this machine'))
      refuse(['spec', 'fault', 'kind'], 'can be played in the twin alone', {
        found: shown(kind),
        allowed: here.join(', '),
      })
    }
  }
  if (errors.length > 0) throw wrong(errors)
  return drills
}

function wrong(errors: readonly DocumentError[], code: number = exit.usage): Exit {
  const what = errors.length === 1 ? '1 error' : `${errors.length} errors`
  return new Exit(code, `nothing was struck: ${what}\n${formatErrors(errors)}`)
}

/** A name that is not there is a slip of the pen, and nothing to wait for: all of them are told before anything is struck. */
async function checkTargets(client: Client, drills: readonly ReadDrill[]): Promise<void> {
  const errors: DocumentError[] = []
  for (const { drill, file, positionOf } of drills)
    for (const error of await targetErrors(client, drill)) errors.push({ ...error, file, ...positionOf(error.at) })
  if (errors.length > 0) throw wrong(errors, exit.notFound)
}

async function targetErrors(client: Client, drill: Drill): Promise<FieldError[]> {
  const { job, service, node } = drill.spec.target ?? {}
  const { namespace } = drill.metadata
  const check = async (kind: KindName, field: string, name: string | undefined, within: string | undefined) => {
    if (name === undefined || (await client.get(kind, { name, namespace: within })) !== undefined) return []
    const names = (await client.list(kind, { namespace: within })).items.map((one) => one.metadata.name)
    const where = within === undefined ? 'this factory' : `namespace ${within}`
    const more = { found: shown(name), suggestion: nearest(name, names) }
    return [fieldError(['spec', 'target', field], `names no ${field} of ${where}`, more)]
  }
  const found = job === undefined ? undefined : await client.get('TrainingJob', { name: job, namespace })
  return [
    ...(await check('TrainingJob', 'job', job, namespace)),
    ...(await check('InferenceService', 'service', service, namespace)),
    ...(await check('Node', 'node', node, undefined)),
    ...rankErrors(drill, found),
  ]
}

interface Absence extends Presence {
  /** Since when the factory does not answer. */
  sinceMs: number | undefined
}

function createAbsence(): Absence {
  const said = sayPresence()
  const absence: Absence = {
    sinceMs: undefined,
    lost() {
      absence.sinceMs = Date.now()
      said.lost()
    },
    back() {
      absence.sinceMs = undefined
      said.back()
    },
  }
  return absence
}

/** A factory that is away is waited for until the deadline of the drill, and for so long in any case. */
const awayMsMax = 10_000

/** What ends it, a terminal that is closed among them. */
const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Whatever interrupts it deletes the drill, and waits until what that did is undone. */
async function runOne(client: Client, drill: Drill, absence: Absence, isText: boolean): Promise<Drill> {
  const { name } = drill.metadata
  await clearOlder(client, drill)
  if (isText) console.log(plain(drillSaid(drill)))
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  for (const signal of interrupts) process.once(signal, interrupt)
  const lateMs = Date.now() + durationMs(drill.spec.deadline)
  let isGone = false
  const looking = setInterval(() => {
    const { sinceMs } = absence
    if (sinceMs === undefined || Date.now() < Math.max(lateMs, sinceMs) + awayMsMax) return
    isGone = true
    stop.abort()
  }, 1_000)
  try {
    const { metadata } = await client.create('Drill', drill)
    const ended = await followed(client, drill, metadata.uid, isText, stop.signal)
    if (ended !== undefined) return ended
    if (isGone) throw new Exit(exit.unreachable, goneSaid(drill))
    await removeDrill(client, drill)
    throw new Exit(exit.interrupted, `drill ${name} was interrupted and is deleted; what it had done is undone`)
  } finally {
    clearInterval(looking)
    for (const signal of interrupts) process.off(signal, interrupt)
  }
}

function goneSaid({ metadata: { name }, spec }: Drill): string {
  const then = `\`millwright get drill ${name} -o yaml\` says what came of it then, and \`millwright delete drill ${name}\` undoes what is left of it`
  return `drill ${name}: its deadline of ${spec.deadline} is over, and the factory does not answer. Start it with \`millwright up\`; ${then}.`
}

/** What a drill of this name said the last time goes; one that is under way stays. */
async function clearOlder(client: Client, drill: Drill): Promise<void> {
  const ref = refOf(drill)
  const older = await client.get('Drill', ref)
  if (older === undefined) return
  const phase = older.status?.phase
  if (phase !== 'Passed' && phase !== 'Failed')
    throw new Exit(exit.failed, `drill ${ref.name} is under way; \`millwright delete drill ${ref.name}\` ends it.`)
  await removeDrill(client, drill)
}

async function removeDrill(client: Client, drill: Drill): Promise<void> {
  const { kind, metadata } = drill
  const target = { info: kinds[kind], ref: refOf({ metadata }) }
  const family = await familyOf(client, target)
  await client.delete(kind, target.ref)
  await whenGone(client, family, () => {}, new AbortController().signal)
}

/** Until it has passed or failed; undefined: interrupted. */
async function followed(
  client: Client,
  { metadata }: Drill,
  uid: string | undefined,
  isText: boolean,
  signal: AbortSignal,
): Promise<Drill | undefined> {
  const { name, namespace } = metadata
  let before: Drill | undefined
  for await (const { type, object } of client.watch('Drill', { namespace, fields: `metadata.name=${name}` }, signal)) {
    if (object.metadata.uid !== uid) continue
    if (type === 'DELETED') throw new Exit(exit.failed, `drill ${name} was deleted before it was over.`)
    if (isText) for (const line of newsOf(before, object)) console.log(plain(line))
    before = object
    const phase = object.status?.phase
    if (phase === 'Passed' || phase === 'Failed') return object
  }
  return undefined
}
