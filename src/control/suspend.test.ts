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
let reports: Gate
beforeEach(async () => {
  ;[takes, binds, evicts, reports] = [createGate(), createGate(), createGate(), createGate()]
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

test('one whose pods are seen to end before their Reports is not taken for done when it has stopped', async () => {
  await stopsWithLateReports({ stopped: true })
  await world.settle(500)
  expect((await world.getJob('j')).status?.phase).not.toBe('Succeeded')
  reports.open()
  await world.phase('j', 'Suspended')
})

test('one whose Reports say after its pods that it is done is, though it was asked to stop', async () => {
  await stopsWithLateReports({})
  await world.settle(500)
  reports.open()
  await world.phase('j', 'Succeeded')
})

test('a Report that never comes is not waited for longer than the grace period', async () => {
  await stopsWithLateReports({ stopped: true })
  await world.settle(4_000)
  expect((await world.getGang('j')).spec.suspend).toBe(false)
  await world.settle(2_000)
  await world.phase('j', 'Suspended')
})

/** Both ranks end when they are asked to stop, and no Report is seen until their gate opens. */
async function stopsWithLateReports(how: { stopped?: boolean }): Promise<void> {
  await world.node('a', 2)
  await world.job('j', { workers: 2, terminationGracePeriodSeconds: 5 })
  await world.until(() => world.agent.running().length === 2, 'it runs')
  await world.settle()
  await suspend()
  await world.until(async () => (await world.getGang('j')).spec.checkpointRequest?.stop === true, 'it is to stop')
  reports.close()
  for (const pod of world.agent.running()) await world.agent.end(pod, { exitCode: 0, ...how })
}

const suspend = () => world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec: { suspend: true } })

async function graces(): Promise<(number | undefined)[]> {
  const { items } = await world.store.list('Pod')
  return items.map(({ metadata }) => metadata.deletionGracePeriodSeconds)
}

/** The control plane's writes, and what it sees of Reports, wait at closed gates. */
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
  const watch: Store['watch'] = (kind, options, sink) =>
    store.watch(kind, options, {
      ...sink,
      event: (event) => (kind === 'Report' ? void reports.pass().then(() => sink.event(event)) : sink.event(event)),
    })
  return { ...store, patch, bind, evict, watch }
}
