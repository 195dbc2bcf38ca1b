import { type Usage, usage } from './responses.ts'
import { SseParser } from './sse.ts'

/** What the end of an answer says about it. */
export interface Ending {
  /** The stream said `[DONE]`, so nothing was cut. */
  done: boolean
  usage: Usage | undefined
  /** The stream ended with an error event. */
  failed: boolean
}

const tailBytes = 16 * 1024

/**
 * Watches a relayed event stream without parsing it: keeps the last bytes only, and reads them once, at the end.
 * The usage event and `[DONE]` are the last two that a well-behaved engine sends.
 */
export class TailReader {
  readonly #tail = new Uint8Array(tailBytes)
  #kept = 0
  #seen = 0

  push(bytes: Uint8Array): void {
    this.#seen += bytes.length
    if (bytes.length >= tailBytes) {
      this.#tail.set(bytes.subarray(bytes.length - tailBytes))
      this.#kept = tailBytes
      return
    }
    const overflow = this.#kept + bytes.length - tailBytes
    if (overflow > 0) {
      this.#tail.copyWithin(0, overflow, this.#kept)
      this.#kept -= overflow
    }
    this.#tail.set(bytes, this.#kept)
    this.#kept += bytes.length
  }

  get bytesSeen(): number {
    return this.#seen
  }

  ending(): Ending {
    const ending: Ending = { done: false, usage: undefined, failed: false }
    const parser = new SseParser((data) => readEvent(data, ending))
    parser.push(this.#tail.subarray(this.#cutStart(), this.#kept))
    return ending
  }

  /** When the head is gone, the first line may be half a line: start after it. */
  #cutStart(): number {
    if (this.#seen === this.#kept) return 0
    const lineEnd = this.#tail.subarray(0, this.#kept).indexOf(0x0a)
    return lineEnd < 0 ? this.#kept : lineEnd + 1
  }
}

/** The usage in a whole (not streamed) JSON answer; undefined when it has none. */
export function usageOfBody(bodyBytes: Uint8Array): Usage | undefined {
  const ending: Ending = { done: true, usage: undefined, failed: false }
  readEvent(new TextDecoder().decode(bodyBytes), ending)
  return ending.usage
}

function readEvent(data: string, ending: Ending): void {
  if (data.trim() === '[DONE]') {
    ending.done = true
    return
  }
  if (!data.includes('"usage"') && !data.includes('"error"')) return
  const value = parsedOrUndefined(data)
  if (typeof value !== 'object' || value === null) return
  if ('error' in value && value.error !== null) ending.failed = true
  if (!('usage' in value)) return
  const parsed = usage.safeParse(value.usage)
  if (parsed.success) ending.usage = parsed.data
}

function parsedOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
