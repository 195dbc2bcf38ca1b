import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { apiVersionOf, type KindInfo, kindNames, kindOf } from './registry.ts'
import { defaultOf, descriptionOf, elementOf, type Field, fieldAt, fieldsOf, typeOf } from './schema-fields.ts'

/** What is written in a file: a kind of resource, or something else that has a schema. */
export interface Written {
  kind: string
  singular: string
  /** Group and version, as `apiVersion` says them. */
  apiVersion: string
  schema: z.core.$ZodType
}

/**
 * What `millwright explain` prints for `trainingjob.spec.checkpoint`: kind, field, type, default, meaning and the fields
 * below. An unknown kind or field is answered with the nearest one. `others`: what is written in files beside resources.
 */
export function explain(path: string, others: readonly Written[] = []): string | { error: string } {
  const [word = '', ...names] = path.split('.').filter((name) => name !== '')
  const kind = kindOf(word)
  const info = kind === undefined ? others.find(({ singular }) => singular === word) : writtenOf(kind)
  if (info === undefined) return { error: unknown('kind', word, kindNames) }
  let { schema } = info
  for (const [i, name] of names.entries()) {
    const field = fieldAt(schema, name.replace(/\[[0-9]*\]$/, ''))
    if (field === undefined) {
      const known = (fieldsOf(elementOf(schema)) ?? []).map((other) => other.name)
      return { error: unknown(`field of ${[info.singular, ...names.slice(0, i)].join('.')}`, name, known) }
    }
    schema = field
  }
  return page(info, names, schema)
}

export function writtenOf(info: KindInfo): Written {
  return { ...info, apiVersion: apiVersionOf(info) }
}

function page(info: Written, names: readonly string[], schema: z.core.$ZodType): string {
  const fields = fieldsOf(elementOf(schema)) ?? []
  const value = defaultOf(schema)
  const head: [string, string | undefined][] = [
    ['KIND', info.kind],
    ['VERSION', info.apiVersion],
    ['FIELD', names.length === 0 ? undefined : names.join('.')],
    ['TYPE', typeOf(schema)],
    ['DEFAULT', value === undefined || isEmptyObject(value) ? undefined : JSON.stringify(value)],
  ]
  const lines = head.flatMap(([title, text]) => (text === undefined ? [] : [`${`${title}:`.padEnd(10)}${text}`]))
  const description = descriptionOf(schema) ?? descriptionOf(elementOf(schema))
  if (description !== undefined) lines.push('', ...wrapped(description, 2))
  if (fields.length > 0) lines.push('', 'FIELDS:', ...fields.flatMap(entry))
  return lines.join('\n')
}

function entry({ name, schema, required }: Field): string[] {
  const value = defaultOf(schema)
  const notes = [
    `<${typeOf(schema)}>`,
    required ? 'required' : undefined,
    value === undefined || isEmptyObject(value) ? undefined : `default ${JSON.stringify(value)}`,
  ]
  const description = descriptionOf(schema)
  return [
    `  ${name}  ${notes.filter((note) => note !== undefined).join(', ')}`,
    ...(description === undefined ? [] : wrapped(description, 6)),
  ]
}

function unknown(what: string, word: string, known: readonly string[]): string {
  const meant = nearest(word, known)
  const hint = meant === undefined ? `; there are: ${known.join(', ')}` : `; did you mean "${meant}"?`
  return known.length === 0 ? `no ${what} is "${word}": it has no fields` : `no ${what} is "${word}"${hint}`
}

function isEmptyObject(value: unknown): boolean {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length === 0
}

const widthMax = 90

function wrapped(text: string, indent: number): string[] {
  const margin = ' '.repeat(indent)
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && margin.length + line.length + 1 + word.length > widthMax) {
      lines.push(margin + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, margin + line]
}
