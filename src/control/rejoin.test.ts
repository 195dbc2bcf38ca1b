import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { annotation } from '../model/names.ts'
import { podWork } from '../model/work.ts'
import type { Store } from '../store/contract.ts'
import { createWorld, type World } from './world.fixture.ts'

/** Training whose members come and go while the others run. */

let world: World
let isMet = false
/** Whether somebody else writes to a gang just before it is asked for a checkpoint; what is written to gangs. */
let meets = false
let patches: object[] = []
beforeEach(async () => {
  isMet = false
  meets = false
  patches = []
  world = await createWorld({ store: met })
  for (const name of ['a', 'b']) await world.node(name, 2)
  world.agent.onStart(async ({ metadata: { name } }) => {
    const stepAtMs = world.clock.now()
    if (!isLate(name)) await world.agent.report(name, { step: 1, stepAtMs, firstStepAtMs: stepAtMs, stepSeconds: 1 })
  })
  world.control()
})
afterEach(() => world.close())

function met(store: Store): Store {
  const patch: Store['patch'] = async (kind, ref, change, options) => {
    if (kind === 'Gang') patches.push(change)
    const asks = kind === 'Gang' && JSON.stringify(change).includes('"stop":false')
    if (asks && meets && !isMet) {
      isMet = true
      await store.patch('Gang', ref, { metadata: { labels: { other: 'write' } } })
    }
    return store.patch(kind, ref, change, options)
  }
  return { ...store, patch }
}

/** The fourth worker and those after it take their time to their first step. */
const isLate = (name: string) => Number(name.split('-')[2]) > 2

const ref = { name: 'j', namespace: 'default' }
const worker = (index: number, attempt = 1) => `j-worker-${index}-${attempt}`
const spec = { workers: 3, minWorkers: 1, maxRestarts: 0, failurePolicy: { restart: 'worker' } }
const runs = (...pods: string[]) =>
  world.until(() => world.agent.running().join() === pods.join(), `${pods.join(', ')} run`)
const status = async () => (await world.getJob('j')).status

async function running(more: object = {}): Promise<void> {
  await world.job('j', { ...spec, ...more })
  await runs(worker(0), worker(1), worker(2))
  await world.settle()
}

async function steps(pod: string): Promise<void> {
  await world.agent.report(pod, { step: 9, stepAtMs: world.clock.now(), firstStepAtMs: world.clock.now() })
  await world.settle()
}

test('what a worker on its way is to start from is not deleted before it has read it, however many follow', async () => {
  await running({ checkpoint: { interval: '10s', keep: 2 } })
  const commit = async (step: number) => {
    await world.agent.ship(worker(0), step)
    await world.until(async () => (await status())?.checkpoint?.step === step, `step ${step} is committed`)
    await world.settle()
  }
  const stored = async () => (await world.blobs.list('checkpoints/')).map(({ key }) => key.split('/')[4])
  await commit(10)
  await world.agent.end(worker(2), { signal: 'SIGKILL' })
  await runs(worker(0), worker(1), worker(3))
  for (const step of [20, 30, 40]) await commit(step)
  expect(await stored()).toEqual(['step-10', 'step-30', 'step-40'])
  await world.agent.report(worker(3), { restoredStep: 10 })
  await world.settle()
  await commit(50)
  expect(await stored()).toEqual(['step-40', 'step-50'])
})

test('a member that is killed leaves alone, and another takes its rank; the others run on', async () => {
  await running()
  const phases = new Set<string | undefined>()
  const event = ({ object }: { object: TrainingJob }) => void phases.add(object.status?.phase)
  const stop = world.store.watch('TrainingJob', { from: '0' }, { event, ended: () => {} })
  await world.settle()
  phases.clear()
  await world.agent.end(worker(1), { signal: 'SIGKILL' })
  await runs(worker(0), worker(2), worker(3))
  expect((await world.getGang('j')).spec).toMatchObject({ attempt: 1, left: [worker(1)] })
  const pod = await world.store.get('Pod', { ...ref, name: worker(3) })
  expect(pod?.metadata.annotations).toMatchObject({ [annotation.rank]: '1', [annotation.worldSize]: '3' })
  expect(podWork.parse(JSON.parse(pod?.metadata.annotations?.[annotation.work] ?? '')).checkpointRanks).toBe('any')
  await steps(worker(3))
  expect(await status()).toMatchObject({ phase: 'Running', attempt: 1, restarts: 0, workers: 3, replacedWorkers: 1 })
  expect((await status())?.lastFailure?.message).toBe('j-worker-1-1 (rank 1 on a): killed by SIGKILL; the others go on')
  expect(await status()).not.toHaveProperty('lostSeconds')
  expect([worker(0), worker(2)].map((name) => world.agent.starts.get(name))).toEqual([1, 1])
  expect([...phases], 'all the while').toEqual(['Running'])
  stop()
})

