import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../model/conditions.ts'
import { pool } from '../model/kinds/pool.ts'
import { millwrightVersion } from '../model/metadata.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Nodes that a pool keeps free for who loses one: in the whole control plane. */

const names = ['a', 'b', 'c'] as const
const poolRef = { name: 'local' }
let world: World
beforeEach(async () => {
  world = await createWorld()
  for (const name of names) await world.node(name, 2)
  const metadata = { ...poolRef }
  const spec = { spares: 1 }
  await world.store.create('Pool', pool.parse({ apiVersion: millwrightVersion, kind: 'Pool', metadata, spec }))
  world.control()
})
afterEach(() => world.close())

const nodesOf = async (job: string) => [
  ...new Set((await world.getGang(job)).status?.seats?.members.map(({ node }) => node)),
]
const freeBeside = (used: readonly string[]) => names.filter((name) => !used.includes(name))
const spares = async () => (await world.store.get('Pool', poolRef))?.status?.spares
const waitsFor = async (job: string) => conditionOf((await world.getGang(job)).status?.conditions, 'Scheduled')?.reason

test('who comes leaves it free, and is told why; the pool says which it is', async () => {
  await world.job('j', { workers: 4 })
  await world.phase('j', 'Running')
  const free = freeBeside(await nodesOf('j'))
  await world.job('late', { workers: 1 })
  await world.until(async () => (await waitsFor('late')) === 'KeptAsSpares', 'it is told')
  await world.settle(2_000)
  expect(await spares()).toEqual({ wanted: 1, nodes: free })
  await world.store.patch('Pool', poolRef, { spec: { spares: 0 } })
  await world.phase('late', 'Running')
  await world.settle(2_000)
  expect(await spares()).toBeUndefined()
})

test('who loses a node keeps the others and takes it, whoever waits', async () => {
  await world.job('j', { workers: 4 })
  await world.phase('j', 'Running')
  const [lost = '', kept = ''] = await nodesOf('j')
  const [spare = ''] = freeBeside([lost, kept])
  await world.job('late', { workers: 1 })
  await fallSilent(lost)
  await world.until(async () => (await world.getGang('j')).status?.seats?.attempt === 2, 'it sits again')
  expect((await nodesOf('j')).toSorted()).toEqual([kept, spare].toSorted())
})

test('who has to leave a node that goes away takes it, too', async () => {
  await world.job('j', { workers: 4 })
  await world.phase('j', 'Running')
  const [leaving = '', kept = ''] = await nodesOf('j')
  const taints = [{ key: 'millwright.dev/leaving', value: 'drain', effect: 'NoSchedule' as const }]
  await world.store.patch('Node', { name: leaving }, { spec: { taints } })
  await world.until(async () => (await world.getGang('j')).status?.seats?.attempt === 2, 'it sits elsewhere')
  expect((await nodesOf('j')).toSorted()).toEqual([kept, ...freeBeside([leaving, kept])].toSorted())
})

test('who is evicted for another, or resumed, does not', async () => {
  await world.job('j', { workers: 4 })
  await world.phase('j', 'Running')
  await world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec: { suspend: true } })
  await world.phase('j', 'Suspended')
  await world.job('other', { workers: 2 })
  await world.phase('other', 'Running')
  await world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec: { suspend: false } })
  await world.until(async () => (await waitsFor('j')) === 'KeptAsSpares', 'it waits')
})

/** Its agent says no more; all others do. */
async function fallSilent(lost: string): Promise<void> {
  world.beats = false
  for (let beat = 0; beat < 6; beat++) {
    for (const name of names) {
      if (name === lost) continue
      const ready = { type: 'Ready', status: 'True' as const, lastHeartbeatTime: new Date(beat).toISOString() }
      await world.store.patch('Node', { name }, { status: { conditions: [ready] } }, { status: true })
    }
    await world.settle(8_000)
  }
}
