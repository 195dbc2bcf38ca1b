import { expect, test } from 'vitest'
import { createManualClock } from '../../base/manual-clock.ts'
import { Process } from './process.ts'
import { Vitals } from './vitals.ts'

test('who is heard again gives signs until one got through, and none while it is cut off', async () => {
  const clock = createManualClock(0)
  const process = new Process('n0/0')
  const signs: { atMs: number; isGiven: boolean }[] = []
  let isGiven = false
  new Vitals(clock).of(process).beat('node n0', 10_000, async () => {
    signs.push({ atMs: clock.now(), isGiven })
    return isGiven
  })
  process.cut()
  await clock.advance(5_000)
  process.mend()
  await clock.advance(15_000)
  process.cut()
  await clock.advance(15_000)
  isGiven = true
  process.mend()
  await clock.advance(60_000)
  expect(signs).toEqual([
    { atMs: 5_000, isGiven: false },
    { atMs: 15_000, isGiven: false },
    { atMs: 35_000, isGiven: true },
  ])
})
