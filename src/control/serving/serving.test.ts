import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../../model/conditions.ts'
import type { Gang } from '../../model/kinds/gang.ts'
import { type InferenceService, inferenceService } from '../../model/kinds/inference-service.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import type { Report } from '../../model/kinds/report.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { annotation, label } from '../../model/names.ts'
import { refOf } from '../../model/refs.ts'
import type { Store } from '../../store/contract.ts'
import { equalJson } from '../../store/json.ts'
import { createWorld, type World } from '../world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 4)
  world.agent.onStart(ready)
})
afterEach(() => world.close())

async function ready(pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'True' }] }
  await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}

async function serve(spec: Record<string, unknown>): Promise<InferenceService> {
  const object = inferenceService.parse({
    apiVersion: millwrightVersion,
    kind: 'InferenceService',
    metadata: { name: 'chat', namespace: 'default' },
    spec: { command: ['server'], ...spec },
  })
  const created = await world.store.create('InferenceService', object)
  if (created === 'exists') throw new Error('exists')
  return created
}

async function service(): Promise<InferenceService> {
  const found = await world.store.get('InferenceService', { name: 'chat', namespace: 'default' })
  if (found === undefined) throw new Error('gone')
  return found
}

async function change(spec: Record<string, unknown>): Promise<void> {
  await world.store.patch('InferenceService', { name: 'chat', namespace: 'default' }, { spec })
}

const pods = async () => (await world.store.list('Pod', { labels: `${label.service}=chat` })).items
const gangs = async () => (await world.store.list('Gang', { labels: `${label.service}=chat` })).items
const phase = async () => (await service()).status?.phase
const readyReplicas = async () => (await service()).status?.readyReplicas

/** What the gateway would report. */
async function demand(status: Partial<NonNullable<Report['status']>>): Promise<void> {
  const { uid = '' } = (await service()).metadata
  const ref = { name: 'service.chat', namespace: 'default' }
  const full = { checkpoints: [], inFlight: 0, held: 0, lastRequestAtMs: world.clock.now(), ...status }
  const created = await world.store.create(
    'Report',
    {
      apiVersion: millwrightVersion,
      kind: 'Report',
      metadata: ref,
      spec: { service: { name: 'chat', uid } },
      status: full,
    },
    { withStatus: true },
  )
  if (created === 'exists') await world.store.patch('Report', ref, { status: full }, { status: true })
}

test('a service gets its replicas, each a gang of one pod, and says that it is ready', async () => {
  await serve({ minReplicas: 2, maxReplicas: 3, env: { A: 'b' } })
  world.control({ gatewayUrl: 'http://127.0.0.1:1' })
  await world.until(async () => (await readyReplicas()) === 2, 'two ready replicas')
  const { metadata, status } = await service()
  expect((await pods()).map((pod) => pod.metadata.labels?.[label.serviceUid])).toEqual([metadata.uid, metadata.uid])
  expect(status).toMatchObject({ phase: 'Ready', replicas: 2, wantedReplicas: 2, url: 'http://127.0.0.1:1/v1' })
  expect(conditionOf(status?.conditions, 'Ready')).toMatchObject({ status: 'True', reason: 'ReplicasReady' })
  const names = (await pods()).map((pod) => pod.metadata.name)
  const revision = status?.revision
  expect(names).toEqual([`chat-${revision}-0-server-0-1`, `chat-${revision}-1-server-0-1`])
  const env = (await pods())[0]?.spec.containers[0]?.env
  expect(env).toContainEqual({ name: 'MILLWRIGHT_MODEL_NAME', value: 'chat' })
  expect(env).toContainEqual({ name: 'A', value: 'b' })
  await world.settle(30_000)
  await world.agent.heartbeat()
  const before = (await service()).metadata.resourceVersion
  await world.settle(30_000)
  expect((await service()).metadata.resourceVersion).toBe(before) // nothing to say, nothing written
})

test('at zero, a held request wakes exactly one replica; after scaleDownSeconds without requests it goes again', async () => {
  await serve({ minReplicas: 0, maxReplicas: 4, scaleDownSeconds: 20 })
  world.control()
  await world.until(async () => (await phase()) === 'Zero', 'zero')
  expect(await gangs()).toEqual([])
  await demand({ held: 1, heldSinceMs: world.clock.now() })
  await world.until(async () => (await readyReplicas()) === 1, 'one ready replica')
  expect(world.agent.starts.size).toBe(1)
  await demand({ inFlight: 0, held: 0 })
  await world.settle(10_000)
  expect(await phase()).toBe('Ready')
  await world.until(async () => (await gangs()).length === 0, 'nothing left')
  expect(await phase()).toBe('Zero')
})

