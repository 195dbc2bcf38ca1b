import { type KindInfo, kindNames, kindOf, kinds } from '../model/registry.ts'
import { Exit, exit } from './exit.ts'

export function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^-?[0-9]+$/.test(text) || value < min || value > max) {
    throw new Exit(exit.usage, `${option}: found "${text}"; allowed are whole numbers from ${min} to ${max}.`)
  }
  return value
}

export function oneOf<T extends string>(
  option: string,
  text: string | undefined,
  allowed: readonly T[],
  otherwise: T,
): T {
  if (text === undefined) return otherwise
  const found = allowed.find((value) => value === text)
  if (found === undefined) throw new Exit(exit.usage, `${option}: found "${text}"; allowed are ${allowed.join(', ')}.`)
  return found
}

/** The kind that a person typed, or an error with the nearest right name. */
export function kindNamed(word: string): KindInfo {
  const info = kindOf(word)
  if (info !== undefined) return info
  const names = kindNames.flatMap((kind) => [kinds[kind].plural, kinds[kind].singular, ...kinds[kind].shortNames])
  const near = nearest(word.toLowerCase(), names)
  throw new Exit(
    exit.usage,
    `no kind is called "${word}"${near === undefined ? '' : `; did you mean "${near}"?`} Kinds: ${kindNames.map((kind) => kinds[kind].plural).join(', ')}.`,
  )
}

export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const name of names) {
    const edits = distance(word, name)
    if (edits < least) {
      least = edits
      best = name
    }
  }
  return best
}

/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
