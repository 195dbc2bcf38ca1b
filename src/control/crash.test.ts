import { expect, test } from 'vitest'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { label } from '../model/names.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

/**
 * Kills the whole control plane after its n-th write, for every n of a job's life: start, checkpoint, a killed rank,
 * suspension, resumption, success, deletion. A new one takes over from resources alone and must reach the same end.
 */
test('a control plane that dies after any of its writes changes nothing about how a job ends', async () => {
  const undisturbed = await lifeOf()
  expect(undisturbed.state).toMatchObject({ phase: 'Succeeded', attempt: 3, restarts: 1, checkpoint: 20 })
  expect(undisturbed.writes).toBeGreaterThan(20)
  for (let n = 1; n <= undisturbed.writes; n++) {
    const life = await lifeOf(n)
    expect({ n, ...life.state }).toEqual({ n, ...undisturbed.state })
  }
}, 120_000)

test('nor when it dies while it suspends and resumes a job that heeds nothing but SIGTERM', async () => {
  const undisturbed = await stubbornLifeOf()
  expect(undisturbed.state).toMatchObject({ phase: 'Failed', attempt: 2, restarts: 0 })
  for (let n = 1; n <= undisturbed.writes; n++) {
    const life = await stubbornLifeOf(n)
    expect({ n, ...life.state }).toEqual({ n, ...undisturbed.state })
  }
}, 120_000)

test('nor when members come and go: each that fails is replaced once, and nobody else ends', async () => {
  const undisturbed = await changingLifeOf()
  expect(undisturbed.state).toMatchObject({
    phase: 'Succeeded',
    attempt: 1,
    restarts: 0,
    replaced: 2,
    checkpoint: 8,
    startedTwice: [],
  })
  for (let n = 1; n <= undisturbed.writes; n++) {
    const life = await changingLifeOf(n)
    expect({ n, ...life.state }).toEqual({ n, ...undisturbed.state })
  }
}, 120_000)

async function changingLifeOf(crashAfter = Number.POSITIVE_INFINITY): Promise<Life> {
  const { world, until, writes } = await startLife(crashAfter)
  world.agent.onStart(async ({ metadata: { name } }) => {
    const stepAtMs = world.clock.now()
    await world.agent.report(name, { step: 1, stepAtMs, firstStepAtMs: stepAtMs })
  })
  await world.job('j', { workers: 2, minWorkers: 1, maxRestarts: 0, failurePolicy: { restart: 'worker' } })
  const runs = (...indices: number[]) => {
    const names = indices.map((index) => `j-worker-${index}-1`)
    return until(() => world.agent.running().join() === names.join(), `${names.join(', ')} run`)
  }
  await runs(0, 1)
  await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
  await runs(1, 2)
  await world.agent.ship('j-worker-2-1', 8)
  await until(async () => (await world.getGang('j')).status?.checkpoint?.step === 8, 'step 8 is committed')
  await world.agent.end('j-worker-1-1', { exitCode: 3 })
  await runs(2, 3)
  for (const index of [3, 2]) await world.agent.end(`j-worker-${index}-1`, { exitCode: 0, output: true })
  await until(async () => (await world.getJob('j')).status?.phase === 'Succeeded', 'the job succeeds')
  await until(async () => (await world.getGang('j')).status?.seats === undefined, 'the seats are free')
  await world.settle(2_000)
  const { left } = (await world.getGang('j')).spec
  const { replacedWorkers: replaced } = (await world.getJob('j')).status ?? {}
  const state = { ...(await stateOf(world)), replaced, left }
  await world.close()
  return { state, writes: writes() }
}

async function stubbornLifeOf(crashAfter = Number.POSITIVE_INFINITY): Promise<Life> {
  const { world, until, writes } = await startLife(crashAfter)
  const { metadata } = await world.job('j', { workers: 2, activeDeadlineSeconds: 3600 })
  await until(() => world.agent.running().length === 2, 'attempt 1 runs')
  await world.store.patch('TrainingJob', metadata, { spec: { suspend: true } })
  await until(async () => (await world.getJob('j')).status?.phase === 'Suspended', 'the job is suspended')
  expect(world.agent.running()).toEqual([])
  await world.store.patch('TrainingJob', metadata, { spec: { suspend: false } })
  await until(() => world.agent.running().includes('j-worker-1-2'), 'attempt 2 runs')
  await world.agent.end('j-worker-0-2', { exitCode: 127 })
  await until(async () => (await world.getJob('j')).status?.phase === 'Failed', 'the job fails')
  await until(() => world.agent.running().length === 0, 'the other member has ended')
  await until(async () => (await world.getGang('j')).status?.seats === undefined, 'the seats are free')
  await world.settle(2_000)
  const state = await stateOf(world)
  await world.close()
  return { state, writes: writes() }
}

