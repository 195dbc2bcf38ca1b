import { expect, test } from 'vitest'
import { acceleratorsOf, formatAccelerators, milliOfCount, readAccelerators } from './accelerators.ts'

test.each([
  ['H100:8', [{ model: 'H100', count: 8 }]],
  ['h100:8', [{ model: 'H100', count: 8 }]],
  ['cpu:1', [{ model: 'cpu', count: 1 }]],
  ['CPU', [{ model: 'cpu', count: 1 }]],
  ['H100', [{ model: 'H100', count: 1 }]],
  ['H100:0.5', [{ model: 'H100', count: 0.5 }]],
  ['a100-80gb:4', [{ model: 'A100-80GB', count: 4 }]],
  ['MyChip:2', [{ model: 'MyChip', count: 2 }]],
])('%s', (text, alternatives) => expect(readAccelerators(text)).toEqual({ alternatives }))

test('a list gives alternatives in order', () =>
  expect(acceleratorsOf(['H200:8', 'H100:8']).map((a) => a.model)).toEqual(['H200', 'H100']))

test('with speeds the fastest goes first, and they survive being written down', () => {
  const read = acceleratorsOf(['A100:8@0.45', 'H100:4', 'B200:2@2.5'])
  expect(read.map(formatAccelerators)).toEqual(['B200:2@2.5', 'H100:4', 'A100:8@0.45'])
  expect(acceleratorsOf(read.map(formatAccelerators))).toEqual(read)
  for (const speed of ['0', '1001', 'x', '-1', '']) {
    expect(readAccelerators(`A100:8@${speed}`)).toHaveProperty('problem')
  }
})

test.each(['', ':8', 'H100:', 'H100:-1', 'H100:0', 'H100:1.5', 'H100:0.0001', 'H100:5000', 'H100 :1', '8', 'H100:1e3'])(
  '%j is refused',
  (text) => expect(readAccelerators(text)).toHaveProperty('problem'),
)

test('the bad alternative is named by its place', () => {
  expect(readAccelerators(['H100:8', 'H100:4'])).toMatchObject({ index: 1, problem: 'names H100 a second time' })
  expect(readAccelerators([])).toHaveProperty('problem')
  expect(() => acceleratorsOf('H100:x')).toThrow('write MODEL:COUNT')
})

test('shares are whole thousandths', () => expect([0.5, 0.333, 8].map(milliOfCount)).toEqual([500, 333, 8000]))
