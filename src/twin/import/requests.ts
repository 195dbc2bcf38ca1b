import { printable, shown } from '../../model/field-error.ts'
import { numberIn, RowErrors, roomFor } from './cells.ts'
import { linesOf } from './lines.ts'
import { type Dialect, rowsOf, TableError, unknownColumn } from './table.ts'

/** Requests of a trace, in order: milliseconds from its start, tokens of each prompt and of each answer. */
export interface PastRequests {
  times: number[]
  inputs: number[]
  outputs: number[]
  /** What each prompt begins with, in blocks of 512 tokens; an equal id is an equal block behind an equal beginning. */
  blocks?: (readonly number[])[]
}

export const requestFormats = ['mooncake', 'azure'] as const
export type RequestFormat = (typeof requestFormats)[number]

/** What is held in memory at once: 24 bytes a request, and eight a block of a prompt. The public traces have a fiftieth of it at most. */
export interface RequestsMost {
  requests: number
  blocks: number
}
const requestsMost: RequestsMost = { requests: 1_000_000, blocks: 20_000_000 }

/**
 * Reads a trace of requests.
 *
 * @throws TableError with the lines that are wrong, or the one with which there are too many; those that are not sorted are wrong.
 */
export function readRequests(
  format: RequestFormat,
  bytes: AsyncIterable<Uint8Array>,
  most: RequestsMost = requestsMost,
): Promise<PastRequests> {
  return format === 'mooncake' ? readMooncake(bytes, most) : readAzure(bytes, most)
}

/** Its stamps are those of steps of 3 s (Mooncake, FAST 2025; the traces in its repository). */
const mooncakeStepMs = 3000

/** Mooncake's: a JSON object a line. The requests of a step are spread evenly in it: they did not come at once. */
async function readMooncake(bytes: AsyncIterable<Uint8Array>, most: RequestsMost): Promise<PastRequests> {
  const read = { times: [] as number[], inputs: [] as number[], outputs: [] as number[], blocks: [] as number[][] }
  const errors = new RowErrors()
  let last = { step: 0, from: 0, line: 0 }
  let blocks = 0
  const spread = () => {
    const count = read.times.length - last.from
    for (let place = 0; place < count; place++)
      read.times[last.from + place] = (last.step + (place + 0.5) / count) * mooncakeStepMs
  }
  for await (const { line, text } of linesOf(bytes)) {
    const row = mooncakeRow(text, line, errors)
    if (row === undefined) continue
    const step = Math.round(row.timestamp / mooncakeStepMs)
    if (step < last.step) {
      const message = `is before that of line ${last.line}, found ${row.timestamp}; sort the lines by timestamp`
      errors.add({ line, column: 'timestamp', message })
      continue
    }
    if (step > last.step) {
      spread()
      last = { step, from: read.times.length, line }
    }
    last.line = line
    roomFor('request', read.times.length, most.requests, line)
    blocks += row.hash_ids.length
    if (blocks > most.blocks) {
      const message = `with it prompts have ${blocks} blocks; ${most.blocks} are taken at most: choose a part of the trace`
      throw new TableError([{ line, column: 'hash_ids', message }])
    }
    read.times.push(0)
    read.inputs.push(row.input_length)
    read.outputs.push(Math.max(1, row.output_length))
    read.blocks.push(row.hash_ids)
  }
  errors.throwAny()
  spread()
  return read
}

const mooncakeFields = ['timestamp', 'input_length', 'output_length'] as const
type MooncakeRow = Record<(typeof mooncakeFields)[number], number> & { hash_ids: number[] }

function mooncakeRow(text: string, line: number, errors: RowErrors): MooncakeRow | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    errors.add({ line, message: `must be a JSON object, found ${printable(text)}` })
    return undefined
  }
  const row: MooncakeRow = { timestamp: 0, input_length: 0, output_length: 0, hash_ids: [] }
  const before = errors.count
  for (const key of Object.keys(value))
    if (!Object.hasOwn(row, key)) errors.add({ line, ...unknownColumn(key, Object.keys(row)) })
  for (const column of mooncakeFields) {
    const found: unknown = Reflect.get(value, column)
    const least = column === 'input_length' ? 1 : 0
    if (typeof found === 'number' && Number.isInteger(found) && found >= least) row[column] = found
    else errors.add({ line, column, message: `must be a whole number of at least ${least}, found ${shown(found)}` })
  }
  const ids: unknown = Reflect.get(value, 'hash_ids')
  if (isIds(ids)) row.hash_ids = ids
  else if (ids !== undefined)
    errors.add({
      line,
      column: 'hash_ids',
      message: `must be a list of whole numbers of at least 0, found ${shown(ids)}`,
    })
  return errors.count === before ? row : undefined
}

function isIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0)
}

const azure: Dialect = {
  delimiter: ',',
  isQuoted: true,
  columns: ['TIMESTAMP', 'ContextTokens', 'GeneratedTokens'],
  required: ['TIMESTAMP', 'ContextTokens', 'GeneratedTokens'],
}

/** Azure's of 2023: a table with stamps of a tenth of a microsecond. */
async function readAzure(bytes: AsyncIterable<Uint8Array>, most: RequestsMost): Promise<PastRequests> {
  const read: PastRequests = { times: [], inputs: [], outputs: [] }
  const errors = new RowErrors()
  let first: number | undefined
  let last = { atMs: 0, line: 0 }
  for await (const row of rowsOf(bytes, azure)) {
    const { line } = row
    const before = errors.count
    const stamp = row.cell('TIMESTAMP')
    const atMs = millisecondsOf(stamp)
    if (atMs === undefined) {
      const message = `must be a time like 2023-11-16 18:15:46.6805900, found ${printable(stamp)}`
      errors.add({ line, column: 'TIMESTAMP', message })
    } else if (first !== undefined && atMs < last.atMs) {
      const message = `is before that of line ${last.line}, found ${printable(stamp)}; sort the rows by TIMESTAMP`
      errors.add({ line, column: 'TIMESTAMP', message })
    }
    const [input, output] = (['ContextTokens', 'GeneratedTokens'] as const).map((column) => {
      if (row.cell(column) === '') errors.add({ line, column, message: 'must be there' })
      return numberIn(row, column, errors, { min: column === 'ContextTokens' ? 1 : 0, isWhole: true })
    })
    if (errors.count > before || atMs === undefined || input === undefined || output === undefined) continue
    roomFor('request', read.times.length, most.requests, line)
    first ??= atMs
    last = { atMs, line }
    read.times.push(atMs - first)
    read.inputs.push(input)
    read.outputs.push(Math.max(1, output))
  }
  errors.throwAny()
  return read
}

const stampPattern = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d(?:\.\d{1,9})?)$/

function millisecondsOf(stamp: string): number | undefined {
  const found = stampPattern.exec(stamp)
  if (found === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1).map(Number)
  const date = new Date(Date.UTC(year, month - 1, day))
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  if (hour > 23 || minute > 59 || second >= 61) return undefined
  return Date.UTC(year, month - 1, day, hour, minute) + second * 1000
}
