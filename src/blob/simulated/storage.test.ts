import { beforeEach, expect, test } from 'vitest'
import { createManualClock, type ManualClock } from '../../base/manual-clock.ts'
import { createSimulatedBlobs } from './blobs.ts'
import { createSimulatedStorage, type SimulatedStorage } from './storage.ts'

let clock: ManualClock
let storage: SimulatedStorage
let startMs: number
beforeEach(() => {
  clock = createManualClock()
  storage = createSimulatedStorage(createSimulatedBlobs(), clock)
  startMs = clock.now()
})

const bytes = new Uint8Array(1)
const code = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: { code: string }) => error.code,
  )

/** When it arrived, from the start, or why it did not. */
function sent(ms: number): { arrived: number | string | undefined } {
  const outcome: { arrived: number | string | undefined } = { arrived: undefined }
  void code(storage.transfer(ms, clock)).then((said) => {
    outcome.arrived = said === 'done' ? clock.now() - startMs : said
  })
  return outcome
}

test('what is under way takes longer from when storage is slow, and no longer once it is as ever', async () => {
  const outcome = sent(100_000)
  await clock.advance(50_000)
  const cancel = storage.slowDown(4)
  await clock.advance(100_000) // a quarter of them counts
  cancel()
  cancel()
  await clock.advance(1_000_000)
  expect(outcome.arrived).toBe(50_000 + 100_000 + 25_000)
})

test('of two that slow it down the worst counts, and then the other', async () => {
  storage.slowDown(2)
  const cancel = storage.slowDown(10)
  const outcome = sent(10_000)
  await clock.advance(50_000) // half of it
  cancel()
  await clock.advance(1_000_000)
  expect(outcome.arrived).toBe(50_000 + 10_000)
})

test('an outage breaks what is under way, and refuses everything until the last of them is over', async () => {
  const outcome = sent(100_000)
  await clock.advance(10_000)
  const cancels = [storage.breakDown(), storage.breakDown()]
  await clock.advance(0)
  expect(outcome.arrived).toBe('storage-unreachable')
  for (const cancel of cancels) {
    for (const call of [storage.blobs.put('a', bytes), storage.blobs.get('a'), storage.blobs.list('')])
      expect(await code(call)).toBe('storage-unreachable')
    cancel()
  }
  expect(await code(storage.blobs.put('a', bytes))).toBe('done')
})

test('full storage takes nothing, and is read and emptied as ever', async () => {
  await storage.blobs.put('a', bytes)
  const cancel = storage.fillUp()
  expect(await code(storage.blobs.put('b', bytes))).toBe('disk-full')
  expect(await storage.blobs.get('a')).toEqual(bytes)
  await storage.blobs.delete('a')
  expect(await storage.blobs.has('a')).toBe(false)
  cancel()
  expect(await code(storage.blobs.put('b', bytes))).toBe('done')
})
