import { TableError } from './table.ts'

/** The lines of a text that comes in pieces, with their numbers; empty ones are passed over. */
export async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<{ line: number; text: string }> {
  const decoder = new TextDecoder()
  let rest = ''
  let line = 0
  for await (const chunk of bytes) {
    const parts = decoder.decode(chunk, { stream: true }).split('\n')
    parts[0] = rest + parts[0]
    rest = parts.pop() ?? ''
    for (const text of parts) {
      line++
      if (text.trim() !== '') yield { line, text }
    }
    if (rest.length > lineMax)
      throw new TableError([{ line: line + 1, message: `is longer than ${lineMax} characters` }])
  }
  if (rest.trim() !== '') yield { line: line + 1, text: rest }
}

/** A line of a trace that is longer is none: it would be read until memory is full. */
const lineMax = 1024 * 1024
