import { expect, test } from 'vitest'
import { figure } from './figures.ts'

test.each([
  [1234.56, '1,234.6 h'],
  [0.99999, '1.0 h'],
  [0.31, '18.6 min'],
  [-0.31, '-18.6 min'],
  [0.016666, '1.0 min'],
  [0.001, '3.6 s'],
  [0.00001, '36.0 ms'],
  [0, '0 h'],
])('%d accelerator-hours are in a unit in which they say something: %s', (hours, said) => {
  expect(figure(hours, 'hours')).toBe(said)
})
