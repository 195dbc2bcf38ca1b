import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Store } from '../store/contract.ts'
import { createGate, type Gate } from './gate.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
/** What is written to nodes waits there. */
let nodes: Gate
beforeEach(async () => {
  nodes = createGate()
  world = await createWorld({ store: gated })
  await world.node('a', 2)
  await world.node('b', 2)
  world.control()
})
afterEach(() => world.close())

function gated(store: Store): Store {
  const patch: Store['patch'] = async (kind, ...args) => {
    if (kind === 'Node') await nodes.pass()
    return store.patch(kind, ...args)
  }
  return { ...store, patch }
}

const phase = (name: string, wanted: string) => world.phase(name, wanted)

async function running(name: string, spec: Record<string, unknown> = {}): Promise<void> {
  await world.job(name, { workers: 2, ...spec })
  await phase(name, 'Running')
}

test('survivors that exit because a peer died are not the cause', async () => {
  await running('j')
  await world.agent.end('j-worker-0-1', { exitCode: 1, atMs: world.clock.now() - 5 })
  await world.settle(50)
  expect((await world.getGang('j')).spec.attempt).toBe(1) // an echo may still be coming
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await world.settle()
  expect((await world.getJob('j')).status?.lastFailure).toMatchObject({ pod: 'j-worker-1-1', reason: 'Killed' })
})

test('an ordinary error alone waits for its echo and then restarts', async () => {
  await running('j')
  await world.agent.report('j-worker-0-1', { step: 3 })
  await world.agent.end('j-worker-0-1', { exitCode: 1 })
  await world.settle(250)
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  await world.settle(100)
  expect((await world.getGang('j')).spec.attempt).toBe(2)
  await phase('j', 'Running')
})

test('a command that is not found fails the job at once', async () => {
  await running('j')
  await world.agent.end('j-worker-0-1', { exitCode: 127 })
  await phase('j', 'Failed')
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, lastFailure: { attempt: 1 } })
  await world.until(() => world.agent.running().length === 0, 'the other member has ended')
  await world.until(async () => (await world.getGang('j')).status?.seats === undefined, 'the seats are free')
})

test('a script that exits before its first step gets a second chance and no third', async () => {
  await running('j')
  await world.agent.end('j-worker-0-1', { exitCode: 2 })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'attempt 2 runs')
  await world.agent.end('j-worker-0-2', { exitCode: 2 })
  await phase('j', 'Failed')
  expect((await world.getJob('j')).status?.conditions.find((one) => one.type === 'Failed')?.reason).toBe(
    'ExitedBeforeFirstStep',
  )
})

test('failExitCodes fail, and restartExitCodes restart what would otherwise fail', async () => {
  await running('f', { workers: 1, failurePolicy: { failExitCodes: [42] } })
  await running('r', { workers: 1, failurePolicy: { restartExitCodes: [127] } })
  await world.agent.end('f-worker-0-1', { exitCode: 42 })
  await world.agent.end('r-worker-0-1', { exitCode: 127 })
  await phase('f', 'Failed')
  await world.until(() => world.agent.running().includes('r-worker-0-2'), 'r runs again')
})

test('maxRestarts counts since the last new checkpoint', async () => {
  await running('j', { maxRestarts: 1 })
  await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'attempt 2')
  await world.agent.ship('j-worker-0-2', 7)
  await world.settle()
  await world.agent.end('j-worker-0-2', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('j-worker-0-3'), 'attempt 3')
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 2, restartsSinceProgress: 1 })
  await world.agent.end('j-worker-1-3', { signal: 'SIGKILL' })
  await phase('j', 'Failed')
  expect((await world.getJob('j')).status?.message).toContain('after 1 restarts without a new checkpoint')
})

test('a hung rank is taken for failed, its last lines kept', async () => {
  await running('j')
  await world.agent.report('j-worker-1-1', { step: 4, hungSinceMs: world.clock.now() - 3000, logTail: 'stuck' })
  await world.settle(150)
  expect((await world.getJob('j')).status?.lastFailure).toMatchObject({
    reason: 'Hung',
    logTail: 'stuck',
    message: expect.stringContaining('did no step for 3 s'),
  })
  await phase('j', 'Running')
})

test('a hung rank that does a step before the verdict is written works on', async () => {
  await running('j')
  await world.agent.report('j-worker-0-1', { step: 4 })
  nodes.close()
  await world.agent.report('j-worker-1-1', { step: 4, hungSinceMs: world.clock.now() - 3000 })
  await world.until(() => nodes.waiting() === 1, 'it is held against its node')
  await world.agent.report('j-worker-1-1', { step: 5, hungSinceMs: undefined })
  await world.settle()
  nodes.open()
  await world.settle(1_000)
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  await world.agent.report('j-worker-1-1', { hungSinceMs: world.clock.now() - 3000 })
  await world.settle(150)
  expect((await world.getGang('j')).spec.attempt).toBe(2)
})

