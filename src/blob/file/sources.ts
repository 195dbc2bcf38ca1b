import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { messageOf } from '../../base/errors.ts'
import { type Look, type Sources, schemeOf } from '../sources.ts'
import { sha256Of } from './sha256.ts'
import { type Found, type Walk, walk } from './walk.ts'

export interface FileSourcesOptions {
  /** What was read is remembered here, also over restarts. */
  dir: string
  filesMax?: number
}

/**
 * Digests of files and folders of this machine. A file is read once for each size and time that it is seen with, in the
 * background, in pieces, at half speed at most: whoever else lives in this process has the other half.
 */
export function createFileSources({ dir, filesMax = 1_000_000 }: FileSourcesOptions): Sources {
  const known = new Map<string, Source>()
  const closed = new AbortController()
  let tail: Promise<void> = Promise.resolve()
  let tiredMs = 0

  async function look(uri: string): Promise<Look> {
    if (schemeOf(uri) !== 'file') {
      return unusable('SchemeNotRead', `${uri} is not read on this machine; a dataset here is file:///path`)
    }
    const path = pathOf(uri)
    if (path === undefined) return unusable('Invalid', `${uri} is not a file URI like file:///data/book.txt`)
    const now = await walk(path, filesMax)
    if ('problem' in now) return unusable(now.problem, now.message)
    const source = await sourceOf(path)
    const bytes = now.files.reduce((sum, file) => sum + file.size, 0)
    const wanted = now.files.filter((file) => !isSame(source.files.get(file.path), file))
    const files = now.files.length
    if (wanted.length === 0) {
      delete source.problem
      return { kind: 'read', digest: await digestOf(source, now), bytes, files, changedAtMs: now.changedAtMs }
    }
    source.reading ??= startReading(source, wanted)
    if (source.problem !== undefined) return unusable('Unreadable', source.problem)
    const left = wanted.reduce((sum, file) => sum + file.size, 0)
    return { kind: 'reading', bytes, files, bytesRead: Math.max(0, Math.min(bytes, bytes - left + source.partRead)) }
  }

  async function sourceOf(path: string): Promise<Source> {
    const found = known.get(path) ?? { path, files: await load(dir, path), partRead: 0, reads: 0 }
    const source = known.get(path) ?? found // two may have loaded it at once
    known.delete(path)
    known.set(path, source)
    for (const [oldest, { reading }] of known) {
      if (known.size <= sourcesMax) break
      if (reading === undefined) known.delete(oldest)
    }
    return source
  }

  /** Behind whatever is being read now. */
  function startReading(source: Source, wanted: readonly Found[]): Promise<void> {
    const reading = tail.then(() => readAll(source, wanted))
    tail = reading.finally(() => {
      delete source.reading
    })
    return tail
  }

  async function readAll(source: Source, wanted: readonly Found[]): Promise<void> {
    let saveAtMs = Date.now() + saveEveryMs
    try {
      for (const file of wanted) {
        if (closed.signal.aborted) return
        const sha256 = await readOne(source, file)
        source.partRead = 0
        if (sha256 === undefined) continue
        source.files.set(file.path, { size: file.size, mtimeMs: file.mtimeMs, sha256 })
        source.reads += 1
        delete source.digest
        const nowMs = Date.now()
        if (nowMs < saveAtMs) continue
        await save(dir, source)
        saveAtMs = Date.now() + Math.max(saveEveryMs, 50 * (Date.now() - nowMs)) // a million files take a second
      }
      delete source.problem
    } catch (error) {
      if (!closed.signal.aborted) source.problem = messageOf(error)
    } finally {
      source.partRead = 0
      await save(dir, source)
    }
  }

  /** Undefined when it is no longer there. One that changes meanwhile has another size or time at the next look. */
  async function readOne(source: Source, found: Found): Promise<string | undefined> {
    // Still being written, perhaps; and another write within the same tick of the clock would not be seen.
    const restMs = Math.min(settleMs, found.mtimeMs + settleMs - Date.now())
    if (restMs > 0) await sleep(restMs, undefined, { signal: closed.signal, ref: false })
    const file = await open(join(source.path, found.path), 'r').catch(absent)
    if (file === undefined) return undefined
    try {
      const hash = createHash('sha256')
      const buffer = Buffer.allocUnsafe(chunkBytes)
      for (;;) {
        const startedAtMs = performance.now()
        const { bytesRead } = await file.read(buffer, 0, chunkBytes, null)
        hash.update(buffer.subarray(0, bytesRead))
        source.partRead += bytesRead
        await rest(performance.now() - startedAtMs)
        if (bytesRead === 0) break
      }
      return hash.digest('hex')
    } finally {
      await file.close()
    }
  }

  /** As long as it worked, in pieces that a timer can tell apart. */
  async function rest(workedMs: number): Promise<void> {
    tiredMs += workedMs
    if (tiredMs < 5) return
    await sleep(tiredMs, undefined, { signal: closed.signal, ref: false })
    tiredMs = 0
  }

  async function close(): Promise<void> {
    closed.abort()
    await tail
  }

  return { look, close }
}

