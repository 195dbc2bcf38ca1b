import { expect, test } from 'vitest'
import { OperatingError, storeUnreachable } from '../base/errors.ts'
import { createManualClock, type ManualClock } from '../base/manual-clock.ts'
import { processOf } from '../base/process.fixture.ts'
import { seededRandom } from '../base/random.ts'
import { createSimulatedBlobs } from '../blob/simulated/blobs.ts'
import { createSimulatedStorage } from '../blob/simulated/storage.ts'
import type { Container, Pod } from '../model/kinds/kubernetes.ts'
import { annotation } from '../model/names.ts'
import type { PodWork } from '../model/work.ts'
import type { Store } from '../store/contract.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { simulatedFiles } from './simulated/files.ts'
import { type Program, SimulatedMachine } from './simulated/machine.ts'
import { createSimulatedRunner } from './simulated/runner.ts'
import { supervise } from './supervise.ts'

const name = 'j-worker-0-1'

function kitOf(clock: ManualClock, store: Store, machine: SimulatedMachine): Parameters<typeof supervise>[1] {
  const blobs = createSimulatedBlobs()
  return {
    store,
    blobs,
    ...processOf(clock, 2),
    runner: createSimulatedRunner(machine),
    files: simulatedFiles(machine, createSimulatedStorage(blobs, clock)),
    node: 'n',
    address: '10.0.0.1',
    reportEveryMs: 1000,
    policy: async () => ({ allowEnv: [], hostPaths: [] }),
    event: () => {},
  }
}

/** An agent takes over a pod that runs, and the store answers reads as `ask` says. */
async function takeOver(ask: (kind: string) => void, work: Partial<PodWork> = {}, container: Partial<Container> = {}) {
  const clock = createManualClock()
  const program: Program = { ask: () => {}, signal: () => {}, probe: () => undefined, gone: () => {} }
  const machine = new SimulatedMachine(clock, {
    prepareMs: () => 0,
    restoreMs: () => 0,
    restoreFromCopyMs: () => 0,
    start: () => program,
  })
  const store = createMemoryStore({ clock, random: seededRandom(1) })
  const made = await store.create('Pod', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', annotations: { [annotation.work]: JSON.stringify(work) } },
    spec: { containers: [{ name: 'main', command: ['train'], ...container }], nodeName: 'n' },
  })
  const pod = made as Pod
  const uid = pod.metadata.uid ?? ''
  const runs = machine.start({ uid, namespace: 'default', name, node: 'n', command: ['train'], env: {}, volumes: [] })
  const asked: typeof store = {
    ...store,
    get: (kind, ref) => {
      ask(kind)
      return store.get(kind, ref)
    },
  }
  const supervisor = supervise(pod, kitOf(clock, asked, machine))
  const status = async () => (await store.get('Pod', { name, namespace: 'default' }))?.status
  const report = async () => (await store.get('Report', { name: `pod.${name}`, namespace: 'default' }))?.status
  return { clock, supervisor, runs, status, report }
}

test('what runs already runs on while the store does not answer, and is followed once it does', async () => {
  let isAway = true
  const { clock, supervisor, runs, status } = await takeOver((kind) => {
    if (isAway && kind === 'Report') throw storeUnreachable()
  })
  await clock.advance(60_000)
  expect([runs.end, (await status())?.phase]).toEqual([undefined, 'Pending'])
  isAway = false
  await clock.advance(2_000)
  expect([runs.end, (await status())?.phase]).toEqual([undefined, 'Running'])
  supervisor.leave()
})

test('a probe that needs a secret waits for the store, and fails where it may not read it', async () => {
  const key = { secretKeyRef: { name: 'token', key: 'token' } }
  const livenessProbe = { exec: { command: ['ask'] }, periodSeconds: 1 }
  let error: Error = storeUnreachable()
  const { clock, supervisor, runs, status } = await takeOver(
    (kind) => {
      if (kind === 'Secret') throw error
    },
    {},
    { env: [{ name: 'TOKEN', valueFrom: key }], livenessProbe },
  )
  await clock.advance(60_000)
  expect([runs.end, (await status())?.phase]).toEqual([undefined, 'Running'])
  error = new OperatingError('forbidden', 'give-up', 'secrets are not for this node')
  await clock.advance(60_000)
  expect((await status())?.message).toContain('secrets are not for this node')
  supervisor.leave()
})

test('what cannot be looked after is said to have failed, and does not run on', async () => {
  const { clock, runs, status } = await takeOver(() => {
    throw new OperatingError('invalid', 'give-up', 'the report cannot be read')
  })
  await clock.advance(2_000)
  expect(await status()).toMatchObject({ phase: 'Failed', reason: 'AgentError' })
  expect(runs.end?.signal).toBe('SIGKILL')
})

test('who has ended and only ships what he left is not said to be busy', async () => {
  const { clock, runs, status, report } = await takeOver(() => {}, { checkpoints: 'checkpoints/default/j' })
  await clock.advance(2_000)
  runs.progress([1, 2, 3].map((step) => ({ step, seconds: 1, busySeconds: 1 })))
  await clock.advance(2_000)
  expect((await report())?.busySeconds).toBe(1)
  runs.checkpoint({ step: 3, writtenAtMs: clock.now(), bytes: 0, persistMs: 60_000 })
  runs.exit({ exitCode: 0 })
  runs.progress([{ step: 4, seconds: 1, busySeconds: 1 }])
  await clock.advance(2_000)
  expect([(await status())?.phase, (await report())?.step, (await report())?.busySeconds]).toEqual([
    'Running',
    4,
    undefined,
  ])
  await clock.advance(60_000)
  expect([(await status())?.phase, (await report())?.ended?.exitCode]).toEqual(['Succeeded', 0])
})

test('what is to stop while it is being prepared has ended at once, however long that would still take', async () => {
  const clock = createManualClock()
  const store = createMemoryStore({ clock, random: seededRandom(1) })
  const machine = new SimulatedMachine(clock, {
    prepareMs: () => 600_000,
    restoreMs: () => 0,
    restoreFromCopyMs: () => 0,
    start: () => ({ ask: () => {}, signal: () => {}, probe: () => undefined, gone: () => {} }),
  })
  const pod = (await store.create('Pod', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', annotations: { [annotation.work]: '{}' } },
    spec: { containers: [{ name: 'main', command: ['train'] }], nodeName: 'n' },
  })) as Pod
  const supervisor = supervise(pod, kitOf(clock, store, machine))
  await clock.advance(10_000)
  supervisor.terminate(30, { reason: 'Deleted', message: 'deleted', byAgent: true })
  await clock.advance(2_000)
  expect((await store.get('Pod', { name, namespace: 'default' }))?.status?.phase).toBe('Failed')
  await clock.advance(600_000)
  expect(machine.running()).toEqual([])
})
