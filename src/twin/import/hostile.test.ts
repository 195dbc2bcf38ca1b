import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readClient } from './clients.ts'
import { readHistory } from './history.ts'
import { readOpenb } from './openb.ts'
import { readPhilly } from './philly.ts'
import { readRequests } from './requests.ts'
import { readSlurm } from './slurm.ts'
import { formatRowError, type RowError, TableError } from './table.ts'

interface Format {
  read(bytes: AsyncIterable<Uint8Array>, most?: number): Promise<RowError[]>
  header?: string
  /** The nth row, each later than the one before. */
  row(n: number): string
  /** With a column that nobody knows. */
  wider: string
  negative: string
  said: { unsorted: string; negative: string; wider: string; most: string }
}

const requests = (format: 'mooncake' | 'azure'): Format['read'] => {
  return (bytes, most) => none(readRequests(format, bytes, most === undefined ? most : { requests: most, blocks: 1e9 }))
}
const mooncake = (timestamp: number, output: number) => ({ timestamp, input_length: 600, output_length: output })
const sacct = (start: string, end: string) => `1|2026-03-01T09:00:00|${start}|${end}|gres/gpu=1`
const hour = (n: number) => `2026-03-01T${10 + n}:00:00`
const least = 'must be a number of at least 0, found "-1"'

const formats: Record<string, Format> = {
  history: {
    read: (bytes, most) => none(readHistory(bytes, most)),
    header: 'submit_s,gpus,duration_s',
    row: (n) => `${n},1,60`,
    wider: 'submit_s,gpus,duration_s,users\n0,1,60,a',
    negative: '0,1,-1',
    said: {
      unsorted: '3: submit_s: is before that of line 2; sort the rows by submit_s',
      negative: '2: duration_s: must be a number above 0, found "-1"',
      wider: '1: "users": unknown column; did you mean "user"?',
      most: '5: is job 4; 3 are taken at most: choose a part of the trace',
    },
  },
  philly: {
    read: async (bytes, most) => (await readPhilly(bytes, 'vc', most)).remarks,
    header: 'submit_s,gpus,duration_s,model',
    row: (n) => `${n},1,60,x`,
    wider: 'submit_s,gpus,duration_s,model,colour\n0,1,60,x,1',
    negative: '0,1,-1,x',
    said: {
      unsorted: '3: submit_s: is before that of line 2, found 0; rows that are not sorted are put in order',
      negative: '2: duration_s: must be a number above 0, found "-1"',
      wider: '1: "colour": unknown column; allowed: submit_s, gpus, duration_s, duration_extrapolated, model',
      most: '5: is job 4; 3 are taken at most: choose a part of the trace',
    },
  },
  openb: {
    read: async (bytes, most) => (await readOpenb(bytes, most)).remarks,
    header: 'num_gpu,gpu_milli,creation_time,deletion_time,scheduled_time',
    row: (n) => `1,500,${n},${n + 60},${n + 1}`,
    wider: 'num_gpu,gpu_milli,creation_time,deletion_time,scheduled_time,gpu_specs\n1,500,0,60,1,T4',
    negative: '1,500,30,20,40',
    said: {
      unsorted: '3: creation_time: is before that of line 2, found 0; rows that are not sorted are put in order',
      negative: '2: deletion_time: is before creation_time, 30, found 20',
      wider: '1: "gpu_specs": unknown column; did you mean "gpu_spec"?',
      most: '5: is job 4; 3 are taken at most: choose a part of the trace',
    },
  },
  slurm: {
    read: async (bytes, most) => (await readSlurm(bytes, most === undefined ? {} : { most })).remarks,
    header: 'JobID|Submit|Start|End|AllocTRES',
    row: (n) => sacct(hour(n), hour(n + 1)),
    wider: `JobID|Submit|Start|End|AllocTRES|Comment|TimeLimit\n${sacct(hour(0), hour(1))}|COMPLETED|1:00`,
    negative: `${sacct(hour(2), hour(1))}\n${sacct(hour(2), hour(1))}`,
    said: {
      unsorted: 'nothing', // sacct lists by job, whichever began first
      negative:
        '2: End: is before Start, 2026-03-01T12:00:00, found "2026-03-01T11:00:00"; the job is passed over, and so is any other like it',
      wider: '1: columns that are not read: "Comment", "TimeLimit" (did you mean "Timelimit"?)',
      most: '5: is job 4; 3 are taken at most: choose a part of the trace',
    },
  },
  azure: {
    read: requests('azure'),
    header: 'TIMESTAMP,ContextTokens,GeneratedTokens',
    row: (n) => `2023-11-16 18:15:0${n},1,1`,
    wider: 'TIMESTAMP,ContextTokens,GeneratedTokens,ContextToken\n2023-11-16 18:15:00,1,1,1',
    negative: '2023-11-16 18:15:00,1,-1',
    said: {
      unsorted: '3: TIMESTAMP: is before that of line 2, found "2023-11-16 18:15:00"; sort the rows by TIMESTAMP',
      negative: '2: GeneratedTokens: must be a whole number of at least 0, found "-1"',
      wider: '1: "ContextToken": unknown column; did you mean "ContextTokens"?',
      most: '5: is request 4; 3 are taken at most: choose a part of the trace',
    },
  },
  mooncake: {
    read: requests('mooncake'),
    row: (n) => JSON.stringify(mooncake(n * 3000, 1)),
    wider: JSON.stringify({ ...mooncake(0, 1), hash_id: [1] }),
    negative: JSON.stringify(mooncake(0, -1)),
    said: {
      unsorted: '2: timestamp: is before that of line 1, found 0; sort the lines by timestamp',
      negative: '1: output_length: must be a whole number of at least 0, found -1',
      wider: '1: "hash_id": unknown column; did you mean "hash_ids"?',
      most: '4: is request 4; 3 are taken at most: choose a part of the trace',
    },
  },
  servegen: {
    read: (bytes, most) => none(readClient(bytes, most)),
    row: (n) => `${n * 600},2,1,Gamma,1,1`,
    wider: '0,2,1,Gamma,1,1,7\n600,2,1,Gamma,1,1,7',
    negative: '0,-1,1,Gamma,1,1',
    said: {
      unsorted: '2: window start: must be after that of the row before, 600, found 0',
      negative: `1: rate: ${least}`,
      wider: '1: must have 6 cells (window start, rate, cv, distribution, p1, p2), found 7',
      most: '4: is window 4; 3 are taken at most: choose a part of the trace',
    },
  },
}

