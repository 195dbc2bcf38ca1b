import { afterEach, beforeEach, expect, test } from 'vitest'
import { conditionOf } from '../model/conditions.ts'
import { pool } from '../model/kinds/pool.ts'
import { millwrightVersion } from '../model/metadata.ts'
import type { Control } from './run.ts'
import { createWorld, type World } from './world.fixture.ts'

/** How many nodes a pool keeps that leaves it to us: in the whole control plane. */

const poolRef = { name: 'local' }
let world: World
let control: Control
beforeEach(async () => {
  world = await createWorld()
  for (let index = 0; index < 20; index++) await world.node(`n${index}`, 1)
  const spec = { spares: 'auto' }
  await world.store.create('Pool', pool.parse({ apiVersion: millwrightVersion, kind: 'Pool', metadata: poolRef, spec }))
  control = world.control({ leaseSeconds: 4 })
})
afterEach(() => world.close())

const status = async () => (await world.store.get('Pool', poolRef))?.status
const wanted = async () => (await status())?.spares?.wanted
/** As recovery closes one, and as a person opens it again. */
async function close(name: string, because: string | null): Promise<void> {
  const metadata = { annotations: { 'millwright.dev/cordoned-because': because } }
  await world.store.patch('Node', { name }, { metadata, spec: { unschedulable: because === null ? null : true } })
  await world.pass(10)
}
const bad = Array.from({ length: 6 }, (_, index) => `n${index}`)

test('a pool whose nodes fail often keeps more, says why, and whoever leads next knows it', async () => {
  await world.until(async () => (await wanted()) === 1, 'those of a large fleet')
  for (const name of bad) await close(name, 'x')
  expect(await wanted()).toBe(4)
  expect(await status()).toMatchObject({
    reliability: { failures: expect.closeTo(6, 2), repairs: 0, out: bad, nodes: 20 },
    spares: {
      because: expect.stringMatching(/^a node fails once in 22 days, and is away for 24 hours: 6 failures in /),
    },
  })
  // Of fourteen that take work the scheduler leaves as many.
  await world.job('j', { workers: 11 })
  const scheduled = async () => conditionOf((await world.getGang('j')).status?.conditions, 'Scheduled')?.reason
  await world.until(async () => (await scheduled()) === 'KeptAsSpares', 'it waits')
  const stopped = control.stop()
  await world.settle(1_000)
  await stopped
  world.control({ leaseSeconds: 4 })
  await world.pass(60)
  expect((await status())?.reliability?.failures).toBeCloseTo(6, 2)
  expect([await wanted(), await scheduled()]).toEqual([4, 'KeptAsSpares'])
  // They are back within minutes, and so fewer are out at once than was feared.
  for (const name of bad) await close(name, null)
  expect([await wanted(), (await status())?.reliability?.out]).toEqual([1, []])
  await world.phase('j', 'Running')
})

test('a leader that is cut off from most nodes counts no failure, nor does the next one', async () => {
  await world.pass(20)
  const speak = async (names: number) => {
    for (let index = 0; index < names; index++) {
      const ready = {
        type: 'Ready',
        status: 'True' as const,
        lastHeartbeatTime: new Date(world.clock.now()).toISOString(),
      }
      await world.store.patch('Node', { name: `n${index}` }, { status: { conditions: [ready] } }, { status: true })
    }
    await world.settle(10_000)
  }
  for (let beat = 0; beat < 8; beat++) await speak(5)
  const stopped = control.stop()
  await world.settle(1_000)
  await stopped
  world.control({ leaseSeconds: 4 })
  await speak(5)
  await world.pass(60)
  expect((await status())?.reliability).toMatchObject({ failures: 0, out: [] })
})

test('time is counted though nothing happens', async () => {
  await world.pass(20)
  const before = Date.parse((await status())?.reliability?.through ?? '')
  // All agents fall silent, and nobody writes a word after that.
  await world.settle(120_000)
  await world.settle(900_000)
  expect(Date.parse((await status())?.reliability?.through ?? '')).toBeGreaterThanOrEqual(before + 900_000)
})

test('who says a number again has no history kept', async () => {
  await world.until(async () => (await status())?.reliability !== undefined, 'it is counted')
  await world.store.patch('Pool', poolRef, { spec: { spares: 2 } })
  await world.pass(10)
  expect(await status()).toMatchObject({ spares: { wanted: 2 } })
  expect((await status())?.reliability).toBeUndefined()
})
