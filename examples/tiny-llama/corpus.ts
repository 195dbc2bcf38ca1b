import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encode } from './tokens.ts'

export interface Corpus {
  train: Int32Array
  heldOut: Int32Array
  /** What it is, for a person. */
  description: string
  /** Of the text as the model sees it. */
  sha256: string
}

const bytesMax = 4_000_000
const blockBytesMax = 4096
/** Of so many blocks one is held out. */
const blocksPerHeldOut = 20

/**
 * Reads a file, a folder, or, with no path, the Markdown of this installation. The same files give the same corpus.
 * Every twentieth block is held out, so that both parts are of all authors.
 */
export function readCorpus(path: string | undefined, context: number): Corpus {
  const { root, files, what } = path === undefined ? installation() : given(path)
  const { bytes, read, isCut } = gather(files)
  const needed = blocksPerHeldOut * (context + 2)
  if (bytes.length < needed) {
    throw new Error(
      `the text (${what(read)} under ${root}) has ${bytes.length} bytes; a context of ${context} needs at least ${needed}. Name more with --data PATH`,
    )
  }
  const tokens = encode(bytes)
  const block = Math.max(context + 2, Math.min(blockBytesMax, Math.floor(tokens.length / blocksPerHeldOut)))
  const blocks = Array.from({ length: Math.ceil(tokens.length / block) }, (_, at) =>
    tokens.subarray(at * block, (at + 1) * block),
  )
  const isHeldOut = (at: number) => at % blocksPerHeldOut === blocksPerHeldOut / 2
  const size = `${(bytes.length / 1e6).toFixed(2)} MB${isCut ? `, the first of more` : ''}`
  return {
    train: joined(blocks.filter((_, at) => !isHeldOut(at))),
    heldOut: joined(blocks.filter((_, at) => isHeldOut(at))),
    description: `${what(read)} under ${root}, ${size}`,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }
}

function joined(blocks: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(blocks.reduce((size, block) => size + block.length, 0))
  let at = 0
  for (const block of blocks) {
    whole.set(block, at)
    at += block.length
  }
  return whole
}

interface Source {
  root: string
  files: string[]
  what(count: number): string
}

function given(path: string): Source {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw new Error(`there is no ${path}; name a file or folder of text`)
  const what = (count: number) => (count === 1 ? '1 text file' : `${count} text files`)
  if (!found.isDirectory()) return { root: path, files: [path], what }
  return { root: path, files: filesUnder(path, (name) => !/(^|\/)(\.|node_modules\/)/.test(name)), what }
}

/** The Markdown of the nearest folder above us that has packages installed, theirs included. */
function installation(): Source {
  const what = (count: number) => `${count} Markdown files (docs and installed packages)`
  for (let root = dirname(fileURLToPath(import.meta.url)); root !== dirname(root); root = dirname(root)) {
    if (basename(root) === 'node_modules' || !isFolder(join(root, 'node_modules'))) continue
    const here = readdirSync(root).filter((name) => /\.md$/i.test(name))
    const below = ['docs', 'node_modules'].flatMap((folder) => filesUnder(join(root, folder), isOwnMarkdown))
    return { root, files: [...here.sort().map((name) => join(root, name)), ...below], what }
  }
  throw new Error('no installed packages with Markdown were found; name a text with --data PATH')
}

/** Not hidden, and no translation such as README.zh-CN.md: a model this small has enough to do with one language. */
const isOwnMarkdown = (name: string) =>
  /\.md$/i.test(name) && !/(^|\/)\./.test(name) && !/\.[a-z]{2}(-[A-Za-z]{2,4})?\.md$/.test(name)

function filesUnder(root: string, isWanted: (name: string) => boolean): string[] {
  if (!isFolder(root)) return []
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    isWanted(name.replaceAll(sep, '/')),
  )
  return names
    .sort()
    .map((name) => join(root, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** The text of the files in order, up to the limit. A file with a NUL byte is no text. */
function gather(files: readonly string[]): { bytes: Uint8Array; read: number; isCut: boolean } {
  const parts: Uint8Array[] = []
  let size = 0
  let isCut = false
  for (const file of files) {
    if (size >= bytesMax) {
      isCut = true
      break
    }
    const raw = readFileSync(file)
    if (raw.subarray(0, 8192).includes(0)) continue
    const text = clean(raw.toString('utf8'))
    if (text === '') continue
    const bytes = new TextEncoder().encode(`${text}\n`)
    const kept = bytes.subarray(0, bytesMax - size)
    isCut ||= kept.length < bytes.length
    parts.push(kept)
    size += kept.length
  }
  return { bytes: Buffer.concat(parts), read: parts.length, isCut }
}

/** Without tables, runs of blanks and embedded images, which would fill the samples with blanks and noise. */
export function clean(text: string): string {
  const lines = text
    .replaceAll('\r', '')
    .split('\n')
    .filter((line) => !/^\s*\|/.test(line))
    .map((line) => (line.length < 200 ? line : line.replace(/\S{200,}/g, '')))
  return lines
    .join('\n')
    .replace(/[ \t]+/g, ' ')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

/**
 * Sequence `index` of step `step`: a function of its arguments alone, so that n workers with batch b draw what one
 * worker with n·b draws, and a resumed run what an undisturbed one does.
 */
export function sequenceAt(tokens: Int32Array, length: number, seed: number, step: number, index: number): Int32Array {
  const start = hash(seed, step, index) % (tokens.length - length + 1)
  return tokens.subarray(start, start + length)
}

/** Murmur3's finaliser over the three numbers. */
function hash(a: number, b: number, c: number): number {
  let h = (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c + 1, 0xc2b2ae35)) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
