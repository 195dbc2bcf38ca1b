import { afterEach, beforeEach, expect, test } from 'vitest'
import { inferenceService } from '../model/kinds/inference-service.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { label } from '../model/names.ts'
import { refOf } from '../model/refs.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/** A name that is given again while what had it before still ends. */

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 4)
})
afterEach(() => world.close())

const phase = (name: string, wanted: string) => world.phase(name, wanted)
const podNamed = (name: string) => world.store.get('Pod', { name, namespace: 'default' })

for (const end of [{ exitCode: 1 }, { exitCode: 0 }, { signal: 'SIGTERM' }]) {
  test(`a job waits for the old pod of its name, whose end (${JSON.stringify(end)}) is not its own`, async () => {
    const slow = stopSlowly(world, end)
    world.control()
    const { metadata } = await world.job('j')
    await phase('j', 'Running')
    const old = await podNamed('j-worker-0-1')
    await world.store.delete('TrainingJob', metadata)
    await world.until(async () => (await podNamed('j-worker-0-1'))?.metadata.deletionTimestamp !== undefined, 'it ends')
    await world.job('j')
    await world.until(async () => (await world.getJob('j')).status?.message !== undefined, 'the new one says why')
    expect((await world.getJob('j')).status?.message).toBe(
      'waits for pod j-worker-0-1 of an older job of this name to end',
    )
    slow.end()
    await world.settle(2_000)
    expect((await podNamed('j-worker-0-1'))?.metadata.uid).toBe(old?.metadata.uid)
    expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, attempt: 1 })
    slow.go()
    await phase('j', 'Running')
    expect((await podNamed('j-worker-0-1'))?.metadata.uid).not.toBe(old?.metadata.uid)
    await world.agent.end('j-worker-0-1', { exitCode: 0 })
    await phase('j', 'Succeeded')
    expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, attempt: 1 })
  })
}

test('a job has the name of an old pod whose node was lost while it ended', async () => {
  await world.node('b', 1)
  await world.node('c', 1)
  const beating = new Set(['a', 'b', 'c'])
  const beats = async () => {
    for (const name of beating) {
      const at = new Date(world.clock.now()).toISOString()
      const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: at }]
      await world.store.patch('Node', { name }, { status: { conditions } }, { status: true })
    }
    await world.settle(5_000)
  }
  stopSlowly(world, {})
  world.control()
  const { metadata } = await world.job('j', { workers: 1 })
  await phase('j', 'Running')
  const old = await podNamed('j-worker-0-1')
  world.beats = false
  beating.delete(old?.spec.nodeName ?? '')
  for (let beat = 0; beat < 6; beat++) await beats()
  await world.store.delete('TrainingJob', metadata)
  await world.job('j', { workers: 1 })
  for (let beat = 0; beat < 6; beat++) await beats()
  await phase('j', 'Running')
  const made = await podNamed('j-worker-0-1')
  expect(made?.metadata.uid).not.toBe(old?.metadata.uid)
  expect(made?.spec.nodeName).not.toBe(old?.spec.nodeName)
})

test('a service waits for the old pods of its name', async () => {
  const slow = stopSlowly(world, { exitCode: 1 })
  world.agent.onStart(becomeReady)
  world.control()
  await serve()
  const ready = async () => (await world.store.get('InferenceService', chat))?.status?.readyReplicas === 1
  await world.until(ready, 'ready')
  const [old] = await podsOfChat()
  await world.store.delete('InferenceService', chat)
  await world.until(async () => (await podsOfChat())[0]?.metadata.deletionTimestamp !== undefined, 'it ends')
  await serve()
  slow.end()
  await world.settle(2_000)
  expect((await world.store.get('InferenceService', chat))?.status).toMatchObject({ readyReplicas: 0, replicas: 1 })
  slow.go()
  await world.until(ready, 'ready again')
  const pods = await podsOfChat()
  expect(pods.map((pod) => pod.metadata.name)).toEqual([old?.metadata.name])
  expect(pods[0]?.metadata.uid).not.toBe(old?.metadata.uid)
})

test('nor does it matter when the control plane dies on the way', async () => {
  const undisturbed = await twoLives()
  expect(undisturbed.writes).toBeGreaterThan(10)
  for (let n = 1; n <= undisturbed.writes; n++) expect({ n, ...(await twoLives(n)) }).toMatchObject({ n, starts: 2 })
}, 60_000)

async function twoLives(
  crashAfter = Number.POSITIVE_INFINITY,
): Promise<{ writes: number; starts: number | undefined }> {
  const own = await createWorld({ seed: 3 })
  await own.node('a', 2)
  const slow = stopSlowly(own, { exitCode: 1 })
  const { writes, until } = mortalControl(own, crashAfter)
  const is = (wanted: string) => until(async () => (await own.getJob('j')).status?.phase === wanted, wanted)
  const { metadata } = await own.job('j')
  await is('Running')
  await own.store.delete('TrainingJob', metadata)
  await own.job('j')
  await until(() => slow.asked(), 'the old pod is asked to end')
  slow.end()
  await own.settle(1_000)
  slow.go()
  await is('Running')
  await own.agent.end('j-worker-0-1', { exitCode: 0 })
  await is('Succeeded')
  expect((await own.getJob('j')).status).toMatchObject({ restarts: 0, attempt: 1 })
  await own.close()
  return { writes: writes(), starts: own.agent.starts.get('j-worker-0-1') }
}

/** Pods end when told to, and their objects go when told to. */
function stopSlowly(of: World, how: { exitCode?: number; signal?: string }) {
  const [ended, end] = gate()
  const [gone, go] = gate()
  let asked = false
  of.agent.onStop(async (pod) => {
    asked = true
    await ended
    await of.agent.end(pod.metadata.name, how)
    await gone
  })
  return { asked: () => asked, end, go }
}

function gate(): [Promise<void>, () => void] {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return [opened, open]
}

const chat = { name: 'chat', namespace: 'default' }
const podsOfChat = async () => (await world.store.list('Pod', { labels: `${label.service}=chat` })).items

async function serve(): Promise<void> {
  const spec = { command: ['server'] }
  await world.store.create(
    'InferenceService',
    inferenceService.parse({ apiVersion: millwrightVersion, kind: 'InferenceService', metadata: chat, spec }),
  )
}

async function becomeReady(pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}
