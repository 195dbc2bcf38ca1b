import { beforeEach, expect, test } from 'vitest'
import { diskFull, OperatingError, storageUnreachable } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import type { PodSink } from './contract.ts'
import { createShipper, type Shelf, type Shipper, storing } from './shipping.ts'

let clock: ManualClock
let steps: number[]
let shipped: number[]
let notices: string[]
let problem: Error | undefined
let tries: number
let shipper: Shipper
beforeEach(() => {
  clock = createManualClock()
  ;[steps, shipped, notices, problem, tries] = [[], [], [], undefined, 0]
  shipper = createShipper(shelf, { clock, log: silentLog }, sink, [])
})

const shelf: Shelf = {
  steps: () => steps,
  store: async (step) => {
    tries += 1
    await clock.sleep(1_000)
    if (problem !== undefined) throw problem
    return { step, rank: 0, manifest: `m${step}`, digest: 'd', bytes: 1, persistSeconds: 1, writtenAtMs: 0 }
  },
  clear: async () => {},
}
const sink: PodSink = {
  found() {},
  progress: () => {},
  shipped: ({ step }) => void shipped.push(step),
  notice: ({ reason }) => void notices.push(reason),
}

function write(step: number, isAsked = true): void {
  steps = [...steps, step]
  if (isAsked) shipper.request(step)
  shipper.start()
}

const hourMs = 3_600_000

test.each([
  ['cannot be reached', storageUnreachable('no route')],
  ['is full', diskFull('/blobs', undefined)],
])('storage that %s is waited for, however long, and what was asked for arrives then', async (_, error) => {
  problem = error
  write(10)
  await clock.advance(3 * hourMs)
  expect(tries).toBeGreaterThan(1_000)
  expect(notices).toEqual(['CheckpointNotShipped'])
  problem = undefined
  await clock.advance(10_000)
  expect(shipped).toEqual([10])
})

test('what is written while it clears up is shipped as well', async () => {
  shipper.start() // finds nothing
  write(10)
  await clock.advance(1_000)
  expect(shipped).toEqual([10])
})

test('of several that were asked for meanwhile the newest goes, and none in between', async () => {
  problem = storageUnreachable('no route')
  for (const step of [10, 20, 30]) {
    write(step)
    await clock.advance(hourMs)
  }
  write(31, false)
  await clock.advance(hourMs)
  problem = undefined
  await clock.advance(60_000)
  expect(shipped).toEqual([30, 31])
})

test('while storage takes them, none that was asked for is passed over', async () => {
  write(10)
  write(20)
  write(25, false)
  write(30)
  await clock.advance(10_000)
  expect(shipped).toEqual([10, 20, 30])
})

test('any other failure is tried twenty times, one that no try can mend once', async () => {
  problem = new Error('who knows')
  write(10)
  await clock.advance(hourMs)
  expect(tries).toBe(20)
  problem = new OperatingError('invalid', 'give-up', 'no')
  write(20)
  await clock.advance(hourMs)
  expect(tries).toBe(21)
  problem = undefined
  write(30)
  await clock.advance(10_000)
  expect(shipped).toEqual([30])
})

test('whoever lets go waits no longer', async () => {
  problem = storageUnreachable('no route')
  write(10)
  await clock.advance(10_000)
  shipper.close()
  await clock.advance(1_000) // what is under way
  const before = tries
  problem = undefined
  await clock.advance(hourMs)
  expect(tries).toBe(before)
  expect(shipped).toEqual([])
})

test('who is to end waits no longer for what storage takes its time with', async () => {
  const store = () => new Promise<void>(() => {})
  const closed = new AbortController()
  const storingIt = storing(store, { clock, signal: closed.signal, waiting: () => {} })
  closed.abort()
  await expect(storingIt).rejects.toThrow('it was to end before storage had taken it')
  write(10)
  const drained = shipper.drain()
  shipper.close()
  await drained
  await clock.advance(hourMs)
  expect(shipped, 'what was on its way arrives').toEqual([10])
})

test('what nobody can do without is stored as soon as storage takes it, and waiting for it is told once', async () => {
  const waiting: string[] = []
  let isOut = true
  const store = async () => {
    if (isOut) throw storageUnreachable('no route')
    return 'stored'
  }
  const closed = new AbortController()
  const stored = storing(store, { clock, signal: closed.signal, waiting: (message) => waiting.push(message) })
  await clock.advance(hourMs)
  isOut = false
  await clock.advance(5_000)
  expect(await stored).toBe('stored')
  expect(waiting).toEqual(['object storage cannot be reached: no route'])
})
