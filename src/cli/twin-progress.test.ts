import { expect, test } from 'vitest'
import { createTwinProgress, twinProgressLine } from './twin-progress.ts'

const day = 86_400_000

test('a line says where it is in virtual time, how fast that goes, and when all seeds will be done', () => {
  expect(twinProgressLine({ horizonMs: day, seeds: [7, 8], index: 1, atMs: day / 2, tookMs: 6000 })).toBe(
    'seed 8 (2 of 2)  12h of 1d  ×21600  2s left',
  )
  expect(twinProgressLine({ horizonMs: day, seeds: [7], index: 0, atMs: 0, tookMs: 0 })).toBe(
    'seed 7  0ms of 1d  ×0  unknown left',
  )
})

test('it is drawn on a terminal now and then, taken away at the end, and nowhere else', () => {
  const drawn = (isTTY: boolean) => {
    let nowMs = 0
    const texts: string[] = []
    const screen = { isTTY, columns: 20, write: (text: string) => texts.push(text) }
    const progress = createTwinProgress(day, [7], screen, () => nowMs)
    for (nowMs = 0; nowMs < 450; nowMs += 50) progress.heard(0, nowMs)
    progress.end()
    return texts
  }
  expect(drawn(true)).toEqual(['\rseed 7  200ms of 1d\u001b[K', '\rseed 7  400ms of 1d\u001b[K', '\r\u001b[K'])
  expect(drawn(false)).toEqual([])
})
