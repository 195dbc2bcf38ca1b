import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, countOf, formatBytes, formatMilli, milliOf, readQuantity } from './quantity.ts'

describe('quantity', () => {
  test.each([
    ['500m', 500],
    ['2', 2000],
    [0.5, 500],
    ['.5', 500],
    ['1.', 1000],
    ['0.1m', 1],
    ['1e3', 1_000_000],
    ['1E3', 1_000_000],
    ['+3', 3000],
    ['100u', 1],
    ['0', 0],
    ['-0', 0],
    [1e-7, 1],
  ])('%s is %d thousandths of a core', (text, milli) => expect(milliOf(text)).toBe(milli))

  test.each([
    ['8Gi', 8 * 1024 * 1024 * 1024],
    ['1.5Gi', 1_610_612_736],
    ['100M', 100_000_000],
    ['1k', 1000],
    ['1Ki', 1024],
    ['1500m', 2],
    [1e9, 1_000_000_000],
    ['1E', undefined],
    ['8Ei', undefined],
  ])('%s is %s bytes', (text, bytes) => {
    if (bytes === undefined) expect(readQuantity(text)).toEqual({ problem: 'is beyond what any machine has' })
    else expect(bytesOf(text)).toBe(bytes)
  })

  test.each([
    '',
    ' 1',
    '1 ',
    'Gi',
    '1gi',
    '1KB',
    '1GB',
    '--1',
    '1e',
    '1e1.5',
    '1_000',
    '٣',
    '1\n',
    'NaN',
    '0x10',
    '.',
    '+',
  ])('%j is refused', (text) => expect(readQuantity(text)).toHaveProperty('problem'))
  test.each([-1, '-500m', Number.NaN, Number.POSITIVE_INFINITY, '1e99999', '1e-99999', 1e308, '9'.repeat(65)])(
    '%s is refused in constant time',
    (value) => expect(readQuantity(value)).toHaveProperty('problem'),
  )

  test('a bad one thrown at a caller that trusts it says what was wrong', () => {
    expect(() => milliOf('two')).toThrow('"two" is not a quantity; write a number')
  })

  test('a third of an accelerator is a whole number of thousandths', () => expect(countOf('0.333')).toBe(0.333))

  test('what is formatted reads back the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_503_599_627_370_496 }), (n) => {
        expect(bytesOf(formatBytes(n))).toBe(n)
        const milli = n % 1_000_000_000
        expect(milliOf(formatMilli(milli))).toBe(milli)
      }),
    )
    expect(formatBytes(1536 * 1024 * 1024)).toBe('1536Mi')
  })

  test('no text makes it throw', () => {
    const hostile = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789.eE+-kKMGiunm') }))
    fc.assert(fc.property(hostile, (text) => void readQuantity(text)))
  })
})
