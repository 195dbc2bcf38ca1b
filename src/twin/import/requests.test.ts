import { expect, test } from 'vitest'
import { readRequests } from './requests.ts'
import { TableError } from './table.ts'

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
}

async function problemsOf(format: 'mooncake' | 'azure', text: string): Promise<string> {
  try {
    await readRequests(format, pieces(text))
  } catch (error) {
    if (error instanceof TableError) return error.message
    throw error
  }
  return 'none'
}

const mooncake = (timestamp: unknown, input: unknown = 10, output: unknown = 5) =>
  JSON.stringify({ timestamp, input_length: input, output_length: output, hash_ids: [0, 1] })

test("mooncake's requests are spread evenly in the steps that their stamps were rounded to", async () => {
  const text = [mooncake(0), mooncake(0), mooncake(2999), mooncake(3001, 7, 0), mooncake(9000)].join('\n')
  expect(await readRequests('mooncake', pieces(text))).toEqual({
    times: [750, 2250, 3750, 5250, 10_500],
    inputs: [10, 10, 10, 7, 10],
    outputs: [5, 5, 5, 1, 5],
    blocks: Array.from({ length: 5 }, () => [0, 1]),
  })
})

test.each([
  [`${mooncake(3000)}\n${mooncake(0)}`, '2: timestamp: is before that of line 1, found 0; sort the lines by timestamp'],
  [`\n${mooncake(0, -1)}`, '2: input_length: must be a whole number of at least 1, found -1'],
  ['{"timestamp": 0, "input_length": 3}', '1: output_length: must be a whole number of at least 0, found nothing'],
  [`${mooncake(0)}\n[1]`, '2: must be a JSON object, found "[1]"'],
  [
    '{"timestamp": 0, "input_length": 3, "output_length": 1, "hash_ids": [1, -2]}',
    '1: hash_ids: must be a list of whole numbers of at least 0, found a list of 2',
  ],
  [mooncake('soon'), '1: timestamp: must be a whole number of at least 0, found "soon"'],
])("what is wrong with a trace of mooncake's is told with its line: %s", async (text, message) => {
  expect(await problemsOf('mooncake', text)).toBe(message)
})

const header = 'TIMESTAMP,ContextTokens,GeneratedTokens\r\n'

test("azure's requests come at their stamps, from the first on", async () => {
  const text = `${header}2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109`
  const { times, inputs, outputs } = await readRequests('azure', pieces(text))
  expect([inputs, outputs]).toEqual([
    [374, 396],
    [44, 109],
  ])
  expect(times[0]).toBe(0)
  expect(times[1]).toBeCloseTo(4314.579, 3)
})

test.each([
  ['TIMESTAMP,ContextTokens\r\n', '1: the header lacks GeneratedTokens'],
  [
    `${header}2023-11-16 18:15:46,1,1\r\n2023-11-16 18:15:45,1,1`,
    '3: TIMESTAMP: is before that of line 2, found "2023-11-16 18:15:45"; sort the rows by TIMESTAMP',
  ],
  [
    `${header}2023-11-31 18:15:46,1,1`,
    '2: TIMESTAMP: must be a time like 2023-11-16 18:15:46.6805900, found "2023-11-31 18:15:46"',
  ],
  [`${header}yesterday,1,1`, '2: TIMESTAMP: must be a time like 2023-11-16 18:15:46.6805900, found "yesterday"'],
  [
    `${header}2023-11-16 18:15:46,-4,`,
    '2: ContextTokens: must be a whole number of at least 1, found "-4"\n2: GeneratedTokens: must be there',
  ],
])("what is wrong with a trace of azure's is told with its line: %s", async (text, message) => {
  expect(await problemsOf('azure', text)).toBe(message)
})
