import { randomUUID } from 'node:crypto'
import {
  chmod,
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../base/errors.ts'
import type { Blobs, Manifest } from '../../blob/contract.ts'
import { fetchManifest } from '../../blob/file/folder.ts'
import { readManifest } from '../../blob/manifest.ts'
import { schemeOf } from '../../blob/sources.ts'
import type { Refusal } from '../contract.ts'

/** `signal`: nobody wants it any more; between two files it throws then. */
interface Tools {
  blobs: Blobs
  signal: AbortSignal
}

/**
 * Puts what `source` names at `target`: `file:///…` is linked (a file appears in a folder under its own name), a
 * manifest is fetched through the cache, verified. Returns why not, in the pod's words.
 */
export async function provide(
  { blobs, signal }: Tools,
  cacheDir: string,
  source: string,
  target: string,
  what: string,
): Promise<Refusal | undefined> {
  if (source.startsWith('file://')) return await linkLocal(source, target, what)
  if (schemeOf(source) !== undefined)
    return refuse(`the ${what} ${source} cannot be fetched on this machine; bring it here and name it file:///path`)
  const getFile: Blobs['getFile'] = async (sha256, path) => {
    signal.throwIfAborted()
    return await blobs.getFile(sha256, path)
  }
  const cached = await fetchCached({ ...blobs, getFile }, cacheDir, source, what)
  signal.throwIfAborted() // the folder above may be gone by then
  if ('refused' in cached) return cached
  await mkdir(target, { recursive: true })
  for (const file of cached.manifest.files) {
    const to = join(target, file.path)
    await mkdir(dirname(to), { recursive: true })
    await unlink(to).catch(() => {})
    // Several pods share one copy; where a link is not possible (another file system), each gets its own.
    await link(join(cached.folder, file.path), to).catch(() => copyFile(join(cached.folder, file.path), to))
  }
  return undefined
}

async function linkLocal(source: string, target: string, what: string): Promise<Refusal | undefined> {
  let path: string
  try {
    path = fileURLToPath(source)
  } catch (error) {
    return refuse(`the ${what} ${source} is not a file URI like file:///data/book.txt: ${messageOf(error)}`)
  }
  const info = await stat(path).catch(() => undefined)
  if (info === undefined) return refuse(`the ${what} ${path} is not there`)
  await rm(target, { recursive: true, force: true })
  if (info.isDirectory()) await symlink(path, target)
  else {
    await mkdir(target, { recursive: true })
    await symlink(path, join(target, basename(path)))
  }
  return undefined
}

/** One copy per manifest digest and machine, complete or not there. Two who fetch at once both succeed. */
async function fetchCached(
  blobs: Blobs,
  cacheDir: string,
  key: string,
  what: string,
): Promise<{ folder: string; manifest: Manifest } | Refusal> {
  const read = await readManifest(blobs, key)
  if (read.kind === 'missing') return refuse(`the ${what} is not in the blob store: there is no manifest ${key}`)
  if (read.kind === 'damaged') return refuse(`the ${what} cannot be used: ${read.message} (${key})`)
  const folder = join(cacheDir, read.digest)
  if (await isIntact(folder, read.manifest)) {
    const now = new Date()
    await utimes(folder, now, now).catch(() => {})
    return { folder, manifest: read.manifest }
  }
  await rm(folder, { recursive: true, force: true })
  const fresh = join(cacheDir, `.${read.digest}-${randomUUID()}`)
  const fetched = await fetchManifest(blobs, key, fresh)
  if (fetched.kind === 'missing') return refuse(`the ${what} is incomplete: ${fetched.file} is not in the blob store`)
  if (fetched.kind === 'damaged') return refuse(`the ${what} is damaged: ${fetched.message}; publish it again`)
  try {
    await markVerified(fresh, fetched.manifest)
    await rename(fresh, folder)
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    if (!(await isIntact(folder, read.manifest))) throw error
  }
  await evict(cacheDir, read.digest)
  return { folder, manifest: read.manifest }
}

const markName = '.verified.json'

/** Notes what the files looked like when their checksums were right, so that a change since then shows. */
async function markVerified(folder: string, manifest: Manifest): Promise<void> {
  const marks: Record<string, number> = {}
  for (const file of manifest.files) {
    await chmod(join(folder, file.path), 0o444)
    marks[file.path] = (await stat(join(folder, file.path))).mtimeMs
  }
  await writeFile(join(folder, markName), JSON.stringify(marks))
}

async function isIntact(folder: string, manifest: Manifest): Promise<boolean> {
  try {
    const marks: unknown = JSON.parse(await readFile(join(folder, markName), 'utf8'))
    if (typeof marks !== 'object' || marks === null) return false
    const seen = new Map<string, unknown>(Object.entries(marks))
    for (const file of manifest.files) {
      const info = await stat(join(folder, file.path))
      if (info.size !== file.size || info.mtimeMs !== seen.get(file.path)) return false
    }
    return true
  } catch {
    return false
  }
}

/** The least recently used copies go; pods that use one keep its files by their own links. */
async function evict(cacheDir: string, keep: string): Promise<void> {
  const entries: { path: string; usedMs: number }[] = []
  for (const name of await readdir(cacheDir)) {
    const info = await stat(join(cacheDir, name)).catch(() => undefined)
    if (info !== undefined && name !== keep && !name.startsWith('.'))
      entries.push({ path: join(cacheDir, name), usedMs: info.mtimeMs })
  }
  entries.sort((a, b) => b.usedMs - a.usedMs)
  for (const entry of entries.slice(cachedMax - 1)) await rm(entry.path, { recursive: true, force: true })
}

const cachedMax = 8

function refuse(message: string): Refusal {
  return { refused: true, reason: 'FetchFailed', message }
}