test('demand above the target brings more replicas at once, and the least busy one leaves first', async () => {
  await serve({ minReplicas: 1, maxReplicas: 3, target: 2, scaleDownSeconds: 10 })
  world.control()
  await world.until(async () => (await readyReplicas()) === 1, 'one ready')
  await demand({ inFlight: 6 })
  await world.until(async () => (await readyReplicas()) === 3, 'three ready')
  const [first, second, third] = (await pods()).map((pod) => pod.metadata.name)
  await demand({ inFlight: 3, perReplica: { [`${first}`]: 0, [`${second}`]: 2, [`${third}`]: 1 } })
  await world.until(async () => (await gangs()).length === 2, 'two left')
  expect((await pods()).map((pod) => pod.metadata.name)).toEqual([second, third])
})

test('demand has to stay low for its whole time, whatever somebody sets the clock to', async () => {
  await serve({ minReplicas: 1, maxReplicas: 3, target: 2, scaleDownSeconds: 20 })
  world.control()
  await demand({ inFlight: 6 })
  await world.until(async () => (await readyReplicas()) === 3, 'three ready')
  world.clock.jump(3_600_000)
  await demand({ inFlight: 0 })
  await world.agent.heartbeat()
  await world.settle(19_000)
  expect([(await service()).status?.wantedReplicas, (await gangs()).length]).toEqual([3, 3])
  world.clock.jump(-7_200_000)
  await world.settle(2_000)
  expect((await service()).status?.wantedReplicas).toBe(1)
})

test('a request keeps its replica for its whole time, by a gateway whose clock is off too', async () => {
  await serve({ minReplicas: 0, maxReplicas: 1, scaleDownSeconds: 20 })
  world.control()
  await demand({ held: 1 })
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  await demand({ lastRequestAtMs: world.clock.now() + 3_600_000 })
  await world.settle(19_000)
  expect((await service()).status?.wantedReplicas).toBe(1)
  await world.settle(2_000)
  expect((await service()).status?.wantedReplicas).toBe(0)
})

test('a replica that ends starts again as a new attempt, later each time, and the status says why', async () => {
  world.agent.onStart(async (pod) => world.agent.end(pod.metadata.name, { exitCode: 3 }))
  await serve({ minReplicas: 1 })
  world.control()
  await world.until(async () => (await gangs())[0]?.spec.attempt === 4, 'four attempts')
  await world.settle()
  const { status } = await service()
  expect(status?.phase).toBe('Failed')
  expect(status?.message).toContain('failed 3 times in a row: exit code 3')
  expect(conditionOf(status?.conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'CrashLoop' })
  world.agent.onStart(ready)
  await world.until(async () => (await phase()) === 'Ready', 'ready in the end')
})

test('a rolling update has each new replica ready before an old one leaves', async () => {
  await serve({ minReplicas: 2, maxReplicas: 2 })
  world.control()
  await world.until(async () => (await readyReplicas()) === 2, 'two ready')
  const old = (await service()).status?.revision
  let fewest = 2
  let most = 0
  const watch = world.store.watch(
    'Pod',
    { from: '0' },
    {
      event: async () => {
        const serving = (await pods()).filter((pod) => pod.metadata.deletionTimestamp === undefined)
        const isReady = serving.filter((pod) => conditionOf(pod.status?.conditions, 'Ready')?.status === 'True')
        fewest = Math.min(fewest, isReady.length)
        most = Math.max(most, serving.length)
      },
      ended: () => {},
    },
  )
  await change({ env: { VERSION: '2' } })
  await world.until(async () => {
    const now = await service()
    return now.status?.revision !== old && (await gangs()).length === 2 && now.status?.readyReplicas === 2
  }, 'the new revision serves alone')
  watch()
  expect(fewest).toBe(2)
  expect(most).toBe(3)
  const { status } = await service()
  expect((await gangs()).every((gang) => gang.metadata.labels?.[label.revision] === status?.revision)).toBe(true)
  expect(status?.lastGood?.revision).toBe(status?.revision)
})

