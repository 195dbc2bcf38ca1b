import { expect, test } from 'vitest'
import { SimulatedPod } from '../../agent/simulated/machine.ts'
import { createManualClock } from '../../base/manual-clock.ts'
import type { EngineModel } from './engine-model.ts'
import { Replica } from './replica.ts'

/** A prefill takes 100 ms, a token after the first 10 ms. */
const engine: EngineModel = {
  prefill: { ms: 100, perTokenMs: 0, perTokenSquaredMs: 0 },
  decode: { ms: 10, perContextTokenMs: 0, perSequenceMs: 0 },
  overhead: { perStepMs: 0, perSequenceMs: 0 },
  apiMs: 0,
  kvTokens: 1000,
  sequencesMax: 8,
  prefixTokens: 0,
}

async function start({ hasEngine = true, drainMs = 5000 } = {}) {
  // A time of day, whose fractions are coarse.
  const clock = createManualClock(1_767_225_600_000)
  const startMs = clock.now()
  const place = { uid: 'u', namespace: 'default', name: 'a', node: 'n', rank: 0, worldSize: 1, attempt: 1 }
  const run = { uid: 'u', namespace: 'default', name: 'a', node: 'n', command: [], env: {}, volumes: [] }
  const pod = new SimulatedPod({ ...place, work: { checkpointRanks: 'first' } }, run, clock)
  let slowness = 1
  const model = { loadMs: 1000, drainMs, ...(hasEngine ? { engine } : {}) }
  const replica = new Replica(pod, model, { clock, slowness: () => slowness })
  pod.program = replica
  const told: string[] = []
  const tell = (what: string, atMs = clock.now()) => told.push(`${what} ${Math.round(atMs - startMs)}`)
  const ask = (name: string, output = 11) =>
    replica.connect({
      input: 10,
      output,
      firstToken: (atMs) => tell(`${name} begins`, atMs),
      ended: (atMs) => tell(`${name} ends`, atMs),
      broken: () => tell(`${name} breaks`),
    })
  const slow = (to: number) => {
    slowness = to
    replica.paceChanged()
  }
  return { clock, pod, replica, told, ask, slow, endMs: () => (pod.end?.atMs ?? Number.NaN) - startMs }
}

test('it refuses connections until it is loaded, and then answers', async () => {
  const { clock, replica, told, ask } = await start()
  await clock.advance(999)
  expect([replica.isListening, replica.probe()]).toEqual([false, 'it is loading its model'])
  await clock.advance(1)
  expect([replica.isListening, replica.probe()]).toEqual([true, undefined])
  ask('a')
  await clock.advance(1000)
  expect(told).toEqual(['a begins 1100', 'a ends 1200'])
})

test('frozen it stands still, and on a slow node it is slow', async () => {
  const { clock, replica, told, ask, slow } = await start()
  await clock.advance(1000)
  ask('a')
  await clock.advance(50)
  replica.signal('SIGSTOP')
  await clock.advance(10_000)
  expect([told, replica.probe()]).toEqual([[], 'no answer'])
  replica.signal('SIGCONT')
  await clock.advance(100)
  slow(2)
  await clock.advance(1000)
  expect(told).toEqual(['a begins 11100', 'a ends 11250'])
})

test('one that is killed breaks its connections', async () => {
  const { clock, pod, told, ask } = await start()
  await clock.advance(1000)
  ask('a')
  ask('b')
  await clock.advance(150)
  pod.kill({ exitCode: 137 })
  await clock.advance(1000)
  expect(told).toEqual(['a begins 1100', 'a breaks 1150', 'b breaks 1150'])
})

test('told to end it takes nobody any more, finishes what it has and ends; at the latest when its time to drain is over', async () => {
  const calm = await start()
  await calm.clock.advance(1000)
  calm.ask('a')
  calm.replica.signal('SIGTERM')
  expect(calm.replica.isListening).toBe(false)
  await calm.clock.advance(10_000)
  expect([calm.told, calm.endMs()]).toEqual([['a begins 1100', 'a ends 1200'], 1200])
  const late = await start({ drainMs: 150 })
  await late.clock.advance(1000)
  late.ask('a')
  late.replica.signal('SIGTERM')
  await late.clock.advance(10_000)
  expect([late.told, late.endMs()]).toEqual([['a begins 1100', 'a breaks 1150'], 1150])
})

test('without requests to answer it drains for as long as it was said to', async () => {
  const { clock, replica, endMs } = await start({ hasEngine: false })
  await clock.advance(1000)
  replica.signal('SIGTERM')
  await clock.advance(10_000)
  expect(endMs()).toBe(6000)
})

test('a connection that is closed ends its request, and who waits behind it goes first', async () => {
  const { clock, replica, told, ask } = await start()
  await clock.advance(1000)
  const connection = ask('a', 900)
  ask('b', 900)
  await clock.advance(500)
  connection.close()
  await clock.advance(20_000)
  expect(told).toEqual(['a begins 1100', 'b begins 1600', 'b ends 10590'])
  expect(replica.isListening).toBe(true)
})
