import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Bits } from './bits.ts'

test('a set of numbers finds its next one as a sorted list does', () => {
  // Far apart, and close together, so that words and what sums them up run full and empty again.
  const at = fc.oneof(
    fc.nat(3000),
    fc.nat(3).map((number) => 31 * number),
    fc.nat(3).map((number) => 992 * number),
  )
  const step = fc.record({ does: fc.constantFrom('add', 'remove', 'next'), at, to: fc.nat(3001) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const bits = new Bits(3001)
      const plain = new Set<number>()
      for (const { does, at, to } of steps) {
        if (does === 'add') {
          bits.add(at)
          plain.add(at)
        } else if (does === 'remove') {
          bits.remove(at)
          plain.delete(at)
        } else {
          const found = [...plain].filter((one) => one >= at && one < to).sort((a, b) => a - b)[0]
          expect(bits.next(at, to)).toBe(found ?? -1)
        }
        expect(bits.size).toBe(plain.size)
        expect(bits.has(at)).toBe(plain.has(at))
      }
    }),
  )
})
