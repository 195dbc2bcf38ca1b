/**
 * Takes the usage event out of an event stream whose client did not ask for it. Passes whole events on as the bytes
 * they came as, at once; only an event that could be the usage one is parsed.
 */
export class UsageFilter {
  #rest: Buffer = empty

  push(bytes: Buffer): Buffer {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const end = all.length > partialMax ? all.length : lastEventEnd(all)
    // The copy frees the larger buffer that a small rest would otherwise keep alive.
    this.#rest = end === all.length ? empty : Buffer.from(all.subarray(end))
    const whole = all.subarray(0, end)
    return emptyChoices.test(whole.toString('latin1')) ? withoutUsageEvent(whole) : whole
  }

  /** What came after the last whole event: not an event, and the client's to judge. */
  flush(): Buffer {
    const rest = this.#rest
    this.#rest = empty
    return rest
  }
}

const empty: Buffer = Buffer.alloc(0)
/** A longer event is passed on in parts: it can't be the usage event. */
const partialMax = 262_144
const emptyChoices = /"choices"\s*:\s*\[\s*\]/

function withoutUsageEvent(whole: Buffer): Buffer {
  const kept: Buffer[] = []
  for (let from = 0; from < whole.length; ) {
    const to = eventEnd(whole, from)
    const event = whole.subarray(from, to)
    if (!isUsageEvent(event)) kept.push(event)
    from = to
  }
  return Buffer.concat(kept)
}

function isUsageEvent(event: Buffer): boolean {
  const text = event.toString('utf8').trim()
  if (!text.startsWith('data:') || !emptyChoices.test(text)) return false
  try {
    const value: unknown = JSON.parse(text.slice('data:'.length))
    if (typeof value !== 'object' || value === null || !('choices' in value) || !('usage' in value)) return false
    return Array.isArray(value.choices) && value.choices.length === 0 && typeof value.usage === 'object'
  } catch {
    return false
  }
}

/** The end of the event that starts at `from`: past its blank line. */
function eventEnd(bytes: Buffer, from: number): number {
  const lf = bytes.indexOf('\n\n', from, 'latin1')
  const crlf = bytes.indexOf('\r\n\r\n', from, 'latin1')
  const ends = [lf < 0 ? bytes.length : lf + 2, crlf < 0 ? bytes.length : crlf + 4]
  return Math.min(...ends)
}

function lastEventEnd(bytes: Buffer): number {
  const lf = bytes.lastIndexOf('\n\n', undefined, 'latin1')
  const crlf = bytes.lastIndexOf('\r\n\r\n', undefined, 'latin1')
  return Math.max(lf < 0 ? 0 : lf + 2, crlf < 0 ? 0 : crlf + 4)
}
