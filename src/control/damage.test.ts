import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { annotation } from '../model/names.ts'
import { podWork } from '../model/work.ts'
import { mortalControl } from './crashing.fixture.ts'
import { createWorld, type World } from './world.fixture.ts'

let world: World
beforeEach(async () => {
  world = await createWorld()
  await world.node('a', 2)
})
afterEach(() => world.close())

const members = ['j-worker-0', 'j-worker-1']
const runs = (attempt: number) => () => members.every((name) => world.agent.running().includes(`${name}-${attempt}`))
const restoreOf = async (pod: string) => {
  const found = await world.store.get('Pod', { name: pod, namespace: 'default' })
  return podWork.parse(JSON.parse(found?.metadata.annotations?.[annotation.work] ?? '{}')).restore
}
const events = async (reason: string) =>
  (await world.store.list('Event')).items.filter((event) => event.reason === reason)

/** Commits these steps in one attempt. */
async function commit(attempt: number, steps: readonly number[], writers = members): Promise<void> {
  await world.until(runs(attempt), `attempt ${attempt} runs`)
  for (const step of steps) {
    for (const name of writers) await world.agent.ship(`${name}-${attempt}`, step)
    await world.until(async () => (await world.getGang('j')).status?.checkpoint?.step === step, `${step} is committed`)
  }
}

/** Only rank 1 finds these steps damaged. Gives back what every pod was told to restore. */
function damage(...steps: number[]): Map<string, number> {
  const told = new Map<string, number>()
  world.agent.onRestore((pod, { step }) => {
    told.set(pod.metadata.name, step)
    const isTorn = pod.metadata.annotations?.[annotation.rank] === '1' && steps.includes(step)
    return isTorn ? `step ${step} is torn` : undefined
  })
  return told
}

const suspended = (wanted: boolean) =>
  world.store.patch('TrainingJob', { name: 'j', namespace: 'default' }, { spec: { suspend: wanted } })

describe.each(['all', 'first'])('a checkpoint of ranks: %s that one rank finds damaged', (ranks) => {
  const writers = ranks === 'all' ? members : members.slice(0, 1)
  const start = (spec: object) => world.job('j', { workers: 2, checkpoint: { ranks, keep: 3 }, ...spec })

  test('is struck for all of them, and the next attempt starts from the one before it', async () => {
    world.control()
    await start({ maxRestarts: 1 })
    await commit(1, [5, 10], writers)
    const told = damage(10)
    await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
    await world.until(runs(3), 'attempt 3 runs')
    for (const name of members) {
      expect([told.get(`${name}-2`), told.get(`${name}-3`)]).toEqual([10, 5])
      expect(await restoreOf(`${name}-3`)).toMatchObject({ step: 5, attempt: 1, digests: expect.any(Array) })
    }
    expect(world.agent.starts.get('j-worker-1-2')).toBeUndefined()
    const { checkpoint, checkpoints } = (await world.getGang('j')).status ?? {}
    expect(checkpoint).toMatchObject({ step: 5, attempt: 1, bytes: 10 * writers.length, digest: expect.any(String) })
    expect(Date.parse(checkpoint?.at ?? '')).not.toBeNaN()
    expect(checkpoints).toEqual([])
    const job = await world.getJob('j')
    // Only the killed worker counts.
    expect(job.status).toMatchObject({ restarts: 1, restartsSinceProgress: 1, checkpoint: { step: 5 } })
    expect(job.status?.lastFailure).toMatchObject({
      reason: 'CheckpointDamaged',
      message: 'j-worker-1-2 (rank 1 on a): step 10 is torn; attempt 3 goes on from step 5',
    })
    const skipped = await events('CheckpointSkipped')
    expect(skipped.map(({ message, count, involvedObject }) => ({ message, count, of: involvedObject.kind }))).toEqual([
      { message: 'j-worker-1-2: step 10 is torn; the one of step 5 is used', count: 1, of: 'TrainingJob' },
    ])
    // What was struck is no progress: one more failure is one too many.
    await world.agent.end('j-worker-0-3', { signal: 'SIGKILL' })
    await world.until(async () => (await world.getJob('j')).status?.phase === 'Failed', 'the job fails')
    expect((await world.getJob('j')).status?.message).toContain('after 1 restarts without a new checkpoint')
  })

  test('costs no restart: a job that may never restart goes on', async () => {
    world.control()
    await start({ maxRestarts: 0 })
    await commit(1, [5, 10], writers)
    const told = damage(10, 5)
    await suspended(true)
    await world.until(async () => (await world.getJob('j')).status?.phase === 'Suspending', 'it is asked to stop')
    for (const name of members) await world.agent.end(`${name}-1`, { exitCode: 0, stopped: true })
    await world.until(async () => (await world.getJob('j')).status?.phase === 'Suspended', 'it is suspended')
    await suspended(false)
    await world.until(runs(4), 'attempt 4 runs')
    expect([told.get('j-worker-0-2'), told.get('j-worker-0-3'), told.get('j-worker-0-4')]).toEqual([10, 5, undefined])
    expect(await restoreOf('j-worker-0-4')).toBeUndefined()
    expect((await world.getGang('j')).status?.checkpoint).toBeUndefined()
    const job = await world.getJob('j')
    expect(job.status).toMatchObject({ phase: 'Running', attempt: 4, restarts: 0, restartsSinceProgress: 0 })
    expect(job.status?.checkpoint).toBeUndefined()
    expect(job.status?.lastFailure?.message).toContain('attempt 4 starts from the beginning')
    expect((await events('CheckpointSkipped')).map(({ message }) => message).sort()).toEqual([
      'j-worker-1-2: step 10 is torn; the one of step 5 is used',
      'j-worker-1-3: step 5 is torn; none is left',
    ])
    expect((await events('CheckpointsLost')).map(({ message }) => message)).toEqual([
      'no committed checkpoint is usable; training starts from its beginning',
    ])
    await commit(4, [7], writers)
  })
})

