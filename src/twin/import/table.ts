import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { assert } from '../../base/errors.ts'
import { printable } from '../../model/field-error.ts'
import { nearest } from '../../model/nearest.ts'

/** How a file of rows is written, and which columns it has. */
export interface Dialect {
  delimiter: ',' | '|'
  /** Whether a cell may be quoted, as RFC 4180 has it. */
  isQuoted: boolean
  columns: readonly string[]
  /** What a file without them is not. */
  required: readonly string[]
  /**
   * Who is told of what need not keep it from being read: columns of other names, which are passed over, and the first cell
   * that is not UTF-8. Without it these are errors.
   */
  onRemark?: (remark: RowError) => void
}

/** What is wrong with a line: which column, and a phrase. Line 1 is the header. */
export interface RowError {
  line: number
  column?: string | undefined
  message: string
}

/** The rows cannot be used. Nothing of them was. */
export class TableError extends Error {
  readonly errors: readonly RowError[]

  constructor(errors: readonly RowError[]) {
    super(errors.map(formatRowError).join('\n'))
    this.name = 'TableError'
    this.errors = errors
  }
}

export function formatRowError({ line, column, message }: RowError): string {
  return `${line}: ${column === undefined ? '' : `${column}: `}${message}`
}

export interface Row {
  line: number
  /** What stands in a column; empty where the file has none of that name. */
  cell(column: string): string
}

/** Longer lines are no rows of such a file. */
const lineBytesMax = 64 * 1024

/**
 * The rows below the header, one after the other, so that a file may be longer than memory.
 *
 * @throws TableError for a header or a row that cannot be read.
 */
export async function* rowsOf(bytes: AsyncIterable<Uint8Array>, dialect: Dialect): AsyncGenerator<Row> {
  const { delimiter, isQuoted, onRemark } = dialect
  const parser = parse({
    delimiter,
    quote: isQuoted ? '"' : false,
    bom: true,
    trim: true,
    skip_empty_lines: true,
    relax_column_count: true,
    max_record_size: lineBytesMax,
    info: true,
  })
  const source = Readable.from(bytes, { objectMode: false })
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  let header: string[] | undefined
  let places = new Map<string, number>()
  let isUtf8 = true
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      const line = info.lines
      if (header === undefined) {
        header = record
        const errors = headerErrors(header, dialect).map((error) => ({ line, ...error }))
        if (errors.length > 0) throw new TableError(errors)
        const others = othersIn(header, dialect)
        if (others !== undefined) onRemark?.({ line, message: others })
        places = new Map(header.map((column, at) => [column, at]))
      } else if (record.length === header.length) {
        const damaged = isUtf8 ? record.findIndex((cell) => cell.includes('\uFFFD')) : -1
        if (damaged >= 0) {
          const remark = {
            line,
            column: header[damaged],
            message: `is not UTF-8, found ${printable(record[damaged] ?? '')}`,
          }
          if (onRemark === undefined) throw new TableError([remark])
          onRemark(remark)
          isUtf8 = false
        }
        yield { line, cell: (column) => record[places.get(column) ?? -1] ?? '' }
      } else {
        const message = `has ${record.length} cells, and the header ${header.length}`
        throw new TableError([{ line, message }])
      }
    }
  } catch (error) {
    throw error instanceof CsvError ? new TableError([fromParser(error, parser.info.lines)]) : error
  } finally {
    source.destroy()
  }
  if (header === undefined) throw new TableError([{ line: 1, message: 'is empty: a header is expected here' }])
}

function headerErrors(header: readonly string[], { columns, required, onRemark }: Dialect): Omit<RowError, 'line'>[] {
  const errors: Omit<RowError, 'line'>[] = []
  for (const [at, column] of header.entries()) {
    if (header.indexOf(column) < at) errors.push({ column: printable(column), message: 'stands twice in the header' })
    if (onRemark === undefined && !columns.includes(column)) errors.push(unknownColumn(column, columns))
  }
  const missing = required.filter((column) => !header.includes(column))
  if (missing.length > 0) errors.push({ message: `the header lacks ${missing.join(', ')}` })
  return errors
}

/** So many are named at once. */
const othersMax = 20

function othersIn(header: readonly string[], { columns }: Dialect): string | undefined {
  const others = header.filter((column) => column !== '' && !columns.includes(column)) // a row may end with a delimiter
  if (others.length === 0) return undefined
  const absent = columns.filter((column) => !header.includes(column))
  const named = others.slice(0, othersMax).map((column) => {
    const meant = nearest(column, absent)
    return `${printable(column)}${meant === undefined ? '' : ` (did you mean "${meant}"?)`}`
  })
  const more = others.length > othersMax ? ` and ${others.length - othersMax} more` : ''
  return `columns that are not read: ${named.join(', ')}${more}`
}

export function unknownColumn(column: string, columns: readonly string[]): Omit<RowError, 'line'> {
  const known = nearest(column, columns)
  const hint = known === undefined ? `allowed: ${columns.join(', ')}` : `did you mean "${known}"?`
  return { column: printable(column), message: `unknown column; ${hint}` }
}

function fromParser({ code, message }: CsvError, line: number): RowError {
  if (code === 'CSV_MAX_RECORD_SIZE') return { line, message: `is longer than ${lineBytesMax} bytes` }
  if (code === 'INVALID_OPENING_QUOTE')
    return { line, message: 'a quote stands in a cell that does not begin with one' }
  assert(code.includes('QUOTE'), `the reader of rows failed: ${message}`)
  return { line, message: 'a quoted cell is not closed, or goes on behind its quote' }
}
