import { afterEach, expect, test } from 'vitest'
import type { Node } from '../model/kinds/kubernetes.ts'
import type { ToldXid } from '../model/told-xids.ts'
import { builtInReconcilers } from './reconcilers.ts'
import { createXids } from './recovery/node-xids.ts'
import { createWorld, type World } from './world.fixture.ts'

/** What a node tells by number, and what follows: for whoever computes there, and for the node. */

let world: World
afterEach(() => world.close())

async function start(nodes: number, slots = 2): Promise<void> {
  world = await createWorld()
  for (let index = 0; index < nodes; index++) await world.node(`n${index}`, slots)
  world.control()
}

let count = 0
async function tell(name: string, xid: number, over: Partial<ToldXid> = {}): Promise<void> {
  const before: string = (await node(name)).metadata.annotations?.['millwright.dev/xids'] ?? '[]'
  const at = new Date(world.clock.now() + count++).toISOString()
  const told = [...JSON.parse(before), { xid, device: 'cpu-0', at, ...over }]
  await say(name, JSON.stringify(told))
}
const say = async (name: string, text: string) => {
  await world.store.patch('Node', { name }, { metadata: { annotations: { 'millwright.dev/xids': text } } })
  await world.settle()
}
const node = async (name: string) => (await world.store.get('Node', { name })) as Node
const because = async (name: string) => (await node(name)).metadata.annotations?.['millwright.dev/cordoned-because']
const leaves = async (name: string) => (await node(name)).spec?.taints?.map(({ key, value }) => `${key}=${value}`)
const closed = async () =>
  (await world.store.list('Node')).items.flatMap(({ metadata, spec }) =>
    spec?.unschedulable === true ? metadata.name : [],
  )
const events = async (reason: string) =>
  (await world.store.list('Event')).items.filter((event) => event.reason === reason).map(({ message }) => message)
const seatOf = async (job: string, rank = 0) =>
  (await world.getGang(job)).status?.seats?.members.find((seat) => seat.rank === rank)
const nodeOf = async (job: string, rank = 0) => (await seatOf(job, rank))?.node ?? ''
const failureOf = async (job: string) => (await world.getJob(job)).status?.lastFailure
test('a rank that ends as its GPU falls off the bus was not to blame: the node is closed, and the job sits on another at once', async () => {
  await start(3)
  await world.job('j', { workers: 2, failurePolicy: { failExitCodes: [1] }, checkpoint: { interval: '1h' } })
  await world.phase('j', 'Running')
  for (const pod of world.agent.running()) await world.agent.report(pod, { step: 3 })
  const bad = await nodeOf('j', 0)
  const seat = await seatOf('j', 1)
  await tell(bad, 79, { device: (await seatOf('j', 0))?.devices[0]?.id ?? '' })
  // Whoever loses its peer may end first.
  await world.agent.end(seat?.pod ?? '', { exitCode: 1 })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'it goes on')
  expect(await nodeOf('j')).not.toBe(bad)
  expect(await because(bad)).toBe('XID 79 on cpu-0 (GPU has fallen off the bus): start the node anew, or replace it')
  expect(await failureOf('j')).toMatchObject({
    reason: 'XID79',
    pod: 'j-worker-0-1',
    message: `j-worker-0-1 (rank 0 on ${bad}): XID 79 on cpu-0 (GPU has fallen off the bus); j-worker-1-1 exit code 1; attempt 2 starts from the beginning`,
  })
  expect(await closed()).toEqual([bad])
})

