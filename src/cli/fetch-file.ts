import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, realpath, rename, unlink } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { OperatingError } from '../base/errors.ts'

export interface WantedFile {
  /** `/`-separated, below the folder that it is fetched into. */
  path: string
  size: number
  sha256: string
}

/**
 * Brings a file into `folder`, unless it is there already. It is verified while it comes and gets its name only then: a
 * reader sees the whole file or none, and what was cut leaves nothing. Nothing is written outside `folder`, through a
 * symbolic link neither.
 */
export async function fetchFile(
  wanted: WantedFile,
  folder: string,
  content: AsyncIterable<Uint8Array>,
  heard: (bytes: number) => void = () => {},
): Promise<'fetched' | 'there'> {
  const parts = partsOf(wanted.path)
  try {
    await mkdir(folder, { recursive: true })
    const parent = await folderFor(await realpath(folder), parts.slice(0, -1), wanted.path)
    const path = join(parent, parts.at(-1) ?? '')
    if (await holds(path, wanted)) return 'there'
    await install(path, wanted, content, heard)
    return 'fetched'
  } catch (error) {
    throw explained(error, wanted.path, folder)
  }
}

/** The steps of a path that stays inside its folder on any machine. */
export function partsOf(path: string): string[] {
  const parts = path.split('/')
  if (/[\\\0]/.test(path) || parts.some((part) => part === '' || part === '.' || part === '..')) throw outside(path)
  return parts
}

async function folderFor(root: string, parts: readonly string[], path: string): Promise<string> {
  let at = root
  for (const part of parts) {
    at = join(at, part)
    await mkdir(at).catch(existsAlready)
    const real = await realpath(at)
    if (!real.startsWith(root.endsWith(sep) ? root : `${root}${sep}`)) throw outside(path)
    at = real
  }
  return at
}

async function holds(path: string, wanted: WantedFile): Promise<boolean> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(isNoFile)
  if (file === undefined) return false
  try {
    const info = await file.stat()
    if (!info.isFile() || info.size !== wanted.size) return false
    const hash = createHash('sha256')
    for await (const chunk of file.createReadStream({ highWaterMark: 1 << 20, autoClose: false })) hash.update(chunk)
    return hash.digest('hex') === wanted.sha256
  } finally {
    await file.close()
  }
}

async function install(
  path: string,
  wanted: WantedFile,
  content: AsyncIterable<Uint8Array>,
  heard: (bytes: number) => void,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.part`
  const file = await open(temporary, 'wx')
  try {
    await copyVerified(file, wanted, content, heard)
    await file.datasync()
    await file.close()
    await rename(temporary, path)
  } catch (error) {
    await file.close().catch(() => {})
    await unlink(temporary).catch(() => {})
    throw error
  }
}

async function copyVerified(
  file: FileHandle,
  wanted: WantedFile,
  content: AsyncIterable<Uint8Array>,
  heard: (bytes: number) => void,
): Promise<void> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of content) {
    bytes += chunk.length
    if (bytes > wanted.size) throw other(`is longer than the ${wanted.size} bytes that the model names`)
    hash.update(chunk)
    for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done)).bytesWritten
    heard(bytes)
  }
  if (bytes < wanted.size) throw other(`has ${bytes} bytes; the model names ${wanted.size}`)
  if (hash.digest('hex') !== wanted.sha256) throw other('has another content than the model names (its sha256 differs)')
}

function other(how: string): OperatingError {
  return new OperatingError('damaged', 'give-up', `what the factory sent ${how}`)
}

function outside(path: string): OperatingError {
  return new OperatingError('outside', 'give-up', `the model names a file outside its folder: ${JSON.stringify(path)}`)
}

/** The file that it is about, and what to do about a disk. */
function explained(error: unknown, path: string, folder: string): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError') return error
  if (error instanceof OperatingError && (error.code === 'outside' || error.code === 'unreachable')) return error
  const code = 'code' in error ? String(error.code) : ''
  const said = disk[code] ?? error.message
  return new OperatingError('not-fetched', 'give-up', `${path} was not fetched into ${folder}: ${said}`, {
    cause: error,
  })
}

const disk: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  EACCES: 'there is no permission to write there',
  EPERM: 'there is no permission to write there',
  EROFS: 'the disk is read-only',
  ENOTDIR: 'a file is in the way of a folder',
  EISDIR: 'a folder is in its place',
  EEXIST: 'a file is in the way of a folder',
}

function existsAlready(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

/** Absent, or a link, which is no file of ours. */
function isNoFile(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ELOOP') throw error
}