describe.each(Object.entries(formats))('%s', (_, { read, header, row, wider, negative, said }) => {
  const head = header === undefined ? '' : `${header}\n`

  test('a row that is before the one above it is told', async () => {
    expect(await first(read(bytesOf(`${head}${row(1)}\n${row(0)}`)))).toBe(said.unsorted)
  })

  test('a negative time is told', async () => {
    expect(await first(read(bytesOf(head + negative)))).toBe(said.negative)
  })

  test('a column that is not known is told', async () => {
    expect(await first(read(bytesOf(wider)))).toBe(said.wider)
  })

  test('a trace that never ends is read until there is too much of it', async () => {
    let rows = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode(head)
      for (; ; rows++) yield new TextEncoder().encode(`${row(Math.min(rows, 9))}\n`)
    }
    expect(await first(read(endless(), 3))).toBe(said.most)
    expect(rows).toBeLessThan(10_000)
  })
})

test.each(Object.entries(formats))(
  '%s: whatever bytes a file has, it is read or told where it is wrong',
  async (_, format) => {
    const { header, row } = format
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom(
        ...[header ?? '', row(1), '\n', '"', ',', '|', '\uFEFF'].map((text) => new TextEncoder().encode(text)),
      ),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(some, { maxLength: 12 }), async (parts) => {
        const bytes = (async function* () {
          yield* parts
        })()
        await first(format.read(bytes))
      }),
      { numRuns: 300 },
    )
  },
)

test("a trace of mooncake's with blocks without end is told with the line where they are too many", async () => {
  const line = JSON.stringify({ ...mooncake(0, 1), hash_ids: [1, 2, 3] })
  const reading = readRequests('mooncake', bytesOf(`${line}\n${line}`), { requests: 9, blocks: 5 })
  const message = 'with it prompts have 6 blocks; 5 are taken at most: choose a part of the trace'
  expect(await first(none(reading))).toBe(`2: hash_ids: ${message}`)
})

/** A reader that has nothing to remark: a line is right, or an error. */
async function none(reading: Promise<unknown>): Promise<RowError[]> {
  await reading
  return []
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text)
}

/** What is said first of it. */
async function first(reading: Promise<RowError[]>): Promise<string> {
  try {
    const [remark, ...others] = await reading
    expect(others).toEqual([])
    return remark === undefined ? 'nothing' : formatRowError(remark)
  } catch (error) {
    if (error instanceof TableError) return error.errors.slice(0, 1).map(formatRowError).join()
    throw error
  }
}
