import { expect, test } from 'vitest'
import { createManualClock } from '../../base/manual-clock.ts'
import { gang } from '../../model/kinds/gang.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { createTermTime } from './term-time.ts'

const hourMs = 3_600_000
const clock = createManualClock()
const iso = (ms: number) => new Date(ms).toISOString()

test('what was written before and after a clock is set is as old as it is', async () => {
  const time = createTermTime(clock)
  const before = iso(clock.now())
  const first = seated(before)
  expect(time.read(first)).toBe(first)
  clock.jump(-2 * hourMs)
  await clock.advance(hourMs)
  const [savedMs, endMs] = [clock.now() - 60_000, clock.now() + hourMs]
  const { seats, checkpoint, expectedEnd } = time.read(seated(before, iso(savedMs), iso(endMs))).status ?? {}
  expect(time.nowMs() - Date.parse(seats?.at ?? '')).toBe(hourMs)
  expect(time.nowMs() - Date.parse(checkpoint?.at ?? '')).toBe(60_000)
  expect(Date.parse(expectedEnd ?? '') - time.nowMs()).toBe(hourMs)
})

test('what is of a time to come is new when it is first seen, and grows old from then on', async () => {
  const time = createTermTime(clock)
  const ahead = seated(iso(clock.now() + 2 * hourMs))
  time.read(ahead)
  await clock.advance(hourMs)
  const ageMs = time.nowMs() - Date.parse(time.read(ahead).status?.seats?.at ?? '')
  expect(Math.abs(ageMs - hourMs)).toBeLessThanOrEqual(1_000)
})

function seated(at: string, savedAt?: string, expectedEnd?: string) {
  const seats = { attempt: 1, epoch: 1, at, masterAddr: 'a', masterPort: 1, members: [] }
  const checkpoint = { attempt: 1, step: 1, digest: 'd', manifests: [], at: savedAt }
  const more = savedAt === undefined ? {} : { checkpoint, expectedEnd }
  return gang.parse({
    apiVersion: millwrightVersion,
    kind: 'Gang',
    metadata: { name: 'g' },
    spec: {
      attempt: 1,
      queue: 'default',
      priority: 0,
      groups: [{ name: 'worker', min: 1, max: 1, accelerators: [{ model: 'cpu', count: 1 }] }],
    },
    status: { seats, ...more },
  })
}
