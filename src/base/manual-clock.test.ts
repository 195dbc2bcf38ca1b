import { expect, test } from 'vitest'
import { createManualClock } from './manual-clock.ts'

test('timers run in order, however many others are called off between them', async () => {
  const clock = createManualClock(0)
  const seen: number[] = []
  for (let atMs = 5000; atMs > 0; atMs--) {
    const cancel = clock.after(atMs, () => seen.push(atMs))
    if (atMs % 100 !== 0) cancel()
  }
  expect(clock.pending).toBe(50)
  await clock.advance(5000)
  expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => 100 * (index + 1)))
  expect(clock.pending).toBe(0)
})