test('a revision that is not ready in time is rolled back, and tried again only when the spec changes', async () => {
  await serve({ minReplicas: 1, progressDeadlineSeconds: 30 })
  world.control()
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  const good = (await service()).status?.revision
  world.agent.onStart(async () => {})
  await change({ env: { BROKEN: 'yes' } })
  await world.until(async () => (await service()).status?.failedRevision !== undefined, 'rolled back')
  await world.until(async () => (await gangs()).length === 1, 'the new one is gone')
  const { status } = await service()
  expect(status).toMatchObject({ phase: 'Ready', revision: good, readyReplicas: 1 })
  expect(conditionOf(status?.conditions, 'Progressing')).toMatchObject({ status: 'False', reason: 'RolledBack' })
  await world.settle(60_000)
  expect((await gangs()).length).toBe(1)
  const events = (await world.store.list('Event')).items.map((event) => event.reason)
  expect(events).toContain('RolledBack')
  world.agent.onStart(ready)
  await change({ env: { BROKEN: null, FIXED: 'yes' } })
  await world.until(async () => (await service()).status?.lastGood?.revision !== good, 'the fixed one serves')
  expect((await service()).status?.failedRevision).toBeUndefined()
})

test('a revision that never served gives its seats to the one that mends it', async () => {
  world.agent.onStart(async () => {})
  await serve({ minReplicas: 4, progressDeadlineSeconds: 30 })
  world.control()
  await world.until(async () => (await phase()) === 'Failed', 'it is never ready')
  world.agent.onStart(ready)
  await change({ env: { FIXED: 'yes' } })
  await world.until(async () => (await readyReplicas()) === 4, 'the mended one serves')
})

test('a replica that is not ready any more gives its seat to a new one that waits for it; those that serve do not', async () => {
  await serve({ minReplicas: 4 })
  world.control()
  await world.until(async () => (await readyReplicas()) === 4, 'ready')
  await change({ env: { VERSION: '2' } })
  await world.settle(10_000)
  expect((await service()).status).toMatchObject({ readyReplicas: 4, phase: 'Updating' })
  const ill = (await pods()).find(({ spec }) => spec.nodeName !== undefined)
  await world.store.patch(
    'Pod',
    refOf(ill as Pod),
    { status: { conditions: [{ type: 'Ready', status: 'False' }] } },
    { status: true },
  )
  const old = ill?.metadata.labels?.[label.revision]
  await world.until(async () => {
    const serving = (await pods()).filter((pod) => conditionOf(pod.status?.conditions, 'Ready')?.status === 'True')
    expect(serving.length).toBeGreaterThanOrEqual(3)
    return serving.some((pod) => pod.metadata.labels?.[label.revision] !== old)
  }, 'a new one serves')
})

test('a revision is not rolled back because somebody sets the clock', async () => {
  await serve({ minReplicas: 1, progressDeadlineSeconds: 30 })
  world.control()
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  const sinceMs = world.clock.steadyMs()
  await world.until(() => world.clock.steadyMs() - sinceMs > 60_000, 'nobody takes what he sees for old any more')
  world.agent.onStart(async () => {})
  await change({ env: { SLOW: 'yes' } })
  await world.until(() => world.agent.running().length === 2, 'the new one starts')
  world.clock.jump(3_600_000)
  await world.agent.heartbeat()
  await world.settle(28_000)
  expect([(await service()).status?.failedRevision, (await gangs()).length]).toEqual([undefined, 2])
  world.clock.jump(-7_200_000)
  await world.until(async () => (await service()).status?.failedRevision !== undefined, 'rolled back')
})

test('a suspended service has no replicas, and comes back', async () => {
  await serve({ minReplicas: 1 })
  world.control()
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  await change({ suspend: true })
  await world.until(async () => (await gangs()).length === 0, 'no gang')
  expect(await phase()).toBe('Suspended')
  await change({ suspend: false })
  await world.until(async () => (await phase()) === 'Ready', 'ready again')
})

test('a service follows the newest version of its model, and waits where there is none', async () => {
  await serve({ minReplicas: 1, command: undefined, engine: 'llama.cpp', model: 'tiny' })
  world.control()
  await world.until(async () => (await service()).status?.message !== undefined, 'a message')
  expect((await service()).status).toMatchObject({ phase: 'Pending', message: expect.stringContaining('model tiny') })
  await publish(1)
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  expect((await service()).status?.model).toBe('tiny-v1')
  expect(JSON.parse((await pods())[0]?.metadata.annotations?.[annotation.work] ?? '')).toEqual({ model: 'models/1' })
  await publish(2)
  await world.until(async () => (await service()).status?.model === 'tiny-v2' && (await gangs()).length === 1, 'v2')
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  const works = (await pods()).map((pod) => JSON.parse(pod.metadata.annotations?.[annotation.work] ?? ''))
  expect(works).toEqual([{ model: 'models/2' }])
})

