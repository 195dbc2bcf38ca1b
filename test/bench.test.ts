import { expect, test } from 'vitest'
import { isLarge } from '../bench/hunt/large.ts'

test('a history to speak of has writes, faults and two leaders enough', () => {
  const least = { writes: 300, faults: 3, leaders: 2 }
  expect(isLarge(least)).toBe(true)
  for (const name of ['writes', 'faults', 'leaders'] as const)
    expect(isLarge({ ...least, [name]: least[name] - 1 }), name).toBe(false)
})
