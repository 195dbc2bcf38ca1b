import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  Scalar,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import { type FieldError, fieldError } from '../model/field-error.ts'
import { forbiddenKeys, plainLimits } from '../model/plain.ts'

/** One YAML or JSON document as plain JSON values, and where in the text each of them stands. */
export interface Tree {
  value: unknown
  start: Position
  /** Where the value at `at` stands, or its key, or what is nearest above it when it isn't there. */
  positionOf(at: readonly (string | number)[], part: 'key' | 'value'): Position
}
export interface Position {
  line: number
  column: number
}
export interface TextError extends FieldError, Position {}

export const textLimits = {
  /** 4 MiB, counted in UTF-16 units: what a person writes by hand is a thousandth of it. */
  characters: 4 * 1024 * 1024,
  documents: 1000,
  tokens: 1_000_000,
  aliases: 1000,
  errors: 1000,
  depth: plainLimits.depth,
  nodes: plainLimits.nodes,
} as const

/**
 * Reads a text of several documents. Bounded in time and memory whatever the text is, and never throws: the size is
 * looked at first, then the tokens, and values are counted as they are made, aliases expanded.
 */
export function readTrees(text: string): { trees: Tree[]; errors: TextError[] } {
  const lines = new LineCounter()
  const refused = tooMuch(text)
  if (refused !== undefined) return { trees: [], errors: [refused] }
  const parsed = parse(text, lines)
  if (parsed === undefined) return { trees: [], errors: [textError('is nested too deeply', { line: 1, column: 1 })] }
  const reader = new Reader(lines)
  const trees = parsed.flatMap((document) => reader.read(document) ?? [])
  return { trees, errors: reader.errors }
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed[] | undefined {
  try {
    // The core schema alone; duplicate keys are found by `Reader`, which needs no quadratic time for it.
    const documents = parseAllDocuments(text, {
      lineCounter,
      uniqueKeys: false,
      merge: false,
      prettyErrors: false,
      logLevel: 'silent',
    })
    return Array.isArray(documents) ? documents : []
  } catch (error) {
    if (error instanceof RangeError) return undefined // the stack: deeper than any bound of ours
    throw error
  }
}

/** A glance at the tokens, which takes linear time, before anything is built from them. */
function tooMuch(text: string): TextError | undefined {
  if (text.length > textLimits.characters) {
    return textError(`is larger than 4 MiB (${text.length} characters)`, { line: 1, column: 1 })
  }
  let offset = 0
  let tokens = 0
  let documents = 1
  let flowDepth = 0
  let lineDepth = 0 // `- - - x` nests on one line
  let isScalarNext = false
  for (const token of new Lexer().lex(text)) {
    if (controlTokens.has(token)) {
      isScalarNext = token === scalarMark
      continue
    }
    tokens += 1
    if (!isScalarNext) {
      if (token === '[' || token === '{') flowDepth += 1
      else if (token === ']' || token === '}') flowDepth = Math.max(0, flowDepth - 1)
      else if (token === '-' || token === '?') lineDepth += 1
      else if (token === '---') documents += 1
      if (token.endsWith('\n')) lineDepth = 0
    }
    const problem = problemOf(tokens, documents, Math.max(flowDepth, lineDepth))
    if (problem !== undefined) return textError(problem, positionIn(text, offset))
    offset += token.length
    isScalarNext = false
  }
  return undefined
}

function problemOf(tokens: number, documents: number, depth: number): string | undefined {
  if (depth > textLimits.depth) return `is nested deeper than ${textLimits.depth} levels`
  if (tokens > textLimits.tokens) return `has more than ${textLimits.nodes} values`
  return documents > textLimits.documents + 1 ? `has more than ${textLimits.documents} documents` : undefined
}

function positionIn(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** The lexer's marks: start of a document, end of a flow collection's error, a scalar follows. */
const scalarMark = '\u001f'
const controlTokens: ReadonlySet<string> = new Set(['\u0002', '\u0018', scalarMark])

/** Turns nodes into values, counting, and remembers what each alias stands for. */
class Reader {
  readonly errors: TextError[] = []
  readonly #lines: LineCounter
  readonly #targets = new WeakMap<Alias, Node>()
  #anchors = new Map<string, Node>()
  #open = new Set<Node>()
  #path: (string | number)[] = []
  #nodes = 0
  #aliases = 0
  #stopped = false

  constructor(lines: LineCounter) {
    this.#lines = lines
  }

  read(document: Document.Parsed): Tree | undefined {
    this.#anchors = new Map()
    // Errors of syntax cascade: the first is the one to mend.
    const [syntax] = [...document.errors, ...document.warnings]
    if (syntax !== undefined) {
      this.errors.push(textError(syntaxMessage(syntax), positionAt(this.#lines, syntax.pos[0])))
      return undefined
    }
    const root = document.contents
    if (root === null || (isScalar(root) && root.value === null) || this.#stopped) return undefined
    const before = this.errors.length
    const value = this.#valueOf(root)
    if (this.errors.length > before) return undefined
    const start = positionAt(this.#lines, startOf(root) ?? 0)
    return { value, start, positionOf: (at, part) => this.#positionOf(root, at, part) }
  }

  #valueOf(node: unknown): unknown {
    this.#nodes += 1
    if (this.#stopped) return undefined
    if (this.#nodes > textLimits.nodes)
      return this.#stop(node, `has more than ${textLimits.nodes} values, aliases expanded`)
    if (this.#path.length > textLimits.depth)
      return this.#stop(node, `is nested deeper than ${textLimits.depth} levels`)
    if (isAlias(node)) return this.#aliased(node)
    if (isScalar(node)) {
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, node)
      return this.#scalar(node)
    }
    if (isMap(node) || isSeq(node)) {
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, node)
      this.#open.add(node)
      const value = isMap(node) ? this.#map(node) : this.#list(node.items)
      this.#open.delete(node)
      return value
    }
    return null
  }

  #aliased(alias: Alias): unknown {
    this.#aliases += 1
    if (this.#aliases > textLimits.aliases) return this.#stop(alias, `has more than ${textLimits.aliases} aliases`)
    const target = this.#anchors.get(alias.source)
    if (target === undefined) return this.#fail(alias, `refers to *${alias.source}, which is not defined before it`)
    if (this.#open.has(target)) return this.#fail(alias, `refers to *${alias.source}, which it is a part of`)
    this.#targets.set(alias, target)
    return this.#valueOf(target)
  }

  #scalar(node: Scalar): unknown {
    const { value } = node
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value !== 'number') return this.#fail(node, 'has a tag that has no place in JSON; write plain text')
    return Number.isFinite(value) ? value : this.#fail(node, `must be a finite number, found ${node.source ?? value}`)
  }

  #list(items: readonly unknown[]): unknown[] {
    return items.map((item, i) => this.#inside(i, () => this.#valueOf(item)))
  }

  #map(map: YAMLMap): Record<string, unknown> {
    const value: Record<string, unknown> = {}
    const merges: Pair[] = []
    for (const pair of map.items) {
      if (isMergeKey(pair.key)) merges.push(pair)
      else this.#entry(value, pair)
    }
    for (const pair of merges) this.#merge(value, pair.value)
    return value
  }

  #entry(value: Record<string, unknown>, { key, value: inner }: Pair): void {
    const name = keyText(key)
    if (name === undefined) {
      this.#fail(key ?? inner, 'must have a text as its key')
      return
    }
    this.#inside(name, () => {
      if (forbiddenKeys.has(name)) this.#fail(key, 'is not allowed as a key')
      else if (Object.hasOwn(value, name)) this.#fail(key, 'is written twice here')
      else value[name] = this.#valueOf(inner)
    })
  }

  /** `<<: *defaults`: what is written here wins, then the earlier source. */
  #merge(value: Record<string, unknown>, source: unknown): void {
    const merged = this.#valueOf(source)
    for (const from of Array.isArray(merged) ? merged : [merged]) {
      if (!isObject(from)) {
        if (!this.#stopped) this.#fail(source, 'must merge an object, or a list of objects')
        return
      }
      for (const [name, inner] of Object.entries(from)) if (!Object.hasOwn(value, name)) value[name] = inner
    }
  }

  #inside<T>(step: string | number, run: () => T): T {
    this.#path.push(step)
    const result = run()
    this.#path.pop()
    return result
  }

  #fail(node: unknown, message: string): undefined {
    if (this.errors.length >= textLimits.errors) this.#stopped = true
    if (this.#stopped) return
    const position = positionAt(this.#lines, startOf(node) ?? 0)
    this.errors.push({ ...fieldError(this.#path, message), ...position })
  }

  /** What a bound says once is enough. */
  #stop(node: unknown, message: string): undefined {
    this.#stopped = true
    this.errors.push(textError(message, positionAt(this.#lines, startOf(node) ?? 0)))
  }

  #positionOf(root: Node, at: readonly (string | number)[], part: 'key' | 'value'): Position {
    let offset = startOf(root) ?? 0
    let node: unknown = root
    for (const [i, step] of at.entries()) {
      const found = this.#step(node, step)
      if (found === undefined) break
      node = found.value
      const wanted = part === 'value' && i === at.length - 1 && !isMap(node) && !isSeq(node) ? found.value : found.key
      offset = startOf(wanted) ?? startOf(found.key) ?? offset
    }
    return positionAt(this.#lines, offset)
  }

  #step(at: unknown, step: string | number): { key: unknown; value: unknown } | undefined {
    const node = isAlias(at) ? this.#targets.get(at) : at
    if (isSeq(node)) {
      const item = typeof step === 'number' ? node.items[step] : undefined
      return item === undefined ? undefined : { key: item, value: item }
    }
    if (!isMap(node)) return undefined
    const own = node.items.find((pair) => !isMergeKey(pair.key) && keyText(pair.key) === step)
    if (own !== undefined) return own
    for (const pair of node.items) {
      if (!isMergeKey(pair.key)) continue
      const sources = isSeq(pair.value) ? pair.value.items : [pair.value]
      for (const source of sources) {
        const found = this.#step(source, step)
        if (found !== undefined) return found
      }
    }
    return undefined
  }
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === '<<' && key.type === Scalar.PLAIN
}

function keyText(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined
  if (typeof key.value === 'string') return key.value
  return typeof key.value === 'number' || typeof key.value === 'boolean' ? (key.source ?? String(key.value)) : undefined
}

function startOf(node: unknown): number | undefined {
  return (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) && node.range ? node.range[0] : undefined
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function textError(message: string, position: Position): TextError {
  return { ...fieldError([], message), ...position }
}

/** The parser's words, or ours where ours say what to do; on one line and with nothing that could drive a terminal. */
function syntaxMessage({ code, message }: YAMLError): string {
  const ours = syntaxHints.get(code)
  if (ours !== undefined) return ours
  if (message.includes('call stack')) return `is nested deeper than ${textLimits.depth} levels`
  return `is not YAML: ${message.replace(/[^\x20-\x7e]/g, '?').slice(0, 160)}`
}

const syntaxHints: ReadonlyMap<string, string> = new Map([
  ['TAB_AS_INDENT', 'is indented with a tab; YAML wants spaces'],
  ['BLOCK_AS_IMPLICIT_KEY', 'has a second ": " on one line; put the value in quotes'],
])

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