interface Life {
  state: Record<string, unknown>
  writes: number
}

/** A world whose control plane dies after so many writes; whoever waits for something then finds a new one started. */
async function startLife(crashAfter: number) {
  const world = await createWorld({ seed: 7 })
  await world.node('a', 2)
  const { writes, until } = mortalControl(world, crashAfter)
  return { world, until, writes }
}

async function lifeOf(crashAfter = Number.POSITIVE_INFINITY): Promise<Life> {
  const { world, until, writes } = await startLife(crashAfter)
  world.agent.onStart((pod) => behave(world, pod))
  const { metadata } = await world.job('j', { workers: 2, checkpoint: { ranks: 'all', keep: 2 } })
  await until(async () => world.agent.running().includes('j-worker-1-2'), 'attempt 2 runs')
  await until(async () => (await world.getGang('j')).status?.checkpoint?.step === 8, 'step 8 is committed')
  await world.store.patch('TrainingJob', metadata, { spec: { suspend: true } })
  await until(async () => (await world.getGang('j')).spec.checkpointRequest?.stop === true, 'the job is asked to stop')
  for (const pod of world.agent.running()) await world.agent.ship(pod, 20)
  for (const pod of world.agent.running()) await world.agent.end(pod, { exitCode: 0, stopped: true })
  await until(async () => (await world.getJob('j')).status?.phase === 'Suspended', 'the job is suspended')
  await until(async () => (await world.getGang('j')).status?.seats === undefined, 'the seats are free')
  await world.store.patch('TrainingJob', metadata, { spec: { suspend: false } })
  await until(async () => (await world.getJob('j')).status?.phase === 'Succeeded', 'the job succeeds')
  await until(async () => (await world.getGang('j')).status?.seats === undefined, 'the seats are free again')
  await until(async () => (await world.store.list('Pod')).items.length <= 4, 'old pods are gone')
  await until(async () => (await checkpointsOf(world)).length === 4, 'dropped checkpoints are gone')
  await world.settle(2_000)
  const state = await stateOf(world)
  await world.store.delete('TrainingJob', metadata)
  await until(async () => (await world.store.list('Pod')).items.length === 0, 'what it owned is gone')
  await world.settle(1_000)
  await world.close()
  return { state, writes: writes() }
}

/** What the job's processes do, by attempt. */
async function behave(world: World, pod: Pod): Promise<void> {
  const attempt = pod.metadata.labels?.[label.attempt]
  const members = world.agent.running()
  if (attempt === '3') return world.agent.end(pod.metadata.name, { exitCode: 0, output: true })
  if (members.length < 2) return
  for (const member of members) await world.agent.ship(member, attempt === '1' ? 5 : 8)
  if (attempt === '1') await world.agent.end('j-worker-1-1', { signal: 'SIGKILL' })
}

async function stateOf(world: World): Promise<Record<string, unknown>> {
  const job = await world.getJob('j')
  const gang = await world.getGang('j')
  const pods = (await world.store.list('Pod')).items
  return {
    phase: job.status?.phase,
    attempt: job.status?.attempt,
    restarts: job.status?.restarts,
    checkpoint: job.status?.checkpoint?.step,
    conditions: job.status?.conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`).sort(),
    output: job.status?.output?.manifest,
    gang: {
      attempt: gang.spec.attempt,
      suspend: gang.spec.suspend,
      checkpoint: gang.status?.checkpoint?.step,
      older: gang.status?.checkpoints.map((one) => one.step),
    },
    pods: pods.map((one) => `${one.metadata.name} ${one.status?.phase}`),
    checkpoints: await checkpointsOf(world),
    startedTwice: [...world.agent.starts].filter(([, starts]) => starts > 1),
  }
}

async function checkpointsOf(world: World): Promise<string[]> {
  return (await world.blobs.list('checkpoints/')).map(({ key }) => key.split('/').slice(3).join('/'))
}
