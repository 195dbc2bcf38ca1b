import { printable } from '../../model/field-error.ts'
import { nearest } from '../../model/nearest.ts'
import { RowErrors, roomFor } from './cells.ts'
import { linesOf } from './lines.ts'
import { TableError } from './table.ts'

/** How one client sends requests over time: windows on end, from the start of the trace on. */
export interface PastClient {
  windows: ClientWindow[]
}

export interface ClientWindow {
  fromMs: number
  toMs: number
  /** Requests a millisecond, on average. */
  perMs: number
  /** How the gaps between them are spread; of no meaning where nobody comes. */
  gaps: { law: GapLaw; shape: number }
}

const laws = { Gamma: 'gamma', Weibull: 'weibull' } as const
export type GapLaw = (typeof laws)[keyof typeof laws]

/** More are not held in memory at once; as published they are 2,016 of ten minutes. */
const windowsMax = 100_000

const columns = ['window start', 'rate', 'cv', 'distribution', 'p1', 'p2'] as const

/**
 * Reads a client of ServeGen (Alibaba, NSDI 2026): `chunk-N-trace.csv`, no header, a row a window: when it begins (s), its
 * mean rate (requests/s), the coefficient of variation of the gaps, their distribution (Gamma, Weibull or none) and its two
 * parameters. The first is the shape; the second, a scale, does not always agree with the rate, which counts.
 *
 * @throws TableError with the lines that are wrong.
 */
export async function readClient(bytes: AsyncIterable<Uint8Array>, most = windowsMax): Promise<PastClient> {
  const errors = new RowErrors()
  const windows: ClientWindow[] = []
  for await (const { line, text } of linesOf(bytes)) {
    const row = rowOf(text, line, errors)
    if (row === undefined) continue
    const before = windows.at(-1)
    if (before !== undefined && row.fromMs <= before.fromMs) {
      const message = `must be after that of the row before, ${before.fromMs / 1000}, found ${row.fromMs / 1000}`
      errors.add({ line, column: columns[0], message })
    }
    if (before !== undefined) before.toMs = row.fromMs
    roomFor('window', windows.length, most, line)
    windows.push(row)
  }
  errors.throwAny()
  const [beforeLast, last] = windows.slice(-2)
  if (last === undefined || beforeLast === undefined)
    throw new TableError([{ line: 1, message: 'holds fewer than two windows: how long they are is not known' }])
  // The last is as long as the one before.
  last.toMs = last.fromMs + (beforeLast.toMs - beforeLast.fromMs)
  return { windows }
}

function rowOf(text: string, line: number, errors: RowErrors): ClientWindow | undefined {
  const cells = text.split(',').map((cell) => cell.trim())
  if (cells.length !== columns.length) {
    errors.add({ line, message: `must have ${columns.length} cells (${columns.join(', ')}), found ${cells.length}` })
    return undefined
  }
  const before = errors.count
  const number = (at: 0 | 1 | 2 | 4 | 5, min: number): number => {
    const cell = cells[at] ?? ''
    const value = cell === '' ? Number.NaN : Number(cell)
    if (Number.isFinite(value) && value >= min) return value
    errors.add({ line, column: columns[at], message: `must be a number of at least ${min}, found ${printable(cell)}` })
    return min
  }
  const [fromS, rate, shape] = [number(0, 0), number(1, 0), number(4, 0)]
  // What we have no use for is looked at all the same: a file in which it is wrong is another one.
  number(2, 0)
  number(5, 0)
  const law = lawOf(cells[3] ?? '', rate, line, errors)
  if (rate > 0 && law !== undefined && shape === 0)
    errors.add({ line, column: 'p1', message: 'must be above 0 where there are requests: it is the shape' })
  if (errors.count > before || law === undefined) return undefined
  const fromMs = fromS * 1000
  return { fromMs, toMs: fromMs, perMs: rate / 1000, gaps: { law, shape: rate > 0 ? trimmed(law, shape) : 1 } }
}

function lawOf(name: string, rate: number, line: number, errors: RowErrors): GapLaw | undefined {
  if (name === '' && rate === 0) return 'gamma'
  const law = Object.hasOwn(laws, name) ? laws[name as keyof typeof laws] : undefined
  if (law !== undefined) return law
  const near = nearest(name, Object.keys(laws))
  const hint = near === undefined ? `; allowed: ${Object.keys(laws).join(', ')}` : `; did you mean "${near}"?`
  errors.add({
    line,
    column: 'distribution',
    message: `must be there where there are requests, found ${printable(name)}${hint}`,
  })
  return undefined
}

/**
 * Of a fit to a few requests in a window the shape may be absurd (cv up to 797): gaps that vary more than tenfold are
 * taken to vary tenfold. A Weibull distribution's cv is 10 at about this shape.
 */
function trimmed(law: GapLaw, shape: number): number {
  return Math.max(shape, law === 'gamma' ? 1 / 100 : weibullShapeMin)
}

const weibullShapeMin = 0.233
