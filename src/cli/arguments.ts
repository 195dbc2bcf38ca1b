import { nearest } from '../model/nearest.ts'
import { type KindInfo, kindNames, kindOf, kinds } from '../model/registry.ts'
import { Exit, exit } from './exit.ts'
import { plain } from './output.ts'

export function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^-?[0-9]+$/.test(text) || value < min || value > max) {
    throw new Exit(exit.usage, `${option}: found "${text}"; allowed are whole numbers from ${min} to ${max}.`)
  }
  return value
}

export function timeMs(option: string, text: string): number {
  const atMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(atMs)) return atMs
  throw new Exit(exit.usage, `${option}: "${plain(text.slice(0, 64))}" is not a time; write e.g. 2026-01-01T00:00Z.`)
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
  const near = nearest(word, names)
  throw new Exit(
    exit.usage,
    `no kind is called "${word}"${near === undefined ? '.' : `; did you mean "${near}"?`} Kinds: ${kindNames.map((kind) => kinds[kind].plural).join(', ')}.`,
  )
}
