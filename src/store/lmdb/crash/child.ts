import { rmSync, writeSync } from 'node:fs'
import { messageOf, OperatingError } from '../../../base/errors.ts'
import { silentLog } from '../../../base/log.ts'
import { createManualClock } from '../../../base/manual-clock.ts'
import { seededRandom } from '../../../base/random.ts'
import type { Secret } from '../../../model/kinds/kubernetes.ts'
import { createLmdbStore, type LmdbPoint, type LmdbStore } from '../store.ts'

/**
 * A process that writes to a data directory and says on stdout what it is about to do (`try`) and what it was told is
 * done (`ack`), until somebody kills it. Started by the crash harness and the tests beside it.
 */
export type ChildOrder =
  | {
      mode: 'crash'
      dir: string
      seed: number
      /** Values written in this life are larger than those of all earlier lives. */
      from: number
      /** Dies at the `nth` time that it comes to `point`. */
      dieAt?: { point: LmdbPoint; nth: number } | undefined
    }
  | { mode: 'trace'; dir: string; writes: number }
  | { mode: 'fill'; dir: string; ballast?: string | undefined }
  | { mode: 'hold'; dir: string }
  | { mode: 'open'; dir: string }

const writers = 8
const keysPerWriter = 3

async function main(order: ChildOrder): Promise<void> {
  if (order.mode === 'crash') await crash(order)
  else if (order.mode === 'trace') await trace(order)
  else if (order.mode === 'fill') await fill(order)
  else await open(order)
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

// Until killed.

async function crash(order: ChildOrder & { mode: 'crash' }): Promise<void> {
  let times = 0
  const store = await createLmdbStore({
    dir: order.dir,
    clock: createManualClock(),
    random: seededRandom(order.seed),
    log: silentLog,
    onPoint: (point) => {
      if (order.dieAt?.point === point && ++times === order.dieAt.nth) process.kill(process.pid, 'SIGKILL')
    },
  })
  const present = await report(store)
  await Promise.all(Array.from({ length: writers }, (_, i) => writeForEver(store, i, order, present)))
}

/** Says what was found on opening, whole or not. */
async function report(store: LmdbStore): Promise<Map<string, number>> {
  const { items, resourceVersion } = await store.list('Secret')
  const namespaces = new Set((await store.list('Namespace')).items.map((each) => each.metadata.name))
  const present = new Map<string, number>()
  const problems: string[] = []
  let strangers = 0
  for (const secret of items) {
    const key = `${secret.metadata.namespace}/${secret.metadata.name}`
    const value = Number(secret.data?.['value'] ?? Number.NaN)
    if (Number.isNaN(value)) strangers++
    else present.set(key, value)
    if (!Number.isNaN(value) && secret.data?.['filler'] !== fillerOf(value)) problems.push(`${key} is half written`)
    if (!namespaces.has(secret.metadata.namespace ?? '')) problems.push(`${key} came without its namespace`)
    if (Number(secret.metadata.resourceVersion) > Number(resourceVersion)) problems.push(`${key} is from the future`)
  }
  const jobs = (await store.list('TrainingJob')).items.length
  const revision = Number(resourceVersion)
  say(`open ${JSON.stringify({ revision, jobs, present: Object.fromEntries(present), problems, strangers })}`)
  return present
}

async function writeForEver(
  store: LmdbStore,
  writer: number,
  order: ChildOrder & { mode: 'crash' },
  present: Map<string, number>,
): Promise<never> {
  const random = seededRandom(order.seed).split(String(writer))
  for (let value = order.from + writer; ; value += writers) {
    if (writer === 0) await oneInFreshNamespace(store, value)
    else {
      const key = `lane/w${writer}-${random.int(0, keysPerWriter - 1)}`
      if (!present.has(key)) await told(key, value, () => store.create('Secret', secretOf(key, value)))
      else if (random.float() < 0.2) await told(key, 0, () => store.delete('Secret', refOf(key)))
      else await told(key, value, () => store.patch('Secret', refOf(key), { data: dataOf(value) }))
      await refresh(store, key, present)
    }
  }
}

/** A create that makes its namespace in the same commit. */
async function oneInFreshNamespace(store: LmdbStore, value: number): Promise<void> {
  const namespace = `fresh-${value}`
  const key = `${namespace}/w0`
  await told(key, value, () => store.create('Secret', secretOf(key, value)))
  await told(key, 0, () => store.delete('Secret', refOf(key)))
  await store.delete('Namespace', { name: namespace })
}

async function told(key: string, value: number, write: () => Promise<Secret | string>): Promise<void> {
  say(`try ${key} ${value}`)
  const answer = await write()
  const revision = typeof answer === 'string' ? 0 : Number(answer.metadata.resourceVersion)
  if (typeof answer === 'string' && answer !== 'deleted') throw new Error(`${key} ${value}: ${answer}`)
  say(`ack ${key} ${value} ${revision}`)
}

async function refresh(store: LmdbStore, key: string, present: Map<string, number>): Promise<void> {
  const secret = await store.get('Secret', refOf(key))
  if (secret === undefined) present.delete(key)
  else present.set(key, Number(secret.data?.['value']))
}

function refOf(key: string): { namespace: string; name: string } {
  const [namespace = '', name = ''] = key.split('/')
  return { namespace, name }
}

function secretOf(key: string, value: number): Secret {
  return { apiVersion: 'v1', kind: 'Secret', metadata: refOf(key), data: dataOf(value) }
}

function dataOf(value: number): Record<string, string> {
  return { value: String(value), filler: fillerOf(value) }
}

/** From a few bytes to several pages. */
function fillerOf(value: number): string {
  return `${value}.`.repeat((value * 2_654_435_761) % 1_400)
}

// For strace: one write at a time; whatever makes it visible leaves a line in the trace.

async function trace(order: ChildOrder & { mode: 'trace' }): Promise<void> {
  const store = await createLmdbStore({
    dir: order.dir,
    clock: createManualClock(),
    random: seededRandom(1),
    log: silentLog,
  })
  const { resourceVersion } = await store.list('Secret')
  store.watch(
    'Secret',
    { from: resourceVersion },
    {
      event: ({ object }) => say(`mark watched ${object.metadata.name}`),
      ended() {},
    },
  )
  for (let i = 1; i <= order.writes; i++) {
    const ref = { namespace: 'lane', name: `s${i}` }
    say(`mark begin s${i}`)
    const created = store.create('Secret', secretOf(`lane/s${i}`, i)).then(() => say(`mark acknowledged s${i}`))
    while ((await store.get('Secret', ref)) === undefined) await new Promise((resolve) => setImmediate(resolve))
    say(`mark read s${i}`)
    await created
  }
  await store.close()
  say('mark end')
}

// Until the disk is full; then, if there is ballast, on after it was thrown off.

async function fill(order: ChildOrder & { mode: 'fill' }): Promise<void> {
  const store = await createLmdbStore({
    dir: order.dir,
    clock: createManualClock(),
    random: seededRandom(1),
    log: silentLog,
  })
  let value = 1
  for (; value < 100_000; value++) {
    try {
      await store.create('Secret', secretOf(`lane/s${value}`, value))
      say(`ack lane/s${value} ${value} 0`)
    } catch (error) {
      sayError(error)
      break
    }
  }
  const { items } = await store.list('Secret')
  say(`visible ${items.length}`)
  if (order.ballast !== undefined) {
    rmSync(order.ballast)
    await store.create('Secret', secretOf('lane/after', value))
    say(`ack lane/after ${value} 0`)
  }
  await store.close()
}

function sayError(error: unknown): void {
  say(
    `error ${JSON.stringify({ code: error instanceof OperatingError ? error.code : '?', message: messageOf(error) })}`,
  )
}

async function open(order: ChildOrder & { mode: 'hold' | 'open' }): Promise<void> {
  try {
    const store = await createLmdbStore({
      dir: order.dir,
      clock: createManualClock(),
      random: seededRandom(1),
      log: silentLog,
    })
    await report(store)
    if (order.mode === 'hold') await new Promise((resolve) => setTimeout(resolve, 600_000))
    await store.close()
  } catch (error) {
    sayError(error)
  }
}

await main(JSON.parse(process.argv[2] ?? '{}'))