interface Source {
  path: string
  /** What was read, by path below it. */
  files: Map<string, Read>
  /** Under way, or waiting for others. */
  reading?: Promise<void>
  /** Of the file that is being read now. */
  partRead: number
  /** How often one was read. */
  reads: number
  problem?: string
  /** Of all of them together, until one is read anew. */
  digest?: string
}

interface Read {
  size: number
  mtimeMs: number
  sha256: string
}

const sourcesMax = 64
const settleMs = 1000
const saveEveryMs = 30_000
const chunkBytes = 1 << 20

function isSame(one: { size: number; mtimeMs: number } | undefined, other: { size: number; mtimeMs: number }): boolean {
  return one !== undefined && one.size === other.size && one.mtimeMs === other.mtimeMs
}

/** All files have been read as they are now. Those that are no more are forgotten. */
async function digestOf(source: Source, now: Walk): Promise<string> {
  const only = source.files.get('')
  if (!now.isFolder && only !== undefined) return only.sha256
  if (source.digest !== undefined && source.files.size === now.files.length) return source.digest
  const present = new Set(now.files.map((file) => file.path))
  for (const path of source.files.keys()) if (!present.has(path)) source.files.delete(path)
  const lines = createHash('sha256')
  const { reads } = source
  for (const [index, { path }] of now.files.entries()) {
    lines.update(`${source.files.get(path)?.sha256}  ${path}\n`)
    if (index % 10_000 === 9_999) await sleep(1)
  }
  const digest = lines.digest('hex')
  if (source.reads === reads) source.digest = digest
  return digest
}

function absent(error: unknown): undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}

function pathOf(uri: string): string | undefined {
  try {
    return fileURLToPath(uri)
  } catch {
    return undefined
  }
}

function unusable(reason: string, message: string): Look {
  return { kind: 'unusable', reason, message }
}

// What was read, on the disk. Losing it costs reading again, so nothing here fails anyone.

const remembered = z.object({
  version: z.literal(1),
  path: z.string(),
  files: z.array(z.tuple([z.string(), z.number(), z.number(), z.string().regex(/^[0-9a-f]{64}$/)])),
})

async function load(dir: string, path: string): Promise<Map<string, Read>> {
  try {
    const parsed = remembered.parse(JSON.parse(await readFile(join(dir, nameOf(path)), 'utf8')))
    if (parsed.path !== path) return new Map()
    return new Map(parsed.files.map(([below, size, mtimeMs, sha256]) => [below, { size, mtimeMs, sha256 }]))
  } catch {
    return new Map()
  }
}

async function save(dir: string, { path, files }: Source): Promise<void> {
  const text = JSON.stringify({
    version: 1,
    path,
    files: [...files].map(([below, { size, mtimeMs, sha256 }]) => [below, size, mtimeMs, sha256]),
  })
  const fresh = join(dir, `.${randomUUID()}`)
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writeFile(fresh, text, { mode: 0o600 })
    await rename(fresh, join(dir, nameOf(path)))
    await forgetOldest(dir)
  } catch {
    await rm(fresh, { force: true }).catch(() => {})
  }
}

async function forgetOldest(dir: string): Promise<void> {
  const names = await readdir(dir)
  if (names.length <= rememberedMax) return
  const ages = await Promise.all(
    names.map(async (name) => ({ name, mtimeMs: (await stat(join(dir, name)).catch(() => undefined))?.mtimeMs ?? 0 })),
  )
  ages.sort((a, b) => b.mtimeMs - a.mtimeMs)
  for (const { name } of ages.slice(rememberedMax)) await rm(join(dir, name), { force: true })
}

const rememberedMax = 256

function nameOf(path: string): string {
  return `${sha256Of(new TextEncoder().encode(path))}.json`
}