test('an older checkpoint found damaged after a newer one was committed is struck, and the newer one stays', async () => {
  world.control()
  await world.job('j', { workers: 2, checkpoint: { keep: 3 } })
  await commit(1, [5, 10], members.slice(0, 1))
  await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
  // Rank 0 found it whole and is quicker than rank 1 is at finding it rotten.
  await commit(2, [15], ['j-worker-0'])
  await world.agent.report('j-worker-1-2', { damaged: { attempt: 1, step: 10, message: 'step 10 has rotted' } })
  await world.until(runs(3), 'attempt 3 runs')
  const { checkpoint, checkpoints } = (await world.getGang('j')).status ?? {}
  expect([checkpoint?.step, ...(checkpoints ?? []).map((one) => one.step)]).toEqual([15, 5])
  expect(await restoreOf('j-worker-0-3')).toMatchObject({ step: 15, attempt: 2 })
})

test('what a gang of an earlier version kept of its older checkpoints is enough', async () => {
  const control = world.control()
  await world.job('j', { workers: 2 })
  await commit(1, [5, 10], members.slice(0, 1))
  await control.stop()
  const gang = await world.getGang('j')
  const { step, attempt, manifests } = gang.status?.checkpoints[0] ?? { step: 0, attempt: 0, manifests: [] }
  const status = { ...gang.status, conditions: [], checkpoints: [{ step, attempt, manifests }] }
  await world.store.updateStatus('Gang', { ...gang, status })
  damage(10)
  world.control()
  await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
  await world.until(runs(3), 'attempt 3 runs')
  expect(await restoreOf('j-worker-0-3')).toEqual({ step: 5, attempt: 1, manifests })
  expect((await world.getGang('j')).status?.checkpoint).toMatchObject({ step: 5, at: gang.status?.checkpoint?.at })
})

test('an agent that finds damage for ever ends as any other failure does', async () => {
  world.control()
  const damaged = { attempt: 9, step: 9, message: 'nobody committed this' }
  world.agent.onStart((pod) => world.agent.report(pod.metadata.name, { damaged }))
  await world.job('j', { workers: 1, maxRestarts: 1, checkpoint: { keep: 2 } })
  await world.until(async () => (await world.getJob('j')).status?.phase === 'Failed', 'the job fails')
  expect((await world.getJob('j')).status).toMatchObject({ attempt: 4, restarts: 1 }) // two for nothing, one counted
})

/** Kills the control plane after its n-th write, for every n: two damaged checkpoints in a row, then a new one. */
test('a control plane that dies after any of its writes skips the same checkpoints and counts the same', async () => {
  const undisturbed = await lifeOf()
  expect(undisturbed.state).toMatchObject({ attempt: 4, restarts: 1, checkpoint: 20, older: [5] })
  for (let n = 1; n <= undisturbed.writes; n++)
    expect({ n, ...(await lifeOf(n)).state }).toEqual({ n, ...undisturbed.state })
}, 120_000)

async function lifeOf(crashAfter = Number.POSITIVE_INFINITY) {
  await world.close()
  world = await createWorld({ seed: 3 })
  await world.node('a', 2)
  const { writes, until } = mortalControl(world, crashAfter)
  world.until = until
  await world.job('j', { workers: 2, checkpoint: { ranks: 'all', keep: 3 } })
  await commit(1, [5, 10, 15])
  const told = damage(15, 10)
  await world.agent.end('j-worker-0-1', { signal: 'SIGKILL' })
  await commit(4, [20])
  const shown = async () => (await world.getJob('j')).status
  await world.until(
    async () => (await shown())?.checkpoint?.step === 20 && (await shown())?.phase === 'Running',
    'shown',
  )
  const job = await shown()
  const gang = await world.getGang('j')
  const said = await events('CheckpointSkipped')
  return {
    writes: writes(),
    state: {
      attempt: gang.spec.attempt,
      checkpoint: gang.status?.checkpoint?.step,
      older: gang.status?.checkpoints.map((one) => one.step),
      restarts: job?.restarts,
      since: job?.restartsSinceProgress,
      told: [...told].map(([pod, step]) => `${pod} ${step}`).sort(),
      skipped: [...new Set(said.map(({ message }) => message))].sort(),
      startedTwice: [...world.agent.starts].filter(([, starts]) => starts > 1),
    },
  }
}
