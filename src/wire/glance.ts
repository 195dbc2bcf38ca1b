/** What a gateway must know of a request before it relays the bytes untouched. */
export interface Glance {
  model: string | undefined
  stream: boolean
  includeUsage: boolean
  /** The larger of `max_tokens` and `max_completion_tokens`: what to reserve. */
  maxTokens: number | undefined
}

/**
 * Looks at the top-level fields of a JSON body without building it: nested values (a conversation of megabytes) are
 * stepped over by scanning for the quotes and brackets that matter. Undefined when this is not one JSON object whose
 * wanted fields have their types; whoever serves it will say what is wrong. A repeated key: the last one counts, as
 * in `JSON.parse`, so that the gateway and the engine read the same request.
 */
export function glanceAt(bodyBytes: Uint8Array): Glance | undefined {
  const scan = new Scan(bodyBytes)
  const fields = scan.topLevel(wantedKeys)
  if (fields === undefined) return undefined
  const model = fields.get('model')
  const stream = fields.get('stream') ?? false
  const options = fields.get('stream_options') ?? {}
  const limits = [fields.get('max_tokens'), fields.get('max_completion_tokens')]
  if (model !== undefined && model !== null && typeof model !== 'string') return undefined
  if (typeof stream !== 'boolean' || typeof options !== 'object') return undefined
  const numbers = limits.filter((limit) => typeof limit === 'number')
  return {
    model: model ?? undefined,
    stream,
    includeUsage: 'include_usage' in options && options.include_usage === true,
    maxTokens: numbers.length === 0 ? undefined : Math.max(...numbers),
  }
}

const wantedKeys: ReadonlySet<string> = new Set([
  'model',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
])

/** A wanted value longer than this is not one that a client meant. */
const wantedBytesMax = 4096

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d

class Scan {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.#at = 3
  }

  topLevel(wanted: ReadonlySet<string>): Map<string, unknown> | undefined {
    const fields = new Map<string, unknown>()
    if (!this.#take(openBrace)) return undefined
    if (this.#take(closeBrace)) return this.#atEnd() ? fields : undefined
    for (;;) {
      const key = this.#key()
      if (key === undefined || !this.#take(colon)) return undefined
      const from = this.#at
      if (!this.#skipValue()) return undefined
      if (wanted.has(key)) {
        const value = this.#parsed(from, this.#at)
        if (value === unreadable) return undefined
        fields.set(key, value)
      }
      if (this.#take(comma)) continue
      return this.#take(closeBrace) && this.#atEnd() ? fields : undefined
    }
  }

  #key(): string | undefined {
    this.#skipSpace()
    const from = this.#at
    if (this.#bytes[from] !== quote || !this.#skipString()) return undefined
    if (this.#at - from > wantedBytesMax) return ''
    const key = this.#parsed(from, this.#at)
    return typeof key === 'string' ? key : undefined
  }

  /** Steps over one value. Nesting is counted, not matched: the server that parses it checks the rest. */
  #skipValue(): boolean {
    this.#skipSpace()
    let depth = 0
    const from = this.#at
    while (this.#at < this.#bytes.length) {
      const byte = this.#bytes[this.#at]
      if (byte === quote) {
        if (!this.#skipString()) return false
        if (depth === 0) return true
        continue
      }
      if (byte === openBrace || byte === openBracket) depth++
      else if (byte === closeBrace || byte === closeBracket) {
        if (depth === 0) return this.#at > from
        depth--
        if (depth === 0) {
          this.#at++
          return true
        }
      } else if (byte === comma && depth === 0) return this.#at > from
      this.#at++
    }
    return false
  }

  /** From the opening quote to past the closing one. A quote is real after an even run of backslashes. */
  #skipString(): boolean {
    let from = this.#at + 1
    for (;;) {
      const end = this.#bytes.indexOf(quote, from)
      if (end < 0) return false
      let slashes = 0
      while (end - 1 - slashes > this.#at && this.#bytes[end - 1 - slashes] === backslash) slashes++
      from = end + 1
      if (slashes % 2 === 0) {
        this.#at = from
        return true
      }
    }
  }

  #parsed(from: number, to: number): unknown {
    if (to - from > wantedBytesMax) return unreadable
    try {
      return JSON.parse(decoder.decode(this.#bytes.subarray(from, to)))
    } catch {
      return unreadable
    }
  }

  #take(byte: number): boolean {
    this.#skipSpace()
    if (this.#bytes[this.#at] !== byte) return false
    this.#at++
    return true
  }

  #atEnd(): boolean {
    this.#skipSpace()
    return this.#at === this.#bytes.length
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#bytes[this.#at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
      this.#at++
    }
  }
}

const unreadable = Symbol('unreadable')
const decoder = new TextDecoder('utf-8', { fatal: true })
