import { printable } from '../../model/field-error.ts'
import { type Row, type RowError, TableError } from './table.ts'

/** So many are told at once. */
const errorsMax = 20

/** What is wrong with rows, until there is too much of it. */
export class RowErrors {
  readonly #errors: RowError[] = []

  /** @throws TableError with the last that is told. */
  add(error: RowError): void {
    this.#errors.push(error)
    if (this.#errors.length >= errorsMax) this.throwAny()
  }

  get count(): number {
    return this.#errors.length
  }

  throwAny(): void {
    if (this.#errors.length > 0) throw new TableError(this.#errors)
  }
}

/** @throws TableError where as many are held as may be. */
export function roomFor(what: string, held: number, most: number, line: number): void {
  if (held < most) return
  const message = `is ${what} ${most + 1}; ${most} are taken at most: choose a part of the trace`
  throw new TableError([{ line, message }])
}

export interface Range {
  min?: number
  /** It must be more than `min`. */
  isAbove?: boolean
  max?: number
  isWhole?: boolean
}

const numberPattern = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** The number in a cell; undefined where it is empty, or wrong: then that is noted. */
export function numberIn(row: Row, column: string, errors: RowErrors, range: Range = {}): number | undefined {
  const text = row.cell(column)
  if (text === '') return undefined
  const value = numberPattern.test(text) ? Number(text) : Number.NaN
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, isAbove = false, isWhole = false } = range
  const isWithin = (isAbove ? value > min : value >= min) && value <= max
  const isRight = Number.isFinite(value) && isWithin && (!isWhole || Number.isInteger(value))
  if (isRight) return value
  errors.add({ line: row.line, column, message: `must be ${said(range)}, found ${printable(text)}` })
  return undefined
}

function said({ min, max, isAbove, isWhole }: Range): string {
  const what = isWhole === true ? 'a whole number' : 'a number'
  if (min === undefined) return what
  const most = max === undefined ? '' : ` and at most ${max}`
  return `${what} ${isAbove === true ? 'above' : 'of at least'} ${min}${most}`
}

/** The text in a cell; undefined where it is empty. */
export function textIn(row: Row, column: string): string | undefined {
  const text = row.cell(column)
  return text === '' ? undefined : text
}