test('where workers are replaced alone, an XID explains only the end of who had that GPU then', async () => {
  await start(1, 3)
  world.agent.onStart(async ({ metadata: { name } }) => {
    const nowMs = world.clock.now()
    await world.agent.report(name, { step: 1, stepAtMs: nowMs, firstStepAtMs: nowMs })
  })
  await world.job('j', { workers: 3, minWorkers: 1, failurePolicy: { restart: 'worker' } })
  await world.phase('j', 'Running')
  await world.settle()
  const runs = (...indexes: number[]) => {
    const pods = indexes.map((index) => `j-worker-${index}-1`)
    return world.until(() => world.agent.running().join() === pods.join(), `${pods.join(', ')} run`)
  }
  await tell('n0', 31, { device: (await seatOf('j', 1))?.devices[0]?.id ?? '' })
  await world.agent.end('j-worker-0-1', { exitCode: 1 })
  await runs(1, 2, 3)
  expect(await failureOf('j')).toMatchObject({ pod: 'j-worker-0-1', reason: 'Error' })
  await world.agent.end('j-worker-1-1', { exitCode: 1 })
  await runs(2, 3, 4)
  expect(await failureOf('j')).toMatchObject({ pod: 'j-worker-1-1', reason: 'XID31' })
  await world.agent.end('j-worker-4-1', { exitCode: 1 })
  await runs(2, 3, 5)
  expect(await failureOf('j')).toMatchObject({ pod: 'j-worker-4-1', reason: 'Error' })
})

test('no attempt begins on a node whose XID nobody has acted on before the end', async () => {
  const others = builtInReconcilers.filter((one) => one !== createXids)
  world = await createWorld()
  for (const name of ['n0', 'n1']) await world.node(name, 1)
  world.control({ reconcilers: others })
  await world.job('j', { workers: 1 })
  await world.phase('j', 'Running')
  const bad = await nodeOf('j')
  await tell(bad, 79)
  expect(await closed()).toEqual([])
  await world.agent.end('j-worker-0-1', { signal: 'SIGABRT' })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'it goes on')
  expect([await closed(), (await world.getGang('j')).spec.attempt]).toEqual([[bad], 2])
  expect(await nodeOf('j')).not.toBe(bad)
})

test('where the budget keeps the node, what its GPU ends is held against it all the same', async () => {
  await start(1)
  await world.job('j', { workers: 1 })
  await world.phase('j', 'Running')
  for (const attempt of [1, 2, 3]) {
    await tell('n0', 79, { device: (await seatOf('j'))?.devices[0]?.id ?? '' })
    await world.agent.end(`j-worker-0-${attempt}`, { exitCode: 1 })
    await world.until(() => world.agent.running().includes(`j-worker-0-${attempt + 1}`), 'it goes on')
  }
  expect(await closed()).toEqual([])
  expect(JSON.parse((await node('n0')).metadata.annotations?.['millwright.dev/failures'] ?? '[]')).toMatchObject([
    { kind: 'gpu' },
  ])
  const refused = await events('NotCordoned')
  expect(refused).toContain('it fails a gang again and again, but no other node takes work')
  expect(refused.filter((message) => message?.startsWith('XID 79'))).toHaveLength(1)
})

test('work that an XID does not end writes a checkpoint, leaves and goes on elsewhere; no restart is counted', async () => {
  await start(2)
  await world.job('j', { workers: 2, maxRestarts: 0, checkpoint: { ranks: 'all', interval: '1h' } })
  await world.phase('j', 'Running')
  const bad = await nodeOf('j')
  for (const pod of world.agent.running()) await world.agent.report(pod, { step: 3 })
  await tell(bad, 48)
  expect(await leaves(bad)).toEqual(['millwright.dev/leaving=xid'])
  await world.until(
    async () => (await world.getGang('j')).spec.checkpointRequest?.stop === false,
    'it is asked for one',
  )
  // It is waited for as on a node that is drained.
  await world.pass(300)
  expect((await world.getGang('j')).spec.checkpointRequest?.stop).toBe(false)
  for (const pod of world.agent.running()) await world.agent.ship(pod, 5)
  await world.until(async () => (await world.getGang('j')).spec.checkpointRequest?.stop === true, 'it is to stop')
  for (const pod of world.agent.running()) await world.agent.end(pod, { exitCode: 0, stopped: true })
  await world.until(() => world.agent.running().includes('j-worker-1-2'), 'it goes on')
  expect(await nodeOf('j')).not.toBe(bad)
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 0, checkpoint: { step: 5 } })
})