const silentFor = (ms: number) => ({ hungSinceMs: world.clock.now() - ms })

test('who never tells its steps does not hang while another rank does', async () => {
  await running('j', { progressDeadlineSeconds: 60 })
  await world.agent.report('j-worker-0-1', { step: 7 })
  await world.agent.report('j-worker-1-1', silentFor(60_000))
  await world.settle(5_000)
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  await world.agent.report('j-worker-0-1', silentFor(3_000))
  await world.settle(150)
  expect((await world.getJob('j')).status?.lastFailure).toMatchObject({ pod: 'j-worker-0-1', reason: 'Hung' })
})

test('a gang of which nobody tells a step hangs once all of its members had their time', async () => {
  await running('j', { progressDeadlineSeconds: 60 })
  await world.agent.report('j-worker-1-1', silentFor(60_000))
  await world.settle(5_000)
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  await world.agent.report('j-worker-0-1', silentFor(60_000))
  await world.settle(150)
  expect((await world.getGang('j')).spec.attempt).toBe(2)
})

for (const offsetMs of [-3_600_000, 3_600_000]) {
  test(`who never tells its steps has his time once all others have ended, by a clock ${offsetMs / 60_000} min off too`, async () => {
    await running('j')
    await world.agent.report('j-worker-0-1', { step: 7 })
    await world.agent.report('j-worker-1-1', silentFor(60_000))
    await world.agent.end('j-worker-0-1', { exitCode: 0, atMs: world.clock.now() + offsetMs })
    await world.settle(59_000)
    expect((await world.getGang('j')).spec.attempt).toBe(1)
    await world.until(async () => (await world.getGang('j')).spec.attempt === 2, 'it is taken for hung')
  })
}

test('ranks that stand still together close no node, however often', async () => {
  await running('j', { maxRestarts: 9 })
  for (const attempt of [1, 2, 3, 4]) {
    await world.until(() => world.agent.running().includes(`j-worker-1-${attempt}`), `attempt ${attempt}`)
    for (const rank of [0, 1]) await world.agent.report(`j-worker-${rank}-${attempt}`, { step: 4, ...silentFor(3_000) })
  }
  await world.until(() => world.agent.running().includes('j-worker-1-5'), 'attempt 5')
  expect((await world.store.list('Node')).items.filter(({ spec }) => spec?.unschedulable === true)).toEqual([])
})

test('a gang that stands still waits for a word of each of its nodes, and goes on without one that is silent', async () => {
  await world.node('c', 2)
  await running('j', { workers: 4, progressDeadlineSeconds: 60 })
  const nodesOf = async (attempt: number) =>
    (await world.getGang('j')).status?.seats?.attempt === attempt
      ? new Set((await world.getGang('j')).status?.seats?.members.map(({ node }) => node))
      : undefined
  expect(await nodesOf(1)).toEqual(new Set(['a', 'b']))
  world.beats = false
  const beat = (name: string) =>
    world.store.patch('Node', { name }, { status: { conditions: readyAt(world.clock.now()) } }, { status: true })
  await world.settle(9_000)
  for (const name of ['a', 'c']) await beat(name)
  await world.agent.report('j-worker-0-1', { step: 4, ...silentFor(3_000) })
  await world.settle(9_000)
  // Node b was not heard of, but it may be well.
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  for (const name of ['a', 'c']) await beat(name)
  await world.settle(4_000)
  expect((await world.getJob('j')).status?.lastFailure?.reason).toBe('NodeLost')
  await world.settle(1_000)
  expect(await nodesOf(2)).toEqual(new Set(['a', 'c']))
})

test('a gang that stands still is restarted as soon as its silent node has spoken', async () => {
  await running('j', { workers: 4 })
  await world.agent.report('j-worker-0-1', { step: 4, ...silentFor(3_000) })
  await world.settle(5_000)
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  await world.agent.heartbeat()
  await world.settle(1_500)
  expect((await world.getJob('j')).status?.lastFailure).toMatchObject({ pod: 'j-worker-0-1', reason: 'Hung' })
})

test('an old incarnation that lives on cannot commit', async () => {
  await running('j')
  await world.agent.ship('j-worker-0-1', 5)
  await world.settle()
  const old = await world.store.get('Report', { name: 'pod.j-worker-0-1', namespace: 'default' })
  await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'attempt 2')
  // The node of the old rank 0 was cut off: its process goes on and its report comes late.
  if (old === undefined) throw new Error('the old report was written')
  const { resourceVersion: _, uid: _u, ...metadata } = old.metadata
  const late = {
    ...old,
    metadata: { ...metadata, name: 'pod.late' },
    status: { checkpoints: (old.status?.checkpoints ?? []).map((one) => ({ ...one, step: 99 })) },
  }
  await world.store.create('Report', late, { withStatus: true })
  await world.settle(1000)
  expect((await world.getGang('j')).status?.checkpoint).toMatchObject({ step: 5, attempt: 1 })
})

