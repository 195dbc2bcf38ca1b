import { afterEach, expect, test } from 'vitest'
import type { Node } from '../model/kinds/kubernetes.ts'
import type { Store } from '../store/contract.ts'
import type { Control } from './run.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Work leaves a node that keeps it waiting: where that pays, where there is room, and as few nodes as the budget has. */

let world: World
afterEach(() => world.close())

/** A job of three on nodes of one slot each, and spare nodes beside. */
async function start(
  spares: number,
  spec: Record<string, unknown> = {},
  through = (store: Store) => store,
): Promise<Control> {
  world = await createWorld({ store: through })
  for (let index = 0; index < 3 + spares; index++) await world.node(`n${index}`, 1)
  const control = world.control({ leaseSeconds: 4 })
  world.agent.onStart(async (pod) => {
    const rank = Number(pod.metadata.annotations?.['millwright.dev/rank'])
    await world.agent.report(pod.metadata.name, {
      step: 1,
      firstStepAtMs: world.clock.now() + 30_000,
      busySeconds: 1 + rank / 100,
    })
  })
  await world.job('j', { workers: 3, checkpoint: { interval: '60s' }, expectedSeconds: 7200, ...spec })
  await world.phase('j', 'Running')
  return control
}

/** Time passes in which agents say that they live, and ranks what they are busy for. */
async function pass(seconds: number, busy: Record<number, number> = {}): Promise<void> {
  for (let second = 0; second < seconds; second += 5) {
    await world.agent.heartbeat()
    for (const pod of world.agent.running()) {
      const rank = Number(pod.split('-')[2])
      await world.agent.report(pod, { busySeconds: busy[rank] ?? 1 })
    }
    await save()
    await world.settle(5_000)
  }
}
/** Who is asked for a checkpoint writes it at once. */
async function save(): Promise<void> {
  const { spec, status } = await world.getGang('j')
  const step = spec.checkpointRequest?.step ?? 0
  if (spec.checkpointRequest?.stop !== false || step <= (status?.checkpoint?.step ?? 0)) return
  for (const pod of world.agent.running()) await world.agent.ship(pod, step)
}
const node = async (name: string) => (await world.store.get('Node', { name })) as Node
const closed = async () =>
  (await world.store.list('Node')).items.flatMap(({ metadata, spec }) =>
    spec?.unschedulable === true ? metadata.name : [],
  )
const nodeOf = async (rank: number) =>
  (await world.getGang('j')).status?.seats?.members.find((seat) => seat.rank === rank)?.node ?? ''
const events = async (reason: string) =>
  (await world.store.list('Event')).items.filter((event) => event.reason === reason).map(({ message }) => message)

/** For how many seconds it was slow until a node was closed. */
async function untilClosed(busy: Record<number, number>): Promise<number> {
  for (let seconds = 0; seconds < 600; seconds += 5) {
    if ((await closed()).length > 0) return seconds
    await pass(5, busy)
  }
  throw new Error('no node was closed')
}

/** It is asked for a checkpoint, writes it, stops, and goes on. */
async function leaves(): Promise<void> {
  const { checkpoint } = (await world.getGang('j')).status ?? {}
  await world.until(async () => {
    await save()
    return (await world.getGang('j')).spec.checkpointRequest?.stop === true
  }, 'it is to stop')
  expect((await world.getGang('j')).status?.checkpoint?.step).toBeGreaterThan(checkpoint?.step ?? 0)
  for (const pod of world.agent.running()) await world.agent.end(pod, { exitCode: 0, stopped: true })
  await world.until(async () => (await world.getJob('j')).status?.attempt === 2, 'it goes on')
  await world.phase('j', 'Running')
}

/** Rank 1 leaves its node since it is slow there, and is as slow on the next one. The first one, of which `say` says something. */
async function slowOnTwoNodes(say: (first: string) => Promise<unknown> = async () => {}): Promise<string> {
  await pass(65)
  await untilClosed({ 1: 2 })
  const [first = ''] = await closed()
  expect(first).toBe(await nodeOf(1))
  await say(first)
  await leaves()
  await pass(60, { 1: 2 })
  return first
}