async function publish(version: number): Promise<void> {
  await world.store.create('Model', {
    apiVersion: millwrightVersion,
    kind: 'Model',
    metadata: { name: `tiny-v${version}`, namespace: 'default', labels: { [label.model]: 'tiny' } },
    spec: {
      model: 'tiny',
      version,
      manifest: `models/${version}`,
      digest: `digest ${version}`,
      bytes: 1,
      format: 'gguf',
      files: [],
    },
  })
}

const eventsOf = async (reason: string) =>
  (await world.store.list('Event')).items.filter((one) => one.reason === reason).map((one) => one.message)

const refused = 'GET /health: connection to 127.0.0.1:20000 was refused'
async function neverReady(pod: Pod): Promise<void> {
  const status = { conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: refused }] }
  await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
}

test('a service that never becomes ready says what its probe saw, while it starts and when its time is over', async () => {
  world.agent.onStart(neverReady)
  await serve({ progressDeadlineSeconds: 20 })
  world.control()
  await world.until(async () => (await service()).status?.message !== undefined, 'it says why')
  expect((await service()).status).toMatchObject({ phase: 'Starting' })
  expect((await service()).status?.message).toContain(`is not ready: ${refused}`)
  await world.until(async () => (await phase()) === 'Failed', 'failed')
  const { status } = await service()
  expect(status?.message).toMatch(/^not ready within progressDeadlineSeconds: 20: chat-.*-0 is not ready: GET/)
  expect(conditionOf(status?.conditions, 'Ready')?.message).toBe(status?.message)
  expect(conditionOf(status?.conditions, 'Progressing')).toMatchObject({
    reason: 'ProgressDeadlineExceeded',
    message: status?.message,
  })
  await world.settle(5_000)
  expect(await eventsOf('ProgressDeadlineExceeded')).toEqual([status?.message])
})

test('a revision that was rolled back keeps saying why, after its replicas have gone', async () => {
  await serve({ progressDeadlineSeconds: 20 })
  world.control()
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  world.agent.onStart(neverReady)
  await change({ env: { V: '2' } })
  await world.until(async () => (await service()).status?.failedRevision !== undefined, 'rolled back')
  await world.settle(10_000)
  const { status } = await service()
  expect(status).toMatchObject({ phase: 'Ready', replicas: 1 })
  expect(status?.message).toContain(refused)
  expect((await eventsOf('RolledBack')).join()).toContain(refused)
})

test("a replica's crash is told with its exit code and the last line of its log", async () => {
  await serve({})
  world.control()
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  world.agent.onStart(neverReady)
  await world.agent.end(world.agent.running()[0] ?? '', { exitCode: 3, logTail: 'loading\nno such file: m.gguf\n' })
  await world.until(async () => (await eventsOf('ReplicaRestarting')).length === 1, 'it starts again')
  const said = 'exit code 3; its log ends: no such file: m.gguf'
  expect((await eventsOf('ReplicaRestarting'))[0]).toContain(`starts again: ${said}`)
  await world.settle(1_000)
  expect((await service()).status?.message).toContain(said)
})

test('more urgent work takes no more replicas than the disruption budget lets go; those not ready count', async () => {
  await serve({ minReplicas: 4, maxReplicas: 4, disruptionBudget: { maxUnavailable: 1 } })
  world.control()
  await world.until(async () => (await readyReplicas()) === 4, 'four ready replicas')
  await world.job('first', { priority: 200 })
  await world.until(() => world.agent.running().includes('first-worker-0-1'), 'one makes room')
  await world.job('second', { priority: 200 })
  const told = async () => (await world.getJob('second')).status?.message
  const spared = 'needs 1 × cpu:1 at once; service/chat can spare no more replicas (disruptionBudget)'
  await world.until(async () => (await told()) === spared, 'no more can go')
  await change({ disruptionBudget: { maxUnavailable: null, minAvailable: '50%' } })
  await world.until(() => world.agent.running().includes('second-worker-0-1'), 'another makes room')
  for (const { spec } of await gangs()) {
    expect(spec.disruptionBudget).toEqual({ of: 'chat', minAvailable: '50%' })
  }
  await change({ disruptionBudget: null })
  await world.until(
    async () => (await gangs()).every(({ spec }) => spec.disruptionBudget === undefined),
    'none is left',
  )
})

test('a replica whose node is lost again and again starts again each time, after a rest', async () => {
  world.control()
  await serve({ minReplicas: 1 })
  for (const attempt of [1, 2, 3]) {
    const name = `-server-0-${attempt}`
    const running = async () => (await pods()).find((pod) => pod.metadata.name.endsWith(name))
    await world.until(async () => (await running())?.spec.nodeName !== undefined, `attempt ${attempt} runs`)
    // As node health writes it: nobody saw when it ended.
    const status = { phase: 'Failed', reason: 'NodeLost', message: 'its node was lost' }
    await world.store.patch('Pod', refOf((await running()) as Pod), { status }, { status: true })
  }
})