test('63 closes the node and moves nobody; a worse one later has them leave', async () => {
  await start(2)
  await world.job('j', { workers: 2 })
  await world.phase('j', 'Running')
  const bad = await nodeOf('j')
  await tell(bad, 63)
  expect([await closed(), await leaves(bad)]).toEqual([[bad], undefined])
  await tell(bad, 95)
  expect(await leaves(bad)).toEqual(['millwright.dev/leaving=xid'])
  expect(await because(bad)).toContain('XID 95')
})

test('a page fault starts the job again where it is; on the same GPU again it moves, and the node is closed', async () => {
  await start(10)
  await world.job('j', { workers: 1 })
  await world.phase('j', 'Running')
  const bad = await nodeOf('j')
  const device = (await seatOf('j'))?.devices[0]?.id ?? ''
  await tell(bad, 31, { device })
  await world.agent.end('j-worker-0-1', { signal: 'SIGABRT' })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'it goes on')
  expect([await nodeOf('j'), await closed()]).toEqual([bad, []])
  expect(await failureOf('j')).toMatchObject({ reason: 'XID31' })
  // The machine is not blamed for what may be the application's.
  expect((await node(bad)).metadata.annotations?.['millwright.dev/failures']).toBeUndefined()
  await world.pass(120)
  await tell(bad, 31, { device: (await seatOf('j'))?.devices[0]?.id ?? '' })
  await world.agent.end('j-worker-0-2', { signal: 'SIGABRT' })
  await world.until(() => world.agent.running().includes('j-worker-0-3'), 'it goes on')
  expect(await closed()).toEqual([bad])
  expect(await nodeOf('j')).not.toBe(bad)
  // And on another one: it is the application.
  const next = await nodeOf('j')
  for (const attempt of [3, 4]) {
    await world.pass(120)
    await tell(next, 31, { device: (await seatOf('j'))?.devices[0]?.id ?? '' })
    await world.agent.end(`j-worker-0-${attempt}`, { signal: 'SIGABRT' })
    await world.until(() => world.agent.running().includes(`j-worker-0-${attempt + 1}`), 'it goes on')
  }
  expect(await closed()).toEqual([bad])
})

test('an XID of a GPU that another job holds, or of an attempt before, explains nothing', async () => {
  await start(2)
  await world.job('j', { workers: 1 })
  await world.job('k', { workers: 1, resources: { accelerators: 'cpu:1' } })
  await world.phase('j', 'Running')
  await world.phase('k', 'Running')
  const [mine, others] = [await seatOf('j'), await seatOf('k')]
  expect(mine?.node).toBe(others?.node)
  await tell(mine?.node ?? '', 31, { device: others?.devices[0]?.id ?? '' })
  await world.agent.end('j-worker-0-1', { signal: 'SIGABRT' })
  await world.until(() => world.agent.running().includes('j-worker-0-2'), 'it goes on')
  expect((await failureOf('j'))?.reason).toBe('Killed')
  await tell(await nodeOf('j'), 31, { device: (await seatOf('j'))?.devices[0]?.id ?? '' })
  await world.agent.end('j-worker-0-2', { signal: 'SIGABRT' })
  await world.until(() => world.agent.running().includes('j-worker-0-3'), 'it goes on')
  expect((await failureOf('j'))?.reason).toBe('XID31')
  await world.agent.end('j-worker-0-3', { signal: 'SIGSEGV' })
  await world.until(() => world.agent.running().includes('j-worker-0-4'), 'it goes on')
  expect((await failureOf('j'))?.reason).toBe('Killed')
})

test('forged XIDs take no more than a fifth of a pool, and say of the others what would have been done', async () => {
  await start(10, 1)
  await world.job('rival', { workers: 10 })
  await world.phase('rival', 'Running')
  for (let index = 0; index < 10; index++) await tell(`n${index}`, 79)
  await world.pass(300)
  expect(await closed()).toHaveLength(2)
  const tainted = (await world.store.list('Node')).items.filter(({ spec }) => spec?.taints !== undefined)
  expect(tainted).toHaveLength(2)
  const refused = await events('NotCordoned')
  expect(refused).toHaveLength(8)
  expect(refused[0]).toBe(
    'XID 79 on cpu-0 (GPU has fallen off the bus): start the node anew, or replace it; but 2 of the 10 nodes of pool local are out of service already, and no more than 2 may be',
  )
})

