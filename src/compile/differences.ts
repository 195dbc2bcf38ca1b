import { pathText } from '../model/field-error.ts'
import { annotation } from '../model/names.ts'
import { type KindName, kinds, type Resource } from '../model/registry.ts'
import { defaultOf, schemaAt } from '../model/schema-fields.ts'
import type { Written } from './documents.ts'

export interface Difference {
  path: string
  at: readonly (string | number)[]
  before: unknown
  after: unknown
  /** What a merge patch must carry: a list is replaced whole. */
  patch: { at: readonly string[]; value: unknown }
}

/**
 * Fields that the file names and that the live object has otherwise, and those that the file named when it was last
 * applied and no longer does: these go back to their defaults. All that the file names when nothing is live.
 */
export function differencesOf(object: Written, live: Resource | undefined): Difference[] {
  const found: Difference[] = []
  const { apiVersion: _, kind, metadata, status: __, ...rest } = object
  const named = { metadata: factsIn(metadata), ...rest }
  const asWritten = kind === 'Secret' ? { ...named, stringData: undefined, data: secretData(object) } : named
  compare(asWritten, { ...live, metadata: { ...noFacts, ...live?.metadata } }, [], found)
  if (live !== undefined) dropped(lastApplied(live), asWritten, live, { kind: object.kind, at: [], found })
  return kind === 'Secret' ? found.map(withoutSecret) : found
}

/** What the file says, for the next plan to compare with. A Secret's values are not to be kept a second time. */
export function withLastApplied(object: Written): Written {
  const facts = factsIn(object.metadata)
  const text = JSON.stringify({ ...object, status: undefined, metadata: facts })
  const isNoted = object.kind !== 'Secret' && text.length <= lastAppliedMax
  const note = isNoted ? { [annotation.lastApplied]: text } : {}
  return { ...object, metadata: { ...object.metadata, annotations: { ...facts.annotations, ...note } } }
}

/** What a file says of an object beside its name. A file that `get` wrote has the note of what was applied before it. */
function factsIn({ labels = {}, annotations = {} }: Written['metadata']) {
  const { [annotation.lastApplied]: _, ...said } = annotations
  return { labels, annotations: said }
}

/** The store has no map where it would be empty. */
const noFacts = { labels: {}, annotations: {} }

/** Kubernetes lets all annotations of an object have 256 KiB together. */
const lastAppliedMax = 131_072

function lastApplied(live: Resource): unknown {
  const text = live.metadata.annotations?.[annotation.lastApplied]
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined // somebody edited it: then nothing is known to have been dropped
  }
}

interface Dropping {
  kind: KindName
  at: readonly string[]
  found: Difference[]
}

function dropped(last: unknown, wanted: unknown, live: unknown, { kind, at, found }: Dropping): void {
  if (Array.isArray(last) && Array.isArray(wanted)) {
    // An entry says less than it did, and the live one still says it.
    if (covers(live, wanted) && !covers(wanted, last)) found.push(differenceAt(at, live, wanted, wanted))
    return
  }
  if (!isObject(last) || !isObject(wanted)) return
  for (const [key, before] of Object.entries(last)) {
    const inside = [...at, key]
    const now = fieldOf(live, key)
    if (inside[0] === 'kind' || inside[0] === 'apiVersion' || now === undefined) continue
    if (fieldOf(wanted, key) !== undefined) dropped(before, fieldOf(wanted, key), now, { kind, at: inside, found })
    else {
      const field = schemaAt(kinds[kind].schema, inside)
      const after = field === undefined ? undefined : defaultOf(field)
      if (!covers(now, after)) found.push(differenceAt(inside, now, after, null))
    }
  }
}

function differenceAt(at: readonly string[], before: unknown, after: unknown, value: unknown): Difference {
  return { path: pathText(at), at, before, after, patch: { at, value } }
}

/** One merge patch out of all differences, with the note of what was applied. */
export function patchOf(differences: readonly Difference[], object: Written): Record<string, unknown> {
  const patch: Record<string, unknown> = {}
  const note = object.metadata.annotations?.[annotation.lastApplied]
  const noted = note === undefined ? [] : [{ at: ['metadata', 'annotations', annotation.lastApplied], value: note }]
  for (const { at, value } of [...differences.map((difference) => difference.patch), ...noted]) {
    let into = patch
    for (const step of at.slice(0, -1)) {
      const inner = Object.hasOwn(into, step) ? into[step] : undefined
      const next = isObject(inner) ? inner : {}
      into[step] = next
      into = next
    }
    const last = at.at(-1)
    if (last !== undefined) into[last] = value
  }
  return patch
}

function compare(wanted: unknown, live: unknown, at: readonly (string | number)[], found: Difference[]): void {
  if (wanted === undefined || covers(live, wanted)) return
  if (isObject(wanted) && (isObject(live) || live === undefined) && Object.keys(wanted).length > 0) {
    for (const [key, value] of Object.entries(wanted)) compare(value, fieldOf(live, key), [...at, key], found)
    return
  }
  // Below a list there is nothing that a merge patch could name: it carries the outermost list.
  const isInsideList = at.some((step) => typeof step === 'number')
  const patch = { at: isInsideList ? [] : at.map(String), value: isInsideList ? undefined : wanted }
  for (const one of listDifferences(wanted, live, at)) found.push({ ...one, path: pathText(one.at), patch })
}

/** Lists of one length are compared entry by entry, for the reader; the patch still carries the whole list. */
function listDifferences(
  wanted: unknown,
  live: unknown,
  at: readonly (string | number)[],
): Omit<Difference, 'path' | 'patch'>[] {
  const whole = [{ at, before: live, after: wanted }]
  if (!Array.isArray(wanted) || !Array.isArray(live) || wanted.length !== live.length) return whole
  if (!wanted.every(isObject)) return whole
  const found: Difference[] = []
  for (const [i, item] of wanted.entries()) compare(item, live[i], [...at, i], found)
  return found.length === 0 ? whole : found
}

/** Whether `live` already says all that `wanted` says: it may say more, where something else has filled it in. */
function covers(live: unknown, wanted: unknown): boolean {
  if (live === wanted) return true
  if (wanted === null) return live === undefined
  if (Array.isArray(wanted)) {
    return Array.isArray(live) && live.length === wanted.length && wanted.every((item, i) => covers(live[i], item))
  }
  if (!isObject(wanted) || !isObject(live)) return false
  return Object.entries(wanted).every(([key, value]) => value === undefined || covers(fieldOf(live, key), value))
}

function fieldOf(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

/** `stringData` is written, `data` is kept. */
function secretData(object: Written): Record<string, unknown> | undefined {
  const { data, stringData } = object
  if (!isObject(data) && !isObject(stringData)) return undefined
  const encoded = Object.entries(isObject(stringData) ? stringData : {}).map(([key, value]) => [
    key,
    Buffer.from(String(value), 'utf8').toString('base64'),
  ])
  return { ...(isObject(data) ? data : {}), ...Object.fromEntries(encoded) }
}

function withoutSecret(difference: Difference): Difference {
  if (difference.at[0] !== 'data') return difference
  const before = difference.before === undefined ? undefined : '(not shown)'
  return { ...difference, before, after: '(not shown)' }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
