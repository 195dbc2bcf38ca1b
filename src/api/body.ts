import { badRequest } from './failure.ts'

/** Deeper than any honest manifest; a patch or a pod template stays well under twenty. */
export const depthMax = 64

/**
 * JSON from a stranger. Beyond what `JSON.parse` refuses, a key given twice (which of the two was meant?), nesting
 * that would exhaust a recursive reader, and `__proto__` (which would change an object's prototype when copied) are
 * errors that say where they are.
 */
export function parseJson(text: string): unknown {
  refuseTraps(text)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw badRequest(
      `the body is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read'}`,
    )
  }
}

/** One pass over the tokens that matter (braces, strings, colons); whether the text is JSON at all is `JSON.parse`'s to say. */
function refuseTraps(text: string): void {
  const open: (Set<string> | undefined)[] = [] // a set of keys for each open object, undefined for an array
  let keyExpected = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      const end = endOfString(text, at)
      const keys = open[open.length - 1]
      if (keyExpected && keys !== undefined) takeKey(text.slice(at, end + 1), keys)
      keyExpected = false
      at = end
    } else if (code === openBrace || code === openBracket) {
      if (open.length >= depthMax) throw badRequest(`the body is nested deeper than ${depthMax} levels`)
      open.push(code === openBrace ? new Set() : undefined)
      keyExpected = code === openBrace
    } else if (code === closeBrace || code === closeBracket) {
      open.pop()
      keyExpected = false
    } else if (code === comma) {
      keyExpected = open[open.length - 1] !== undefined
    }
  }
}

function takeKey(quoted: string, keys: Set<string>): void {
  const key = quoted.includes('\\') ? unescaped(quoted) : quoted.slice(1, -1)
  if (key === '__proto__') throw badRequest('the body has a field named "__proto__", which no resource has; remove it')
  if (keys.has(key))
    throw badRequest(`the body has the field ${JSON.stringify(key.slice(0, 100))} twice in one object; keep one`)
  keys.add(key)
}

function unescaped(quoted: string): string {
  try {
    return String(JSON.parse(quoted))
  } catch {
    return quoted // not JSON; JSON.parse of the whole says so
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === backslash) at++
    else if (code === quote) return at
  }
  return text.length
}

export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(inner, levels - 1))
}

export type JsonObject = { [field: string]: unknown }

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const quote = 34
const comma = 44
const openBracket = 91
const backslash = 92
const closeBracket = 93
const openBrace = 123
const closeBrace = 125
