import { admit } from '../model/admission.ts'
import { type FieldError, fieldError, formatFieldError, shown } from '../model/field-error.ts'
import { nearest } from '../model/nearest.ts'
import {
  apiVersionOf,
  type KindInfo,
  type KindName,
  kindNames,
  kindOf,
  kinds,
  type Resource,
} from '../model/registry.ts'
import { readJsonTree } from './json-tree.ts'
import { type Position, readTrees, type TextError, type Tree, textLimits } from './yaml-tree.ts'

export interface TextFile {
  name: string
  text: string
}

/** An object as its author wrote it, known to be valid; `namespace` is filled in, defaults are not. */
export interface Written {
  apiVersion: string
  kind: KindName
  metadata: WrittenMeta
  [field: string]: unknown
}
export interface WrittenMeta {
  name: string
  namespace?: string | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
  [field: string]: unknown
}

export interface WrittenDocument {
  file: string
  line: number
  object: Written
  /** The same with its kind's defaults: what the factory would make of it. */
  admitted: Resource
  /** Where a field of it stands, or what is nearest above it. */
  positionOf(at: readonly (string | number)[]): Position
}
export interface DocumentError extends FieldError {
  file: string
  line: number
  column: number
}
export type ReadDocuments = { documents: WrittenDocument[] } | { errors: DocumentError[] }

export interface ReadOptions {
  namespace?: string | undefined
  /** JSON may be as large as this, in characters: for what programs write. Of YAML more than `textLimits` takes too long. */
  jsonCharacters?: number
  /** So many resources of one file. */
  resources?: number
}

/**
 * Reads resources from YAML or JSON files. Either everything is right, or all that is wrong in all documents of all
 * files comes back at once. Never throws, and is bounded in time and memory, whatever the files hold.
 */
export function readDocuments(files: readonly TextFile[], options: ReadOptions = {}): ReadDocuments {
  const places = new Map<string, string>()
  const read = files.map((file) => readFile(file, places, options))
  const errors = read.flatMap((file) => file.errors)
  return errors.length > 0 ? { errors } : { documents: read.flatMap((file) => file.documents) }
}

function readFile(file: TextFile, places: Map<string, string>, options: ReadOptions) {
  const { namespace, jsonCharacters, resources = Number.POSITIVE_INFINITY } = options
  const documents: WrittenDocument[] = []
  const { trees, errors: unread } = treesOf(file.text, jsonCharacters)
  const errors: DocumentError[] = unread.map((error) => inFile(file, error))
  const sources = trees.flatMap((tree) => resourcesOf(tree))
  if (sources.length === 0 && unread.length === 0) errors.push(inFile(file, { ...empty, line: 1, column: 1 }))
  if (sources.length > resources) {
    const message = `holds ${sources.length} resources; ${resources} are read at most`
    errors.push(inFile(file, { ...fieldError([], message), line: 1, column: 1 }))
    return { documents, errors }
  }
  for (const source of sources) {
    const read = readOne(source, namespace)
    if ('errors' in read) for (const error of read.errors) errors.push({ ...error, file: file.name })
    else documents.push({ ...read, file: file.name })
    const repeated = repeatedIn(places, source, file.name, namespace)
    if (repeated !== undefined) errors.push(repeated)
  }
  return { documents, errors: errors.sort((a, b) => a.line - b.line || a.column - b.column) }
}

