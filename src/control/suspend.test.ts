import { afterEach, beforeEach, expect, test } from 'vitest'
import { seatsNow } from '../model/seats.ts'
import type { Store } from '../store/contract.ts'
import { createGate, type Gate } from './gate.fixture.ts'
import type { Control } from './run.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Jobs that are suspended just as they get their seats. */

let world: World
let control: Control
let takes: Gate
let binds: Gate
let evicts: Gate
beforeEach(async () => {
  ;[takes, binds, evicts] = [createGate(), createGate(), createGate()]
  world = await createWorld({ store: gated })
  world.agent.onStart(async ({ metadata: { name } }) => {
    const stepAtMs = world.clock.now()
    await world.agent.report(name, { step: 1, stepAtMs, firstStepAtMs: stepAtMs, stepSeconds: 1 })
  })
  world.agent.onStop(() => world.clock.sleep(60_000))
  control = world.control()
})
afterEach(() => world.close())

test('one that was seated while its seats were being taken is asked for a checkpoint first', async () => {
  await world.job('j', { workers: 2 })
  await world.phase('j', 'Waiting')
  takes.close()
  await suspend()
  await world.until(() => takes.waiting() === 1, 'its seats are being taken')
  await world.node('a', 2)
  await world.until(() => world.agent.running().length === 2, 'it runs')
  takes.open()
  await world.settle()
  expect((await world.getGang('j')).spec).toMatchObject({ suspend: false, checkpointRequest: { stop: true } })
  expect(await graces()).toEqual([undefined, undefined])
})

test('a pod that was bound while it was being told to end has its grace', async () => {
  await world.node('a', 2)
  binds.close()
  evicts.close()
  await world.job('j', { workers: 2, terminationGracePeriodSeconds: 40 })
  await world.until(() => binds.waiting() === 2, 'its pods are being bound')
  await suspend()
  await world.until(() => evicts.waiting() === 2, 'they are being told to end')
  binds.open()
  await world.until(() => world.agent.running().length === 2, 'it runs')
  evicts.open()
  await world.settle()
  expect(await graces()).toEqual([40, 40])
})

test('one that was given another queue while nobody led keeps no seats that the one before it gave', async () => {
  const ref = { name: 'j', namespace: 'default' }
  await world.node('a', 2)
  await world.job('j', { workers: 2, terminationGracePeriodSeconds: 5 })
  await world.until(() => world.agent.running().length === 2, 'it runs')
  const stopped = control.stop()
  await world.settle(1_000)
  await stopped
  await suspend()
  await world.store.patch('TrainingJob', ref, { spec: { queue: 'other' } })
  await world.store.patch('TrainingJob', ref, { spec: { suspend: false } })
  const queuesOfSeats: string[] = []
  const gangs = await world.store.list('Gang')
  world.store.watch(
    'Gang',
    { from: gangs.resourceVersion },
    {
      event: ({ object }) => void (seatsNow(object) !== undefined && queuesOfSeats.push(object.spec.queue)),
      ended: () => {},
    },
  )
  world.control()
  await world.until(async () => (await world.getGang('j')).spec.queue === 'other', 'it follows')
  await world.settle()
  expect((await world.getGang('j')).spec.attempt).toBe(2)
  expect(new Set(queuesOfSeats)).toEqual(new Set(['default']))
  const { items } = await world.store.list('Event')
  expect(items.map((event) => event.message)).toContain(
    'its queue was changed while it was to be suspended, and it was not',
  )
})

test('one whose topology was changed while it was suspended goes on under the new one', async () => {
  await world.node('a', 2)
  await world.job('j', { workers: 2, terminationGracePeriodSeconds: 5, topology: { required: 'node' } })
  await world.until(() => world.agent.running().length === 2, 'it runs')
  await suspend()
  await world.phase('j', 'Suspended')
  const spec = { suspend: false, topology: { required: null, preferred: 'node' } }
  await world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec })
  await world.until(() => world.agent.running().includes('j-worker-1-2'), 'it goes on')
  expect((await world.getGang('j')).spec.topology).toEqual({ preferred: 'node' })
})

const suspend = () => world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec: { suspend: true } })

async function graces(): Promise<(number | undefined)[]> {
  const { items } = await world.store.list('Pod')
  return items.map(({ metadata }) => metadata.deletionGracePeriodSeconds)
}

/** The control plane's writes wait at closed gates. */
function gated(store: Store): Store {
  const patch: Store['patch'] = async (kind, ref, change, options) => {
    if (kind === 'Gang' && JSON.stringify(change).includes('"suspend":true')) await takes.pass()
    return store.patch(kind, ref, change, options)
  }
  const bind: Store['bind'] = async (...args) => {
    await binds.pass()
    return store.bind(...args)
  }
  const evict: Store['evict'] = async (...args) => {
    await evicts.pass()
    return store.evict(...args)
  }
  return { ...store, patch, bind, evict }
}
