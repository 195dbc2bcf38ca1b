import { expect, test } from 'vitest'
import { createManualClock } from '../../base/manual-clock.ts'
import { seededRandom } from '../../base/random.ts'
import { createSimulatedBlobs } from '../../blob/simulated/blobs.ts'
import type { Entry } from '../../store/history.ts'
import { createMemoryStore } from '../../store/memory/store.ts'
import { Behind } from './behind.ts'
import { blobsOf, fairWeather, storeOf, type Weather } from './line.ts'
import { Process } from './process.ts'

function lineWith(weather: Partial<Weather> = {}) {
  const clock = createManualClock(0)
  const process = new Process('p')
  const behind = createMemoryStore({ clock, random: seededRandom(1) })
  const store = storeOf(process, behind, clock, { ...fairWeather, ...weather })
  return { clock, process, behind, store }
}

const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }) as const

test('a connection that breaks ends the watches on it at once, and what was on its way is lost', async () => {
  const { clock, process, behind, store } = lineWith({ delayMs: () => 100 })
  const seen: string[] = []
  store.watch(
    'Namespace',
    { from: '0' },
    {
      event: ({ object }) => void seen.push(object.metadata.name),
      ended: (reason) => void seen.push(reason),
    },
  )
  await behind.create('Namespace', namespace('early'))
  await clock.advance(1_000)
  await behind.create('Namespace', namespace('late'))
  process.break()
  await clock.advance(1_000)
  expect(seen).toEqual(['early', 'closed'])
})

test('what a process is about to write when it is paused goes out when it wakes', async () => {
  let isPaused = false
  const { clock, process, behind, store } = lineWith({
    onWrite: (point, writer) => {
      if (point === 'after' || isPaused) return
      isPaused = true
      writer.pause()
    },
  })
  void store.create('Namespace', namespace('a'))
  await clock.advance(5_000)
  expect(await behind.get('Namespace', { name: 'a' })).toBeUndefined()
  process.resume()
  await clock.advance(0)
  expect(await behind.get('Namespace', { name: 'a' })).toBeDefined()
})

test('who is to stand still at a write does so at the next one alone, and not when it was called off', async () => {
  const { clock, process, behind, store } = lineWith()
  process.pauseAtWrite()
  await store.get('Namespace', { name: 'a' })
  expect(process.state).toBe('running')
  void store.create('Namespace', namespace('a'))
  expect(process.state).toBe('paused')
  await clock.advance(5_000)
  expect(await behind.get('Namespace', { name: 'a' })).toBeUndefined()
  process.resume()
  await clock.advance(0)
  expect(await behind.get('Namespace', { name: 'a' })).toBeDefined()
  process.pauseAtWrite()
  process.resume()
  await store.create('Namespace', namespace('b'))
  expect(process.state).toBe('running')
})

test('what comes at once overtakes nothing that is on its way, nor what is due in this very moment', async () => {
  let delayMs = 100
  const { clock, behind, store } = lineWith({ delayMs: () => delayMs })
  const seen: string[] = []
  const event = ({ object }: { object: { metadata: { name: string } } }) => void seen.push(object.metadata.name)
  store.watch('Namespace', { from: '0' }, { event, ended: () => {} })
  clock.after(100, () => void behind.create('Namespace', namespace('third')))
  await behind.create('Namespace', namespace('first'))
  delayMs = 0
  await clock.advance(50)
  await behind.create('Namespace', namespace('second'))
  await clock.advance(49)
  expect(seen).toEqual([])
  await clock.advance(1)
  expect(seen).toEqual(['first', 'second', 'third'])
  await behind.create('Namespace', namespace('last'))
  expect(seen, 'with nothing on its way it is there at once').toEqual(['first', 'second', 'third', 'last'])
})

test('who does not reach the control plane alone reaches storage', async () => {
  const { clock, process, store } = lineWith()
  const blobs = blobsOf(
    process,
    createSimulatedBlobs(() => {}),
  )
  process.isolate('control-plane')
  expect(process.isHeard).toBe(false)
  const asked = expect(store.get('Namespace', { name: 'a' })).rejects.toThrow()
  await clock.advance(20_000)
  await asked
  await expect(blobs.list('')).resolves.toEqual([])
  process.isolate('all')
  await expect(blobs.list('')).rejects.toThrow('the line is cut')
})

test('what the store answers comes late, and what a watch tells, in order; who has waited too long gives up', async () => {
  const { clock, process, behind, store } = lineWith()
  const seen: string[] = []
  const note = (name: string) => void seen.push(`${clock.now()} ${name}`)
  store.watch('Namespace', { from: '0' }, { event: ({ object }) => note(object.metadata.name), ended: () => {} })
  const quicker = process.delay(3_000, 3_000)
  const further = process.delay(2_000, 0)
  void store.get('Namespace', { name: 'a' }).then(() => note('answer'))
  await behind.create('Namespace', namespace('a'))
  await clock.advance(1_000)
  quicker()
  await behind.create('Namespace', namespace('b'))
  await clock.advance(9_000)
  expect(seen).toEqual(['3000 a', '3000 b', '5000 answer'])
  process.delay(8_000, 0)
  const asked = expect(store.create('Namespace', namespace('c'))).rejects.toThrow()
  await clock.advance(10_000)
  await asked
  expect(await behind.get('Namespace', { name: 'c' })).toBeDefined()
  further()
  expect([process.lateMs, process.eventsLateMs]).toEqual([8_000, 0])
})

test('of two servers that are behind the line knows when one is over', () => {
  const { process } = lineWith()
  let breaks = 0
  process.onBreak(() => breaks++)
  const first = process.fallBehind(20)
  process.fallBehind(1)
  first()
  expect([process.writesBehind, breaks]).toEqual([1, 2])
})

test('a server that keeps few writes lets a watch from before end as expired, until it is over', async () => {
  const { clock, process, behind: beyond } = lineWith()
  const behind = new Behind(beyond)
  const store = storeOf(process, beyond, clock, fairWeather, behind)
  const { items, resourceVersion } = await store.list('Namespace')
  expect(items).toEqual([])
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const object = await beyond.create('Namespace', namespace(name))
    const revision = Number(resourceVersion) + index + 1
    expect(object).toMatchObject({ metadata: { resourceVersion: String(revision) } })
    behind.see({ revision } as Entry)
  }
  const watched = async () => {
    const seen: string[] = []
    store.watch(
      'Namespace',
      { from: resourceVersion },
      {
        event: ({ object }) => void seen.push(object.metadata.name),
        ended: (reason) => void seen.push(reason),
      },
    )
    await clock.advance(1)
    return seen
  }
  const enough = process.fallBehind(0, 3)
  expect(await watched()).toEqual(['a', 'b', 'c'])
  const tooFew = process.fallBehind(0, 2)
  expect(await watched()).toEqual(['expired'])
  tooFew()
  expect(await watched()).toEqual(['a', 'b', 'c'])
  enough()
  expect(process.writesKept).toBe(Number.POSITIVE_INFINITY)
})
