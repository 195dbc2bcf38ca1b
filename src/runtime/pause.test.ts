import { expect, test } from 'vitest'
import { createManualClock } from '../base/manual-clock.ts'
import { seededRandom } from '../base/random.ts'
import { jobNamed } from '../store/contract-suite.ts'
import { createMemoryStore } from '../store/memory/store.ts'
import { suspendAll } from './pause.ts'

test('the grace of a stop is as long as it was to be, also when the clock is set back meanwhile', async () => {
  const clock = createManualClock()
  const store = createMemoryStore({ clock, random: seededRandom(1) })
  await store.create('TrainingJob', jobNamed('never-suspended'))
  let ended: string | undefined
  void suspendAll(store, clock, 1000, new AbortController().signal).then((how) => {
    ended = how
  })
  await clock.advance(500)
  clock.jump(-3_600_000)
  await clock.advance(400)
  expect(ended).toBeUndefined()
  await clock.advance(200)
  expect(ended).toBe('grace is over')
})
