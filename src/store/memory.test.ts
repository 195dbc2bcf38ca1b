import { expect, test } from 'vitest'
import { createManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { found, jobNamed, podNamed, storeContract } from './contract-suite.ts'
import { createMemoryStore } from './memory/store.ts'

storeContract('in memory', async (options) => createMemoryStore({ ...options, random: seededRandom(1) }))

test('the same seed makes the same resources', async () => {
  const run = async () => {
    const store = createMemoryStore({ clock: createManualClock(), random: seededRandom(7) })
    return found(
      await store.create('Pod', { ...podNamed(''), metadata: { name: '', generateName: 'p-', namespace: 'default' } }),
    )
  }
  expect((await run()).metadata).toEqual((await run()).metadata)
})

test('what a patch does not touch is shared, not copied', async () => {
  const store = createMemoryStore({ clock: createManualClock(), random: seededRandom(1) })
  const job = found(await store.create('TrainingJob', jobNamed('a')))
  const next = found(
    await store.patch('TrainingJob', { name: 'a', namespace: 'default' }, { metadata: { labels: { x: 'y' } } }),
  )
  expect(next.spec).toBe(job.spec)
})
