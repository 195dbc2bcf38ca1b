import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encode } from './tokens.ts'

export interface Corpus {
  train: Int32Array
  heldOut: Int32Array
  /** What it is, for a person. */
  description: string
  sha256: string
}

const bytesMax = 4 * 1024 * 1024

/** Reads a file, a folder, or, with no path, the Markdown of this installation. The same files give the same corpus. */
export function readCorpus(path: string | undefined): Corpus {
  const root = path ?? installation()
  const files = statSync(root).isDirectory() ? textFiles(root, path === undefined) : [root]
  const parts: string[] = []
  let size = 0
  for (const file of files) {
    const text = clean(readFileSync(file, 'utf8'))
    if (size + text.length > bytesMax && parts.length > 0) break
    parts.push(text.slice(0, bytesMax))
    size += text.length
  }
  const bytes = new TextEncoder().encode(parts.join('\n'))
  if (bytes.length < 4096) throw new Error(`the text in ${root} has ${bytes.length} bytes; at least 4096 are needed`)
  const tokens = encode(bytes)
  const cut = Math.floor(tokens.length * 0.95)
  const what =
    path === undefined ? 'Markdown files of this installation' : `file${parts.length === 1 ? '' : 's'} of ${root}`
  return {
    train: tokens.subarray(0, cut),
    heldOut: tokens.subarray(cut),
    description: `${parts.length} ${what}, ${(bytes.length / 1e6).toFixed(2)} MB`,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }
}

/** Tables and runs of blanks would fill the samples with blanks. */
function clean(text: string): string {
  const lines = text
    .replaceAll('\r', '')
    .split('\n')
    .filter((line) => !/^\s*\|/.test(line) && line.length < 2000)
  return lines
    .join('\n')
    .replace(/[ \t]+/g, ' ')
    .replace(/\n{3,}/g, '\n\n')
}

function textFiles(root: string, markdownOnly: boolean): string[] {
  const wanted = markdownOnly ? /\.md$/i : /\.(md|txt|text|rst|ts|js|py|go|rs|c|h|json|yaml|yml|html)$/i
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => wanted.test(name))
  return names
    .sort()
    .map((name) => join(root, name))
    .filter((name) => statSync(name, { throwIfNoEntry: false })?.isFile())
}

/** The folder above us that has node_modules. */
function installation(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); dir !== dirname(dir); dir = dirname(dir)) {
    const modules = join(dir, 'node_modules')
    if (statSync(modules, { throwIfNoEntry: false })?.isDirectory()) return modules
  }
  throw new Error('no installation with Markdown was found; name a text with --data PATH')
}

/**
 * Sequence `index` of step `step`: a function of its arguments alone, so that n workers with batch b draw what one
 * worker with n·b draws, and a resumed run what an undisturbed one does.
 */
export function sequenceAt(tokens: Int32Array, length: number, seed: number, step: number, index: number): Int32Array {
  const start = hash(seed, step, index) % (tokens.length - length)
  return tokens.subarray(start, start + length)
}

/** Murmur3's finaliser over the three numbers. */
function hash(a: number, b: number, c: number): number {
  let h = (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c + 1, 0xc2b2ae35)) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