test('one that somebody deletes leaves, and is not made anew', async () => {
  await running()
  await world.store.delete('Pod', { ...ref, name: worker(1) }, { gracePeriodSeconds: 0 })
  await runs(worker(0), worker(2), worker(3))
  expect(world.agent.starts.get(worker(1))).toBe(1)
  expect(await status()).toMatchObject({ attempt: 1, replacedWorkers: 1 })
})

test('what hangs is ended, and leaves once the others had time to regroup', async () => {
  await running()
  await world.agent.report(worker(1), { hungSinceMs: world.clock.now() })
  const sinceMs = world.clock.now()
  await world.until(() => !world.agent.running().includes(worker(1)), 'it is ended')
  expect(world.clock.now() - sinceMs).toBeGreaterThanOrEqual(60_000)
  await runs(worker(0), worker(2), worker(3))
  expect(await status()).toMatchObject({ attempt: 1, replacedWorkers: 1 })
})

const hangs = (index: number) => world.agent.report(worker(index), { hungSinceMs: world.clock.now() })

async function passed(ms: number): Promise<void> {
  const sinceMs = world.clock.now()
  await world.until(() => world.clock.now() - sinceMs >= ms, 'the time is over')
}

test('those who hang at once leave at once', async () => {
  await running()
  for (const index of [0, 1]) await hangs(index)
  await passed(59_000)
  expect(world.agent.running()).toEqual([worker(0), worker(1), worker(2)])
  await passed(2_000)
  expect(world.agent.running()).toEqual([worker(2), worker(3), worker(4)])
  expect(await status()).toMatchObject({ attempt: 1, restarts: 0, replacedWorkers: 2 })
})

test('who hangs has his own time, whoever left meanwhile', async () => {
  await running()
  await hangs(1)
  await passed(30_000)
  await hangs(0)
  await passed(55_000)
  expect(world.agent.running()).toEqual([worker(0), worker(2), worker(3)])
  await steps(worker(3))
  await passed(7_000)
  expect(world.agent.running()).toEqual([worker(2), worker(3), worker(4)])
})

test('who hangs when all others have ended well is not needed any more, however few they are', async () => {
  await running({ minWorkers: 2 })
  await world.agent.end(worker(2), { exitCode: 0 })
  for (const index of [0, 1]) await hangs(index)
  await passed(59_000)
  expect((await status())?.phase).toBe('Running')
  await passed(2_000)
  expect((await status())?.phase).toBe('Succeeded')
  expect(await status()).toMatchObject({ attempt: 1, restarts: 0 })
  expect(world.agent.running()).toEqual([])
})

/** A member has left, and somebody in line has what it had. */
async function smaller(): Promise<void> {
  await world.job('other', { workers: 1, preemptible: false })
  await world.phase('other', 'Running')
  await world.job('j', { ...spec, preemptible: false })
  await world.phase('j', 'Running')
  await world.job('urgent', { workers: 1, priority: 5 })
  await world.phase('urgent', 'Waiting')
  await world.agent.end(worker(1), { signal: 'SIGKILL' })
  await world.phase('urgent', 'Running')
  await world.settle(1_000)
  expect(await status()).toMatchObject({ phase: 'Running', workers: 2 })
}

test('one whose place others have goes on with the rest, and is done when they are', async () => {
  await smaller()
  for (const index of [0, 2]) await world.agent.end(worker(index), { exitCode: 0 })
  await world.phase('j', 'Succeeded')
})

test('who joins when there is room again may leave later, as those who began may', async () => {
  await smaller()
  await world.agent.end('urgent-worker-0-1', { exitCode: 0 })
  await world.until(() => world.agent.running().includes(worker(3)), 'another comes')
  await steps(worker(3))
  await world.agent.end(worker(3), { exitCode: 1 })
  await world.until(() => world.agent.running().includes(worker(4)), 'another comes')
  expect(await status()).toMatchObject({ attempt: 1, restarts: 0, restartsSinceProgress: 0, replacedWorkers: 2 })
})

test('when too few are left all start again, and nobody is counted as replaced', async () => {
  await running({ minWorkers: 2, maxRestarts: 1 })
  for (const index of [0, 1]) await world.agent.end(worker(index), { signal: 'SIGKILL' })
  await runs(worker(0, 2), worker(1, 2), worker(2, 2))
  expect(await status()).toMatchObject({ attempt: 2, restarts: 1 })
  expect(await status()).not.toHaveProperty('replacedWorkers')
})