function treesOf(text: string, jsonCharacters = 0): ReturnType<typeof readTrees> {
  const isLarge = text.length > textLimits.characters
  const isJson = jsonCharacters > 0 && text.length > jsonCharactersMin && /^\ufeff?\s*[{[]/.test(text)
  if (isJson && text.length > jsonCharacters)
    return tooLarge(`is larger than ${jsonCharacters / mebi} MiB; split it in two`)
  const read = isJson ? readJsonTree(text) : undefined
  if (read !== undefined && (isLarge || read.errors.length === 0)) return read
  if (isLarge && jsonCharacters > 0) return tooLarge('is larger than 4 MiB; write it as JSON, of which more is read')
  return readTrees(text)
}

/** From here on reading JSON as YAML takes a second or more. */
const jsonCharactersMin = 512 * 1024
const mebi = 1024 * 1024

function tooLarge(message: string): ReturnType<typeof readTrees> {
  return { trees: [], errors: [{ ...fieldError([], message), line: 1, column: 1 }] }
}

/** One line an error: `job.yaml:7:3: spec.worker: unknown field; did you mean "workers"?` */
export function formatErrors(errors: readonly DocumentError[]): string {
  const lines = errors
    .slice(0, errorsShown)
    .map((error) => `${error.file}:${error.line}:${error.column}: ${formatFieldError(error)}`)
  if (errors.length > errorsShown) lines.push(`… and ${errors.length - errorsShown} more`)
  return lines.join('\n')
}

/** More than anybody mends in one go. */
const errorsShown = 200
const empty = fieldError([], 'holds no resource')

/** A resource inside a document: the whole of it, or an item of a List. */
interface Source {
  tree: Tree
  at: readonly (string | number)[]
  value: unknown
}

function resourcesOf(tree: Tree): Source[] {
  const { value } = tree
  if (!isObject(value) || !Array.isArray(value['items']) || !/List$/.test(String(value['kind']))) {
    return [{ tree, at: [], value }]
  }
  return value['items'].map((item: unknown, i) => ({ tree, at: ['items', i], value: item }))
}

function readOne(
  source: Source,
  namespace: string | undefined,
): Omit<WrittenDocument, 'file'> | { errors: PlacedError[] } {
  const { value, tree, at } = source
  const info = infoOf(value)
  if (Array.isArray(info)) return { errors: info.map((error) => placed(source, error)) }
  const admitted = admit(info, value, { namespaceDefault: namespace })
  if ('errors' in admitted) return { errors: admitted.errors.map((error) => placed(source, error)) }
  const { metadata } = admitted.object
  const written = isObject(value) && isObject(value['metadata']) ? value['metadata'] : {}
  const object = {
    ...(isObject(value) ? value : {}),
    apiVersion: apiVersionOf(info),
    kind: info.kind,
    metadata: {
      ...written,
      name: metadata.name,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    },
  }
  const positionOf = (field: readonly (string | number)[]) => tree.positionOf([...at, ...field], 'value')
  return { line: tree.positionOf(at, 'key').line, object, admitted: admitted.object, positionOf }
}

/** The kind that the object says it is of, or what is wrong with what it says. */
function infoOf(value: unknown): KindInfo | FieldError[] {
  if (!isObject(value))
    return [
      fieldError([], 'must be a resource: an object with apiVersion, kind, metadata and spec', { found: shown(value) }),
    ]
  const { kind, apiVersion } = value
  if (typeof kind !== 'string') {
    return [
      fieldError(['kind'], kind === undefined ? 'is required and missing' : 'must be a string', {
        found: kind === undefined ? undefined : shown(kind),
        allowed: kindNames.join(', '),
      }),
    ]
  }
  const name = kindNames.find((known) => known === kind)
  if (kind === 'Scenario')
    return [fieldError(['kind'], 'is played, not applied: `millwright twin run FILE`', { found: shown(kind) })]
  if (name === undefined) {
    const meant = kindOf(kind)?.kind ?? nearest(kind, kindNames)
    const allowed = meant === undefined ? kindNames.join(', ') : undefined
    return [fieldError(['kind'], 'is a kind that we do not know', { found: shown(kind), allowed, suggestion: meant })]
  }
  const version = apiVersionOf(kinds[name])
  if (apiVersion === version) return kinds[name]
  const message = apiVersion === undefined ? 'is required and missing' : `must be "${version}" for a ${name}`
  const found = apiVersion === undefined ? { allowed: version } : { found: shown(apiVersion) }
  return [fieldError(['apiVersion'], message, found)]
}

function repeatedIn(
  places: Map<string, string>,
  { value, tree, at }: Source,
  file: string,
  namespace: string | undefined,
): DocumentError | undefined {
  if (!isObject(value) || !isObject(value['metadata'])) return undefined
  const { name } = value['metadata']
  const kind = kindNames.find((known) => known === value['kind'])
  if (typeof name !== 'string' || kind === undefined) return undefined
  const place = kinds[kind].namespaced ? String(value['metadata']['namespace'] ?? namespace ?? 'default') : ''
  const key = `${kind} ${place} ${name}`
  const position = tree.positionOf([...at, 'metadata', 'name'], 'value')
  const before = places.get(key)
  if (before === undefined) {
    places.set(key, `${file}:${position.line}`)
    return undefined
  }
  const error = fieldError(['metadata', 'name'], `names a ${kind} that ${before} also describes`, {
    found: shown(name),
  })
  return { ...error, ...position, file }
}

type PlacedError = FieldError & Position

function placed({ tree, at }: Source, error: FieldError): PlacedError {
  const onKey = error.found === undefined
  return { ...error, ...tree.positionOf([...at, ...error.at], onKey ? 'key' : 'value') }
}

function inFile(file: TextFile, error: TextError): DocumentError {
  return { ...error, file: file.name }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
