import { expect, test } from 'vitest'
import { readClient } from './clients.ts'
import { TableError } from './table.ts'

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
}

async function problemsOf(text: string): Promise<string> {
  try {
    await readClient(pieces(text))
  } catch (error) {
    if (error instanceof TableError) return error.message
    throw error
  }
  return 'none'
}

test('windows last until the next one, those without requests have no distribution, and absurd shapes are trimmed', async () => {
  const text = '0,2,1.5,Gamma,0.44,1.1\n600,0,0,,0,0\n1200,3,40,Gamma,0.000625,9\n1800,0.5,31,Weibull,0.1,2\n'
  expect(await readClient(pieces(text))).toEqual({
    windows: [
      { fromMs: 0, toMs: 600_000, perMs: 0.002, gaps: { law: 'gamma', shape: 0.44 } },
      { fromMs: 600_000, toMs: 1_200_000, perMs: 0, gaps: { law: 'gamma', shape: 1 } },
      { fromMs: 1_200_000, toMs: 1_800_000, perMs: 0.003, gaps: { law: 'gamma', shape: 0.01 } },
      { fromMs: 1_800_000, toMs: 2_400_000, perMs: 0.0005, gaps: { law: 'weibull', shape: 0.233 } },
    ],
  })
})

const good = '0,2,1,Gamma,1,1\n'

test.each([
  [
    `${good}600,2,1,Gama,1,1`,
    '2: distribution: must be there where there are requests, found "Gama"; did you mean "Gamma"?',
  ],
  [`${good}600,2,1,,0,0`, '2: distribution: must be there where there are requests, found ""; allowed: Gamma, Weibull'],
  [`${good}0,2,1,Gamma,1,1`, '2: window start: must be after that of the row before, 0, found 0'],
  [`${good}600,-2,1,Gamma,1,1`, '2: rate: must be a number of at least 0, found "-2"'],
  [`${good}600,2,1,Gamma,0,1`, '2: p1: must be above 0 where there are requests: it is the shape'],
  [`${good}600,2,1,Gamma,1`, '2: must have 6 cells (window start, rate, cv, distribution, p1, p2), found 5'],
  [
    'TIMESTAMP,ContextTokens,GeneratedTokens\n',
    '1: must have 6 cells (window start, rate, cv, distribution, p1, p2), found 3',
  ],
  [good, '1: holds fewer than two windows: how long they are is not known'],
  ['x'.repeat(2_000_000), '1: is longer than 1048576 characters'],
])('what is wrong with a client is told with its line', async (text, message) => {
  expect(await problemsOf(text)).toBe(message)
})
