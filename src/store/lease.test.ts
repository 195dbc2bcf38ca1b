import { beforeEach, expect, test } from 'vitest'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import type { Store } from './contract.ts'
import { found, jobNamed } from './contract-suite.ts'
import { createLeaseHolder } from './lease.ts'
import { createMemoryStore } from './memory/store.ts'

const ref = { name: 'leader', namespace: 'default' }
let clock: ManualClock
let store: Store

beforeEach(() => {
  clock = createManualClock()
  store = createMemoryStore({ clock, random: seededRandom(1) })
})
const contender = (identity: string) => createLeaseHolder({ store, clock, ref, identity, durationMs: 15_000 })

test('the first one gets it, the second waits', async () => {
  const [a, b] = [contender('a'), contender('b')]
  const epoch = await a.acquire()
  expect(epoch).toBeGreaterThan(0)
  expect(await b.acquire()).toBeUndefined()
  expect(a.fence()).toEqual({ lease: ref, epoch })
  expect(b.fence()).toBeUndefined()
})

test('of two at once one gets it', async () => {
  const answers = await Promise.all([contender('a').acquire(), contender('b').acquire()])
  expect(answers.filter((epoch) => epoch !== undefined)).toHaveLength(1)
})

test('silence for the whole duration, by our own clock, is a dead holder, and the epoch rises', async () => {
  const [a, b] = [contender('a'), contender('b')]
  const epoch = await a.acquire()
  expect(await b.acquire()).toBeUndefined()
  for (let i = 0; i < 2; i++) {
    await clock.advance(7_000)
    expect(await b.acquire()).toBeUndefined()
  }
  await clock.advance(1_000)
  expect(await b.acquire()).toBe(Number(epoch) + 1)
  expect(a.holds()).toBe(false)
  expect(await a.renew()).toBe(false)
  expect(a.fence()).toBeUndefined()
})

test('a renewal starts the count again', async () => {
  const [a, b] = [contender('a'), contender('b')]
  await a.acquire()
  for (let i = 0; i < 6; i++) {
    await clock.advance(7_000)
    expect(await a.renew()).toBe(true)
    expect(await b.acquire()).toBeUndefined()
  }
  expect(a.holds()).toBe(true)
})

test('a renewTime that lies changes nothing', async () => {
  const [a, b] = [contender('a'), contender('b')]
  await a.acquire()
  await store.patch('Lease', ref, { spec: { renewTime: '1999-01-01T00:00:00.000000Z' } })
  expect(await b.acquire()).toBeUndefined()
})

test('setting a clock takes no lease, and putting it back keeps none', async () => {
  const own = [createManualClock(), createManualClock()]
  const [a, b] = own.map((clock, index) =>
    createLeaseHolder({ store, clock, ref, identity: `c${index}`, durationMs: 15_000 }),
  )
  await a?.acquire()
  expect(await b?.acquire()).toBeUndefined()
  for (const jumpMs of [8_000, 8_000, 3_600_000]) {
    own[1]?.jump(jumpMs)
    expect(await b?.acquire()).toBeUndefined()
  }
  own[0]?.jump(-3_600_000)
  for (const ms of [8_000, 8_000]) {
    for (const clock of own) await clock.advance(ms)
    await b?.acquire()
  }
  expect(a?.holds()).toBe(false)
  expect(await a?.renew()).toBe(false)
})

test('who was suspended with his machine holds nothing, though no steady time has passed', async () => {
  const a = contender('a')
  await a.acquire()
  clock.jump(15_000)
  expect(a.holds()).toBe(false)
})

test('who looks again only after a long pause starts its count anew', async () => {
  const [a, b] = [contender('a'), contender('b')]
  await a.acquire()
  await b.acquire()
  await clock.advance(100_000) // both were asleep: a closed laptop
  expect(await b.acquire()).toBeUndefined()
  expect(await a.renew()).toBe(true)
})

test('what was released is taken at once, with a new epoch', async () => {
  const [a, b] = [contender('a'), contender('b')]
  const epoch = await a.acquire()
  await a.release()
  expect(await b.acquire()).toBe(Number(epoch) + 1)
})

test('the same name in a new life is a new epoch', async () => {
  const epoch = await contender('a').acquire()
  const reborn = contender('a')
  expect(await reborn.acquire()).toBeUndefined()
  await clock.advance(10_000)
  await reborn.acquire()
  await clock.advance(10_000)
  expect(await reborn.acquire()).toBe(Number(epoch) + 1)
})

test('a holder that finds its lease touched by someone else keeps it', async () => {
  const a = contender('a')
  const epoch = await a.acquire()
  await store.patch('Lease', ref, { metadata: { labels: { seen: 'yes' } } })
  expect(await a.renew()).toBe(true)
  expect(await a.acquire()).toBe(Number(epoch) + 1) // what it sent under the first is void
})

test('a lease that was deleted is lost', async () => {
  const a = contender('a')
  await a.acquire()
  await store.delete('Lease', ref)
  expect(await a.renew()).toBe(false)
})

test('a paused ex-leader that wakes up changes nothing', async () => {
  const [a, b] = [contender('a'), contender('b')]
  await a.acquire()
  const fence = a.fence()
  const job = found(await store.create('TrainingJob', jobNamed('j'), { fence }))
  await b.acquire()
  for (let i = 0; i < 3; i++) {
    await clock.advance(7_500)
    await b.acquire()
  }
  await expect(
    store.update('TrainingJob', { ...job, spec: { ...job.spec, priority: 9 } }, { fence }),
  ).rejects.toMatchObject({
    code: 'fenced',
  })
})
