import { beforeEach, expect, test } from 'vitest'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { seededRandom } from './random.ts'
import { createWorkQueue, type WorkQueue } from './work-queue.ts'

let clock: ManualClock
let queue: WorkQueue

beforeEach(() => {
  clock = createManualClock(0)
  queue = createWorkQueue({ clock, random: seededRandom(1), retry: { baseMs: 100, maxMs: 1_000 } })
})

test('keys come out in the order they went in, each once', async () => {
  for (const key of ['a', 'b', 'a', 'c']) queue.add(key)
  expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(['a', 'b', 'c'])
  expect(queue.ready).toBe(0)
})

test('a key is never worked on twice at once, and what came meanwhile is not lost', async () => {
  queue.add('a')
  expect(await queue.take()).toBe('a')
  queue.add('a')
  queue.add('a')
  let taken: string | undefined
  const next = queue.take().then((key) => {
    taken = key
  })
  await clock.advance(0)
  expect(taken).toBeUndefined()
  queue.done('a')
  await next
  expect(taken).toBe('a')
  queue.done('a')
  expect(queue.busy + queue.ready).toBe(0)
})

test('addAfter waits, and the earliest of several counts', async () => {
  queue.addAfter('late', 500)
  queue.addAfter('late', 200)
  queue.addAfter('late', 900)
  queue.addAfter('soon', 100)
  expect(queue.delayed).toBe(2)
  await clock.advance(100)
  expect(await queue.take()).toBe('soon')
  queue.done('soon')
  await clock.advance(100)
  expect(await queue.take()).toBe('late')
  queue.done('late')
  await clock.advance(10_000)
  expect(queue.ready + queue.delayed).toBe(0)
})

test('a moment that is too small to be added to the time of today is a millisecond', async () => {
  const late = createManualClock(1_767_225_600_000)
  const waiting = createWorkQueue({ clock: late, random: seededRandom(1) })
  waiting.addAfter('a', 0.00001)
  await late.advance(0)
  expect(waiting.ready).toBe(0)
  await late.advance(1)
  expect(waiting.ready).toBe(1)
})

test('somebody who sets the clock, back or forwards, makes nobody wait longer, or less long', async () => {
  queue.addAfter('before', 500)
  clock.jump(-3_600_000)
  queue.addAfter('after', 500)
  await clock.advance(499)
  expect(queue.ready).toBe(0)
  await clock.advance(1)
  expect(queue.ready).toBe(2)
  queue.addAfter('later', 500)
  clock.jump(7_200_000)
  queue.addAfter('latest', 400)
  await clock.advance(400)
  expect(queue.ready).toBe(3)
})

test('retries wait twice as long each time, up to a limit, with jitter; success forgets', () => {
  const waits = Array.from({ length: 8 }, () => queue.retry('a'))
  const ceilings = [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]
  waits.forEach((wait, i) => {
    expect(wait).toBeGreaterThanOrEqual((ceilings[i] ?? 0) / 2)
    expect(wait).toBeLessThanOrEqual(ceilings[i] ?? 0)
  })
  expect(new Set(waits).size).toBe(8)
  queue.forget('a')
  expect(queue.retry('a')).toBeLessThanOrEqual(100)
})

test('workers take every key; a failure is told and retried', async () => {
  const worked: string[] = []
  const failed: string[] = []
  const running = queue.run(
    2,
    async (key) => {
      worked.push(key)
      await clock.sleep(10)
      if (key === 'bad' && worked.length < 4) throw new Error('no')
    },
    (key) => void failed.push(key),
  )
  for (const key of ['a', 'bad', 'c']) queue.add(key)
  await clock.advance(1_000)
  await queue.idle()
  expect(worked).toEqual(['a', 'bad', 'c', 'bad'])
  expect(failed).toEqual(['bad'])
  await queue.close()
  await running
})

test('closing drops what waits and resolves when the work under way has ended', async () => {
  queue.add('a')
  queue.add('b')
  queue.addAfter('c', 100)
  expect(await queue.take()).toBe('a')
  let closed = false
  const closing = queue.close().then(() => {
    closed = true
  })
  expect(await queue.take()).toBeUndefined()
  await clock.advance(1_000)
  expect(closed).toBe(false)
  queue.add('d')
  queue.done('a')
  await closing
  expect(queue.ready + queue.delayed + queue.busy).toBe(0)
})

test('closing sends idle workers home', async () => {
  const running = queue.run(
    3,
    async () => {},
    () => {},
  )
  await queue.close()
  await running
})
