import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { inferenceService } from '../model/kinds/inference-service.ts'
import type { LedgerPage } from '../model/kinds/ledger-page.ts'
import { pool } from '../model/kinds/pool.ts'
import { report } from '../model/kinds/report.ts'
import { trainingJob } from '../model/kinds/training-job.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { cpuSlot, label } from '../model/names.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { type Ledger, startLedger, summarise } from './ledger.ts'
import { createMetrics } from './metrics.ts'

let clock: ManualClock
let store: Store & { close(): Promise<void> }
beforeEach(async () => {
  clock = createManualClock()
  store = createMemoryStore({ clock, random: seededRandom(1) })
  const status = {
    allocatable: { [cpuSlot]: '4' },
    conditions: [{ type: 'Ready', status: 'True' as const }],
  }
  const metadata = { name: 'a', labels: { [label.pool]: 'local' } }
  await store.create('Node', { apiVersion: 'v1', kind: 'Node', metadata, status }, { withStatus: true })
  await store.create(
    'Pool',
    pool.parse({
      apiVersion: millwrightVersion,
      kind: 'Pool',
      metadata: { name: 'local' },
      spec: { pricePerSlotHour: 0.9 },
    }),
  )
})
afterEach(() => store.close())

const pages = async () => (await store.list('LedgerPage')).items
const open = () => startLedger({ store, clock, log: silentLog })
async function ended(ledger: Ledger): Promise<void> {
  const stopped = ledger.stop()
  await clock.advance(0)
  await stopped
}
const buckets = async () =>
  Object.fromEntries(summarise(await pages()).rows.map(({ key, slotMs, usd }) => [key[0], { slotMs, usd }]))

test('pages are written every ten seconds, with the revision that they include, and priced by the pool', async () => {
  const ledger = open()
  await clock.advance(35_000)
  const [page] = await pages()
  expect(page?.status).toMatchObject({ slots: 4, pricePerSlotHour: 0.9 })
  expect(Number(page?.status?.revision)).toBeGreaterThan(0)
  expect(page?.status?.throughMs).toBeGreaterThanOrEqual(clock.now() - 10_000)
  const writes = Number(page?.metadata.resourceVersion)
  await clock.advance(60_000)
  expect(Number((await pages())[0]?.metadata.resourceVersion) - writes).toBeLessThanOrEqual(7)
  await ended(ledger)
  expect(await buckets()).toEqual({ idle: { slotMs: 4 * 95_000, usd: expect.closeTo((0.9 * 4 * 95) / 3600, 9) } })
})

test('a clock that is set back stands still for the account, in the next life too, until it is there again', async () => {
  const ledger = open()
  await clock.advance(60_000)
  clock.jump(-30_000)
  await clock.advance(20_000)
  const through = async () => (await pages())[0]?.status?.throughMs ?? 0
  const before = await through()
  expect(before).toBeGreaterThan(clock.now())
  await ended(ledger)
  open()
  await clock.advance(5_000)
  expect(await through()).toBe(before)
  await clock.advance(30_000)
  const [page] = await pages()
  expect(page?.status?.throughMs).toBeGreaterThan(before)
  expect(page?.status?.capacitySlotMs).toBe(4 * ((page?.status?.throughMs ?? 0) - 1_700_000_000_000))
})

test('a stopped control plane leaves a gap that is unobserved, to the millisecond', async () => {
  const first = open()
  await clock.advance(12_345)
  await ended(first)
  await clock.advance(7_001)
  const second = open()
  await clock.advance(20_000)
  await ended(second)
  const { idle, unobserved } = await buckets()
  expect(unobserved?.slotMs).toBe(4 * 7_001)
  expect(idle?.slotMs).toBe(4 * 32_345)
})

test('who was away for hours, or days, goes on from the page that was the last', async () => {
  const hourMs = 3_600_000
  clock.jump(86_400_000 - (clock.now() % 86_400_000))
  const lives = async (forMs: number) => {
    const ledger = open()
    await clock.advance(forMs)
    await ended(ledger)
  }
  await lives(3.4 * hourMs)
  await clock.advance(4 * hourMs)
  await lives(hourMs)
  await clock.advance(50 * hourMs)
  await lives(2 * hourMs)
  const { idle, unobserved } = await buckets()
  expect(idle?.slotMs).toBe(4 * 6.4 * hourMs)
  expect(unobserved?.slotMs).toBe(4 * 54 * hourMs)
})

test('what cannot be written for hours is written when it can be again', async () => {
  let isOut = false
  const ifThere = async <T>(write: () => Promise<T>): Promise<T> => {
    if (isOut) throw new Error('the store could not be reached')
    return await write()
  }
  const create: Store['create'] = (...of) => ifThere(() => store.create(...of))
  const updateStatus: Store['updateStatus'] = (...of) => ifThere(() => store.updateStatus(...of))
  const ledger = startLedger({ store: { ...store, create, updateStatus }, clock, log: silentLog })
  await clock.advance(20_000)
  isOut = true
  for (let minute = 0; minute < 300; minute++) await clock.advance(60_000)
  isOut = false
  await clock.advance(20_000)
  await ended(ledger)
  expect((await buckets())['idle']?.slotMs).toBe(4 * (300 * 60_000 + 40_000))
})

