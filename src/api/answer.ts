/**
 * What a handler gives back; the server writes it. A `warning`, of plain ASCII, is what kubectl prints beside its answer.
 * A stream that `waits` is not begun before its first chunk is there.
 */
export type Answer =
  | { kind: 'json'; code: number; body: object; type?: string; warning?: string }
  | { kind: 'text'; code: number; body: string; type: string }
  | { kind: 'stream'; type: string; chunks: AsyncIterable<Uint8Array | string>; waits?: boolean }

/** A request whose path, token, origin and body were checked. */
export interface Call {
  method: string
  query: URLSearchParams
  accept: string
  /** Media type of the body, without parameters. */
  contentType: string
  body: unknown
  /** Aborted when the client has gone or the server closes. */
  signal: AbortSignal
}

export const json = (code: number, body: object): Answer => ({ kind: 'json', code, body })

/** How the client wants objects shown: whole, as rows of a table, or their metadata alone. */
export type Shape = 'object' | 'table' | 'partial'

export function shapeOf(accept: string): Shape {
  for (const range of accept.split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim())
    if (type !== 'application/json') continue
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3)
    if (as === undefined) return 'object'
    if (as === 'Table') return 'table'
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'partial'
  }
  return 'object'
}