test('a slow node is closed once it has cost what leaving costs; its job leaves with a checkpoint and no restart counted', async () => {
  await start(1)
  await pass(65)
  const slow = await nodeOf(1)
  // A restart takes 30 s, and half of each second is lost.
  const seconds = await untilClosed({ 1: 2 })
  expect(seconds).toBeGreaterThanOrEqual(60)
  expect(seconds).toBeLessThanOrEqual(80)
  expect(await closed()).toEqual([slow])
  const { metadata, spec } = await node(slow)
  expect(metadata.annotations?.['millwright.dev/cordoned-because']).toMatch(
    /^slow: rank 1 of j works at 50 % of the usual speed there, for \d+ s; leaving costs \d+ accelerator-seconds, staying \d+ accelerator-seconds$/,
  )
  expect(spec?.taints).toEqual([{ key: 'millwright.dev/leaving', value: 'slow', effect: 'NoSchedule' }])
  await leaves()
  expect((await world.getJob('j')).status).toMatchObject({ restarts: 0 })
  expect(await nodeOf(1)).not.toBe(slow)
  // As `kubectl uncordon` opens it, which knows of no taint.
  await world.store.patch('Node', { name: slow }, { spec: { unschedulable: null } })
  await world.until(async () => (await node(slow)).spec?.taints === undefined, 'the taint is gone')
  expect((await node(slow)).metadata.annotations).not.toHaveProperty(['millwright.dev/cordoned-because'])
})

test('what somebody else says of a node just as it is closed stays', async () => {
  const said = { key: 'example.com/reclaim', value: 'soon', effect: 'NoSchedule' }
  let isSaid = false
  await start(1, {}, (store) => ({
    ...store,
    patch: async (kind, ref, patch, options) => {
      if (kind === 'Node' && !isSaid && JSON.stringify(patch).includes('cordoned-because')) {
        isSaid = true
        await store.patch('Node', ref, { spec: { taints: [said] } })
      }
      return store.patch(kind, ref, patch, options)
    },
  }))
  await pass(65)
  await untilClosed({ 1: 2 })
  expect(isSaid).toBe(true)
  expect((await node(await nodeOf(1))).spec?.taints).toEqual([
    said,
    { key: 'millwright.dev/leaving', value: 'slow', effect: 'NoSchedule' },
  ])
})

test('nobody leaves where there is no room elsewhere, and it is said why; once there is, they do', async () => {
  await start(0)
  await pass(65)
  await pass(240, { 1: 2 })
  expect(await closed()).toEqual([])
  expect(await events('NotCordoned')).toEqual(['it is slow, but gang default/j has no room elsewhere now'])
  await world.node('n9', 1)
  expect(await untilClosed({ 1: 2 })).toBeLessThanOrEqual(70)
})

test('what is slow for a moment, or a little, moves nobody', async () => {
  await start(1)
  await pass(65)
  for (let round = 0; round < 5; round++) {
    await pass(40, { 1: 2 })
    await pass(20)
  }
  await pass(600, { 1: 1.25 })
  expect(await closed()).toEqual([])
})

test('what was told before a silence closes nobody when it is over: that counts from when it is told after it', async () => {
  await start(1)
  await pass(30)
  await pass(10, { 1: 4 })
  world.beats = false
  await world.settle(60_000)
  world.beats = true
  await pass(10, { 1: 4 })
  expect(await closed(), 'slow, for ten seconds as far as is known').toEqual([])
  expect(await untilClosed({ 1: 4 })).toBeGreaterThan(0)
})

test('nobody leaves whose end is near, or who would lose more than waiting costs', async () => {
  await start(1, { expectedSeconds: 200 })
  await pass(65)
  await pass(120, { 1: 2 })
  expect(await closed()).toEqual([])
})