test('a page whose time another has as well is not gone on with, whatever it does not know: it goes', async () => {
  const first = open()
  await clock.advance(60_000)
  await ended(first)
  const [page] = await pages()
  const fromMs = (page?.spec.fromMs ?? 0) + 20_000
  const of = { owner: 'TrainingJob/default/j', queue: 'q', gang: 'default/j gone', attempt: 1, checkpoint: '' }
  const provisional = [{ ...of, slotMs: 80_000, startupMs: 0 }]
  const late = {
    ...page?.status,
    ...{ throughMs: fromMs + 20_000, capacitySlotMs: 80_000, entries: [], provisional },
  }
  const object = { ...page, metadata: { name: 'late' }, spec: { ...page?.spec, fromMs }, status: late } as LedgerPage
  await store.create('LedgerPage', object, { withStatus: true })
  open()
  await clock.advance(30_000)
  expect((await pages()).map(({ metadata }) => metadata.name)).toEqual([page?.metadata.name])
  expect((await buckets())['idle']?.slotMs).toBe(4 * 90_000)
})

test('who finds pages that another life was still writing when it began goes on from there, once', async () => {
  const { status, metadata } = (await store.get('Node', { name: 'a' })) ?? {}
  const { labels } = metadata ?? {}
  const other = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'b', labels }, status } as const
  await store.create('Node', other, { withStatus: true })
  let lists = 0
  const list: Store['list'] = async (kind, options) => {
    if (kind === 'LedgerPage') lists++
    return await store.list(kind, options)
  }
  const on = new EventTarget()
  const heard = (event: string) => new Promise((resolve) => on.addEventListener(event, resolve))
  const create: Store['create'] = async (kind, object, options) => {
    await heard('arrive')
    const created = await store.create(kind, object, options)
    on.dispatchEvent(new Event('arrived'))
    return await (kind === 'LedgerPage' ? new Promise(() => {}) : created)
  }
  const get: Store['get'] = async (kind, ref) => {
    const arrived = heard('arrived')
    if (on.dispatchEvent(new Event('arrive')) && (await store.list(kind)).items.length === 0) await arrived
    return await store.get(kind, ref)
  }
  startLedger({ store: { ...store, create }, clock, log: silentLog })
  await clock.advance(2_000)
  const ledger = startLedger({ store: { ...store, get, list }, clock, log: silentLog })
  await clock.advance(20_000)
  await ended(ledger)
  expect(await buckets()).toMatchObject({ idle: { slotMs: 8 * 20_000 }, unobserved: { slotMs: 8 * 2_000 } })
  expect(lists).toBe(2)
})

test('hours that are long over are put together into a page a day, and each time counts once while that goes on', async () => {
  const [hourMs, days] = [3_600_000, 4]
  let refuses = true
  const deleting: Store['delete'] = async (kind, ref, options) => {
    if (refuses && ref.name.endsWith('2')) throw new Error('away')
    return await store.delete(kind, ref, options)
  }
  const options = { clock, log: silentLog, writeEveryMs: hourMs / 2 }
  clock.jump(86_400_000 - (clock.now() % 86_400_000))
  const ledger = startLedger({ store: { ...store, delete: deleting }, ...options })
  await clock.advance(days * 86_400_000 + hourMs)
  const whole = { idle: { slotMs: 4 * (days * 24 + 1) * hourMs, usd: expect.closeTo(0.9 * 4 * (days * 24 + 1), 6) } }
  await ended(ledger)
  expect((await pages()).length).toBeGreaterThan(30)
  expect(await buckets()).toEqual(whole)
  refuses = false
  const next = startLedger({ store, ...options })
  await clock.advance(1_000)
  // The day before this one is still kept by the hour, and this one is in its second.
  expect((await pages()).length).toBe(days - 1 + 24 + 2)
  expect(await buckets()).toEqual(whole)
  await ended(next)
})

test('metrics tell phases, buckets and services, and no label without a bound', async () => {
  const ledger = open()
  await clock.advance(10_000)
  const metadata = (name: string) => ({ name, namespace: 'default' })
  const job = { apiVersion: millwrightVersion, kind: 'TrainingJob', spec: { command: ['x'] } }
  for (const [name, phase] of [
    ['a', 'Running'],
    ['b', 'Running'],
    ['c', 'Failed'],
  ]) {
    const status = { phase, restarts: 2 }
    await store.create('TrainingJob', trainingJob.parse({ ...job, metadata: metadata(`${name}`), status }), {
      withStatus: true,
    })
  }
  for (let i = 0; i < 250; i++) {
    const service = { apiVersion: millwrightVersion, kind: 'InferenceService', metadata: metadata(`s${i}`), spec: {} }
    await store.create('InferenceService', inferenceService.parse(service))
  }
  await store.create(
    'Report',
    report.parse({
      apiVersion: millwrightVersion,
      kind: 'Report',
      metadata: metadata('service.s0'),
      spec: { service: { name: 's0', uid: 'u' } },
      status: { inFlight: 3, held: 1, requests: 9, promptTokens: 100, completionTokens: 50 },
    }),
    { withStatus: true },
  )
  const metrics = createMetrics({ store })
  const [text, same] = await Promise.all([metrics.render(), metrics.render()])
  expect(same).toBe(text)
  for (const line of [
    'millwright_training_jobs{phase="Running"} 2',
    'millwright_training_jobs{phase="Failed"} 1',
    'millwright_training_restarts 6',
    'millwright_nodes{ready="true"} 1',
    'millwright_ledger_slot_seconds{bucket="idle"} 40',
    'millwright_service_requests_in_flight{service="default/s0"} 3',
    'millwright_service_completion_tokens_total{service="default/s0"} 50',
    'millwright_service_replicas{service="other",state="ready"} 0',
  ])
    expect(text).toContain(`${line}\n`)
  expect(new Set(text.match(/service="[^"]*"/g)).size).toBe(201)
  expect(await metrics.render()).toBe(text) // counters are what the reports say, not what was rendered before
  await ended(ledger)
})
