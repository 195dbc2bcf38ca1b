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

test('who was out of touch before its first sign gives that one, and who loses what it had under way its next', async () => {
  const clock = createManualClock(0)
  const vitals = new Vitals(clock)
  const signsMs: number[] = []
  const sign = async () => {
    signsMs.push(clock.now())
    return true
  }
  const process = new Process('n0/1')
  vitals.of(process).beat('calm', 10_000, sign)
  await clock.advance(20_000)
  expect(signsMs).toEqual([])
  process.break()
  await clock.advance(20_000)
  expect(signsMs).toEqual([30_000])
  const other = new Process('n1/1')
  other.isolate('control-plane')
  other.isolate(undefined)
  vitals.of(other).beat('late', 10_000, sign)
  await clock.advance(30_000)
  expect(signsMs).toEqual([30_000, 50_000])
})