test('failures that repeat on one node cordon it, but never the last', async () => {
  await world.job('j', { workers: 1, maxRestarts: 9 })
  const fail = async (attempt: number) => {
    await world.until(() => world.agent.running().includes(`j-worker-0-${attempt}`), `attempt ${attempt}`)
    await world.agent.end(`j-worker-0-${attempt}`, { signal: 'SIGKILL' })
  }
  for (const attempt of [1, 2, 3]) await fail(attempt)
  await world.until(() => world.agent.running().includes('j-worker-0-4'), 'attempt 4')
  const unschedulable = async () =>
    (await world.store.list('Node')).items.map((node) => node.spec?.unschedulable === true)
  expect(await unschedulable()).toEqual([true, false])
  expect((await world.store.get('Pod', { name: 'j-worker-0-4', namespace: 'default' }))?.spec.nodeName).toBe('b')
  for (const attempt of [4, 5, 6]) await fail(attempt)
  await world.until(() => world.agent.running().includes('j-worker-0-7'), 'attempt 7')
  expect(await unschedulable()).toEqual([true, false])
})

test('a node that fails one gang after another is closed, and opened again it starts anew', async () => {
  await world.node('c', 8)
  await world.node('d', 8)
  const suspects = async () => (await world.store.list('Node')).items.filter(({ spec }) => spec?.unschedulable === true)
  for (const name of ['j1', 'j2', 'j3', 'j4', 'j5']) {
    expect(await suspects()).toEqual([])
    await world.job(name, { workers: 5, minWorkers: 5, maxRestarts: 9 })
    await phase(name, 'Running')
    const seats = (await world.getGang(name)).status?.seats?.members ?? []
    const { pod = '' } = seats.find(({ node }) => node === 'c') ?? {}
    for (const seat of seats)
      await world.agent.report(seat.pod, {
        step: 4,
        ...(seat.pod === pod ? { hungSinceMs: world.clock.now() - 3000 } : {}),
      })
    await world.until(async () => (await world.getGang(name)).spec.attempt === 2, 'it hangs')
    await world.store.patch('TrainingJob', { name, namespace: 'default' }, { spec: { suspend: true } })
    await phase(name, 'Suspended')
    world.beats = true
    for (let beat = 0; beat < 8; beat++) {
      await world.agent.heartbeat()
      await world.settle(8_000)
    }
  }
  await world.until(async () => (await suspects()).length === 1, 'the node is closed')
  const [closed] = await suspects()
  expect(closed?.metadata.annotations).toMatchObject({
    'millwright.dev/cordoned-because': 'it fails one gang after another; last: did no step for 3 s',
  })
  expect(closed?.metadata.annotations?.['millwright.dev/failures']).toBeUndefined()
})

test('a pod that somebody deletes takes its gang with it', async () => {
  await running('j')
  await world.store.delete('Pod', { name: 'j-worker-1-1', namespace: 'default' }, { gracePeriodSeconds: 0 })
  await world.until(() => world.agent.running().includes('j-worker-1-2'), 'attempt 2')
  expect((await world.getJob('j')).status?.lastFailure?.reason).toBe('Deleted')
})

test('a node that falls silent loses its pods, and the gang goes on elsewhere', async () => {
  await world.job('j', { workers: 1 })
  await phase('j', 'Running')
  const node = (await world.store.get('Pod', { name: 'j-worker-0-1', namespace: 'default' }))?.spec.nodeName
  const other = node === 'a' ? 'b' : 'a'
  world.beats = false
  for (let beat = 0; beat < 6; beat++) {
    await world.store.patch('Node', { name: other }, { status: { conditions: readyAt(beat) } }, { status: true })
    await world.settle(8_000)
  }
  await phase('j', 'Running')
  expect((await world.getJob('j')).status?.lastFailure?.reason).toBe('NodeLost')
  expect((await world.store.get('Pod', { name: 'j-worker-0-2', namespace: 'default' }))?.spec.nodeName).toBe(other)
  expect((await world.store.get('Node', { name: node ?? '' }))?.status?.conditions?.[0]?.status).toBe('Unknown')
})

