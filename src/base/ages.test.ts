import { expect, test } from 'vitest'
import { createAges } from './ages.ts'
import { createManualClock } from './manual-clock.ts'

const startMs = 1_000_000

test('what was seen once grows old in steady time, whatever the clock says', async () => {
  const clock = createManualClock(startMs)
  const ages = createAges(clock)
  expect(ages.of('a', startMs - 5_000, 0)).toBe(5_000)
  clock.jump(3_600_000)
  expect(ages.of('a', startMs - 5_000, 0)).toBe(5_000)
  await clock.advance(2_000)
  clock.jump(-7_200_000)
  expect(ages.of('a', startMs - 5_000, 0)).toBe(7_000)
})

test('another time under the same key is another thing, and none is of the future', () => {
  const clock = createManualClock(startMs)
  const ages = createAges(clock)
  expect(ages.of('a', startMs - 5_000, 0)).toBe(5_000)
  expect(ages.of('a', startMs - 1_000, 400)).toBe(400)
  expect(ages.of('b', startMs + 60_000, 0)).toBe(0)
})

test('who has been there for a while does not believe that he overlooked something for long', async () => {
  const clock = createManualClock(startMs)
  const ages = createAges(clock)
  expect(ages.of('before', startMs - 3_600_000, 1_000)).toBe(3_600_000)
  await clock.advance(60_000)
  expect(ages.of('now', startMs - 3_540_000, 1_000)).toBe(1_000)
  expect(ages.of('just now', clock.now() - 400, 1_000)).toBe(400)
})

test('who did not look for a while believes again what he did not know, and counts on for what he knew', async () => {
  const clock = createManualClock(startMs)
  const ages = createAges(clock)
  expect(ages.of('known', startMs, 0)).toBe(0)
  await clock.advance(100_000)
  expect(ages.of('overlooked', startMs, 0)).toBe(0)
  ages.begin()
  clock.jump(3_600_000)
  expect(ages.of('known', startMs, 0)).toBe(100_000)
  expect(ages.of('new', startMs, 0), 'whoever sets the clock after that makes nothing older').toBe(100_000)
})

test('what took the place of a thing while nobody looked is as old as the clock says', async () => {
  const clock = createManualClock(startMs)
  const ages = createAges(clock)
  expect(ages.of('seats', startMs, 0)).toBe(0)
  await clock.advance(300_000)
  ages.begin()
  expect(ages.of('seats', startMs + 20_000, 1_000)).toBe(280_000)
  await clock.advance(5_000)
  expect(ages.of('seats', startMs + 301_000, 1_000)).toBe(1_000)
})

test('what is seen while others watch, and one does not know it yet, is as old as the clock says once one watches again', async () => {
  const clock = createManualClock(startMs)
  let isWatching = true
  const ages = createAges(clock, () => isWatching)
  expect(ages.of('seats', startMs, 0)).toBe(0)
  isWatching = false
  await clock.advance(160_000)
  ages.of('seats', startMs + 20_000, 1_000)
  ages.of('others', startMs + 30_000, 1_000)
  await clock.advance(100_000)
  isWatching = true
  ages.begin()
  expect(ages.of('seats', startMs + 20_000, 1_000)).toBe(240_000)
  expect(ages.of('others', startMs + 30_000, 1_000)).toBe(230_000)
})

test('what is seen while a lease seems over, and is not, counts from then', async () => {
  const clock = createManualClock(startMs)
  let isWatching = true
  const ages = createAges(clock, () => isWatching)
  await clock.advance(100_000)
  isWatching = false
  expect(ages.of('ended', startMs + 90_000, 1_000)).toBe(1_000)
  isWatching = true
  await clock.advance(59_000)
  expect(ages.of('ended', startMs + 90_000, 1_000)).toBe(60_000)
})

test('for whom it does harm to wait too little counts from when he saw it', async () => {
  const clock = createManualClock(startMs)
  const ages = createAges(clock)
  expect(ages.seen('a', startMs - 5_000)).toBe(0)
  await clock.advance(2_000)
  expect(ages.seen('a', startMs - 5_000)).toBe(2_000)
  expect(ages.seen('a', startMs)).toBe(0)
})

test('of more than anybody asks about at once the oldest are forgotten, and believed anew', async () => {
  const clock = createManualClock(startMs)
  const ages = createAges(clock)
  ages.of('first', startMs, 0)
  await clock.advance(100_000)
  for (let other = 0; other < 100_000; other++) ages.of(`${other}`, startMs, 0)
  expect(ages.of('99999', startMs, 0)).toBe(0)
  expect(ages.of('first', startMs, 0)).toBe(100_000)
})