test('a fifth of a pool, or one node, is closed at most', async () => {
  await start(3)
  await world.store.patch(
    'Node',
    { name: 'n5' },
    { spec: { unschedulable: true }, metadata: { annotations: { 'millwright.dev/cordoned-because': 'a lemon' } } },
  )
  await pass(65)
  await pass(300, { 1: 2 })
  expect(await closed()).toEqual(['n5'])
  expect(await events('NotCordoned')).toEqual([
    'it is slow, but 1 of the 6 nodes of pool local are out of service already, and no more than 1 may be',
  ])
})

test('two nodes that are slow at once are not closed where one may be', async () => {
  await start(6, { workers: 5 })
  await pass(65)
  await pass(240, { 1: 4, 2: 4 })
  expect(await closed()).toEqual([])
  const said = '1 of the 9 nodes of pool local are out of service already, and no more than 1 may be'
  const because = `it is slow, but with the others that are slow closed, ${said}`
  expect(await events('NotCordoned')).toEqual([because, because])
})

test('a slow node that a person closed stays theirs', async () => {
  await start(6)
  await pass(65)
  const slow = await nodeOf(1)
  await world.store.patch('Node', { name: slow }, { spec: { unschedulable: true } })
  await pass(240, { 1: 4 })
  const { metadata, spec } = await node(slow)
  expect(metadata.annotations).not.toHaveProperty(['millwright.dev/cordoned-because'])
  expect([spec?.unschedulable, spec?.taints]).toEqual([true, undefined])
  expect(await events('NotCordoned')).toEqual([`it is slow, but somebody closed ${slow}, whose it is`])
})

test('a rank that is as slow elsewhere has more to do than others: its first node is opened again, and it stays', async () => {
  await start(2)
  const first = await slowOnTwoNodes()
  expect(await closed()).toEqual([])
  expect((await node(first)).spec?.taints ?? []).toEqual([])
  expect((await world.getGang('j')).metadata.annotations?.['millwright.dev/uneven-ranks']).toBe('1')
  await pass(600, { 1: 2 })
  expect(await closed()).toEqual([])
  // Another one may be slow all the same.
  await untilClosed({ 1: 1.2, 2: 3 })
  expect(await closed()).toEqual([await nodeOf(2)])
})

test('who wrote that a rank is uneven may come no further: its first node is opened with the next look', async () => {
  let isRefused = false
  await start(2, {}, (store) => ({
    ...store,
    patch: async (kind, ref, patch, options) => {
      const isOpening = kind === 'Node' && JSON.stringify(patch).includes('"unschedulable":null')
      if (!isOpening || isRefused) return store.patch(kind, ref, patch, options)
      isRefused = true
      return 'stale'
    },
  }))
  const first = await slowOnTwoNodes()
  expect(isRefused).toBe(true)
  expect(await closed()).toEqual([])
  expect((await node(first)).spec?.taints ?? []).toEqual([])
  expect(await events('Uncordoned')).toEqual(['rank 1 of j is as slow elsewhere: it has more to do than others'])
})

test('a slow node that a person drains stays closed when its rank turns out to be uneven', async () => {
  const drained = { key: 'millwright.dev/leaving', value: 'drain', effect: 'NoSchedule' }
  await start(2)
  const first = await slowOnTwoNodes((name) => world.store.patch('Node', { name }, { spec: { taints: [drained] } }))
  expect(await closed()).toEqual([first])
  expect((await node(first)).spec?.taints).toEqual([drained])
  expect(await events('Uncordoned')).toEqual([])
})

test('the next leader finds it out anew', async () => {
  const first = await start(1)
  await pass(65)
  await pass(40, { 1: 2 })
  const stopped = first.stop()
  world.control({ leaseSeconds: 4 })
  expect(await untilClosed({ 1: 2 })).toBeGreaterThanOrEqual(60)
  await stopped
})