test('a pod that ends by itself just before its silent node is given up stays as it ended', async () => {
  const other = await createWorld()
  await other.node('a', 2)
  const { store } = other
  const endsFirst: typeof store.patch = async (kind, ref, patch, options) => {
    if (kind === 'Pod' && JSON.stringify(patch).includes('NodeLost'))
      await store.patch('Pod', ref, { status: { phase: 'Failed', reason: 'Error' } }, { status: true })
    return store.patch(kind, ref, patch, options)
  }
  other.control({ store: { ...store, patch: endsFirst } })
  await other.job('j', { workers: 1 })
  await other.phase('j', 'Running')
  await other.settle(45_000)
  const pod = await store.get('Pod', { name: 'j-worker-0-1', namespace: 'default' })
  expect(pod?.status).toMatchObject({ phase: 'Failed', reason: 'Error' })
  await other.close()
})

/** Moves on by `ms`; of all nodes only these say that they live. */
async function hearOnly(names: readonly string[], ms: number): Promise<void> {
  world.beats = false
  for (let beat = 0; beat < ms / 8_000; beat++) {
    for (const name of names)
      await world.store.patch('Node', { name }, { status: { conditions: readyAt(beat) } }, { status: true })
    await world.settle(8_000)
  }
}

const podsLost = async () =>
  (await world.store.list('Pod')).items
    .filter(({ status }) => status?.reason === 'NodeLost')
    .map((pod) => pod.metadata.name)

test('when most of the fleet falls silent nothing is given up until most are heard again', async () => {
  for (const name of ['c', 'd', 'e']) await world.node(name, 2)
  await running('j', { workers: 10 })
  await hearOnly(['a', 'b'], 300_000)
  expect(await podsLost()).toEqual([])
  expect((await world.getGang('j')).spec.attempt).toBe(1)
  const message = (await world.store.get('Node', { name: 'e' }))?.status?.conditions?.[0]?.message
  expect(message).toContain('nor are most others')
  await hearOnly(['a', 'b', 'c'], 60_000)
  await world.until(async () => (await world.getGang('j')).spec.attempt === 2, 'the gang starts again')
  expect((await world.getJob('j')).status?.lastFailure?.reason).toBe('NodeLost')
})

test('who falls silent one after another is given up until half of the fleet is', async () => {
  for (const name of ['c', 'd']) await world.node(name, 2)
  for (const job of ['j', 'k', 'l', 'm']) await running(job)
  await hearOnly(['a', 'b', 'c'], 60_000)
  await hearOnly(['a', 'b'], 60_000)
  await hearOnly(['a'], 60_000)
  const lost = (await podsLost()).map(
    async (name) => (await world.store.get('Pod', { name, namespace: 'default' }))?.spec.nodeName,
  )
  expect(new Set(await Promise.all(lost))).toEqual(new Set(['c', 'd']))
})

test('a node that a person says is out of service is given up though most of the fleet is silent', async () => {
  for (const name of ['c', 'd', 'e', 'f']) await world.node(name, 2)
  await running('j', { workers: 12, minWorkers: 1 })
  await hearOnly(['a'], 60_000)
  expect(await podsLost()).toEqual([])
  const taints = [{ key: 'node.kubernetes.io/out-of-service', value: 'nodeshutdown', effect: 'NoExecute' }]
  await world.store.patch('Node', { name: 'c' }, { spec: { taints } })
  await hearOnly(['a'], 8_000)
  expect((await podsLost()).length).toBe(2)
  await world.until(async () => (await world.getGang('j')).spec.attempt === 2, 'the gang starts again')
})

test('who deletes a node takes its pods along, unless its agent makes it anew', async () => {
  await running('j')
  const node = (await world.store.get('Pod', { name: 'j-worker-0-1', namespace: 'default' }))?.spec.nodeName ?? ''
  await world.store.delete('Node', { name: node })
  await world.until(async () => (await world.getGang('j')).spec.attempt === 2, 'the gang starts again')
  expect((await world.getJob('j')).status?.lastFailure?.message).toContain(`node ${node} was deleted`)
})

test('a control plane that slept blames itself, not the nodes', async () => {
  await running('j')
  const live = (await world.store.list('Node')).items.length
  await world.clock.advance(0)
  // One long jump: the laptop's lid was closed.
  await sleepThrough(world, 300_000)
  const ready = (await world.store.list('Node')).items.filter((node) => node.status?.conditions?.[0]?.status === 'True')
  expect(ready.length).toBe(live)
})

/** Moves only `now`: no timer ran in between, as when the machine was suspended. */
async function sleepThrough(asleep: World, ms: number): Promise<void> {
  const { clock } = asleep
  const now = clock.now
  let offset = 0
  clock.now = () => now() + offset
  offset = ms
  await asleep.settle(5_000)
}

function readyAt(nowMs: number) {
  return [
    { type: 'Ready', status: 'True' as const, reason: 'AgentReady', message: '', lastHeartbeatTime: String(nowMs) },
  ]
}
