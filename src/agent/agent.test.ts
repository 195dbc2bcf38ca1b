import { expect, test } from 'vitest'
import { storeUnreachable } from '../base/errors.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { processOf } from '../base/process.fixture.ts'
import { seededRandom } from '../base/random.ts'
import { createSimulatedBlobs } from '../blob/simulated/blobs.ts'
import { createSimulatedStorage } from '../blob/simulated/storage.ts'
import { gpuResource } from '../model/names.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { type Agent, createAgent } from './agent.ts'
import type { NodeDescription } from './contract.ts'
import { simulatedFiles } from './simulated/files.ts'
import { SimulatedMachine } from './simulated/machine.ts'
import { createSimulatedRunner } from './simulated/runner.ts'

function nodeWith(...healthy: boolean[]): NodeDescription {
  return {
    name: 'n',
    pool: 'local',
    labels: {},
    cpuMilli: 2000,
    memoryBytes: 1e9,
    slots: 0,
    podsMax: 100,
    gpus: healthy.map((each, index) => ({ id: `GPU-${index}`, model: 'H100', memoryMiB: 80_000, healthy: each })),
    ports: { from: 20000, to: 20999 },
    address: '127.0.0.1',
    info: {},
  }
}

/** An agent of a node with two cards that is there, and what its Node offers. */
async function begun(
  clock: ManualClock,
  over: (store: Store) => Store,
): Promise<{ agent: Agent; offered(): Promise<unknown> }> {
  const store = createMemoryStore({ clock, random: seededRandom(1) })
  const machine = new SimulatedMachine(clock, {
    prepareMs: () => 0,
    restoreMs: () => 0,
    restoreFromCopyMs: () => 0,
    start: () => ({ ask: () => {}, signal: () => {}, probe: () => undefined, gone: () => {} }),
  })
  const blobs = createSimulatedBlobs()
  const agent = createAgent({
    store: over(store),
    blobs,
    ...processOf(clock, 2),
    runner: createSimulatedRunner(machine),
    files: simulatedFiles(machine, createSimulatedStorage(blobs, clock)),
    node: nodeWith(true, true),
  })
  const started = agent.start()
  await clock.advance(1000)
  await started
  const offered = async () => (await store.get('Node', { name: 'n' }))?.status?.allocatable?.[gpuResource]
  return { agent, offered }
}

test('a lost card that could not be told is told with the next sign of life', async () => {
  const clock = createManualClock()
  let isCut = false
  const { agent, offered } = await begun(clock, (store) => ({
    ...store,
    patch: async (...call) => {
      if (isCut) throw storeUnreachable()
      return await store.patch(...call)
    },
  }))
  isCut = true
  agent.describe(nodeWith(true, false))
  await clock.advance(15_000)
  expect(await offered()).toBe('2')
  isCut = false
  await clock.advance(10_000)
  expect(await offered()).toBe('1')
  await agent.stop('leave')
})

test('of two words about its cards the last one stands, though the first arrives after it', async () => {
  const clock = createManualClock()
  const { agent, offered } = await begun(clock, (store) => ({
    ...store,
    patch: async (kind, ref, patch, options) => {
      const text = JSON.stringify(patch)
      const isFirst = text.includes('"healthy":false') || text.includes(`"${gpuResource}":"1"`)
      if (isFirst) await clock.sleep(2_000)
      const answer = await store.patch(kind, ref, patch, options)
      if (!isFirst && 'status' in patch) await clock.sleep(5_000)
      return answer
    },
  }))
  agent.describe(nodeWith(false, true))
  agent.describe(nodeWith(true, true))
  await clock.advance(60_000)
  expect(await offered()).toBe('2')
  await agent.stop('leave')
})
