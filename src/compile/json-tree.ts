import { fieldError } from '../model/field-error.ts'
import type { Position, TextError, Tree } from './yaml-tree.ts'

/**
 * One JSON document, for texts that are too large to be read as YAML. Keys that are written twice are not found: the last
 * counts, as everywhere in JSON. Never throws.
 */
export function readJsonTree(text: string): { trees: Tree[]; errors: TextError[] } {
  const lines = new Lines(text)
  try {
    const value: unknown = JSON.parse(text)
    const places = new Places(text)
    const start = lines.at(places.root)
    return { trees: [{ value, start, positionOf: (at, part) => lines.at(places.find(at, part)) }], errors: [] }
  } catch (error) {
    // Where, the engine only shows: it quotes what stands around it.
    const message = error instanceof Error ? error.message : String(error)
    return {
      trees: [],
      errors: [{ ...fieldError([], `is not JSON: ${message.replace(/[^\x20-\x7e]/g, ' ')}`), line: 1, column: 1 }],
    }
  }
}

class Lines {
  readonly #text: string
  #starts: number[] | undefined

  constructor(text: string) {
    this.#text = text
  }

  at(offset: number): Position {
    this.#starts ??= this.#find()
    let [low, high] = [0, this.#starts.length]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((this.#starts[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 }
  }

  #find(): number[] {
    const starts = [0]
    for (let at = this.#text.indexOf('\n'); at >= 0; at = this.#text.indexOf('\n', at + 1)) starts.push(at + 1)
    return starts
  }
}

/** Where values stand, in a text that is known to be JSON. The items of a list are looked up once for all. */
class Places {
  readonly #text: string
  readonly root: number
  #items: number[] | undefined

  constructor(text: string) {
    this.#text = text
    this.root = this.#skipSpace(text.charCodeAt(0) === 0xfeff ? 1 : 0)
  }

  find(at: readonly (string | number)[], part: 'key' | 'value'): number {
    let place = { key: this.root, value: this.root }
    for (const [depth, step] of at.entries()) {
      const found: typeof place | undefined =
        depth === 1 && at[0] === 'items' && typeof step === 'number'
          ? this.#itemAt(place.value, step)
          : this.#inside(place.value, step)
      if (found === undefined) return place.key
      place = found
    }
    const isPlain = !/[{[]/.test(this.#text.charAt(place.value))
    return part === 'value' && isPlain ? place.value : place.key
  }

  #itemAt(list: number, index: number): { key: number; value: number } | undefined {
    this.#items ??= [...this.#entries(list)].map((entry) => entry.value)
    const value = this.#items[index]
    return value === undefined ? undefined : { key: value, value }
  }

  #inside(at: number, step: string | number): { key: number; value: number } | undefined {
    for (const entry of this.#entries(at)) if (entry.name === step) return entry
    return undefined
  }

  *#entries(at: number): Iterable<{ name: string | number; key: number; value: number }> {
    const isMap = this.#text[at] === '{'
    if (!isMap && this.#text[at] !== '[') return
    let next = this.#skipSpace(at + 1)
    for (let index = 0; this.#text[next] !== '}' && this.#text[next] !== ']'; index++) {
      const key = next
      const keyEnd = isMap ? this.#skipValue(key) : key
      const value = isMap ? this.#skipSpace(this.#skipSpace(keyEnd) + 1) : key
      yield { name: isMap ? String(JSON.parse(this.#text.slice(key, keyEnd))) : index, key, value }
      next = this.#skipSpace(this.#skipValue(value))
      if (this.#text[next] === ',') next = this.#skipSpace(next + 1)
    }
  }

  #skipSpace(at: number): number {
    let next = at
    while (next < this.#text.length && ' \t\r\n'.includes(this.#text.charAt(next))) next++
    return next
  }

  /** Behind the value that begins at `at`. */
  #skipValue(at: number): number {
    let depth = 0
    let next = at
    while (next < this.#text.length) {
      const character = this.#text[next]
      if (character === '"') next = this.#skipText(next)
      else if (character === '{' || character === '[') {
        depth++
        next++
      } else if (character === '}' || character === ']') {
        if (depth === 0) return next
        depth--
        next++
      } else if (depth === 0 && (character === ',' || character === ':' || ' \t\r\n'.includes(character ?? '')))
        return next
      else {
        next++
        continue
      }
      if (depth === 0) return next
    }
    return next
  }

  #skipText(at: number): number {
    let next = at + 1
    while (this.#text[next] !== '"') next += this.#text[next] === '\\' ? 2 : 1
    return next + 1
  }
}
