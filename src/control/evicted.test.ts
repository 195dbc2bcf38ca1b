import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../model/conditions.ts'
import { refOf } from '../model/refs.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/** `kubectl drain`: the node is cordoned, then what is on it is evicted. */

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 1)
  await world.node('b', 2)
  await world.node('c', 1)
})
afterEach(() => world.close())

const phase = (name: string, wanted: string) => world.phase(name, wanted)

async function drain(name: string, of = world): Promise<void> {
  await of.store.patch('Node', { name }, { spec: { unschedulable: true } })
  const pods = (await of.store.list('Pod')).items.filter((pod) => pod.spec.nodeName === name)
  for (const pod of pods) await of.store.evict(refOf(pod), { uid: pod.metadata.uid, gracePeriodSeconds: 30 })
}

test('a drained job goes on elsewhere with what it saved in its grace period, and no restart is counted', async () => {
  world.control()
  await world.job('j', { workers: 2, maxRestarts: 0, checkpoint: { ranks: 'all' } })
  await phase('j', 'Running')
  const [first] = (await world.store.list('Pod')).items
  const node = first?.spec.nodeName ?? ''
  world.agent.onStop(async (pod) => {
    await world.agent.ship(pod.metadata.name, 9)
    await world.clock.sleep(100)
  })
  await drain(node)
  await world.until(async () => (await world.getGang('j')).spec.attempt === 2, 'it stands in line again')
  await phase('j', 'Running')
  const { status } = await world.getJob('j')
  expect(status).toMatchObject({ restarts: 0, attempt: 2, checkpoint: { step: 9, attempt: 1 } })
  expect(status?.lastFailure).toBeUndefined()
  expect(world.agent.running()).toEqual(['j-worker-0-2', 'j-worker-1-2'])
  const nodes = (await world.store.list('Pod')).items.map((pod) => pod.spec.nodeName)
  expect(nodes).not.toContain(node)
  const events = (await world.store.list('Event')).items.map(({ type, reason, message }) => [type, reason, message])
  expect(events).toContainEqual(['Normal', 'Evicted', `${first?.metadata.name} was evicted; no restart is counted`])
})

test('one that nobody has room for waits in line', async () => {
  world.control()
  await world.job('j', { workers: 4, maxRestarts: 0 })
  await phase('j', 'Running')
  await drain('a')
  await phase('j', 'Waiting')
  expect(conditionOf((await world.getGang('j')).status?.conditions, 'Scheduled')?.message).toContain('needs 4')
  await world.store.patch('Node', { name: 'a' }, { spec: { unschedulable: false } })
  await phase('j', 'Running')
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, attempt: 2 })
})

test('a peer that fails because of it is not the cause', async () => {
  world.control()
  await world.job('j', { workers: 4, maxRestarts: 0 })
  await phase('j', 'Running')
  const evicted = (await world.store.list('Pod')).items.find((pod) => pod.spec.nodeName === 'a')?.metadata.name
  const peer = world.agent.running().find((name) => name !== evicted) ?? ''
  world.agent.onStop(async () => {
    await world.agent.end(peer, { exitCode: 127 })
    await world.clock.sleep(1_000)
  })
  await drain('a')
  await phase('j', 'Waiting')
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, attempt: 2 })
})

test('a pod that somebody deletes at once costs no restart either', async () => {
  world.control()
  await world.job('j', { workers: 2, maxRestarts: 0 })
  await phase('j', 'Running')
  await world.store.delete('Pod', { name: 'j-worker-1-1', namespace: 'default' }, { gracePeriodSeconds: 0 })
  await world.until(() => world.agent.running().includes('j-worker-1-2'), 'attempt 2')
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, lastFailure: { reason: 'Deleted' } })
})

test('a control plane that dies after any of its writes moves it all the same', async () => {
  const undisturbed = await drainedLife()
  expect(undisturbed).toMatchObject({ restarts: 0, attempt: 2 })
  for (let n = 1; n <= undisturbed.writes; n++)
    expect({ n, ...(await drainedLife(n)) }).toMatchObject({ n, restarts: 0, attempt: 2 })
}, 60_000)

async function drainedLife(crashAfter = Number.POSITIVE_INFINITY) {
  const own = await createWorld({ seed: 3 })
  await own.node('a', 1)
  await own.node('b', 1)
  own.agent.onStop(() => own.clock.sleep(5_000)) // the next control plane is there by then
  const { writes, until } = mortalControl(own, crashAfter)
  await own.job('j', { maxRestarts: 0 })
  await until(() => own.agent.running().length === 1, 'it runs')
  await drain((await own.store.list('Pod')).items[0]?.spec.nodeName ?? '', own)
  await until(() => own.agent.running().includes('j-worker-0-2'), 'it runs elsewhere')
  await own.agent.end('j-worker-0-2', { exitCode: 0 })
  await until(async () => (await own.getJob('j')).status?.phase === 'Succeeded', 'it ends')
  const { status } = await own.getJob('j')
  await own.close()
  return { writes: writes(), restarts: status?.restarts, attempt: status?.attempt }
}
