/** Server-sent events as the OpenAI protocol uses them: `data:` lines only, ended by `[DONE]`. */
export const doneEvent = 'data: [DONE]\n\n'
export const eventStreamType = 'text/event-stream; charset=utf-8'

/** One event. JSON has no raw line break, so a single `data:` line always holds it. */
export function encodeEvent(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

/** Bytes of one event's data that a parser keeps; a longer event is a broken or hostile upstream. */
export const eventBytesMax = 8 * 1024 * 1024

/**
 * Reads events from bytes that arrive in any pieces, cut anywhere, also inside a character or a CRLF. Calls `onData`
 * with the data of each event, its lines joined as the standard says. Throws RangeError past `eventBytesMax`.
 */
export class SseParser {
  readonly #onData: (data: string) => void
  readonly #decoder = new TextDecoder('utf-8')
  #line = ''
  #data: string[] = []
  #dataLength = 0
  #afterCarriageReturn = false

  constructor(onData: (data: string) => void) {
    this.#onData = onData
  }

  push(bytes: Uint8Array): void {
    let text = this.#decoder.decode(bytes, { stream: true })
    if (text === '') return
    if (this.#afterCarriageReturn && text.startsWith('\n')) text = text.slice(1)
    this.#afterCarriageReturn = text === '' ? false : text.endsWith('\r')
    const lines = text.split(/\r\n|\r|\n/)
    const rest = lines.pop() ?? ''
    for (const line of lines) {
      this.#endLine(this.#line + line)
      this.#line = ''
    }
    this.#line += rest
    if (this.#line.length + this.#dataLength > eventBytesMax) throw new RangeError('server-sent event too long')
  }

  /** True when everything pushed so far was whole events; a stream that ends elsewhere was cut. */
  get betweenEvents(): boolean {
    return this.#line === '' && this.#data.length === 0
  }

  #endLine(line: string): void {
    if (line === '') {
      this.#endEvent()
      return
    }
    if (!line.startsWith('data')) return
    if (line.length > 4 && line[4] !== ':') return
    const value = line.slice(line[5] === ' ' ? 6 : 5)
    this.#data.push(value)
    this.#dataLength += value.length
  }

  #endEvent(): void {
    if (this.#data.length === 0) return
    const data = this.#data.join('\n')
    this.#data = []
    this.#dataLength = 0
    this.#onData(data)
  }
}
