import { expect, test } from 'vitest'
import { OperatingError } from '../base/errors.ts'
import { createManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { found, jobNamed, podNamed, ref } from './contract-suite.ts'
import { type Batch, createCore, type PreparedChange } from './core.ts'

/** A journal whose commits end when the test says so. */
function heldJournal() {
  const commits: { batch: Batch<PreparedChange>; durable: () => void; fail: (error: Error) => void }[] = []
  let wake = () => {}
  return {
    commits,
    /** Resolves when a commit has begun that the test has not seen. */
    next: async () => {
      while (commits.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      const commit = commits.shift()
      if (commit === undefined) throw new Error('a commit was there a moment ago')
      return commit
    },
    journal: {
      soon: (run: () => void) => queueMicrotask(run),
      prepare: (change: PreparedChange) => change,
      commit: (batch: Batch<PreparedChange>) =>
        new Promise<void>((durable, fail) => {
          commits.push({ batch, durable, fail })
          wake()
        }),
    },
  }
}

function coreOver(held: ReturnType<typeof heldJournal>) {
  return createCore({ clock: createManualClock(), random: seededRandom(1), journal: held.journal })
}

test('nobody sees a write before it is durable, and answers that rest on it wait', async () => {
  const held = heldJournal()
  const core = coreOver(held)
  const log: string[] = []
  core.watch(
    'Pod',
    { from: '0' },
    { event: (event) => void log.push(`seen ${event.object.metadata.name}`), ended() {} },
  )
  const first = core.create('Pod', podNamed('a')).then(() => log.push('acknowledged a'))
  const commit = await held.next()
  const second = core.create('Pod', podNamed('a')).then((answer) => log.push(`then ${String(answer)}`))
  const third = core
    .patch('Pod', ref('a'), { metadata: { labels: { x: 'y' } } })
    .then(() => log.push('acknowledged patch'))
  expect(await core.get('Pod', ref('a'))).toBeUndefined()
  expect((await core.list('Pod')).items).toEqual([])
  expect(log).toEqual([])
  commit.durable()
  await first
  expect(found(await core.get('Pod', ref('a'))).metadata.labels).toBeUndefined()
  expect(log).toEqual(['seen a', 'acknowledged a'])
  ;(await held.next()).durable()
  await Promise.all([second, third])
  expect(log).toEqual(['seen a', 'acknowledged a', 'seen a', 'then exists', 'acknowledged patch'])
})

test('what queues up during a commit goes into the next one together', async () => {
  const held = heldJournal()
  const core = coreOver(held)
  const first = core.create('Queue', queueNamed('q0'))
  const commit = await held.next()
  const rest = Promise.all([1, 2, 3, 4].map((i) => core.create('Queue', queueNamed(`q${i}`))))
  commit.durable()
  await first
  const next = await held.next()
  expect(next.batch.changes.map((change) => change.key)).toEqual(['/q1', '/q2', '/q3', '/q4'])
  next.durable()
  await rest
})

test('when a commit fails, it and all that was decided after it never happened', async () => {
  const held = heldJournal()
  const core = coreOver(held)
  const full = new OperatingError('store-full', { retryAfterMs: 1 }, 'the disk is full')
  const answers = [core.create('TrainingJob', jobNamed('a'))]
  const commit = await held.next()
  answers.push(core.create('TrainingJob', jobNamed('b')))
  commit.fail(full)
  expect((await Promise.allSettled(answers)).map((each) => each.status)).toEqual(['rejected', 'rejected'])
  expect((await core.list('TrainingJob')).items).toEqual([])
  const again = core.create('TrainingJob', jobNamed('a'))
  ;(await held.next()).durable()
  const job = found(await again)
  expect(Number(job.metadata.resourceVersion)).toBeGreaterThan(3) // revisions that failed are not given again
})

test('a medium that failed for good takes no more writes, but is still read', async () => {
  const held = heldJournal()
  const core = coreOver(held)
  const create = core.create('TrainingJob', jobNamed('a'))
  ;(await held.next()).fail(new OperatingError('store-failed', 'give-up', 'the disk failed'))
  await expect(create).rejects.toThrow('the disk failed')
  await expect(core.create('TrainingJob', jobNamed('b'))).rejects.toThrow('the disk failed')
  expect(await core.get('TrainingJob', ref('a'))).toBeUndefined()
})

test('closing waits for what is under way', async () => {
  const held = heldJournal()
  const core = coreOver(held)
  const create = core.create('TrainingJob', jobNamed('a'))
  const commit = await held.next()
  let closed = false
  const closing = core.close().then(() => {
    closed = true
  })
  await expect(core.create('TrainingJob', jobNamed('b'))).rejects.toMatchObject({ code: 'store-closed' })
  expect(closed).toBe(false)
  commit.durable()
  await closing
  expect(await create).toMatchObject({ metadata: { name: 'a' } })
})

function queueNamed(name: string) {
  return {
    apiVersion: 'millwright.dev/v1alpha1' as const,
    kind: 'Queue' as const,
    metadata: { name },
    spec: { namespaces: ['default'], weight: 1, stopPolicy: 'None' as const },
  }
}
