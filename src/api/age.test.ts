import { expect, test } from 'vitest'
import { humanAge, humanDuration } from './age.ts'

test('an age is cut off, as kubectl writes it', () => {
  const ages = ['23:58:01', '23:54:57', '21:00:01', '02:18:00'].map((time) =>
    humanAge(`2026-01-01T${time}Z`, Date.parse('2026-01-02T00:00:00Z')),
  )
  expect(ages).toEqual(['119s', '5m3s', '179m', '21h'])
})

test('a length is rounded to two units, without the noise of what was added up', () => {
  const lengths = [
    0, 59.4, 59.6, 3599.4, 3599.6, 44_999, 64_799.99999999999, 64_800.000000000015, 78_120, 172_799, 190_000,
  ]
  expect(lengths.map((seconds) => humanDuration(1000 * seconds))).toEqual([
    '0s',
    '59s',
    '1m',
    '59m59s',
    '1h',
    '12h30m',
    '18h',
    '18h',
    '21h42m',
    '2d',
    '2d5h',
  ])
})