test('once there is room in the budget the next one is closed, while its XID is told', async () => {
  await start(5, 1)
  await tell('n0', 79)
  await tell('n1', 79)
  await tell('n2', 79)
  await say('n1', '[]')
  expect(await closed()).toEqual(['n0'])
  const opened = {
    metadata: { annotations: { 'millwright.dev/cordoned-because': null } },
    spec: { unschedulable: null },
  }
  await world.store.patch('Node', { name: 'n0' }, opened)
  await world.pass(120)
  expect(await closed()).toEqual(['n2'])
})

test('a node that was opened again is not closed for the same XID, and after the third for an inspection', async () => {
  await start(3)
  const reopen = async () => {
    await world.store.patch('Node', { name: 'n0' }, { spec: { unschedulable: null } })
    await world.pass(30)
  }
  await tell('n0', 95)
  expect(await because('n0')).toContain('reset the GPU')
  await reopen()
  expect([await closed(), await because('n0'), await leaves('n0')]).toEqual([[], undefined, undefined])
  await tell('n0', 95)
  expect(await because('n0')).toContain('reset the GPU')
  await reopen()
  await tell('n0', 95)
  expect(await because('n0')).toContain('have the hardware inspected')
})

test('a node that was closed since it is slow is closed for its XID then', async () => {
  await start(3)
  const mark = 'millwright.dev/slow'
  for (const [name, xid, left] of [
    ['n0', 79, 'xid'],
    ['n1', 63, 'slow'],
  ] as const) {
    const metadata = { annotations: { 'millwright.dev/cordoned-because': 'slow', [mark]: '{"gang":"x","rank":1}' } }
    const taints = [{ key: 'millwright.dev/leaving', value: 'slow', effect: 'NoSchedule' as const }]
    await world.store.patch('Node', { name }, { metadata, spec: { unschedulable: true, taints } })
    await tell(name, xid)
    expect(await because(name)).toContain(`XID ${xid} on cpu-0`)
    expect(await leaves(name)).toEqual([`millwright.dev/leaving=${left}`])
    const { annotations } = (await node(name)).metadata
    expect(annotations).not.toHaveProperty([mark])
    expect(annotations?.['millwright.dev/xids-seen']).toContain('"closed":true')
  }
})

test('what a person has closed is theirs', async () => {
  await start(2)
  await world.store.patch('Node', { name: 'n0' }, { spec: { unschedulable: true } })
  await tell('n0', 79)
  expect([await because('n0'), await leaves('n0')]).toEqual([undefined, undefined])
})

test('what is not known or not read is said, and nothing follows', async () => {
  await start(2)
  await tell('n0', 999)
  expect(await events('XIDUnknown')).toEqual(['XID 999 on cpu-0 is not known here: nothing follows from it'])
  await say('n0', '[{"xid": "79"}]')
  await world.pass(30)
  const told = (await world.store.list('Event')).items.filter(({ reason }) => reason === 'XIDsNotRead')
  expect(told).toMatchObject([{ count: 1, message: expect.stringContaining('millwright.dev/xids [0][xid]: ') }])
  expect(await closed()).toEqual([])
})

test('another leader does nothing twice', async () => {
  world = await createWorld()
  for (const name of ['n0', 'n1', 'n2']) await world.node(name, 2)
  const first = world.control({ leaseSeconds: 4 })
  await world.settle()
  await tell('n0', 79)
  expect(await closed()).toEqual(['n0'])
  const stopped = first.stop()
  await world.settle(1_000)
  await stopped
  await world.store.patch('Node', { name: 'n0' }, { spec: { unschedulable: null } })
  world.control({ leaseSeconds: 4 })
  await world.pass(30)
  expect([await closed(), await events('Cordoned')]).toEqual([[], [expect.stringContaining('XID 79')]])
})