test('a replica whose node is lost after hours has not failed for as often as nodes were lost before', async () => {
  world.agent.onStart(async (pod) => {
    const status = { startTime: new Date(world.clock.now()).toISOString() }
    await world.store.patch('Pod', refOf(pod), { status }, { status: true, uid: pod.metadata.uid })
    await ready(pod)
  })
  world.control()
  await serve({ minReplicas: 1 })
  for (const attempt of [1, 2, 3]) {
    await world.until(async () => (await readyReplicas()) === 1, `attempt ${attempt} serves`)
    await world.pass(3_600)
    const running = (await pods()).find((pod) => pod.metadata.name.endsWith(`-server-0-${attempt}`))
    const status = { phase: 'Failed', reason: 'NodeLost', message: 'its node was lost', conditions: [] }
    await world.store.patch('Pod', refOf(running as Pod), { status }, { status: true })
    await world.until(async () => (await gangs())[0]?.spec.attempt === attempt + 1, 'it starts again')
  }
  expect((await gangs())[0]?.metadata.annotations?.['millwright.dev/replica']).toContain('"failures":1')
  expect((await gangs())[0]?.spec.preemptionPolicy).toBeUndefined()
})

test('a service that names another queue, or other capacity, gets other replicas one after another', async () => {
  const queue = { apiVersion: millwrightVersion, kind: 'Queue', metadata: { name: 'other' } } as const
  await world.store.create('Queue', { ...queue, spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None' } })
  world.control()
  await serve({ minReplicas: 2, queue: 'other', disruptionBudget: { minAvailable: 1 } })
  await world.until(async () => (await readyReplicas()) === 2, 'ready')
  let fewest = 2
  const all = async (what: (gang: Gang) => unknown, value: unknown) => {
    const now = await gangs()
    fewest = Math.min(fewest, (await readyReplicas()) ?? 0)
    return now.length === 2 && now.every((gang) => equalJson(what(gang), value)) && (await readyReplicas()) === 2
  }
  const first = await gangs()
  await change({ priority: 500, disruptionBudget: { minAvailable: null, maxUnavailable: 1 } })
  const budget = { of: 'chat', maxUnavailable: 1 }
  await world.until(() => all(({ spec }) => [spec.priority, spec.disruptionBudget], [500, budget]), 'both follow')
  expect((await gangs()).map(({ metadata }) => metadata.uid)).toEqual(first.map(({ metadata }) => metadata.uid))
  world.agent.onStart(async () => {})
  await change({ queue: 'default' })
  await world.until(async () => (await gangs()).length === 3, 'one more comes')
  await world.settle()
  expect([await phase(), await readyReplicas()]).toEqual(['Updating', 2])
  world.agent.onStart(ready)
  for (const pod of await pods()) await ready(pod)
  await world.until(() => all(({ spec }) => spec.queue, 'default'), 'all are in the other queue')
  await change({ capacityType: 'on-demand' })
  const typesOf = ({ spec }: Gang) => spec.groups[0]?.capacityTypes
  await world.until(() => all(typesOf, ['on-demand']), 'all may sit there alone')
  expect(fewest).toBe(2)
  expect(await phase()).toBe('Ready')
})

test('a revision that had its time is not made again by who comes after the one who went back', async () => {
  let isDeaf = false
  const updates = (store: Store): Store['updateStatus'] =>
    async function updateStatus(kind, object, options) {
      if (!isDeaf || kind !== 'InferenceService' || !JSON.stringify(object).includes('failedRevision'))
        return store.updateStatus(kind, object, options)
      isDeaf = false
      await store.patch('InferenceService', refOf(object), { metadata: { labels: { other: 'write' } } })
      return 'stale'
    }
  await world.close()
  world = await createWorld({ store: (store) => ({ ...store, updateStatus: updates(store) }) })
  await world.node('a', 4)
  world.agent.onStart(ready)
  world.control()
  await serve({ minReplicas: 1, progressDeadlineSeconds: 30 })
  await world.until(async () => (await readyReplicas()) === 1, 'ready')
  world.agent.onStart(async () => {})
  isDeaf = true
  await change({ env: { BROKEN: 'yes' } })
  await world.pass(40)
  expect(isDeaf).toBe(false)
  expect((await service()).status?.failedRevision).toBeDefined()
  expect(await gangs()).toHaveLength(1)
})