test('of those that have left, the pods go once their place is taken, but the last', async () => {
  await running()
  for (const index of [1, 3]) {
    await world.agent.end(worker(index), { signal: 'SIGKILL' })
    await runs(worker(0), worker(2), worker(index === 1 ? 3 : 4))
    await steps(worker(index === 1 ? 3 : 4))
  }
  await world.settle(5_000)
  const pods = (await world.store.list('Pod')).items.map(({ metadata }) => metadata.name)
  expect(pods).toEqual([worker(0), worker(2), worker(3), worker(4)])
})

test('a checkpoint counts as whole whichever member wrote it', async () => {
  await running()
  const newest = async () => {
    await world.settle()
    const { step, manifests } = (await world.getGang('j')).status?.checkpoint ?? {}
    return [step, ...(manifests ?? []).map((key) => key.split('/').at(-1))]
  }
  await world.agent.ship(worker(2), 50)
  expect(await newest()).toEqual([50, 'rank-2'])
  await world.agent.ship(worker(0), 40)
  expect(await newest(), 'it is older').toEqual([50, 'rank-2'])
  await world.agent.ship(worker(1), 60)
  expect(await newest()).toEqual([60, 'rank-1'])
  expect((await world.getGang('j')).status?.checkpoints.map(({ step }) => step)).toEqual([50])
})

test('it is done when all are that have done a step; its output is that of the lowest rank that ended well', async () => {
  await running({ output: { model: 'm' } })
  await world.agent.end(worker(0), { signal: 'SIGKILL' })
  await runs(worker(1), worker(2), worker(3))
  await world.agent.end(worker(2), { exitCode: 0, output: true })
  await world.settle(1_000)
  expect((await status())?.phase, 'one still works').toBe('Running')
  await world.agent.end(worker(1), { exitCode: 0, output: true })
  await world.phase('j', 'Succeeded')
  expect((await status())?.output?.manifest).toBe('outputs/j-worker-1-1')
  await runs()
})

test('who has come and done a step is waited for', async () => {
  await running()
  await world.agent.end(worker(0), { signal: 'SIGKILL' })
  await runs(worker(1), worker(2), worker(3))
  await steps(worker(3))
  for (const index of [1, 2]) await world.agent.end(worker(index), { exitCode: 0 })
  await world.settle(1_000)
  expect((await status())?.phase).toBe('Running')
  await world.agent.end(worker(3), { exitCode: 0 })
  await world.phase('j', 'Succeeded')
})

test('one that joins takes no time of starting again: that is of those who sat down together', async () => {
  await running()
  await world.agent.end(worker(1), { signal: 'SIGKILL' })
  await runs(worker(0), worker(2), worker(3))
  await world.settle(30_000)
  await steps(worker(3))
  await world.agent.ship(worker(0), 50)
  await world.settle()
  expect((await world.getGang('j')).status?.restartSeconds).toBeLessThan(1)
})

test('what asks for a checkpoint and comes too late is asked again at once', async () => {
  await running({ checkpoint: { interval: '1m' } })
  meets = true
  await world.until(() => isMet, 'somebody else wrote')
  await world.settle(1_000)
  expect((await world.getGang('j')).spec.checkpointRequest).toBeDefined()
})

test('a job that is resumed takes over what was changed meanwhile with the same write', async () => {
  await running()
  await world.store.patch('TrainingJob', ref, { spec: { suspend: true } })
  await world.phase('j', 'Suspended')
  patches = []
  const failurePolicy = { restart: 'gang' }
  await world.store.patch('TrainingJob', ref, { spec: { suspend: false, workers: 2, minWorkers: 2, failurePolicy } })
  await runs(worker(0, 2), worker(1, 2))
  const resuming = patches.find((patch) => JSON.stringify(patch).includes('"suspend":false'))
  expect(resuming).toMatchObject({ spec: { attempt: 2, rejoins: null, groups: [{ min: 2, max: 2 }] } })
  expect((await world.getGang('j')).spec).not.toHaveProperty('rejoins')
})

test('how long it was active is counted once, whoever leaves meanwhile', async () => {
  await running({ activeDeadlineSeconds: 100 })
  await world.pass(60)
  await world.agent.end(worker(1), { signal: 'SIGKILL' })
  await runs(worker(0), worker(2), worker(3))
  await steps(worker(3))
  await world.pass(30)
  expect(await status()).toMatchObject({ phase: 'Running', attempt: 1, replacedWorkers: 1 })
  await world.pass(15)
  expect((await status())?.conditions?.find(({ type }) => type === 'Failed')?.reason).toBe('DeadlineExceeded')
})
