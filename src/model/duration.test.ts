import fc from 'fast-check'
import { expect, test } from 'vitest'
import { durationMs, formatDuration, readDuration } from './duration.ts'

test.each([
  ['30s', 30_000],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['500ms', 500],
  ['1.5h', 5_400_000],
  ['2d', 172_800_000],
  ['1m500ms', 60_500],
  ['0s', 0],
])('%s is %d ms', (text, ms) => expect(durationMs(text)).toBe(ms))

test.each(['', '30', '10 m', '-1s', '1w', '1h30', 'auto', '999999999d', '1e3s', 's', 'm'.repeat(1000)])(
  '%j is refused',
  (text) => expect(readDuration(text)).toHaveProperty('problem'),
)

test('people read at most two units', () => {
  expect([0, 450, 1234, 12_345, 3_600_000, 5_430_000, 90_061_000, -5000].map(formatDuration)).toEqual([
    '0ms',
    '450ms',
    '1.2s',
    '12s',
    '1h',
    '1h30m',
    '1d1h',
    '-5s',
  ])
  expect(formatDuration(Number.NaN)).toBe('unknown')
})

test('no text makes it throw, and what it formats it reads', () => {
  fc.assert(fc.property(fc.string(), (text) => void readDuration(text)))
  fc.assert(fc.property(fc.integer({ min: 0, max: 300_000_000_000 }), (ms) => void durationMs(formatDuration(ms))))
})
