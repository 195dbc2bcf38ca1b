import { createHash, randomUUID } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  utimes,
} from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { messageOf, OperatingError, storageUnreachable } from '../../base/errors.ts'
import type { BlobInfo, Blobs } from '../contract.ts'
import { assertKey, contentKey, contentOf } from '../keys.ts'

export interface FileBlobsOptions {
  dir: string
  /**
   * Content put this recently is not deleted: a checkpoint being shipped may have been told "that content is there
   * already" and not have written its manifest yet.
   */
  contentGraceMs?: number
  /** What it holds can be had elsewhere: what is put is not synced to the disk, and what is damaged is deleted. */
  isCache?: boolean
}

/** Object storage in a folder. Everything is written beside its place, fsynced, renamed into it, and the folder fsynced. */
export function createFileBlobs(options: FileBlobsOptions): Blobs {
  const isCache = options.isCache ?? false
  const folder = createFolder(options.dir, isCache)
  const graceMs = options.contentGraceMs ?? 10 * 60_000

  async function put(key: string, bytes: Uint8Array): Promise<void> {
    const content = contentOf(assertKey(key))
    if (content !== undefined && createHash('sha256').update(bytes).digest('hex') !== content)
      throw new OperatingError('invalid', 'give-up', `blob ${key} must hold the content that it is named for`)
    const temporary = await folder.temporary()
    try {
      await temporary.file.writeFile(bytes)
      if (!isCache) await temporary.file.datasync()
      await temporary.file.close()
      await folder.install(temporary.path, key)
    } catch (error) {
      throw await temporary.discard(error, `store blob ${key}`)
    }
  }

  async function putFile(path: string): Promise<{ sha256: string; size: number }> {
    const temporary = await folder.temporary()
    try {
      const copied = await copyHashing(path, temporary.file)
      const key = contentKey(copied.sha256)
      if (await folder.touch(key, copied.size)) {
        await temporary.discard()
        return copied
      }
      if (!isCache) await temporary.file.datasync()
      await temporary.file.close()
      await folder.install(temporary.path, key)
      return copied
    } catch (error) {
      throw await temporary.discard(error, `store the content of ${path}`)
    }
  }

  async function getFile(sha256: string, path: string): Promise<'ok' | 'missing' | 'damaged'> {
    const key = contentKey(sha256)
    const source = await folder.path(key)
    if ((await sizeOf(source)) === undefined) return 'missing'
    const temporaryPath = `${path}.${randomUUID()}.tmp`
    let file: FileHandle | undefined
    try {
      await mkdir(dirname(path), { recursive: true })
      file = await open(temporaryPath, 'wx', 0o600)
      const copied = await copyHashing(source, file)
      await file.datasync()
      await file.close()
      if (copied.sha256 !== sha256) {
        await unlink(temporaryPath)
        await folder.quarantine(key)
        return 'damaged'
      }
      await rename(temporaryPath, path)
      await syncFolder(dirname(path))
      return 'ok'
    } catch (error) {
      await file?.close().catch(() => {})
      await unlink(temporaryPath).catch(() => {})
      throw failed(error, `fetch content ${sha256} into ${path}`, dirname(path))
    }
  }

  return {
    put,
    putFile,
    getFile,
    async get(key) {
      const file = await open(await folder.path(assertKey(key)), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
        absent,
      )
      if (file === undefined) return undefined
      try {
        return (await file.stat()).isFile() ? await file.readFile() : undefined
      } finally {
        await file.close()
      }
    },
    has: async (key) => (await sizeOf(await folder.path(assertKey(key)))) !== undefined,
    list: (prefix) => folder.list(prefix),
    delete: async (key, asOfMs = Date.now()) => await folder.remove(assertKey(key), asOfMs - graceMs),
  }
}

interface Temporary {
  path: string
  file: FileHandle
  /** Closes and removes it; gives back what to throw for `error`. */
  discard(error?: unknown, doing?: string): Promise<Error>
}

/** Where keys live on the disk. Content is spread over 256 folders by the first byte of its digest. */
function createFolder(dir: string, isCache: boolean) {
  let opened: Promise<string> | undefined
  const root = (): Promise<string> => {
    opened ??= prepare(dir)
    return opened
  }

  const placeOf = (key: string): string => {
    const content = contentOf(key)
    return content === undefined ? key : join('sha256', content.slice(0, 2), content)
  }

  /** The path of `key`, after a look that no symbolic link leads it out of the folder. */
  async function path(key: string): Promise<string> {
    const base = await root()
    const wanted = join(base, placeOf(key))
    const parent = await realpath(dirname(wanted)).catch(absent)
    if (parent !== undefined && parent !== dirname(wanted))
      throw new OperatingError(
        'invalid',
        'give-up',
        `blob ${key} lies behind a symbolic link; remove the link in ${dir}`,
      )
    return wanted
  }

  async function temporary(): Promise<Temporary> {
    const base = await root()
    const at = join(base, temporaryFolder, `${process.pid}-${ours}-${randomUUID()}`)
    const file = await open(at, 'wx', 0o600).catch((error) => {
      throw failed(error, `write into ${dir}`, dir)
    })
    return {
      path: at,
      file,
      async discard(error, doing) {
        await file.close().catch(() => {})
        await unlink(at).catch(() => {})
        return failed(error, doing ?? 'discard', dir)
      },
    }
  }

  async function install(from: string, key: string): Promise<void> {
    const base = await root()
    for (let tries = 0; ; tries++) {
      const to = await path(key)
      await makeFolders(base, dirname(to), isCache)
      try {
        await rename(from, to)
        if (!isCache) await syncFolder(dirname(to))
        return
      } catch (error) {
        // A concurrent delete took the folder that had just become empty.
        if (codeOf(error) !== 'ENOENT' || tries === 5) throw error
      }
    }
  }

  return {
    path,
    temporary,
    install,

    /** True when content of that size is there; its age starts again, so that nobody deletes it as unused meanwhile. */
    async touch(key: string, size: number): Promise<boolean> {
      const at = await path(key)
      if ((await sizeOf(at)) !== size) return false
      const now = new Date()
      return await utimes(at, now, now).then(
        () => true,
        () => false,
      )
    },

    /** Puts damaged content aside, or away, so that the next `put` of it writes it again. */
    async quarantine(key: string): Promise<void> {
      if (isCache) return await rm(await path(key), { force: true })
      const base = await root()
      await mkdir(join(base, damagedFolder), { recursive: true })
      await rename(await path(key), join(base, damagedFolder, `${contentOf(key)}-${randomUUID()}`)).catch(() => {})
    },

    async remove(key: string, contentUntilMs: number): Promise<void> {
      const base = await root()
      const at = await path(key)
      if (contentOf(key) !== undefined) {
        const info = await stat(at).catch(absent)
        if (info === undefined || info.mtimeMs > contentUntilMs) return
      }
      await unlink(at).catch(absent)
      for (let folder = dirname(at); folder !== base; folder = dirname(folder))
        if (
          !(await rmdir(folder).then(
            () => true,
            () => false,
          ))
        )
          return
    },

    async list(prefix: string): Promise<BlobInfo[]> {
      const base = await root()
      if (prefix !== '') assertKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
      const slash = prefix.lastIndexOf('/')
      const start = slash < 0 ? '' : prefix.slice(0, slash)
      // Content sits one folder deeper than its key says, so all of `sha256/` is walked for any prefix in it.
      const from = start.startsWith('sha256') ? 'sha256' : start
      const found: BlobInfo[] = []
      await walk(join(base, from), async (file) => {
        const key = keyOf(relative(base, file))
        if (key === undefined || !key.startsWith(prefix)) return
        const size = await sizeOf(file)
        if (size !== undefined) found.push({ key, size })
      })
      return found.sort((a, b) => (a.key < b.key ? -1 : 1))
    },
  }
}

const temporaryFolder = '.tmp'
const damagedFolder = '.damaged'

function keyOf(path: string): string | undefined {
  const parts = path.split(sep)
  if (parts[0] === temporaryFolder || parts[0] === damagedFolder) return undefined
  return parts[0] === 'sha256' && parts.length === 3 ? `sha256/${parts[2]}` : parts.join('/')
}

async function prepare(dir: string): Promise<string> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const root = await realpath(dir)
    const temporaries = join(root, temporaryFolder)
    await mkdir(temporaries, { recursive: true })
    for (const name of await readdir(temporaries)) await removeStale(join(temporaries, name), name)
    return root
  } catch (error) {
    throw failed(error, `use ${dir} for blobs`, dir)
  }
}

/** Tells this process's temporaries from those of one before it that had its pid, as in a container every one has. */
const ours = randomUUID().slice(0, 8)

/** What a killed process was writing. A living one's is left alone. */
async function removeStale(path: string, name: string): Promise<void> {
  const [pid, of] = name.split('-')
  if (Number(pid) === process.pid ? of !== ours : !exists(Number(pid))) await unlink(path).catch(() => {})
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

/** One pass: each chunk is hashed while the one before it is written and the one after it is read. */
async function copyHashing(from: string, to: FileHandle): Promise<{ sha256: string; size: number }> {
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const hash = createHash('sha256')
    const buffers = [Buffer.allocUnsafe(chunkBytes), Buffer.allocUnsafe(chunkBytes)] as const
    let size = 0
    let current: 0 | 1 = 0
    let { bytesRead } = await source.read(buffers[current], 0, chunkBytes, null)
    while (bytesRead > 0) {
      const chunk = buffers[current].subarray(0, bytesRead)
      const other: 0 | 1 = current === 0 ? 1 : 0
      const ahead = source.read(buffers[other], 0, chunkBytes, null)
      const written = writeAll(to, chunk)
      hash.update(chunk)
      size += bytesRead
      const [next] = await Promise.all([ahead, written])
      bytesRead = next.bytesRead
      current = other
    }
    return { sha256: hash.digest('hex'), size }
  } finally {
    await source.close()
  }
}

const chunkBytes = 1 << 20

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done, chunk.length - done)).bytesWritten
}

async function makeFolders(base: string, folder: string, isCache: boolean): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined || isCache) return
  // Each new folder is an entry of its parent, which must be durable too.
  for (let made = folder; made.length >= first.length && made !== base; made = dirname(made))
    await syncFolder(dirname(made))
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function walk(folder: string, visit: (file: string) => Promise<void>): Promise<void> {
  const entries: Dirent[] = (await readdir(folder, { withFileTypes: true }).catch(absent)) ?? []
  for (const entry of entries) {
    if (entry.isDirectory()) await walk(join(folder, entry.name), visit)
    else if (entry.isFile()) await visit(join(folder, entry.name))
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  const info = await stat(path).catch(absent)
  return info?.isFile() ? info.size : undefined
}

function absent(error: unknown): undefined {
  const code = codeOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
  throw error
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

function failed(error: unknown, doing: string, dir: string): Error {
  if (error instanceof OperatingError) return error
  const code = codeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new OperatingError(
      'disk-full',
      { retryAfterMs: 5000 },
      `cannot ${doing}: the disk that holds ${dir} is full; free some space there`,
      { cause: error },
    )
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM')
    return new OperatingError('not-writable', 'give-up', `cannot ${doing}: no permission to write there`, {
      cause: error,
    })
  if (typeof code === 'string' && ofFileServers.includes(code)) return storageUnreachable(messageOf(error), error)
  return new OperatingError('io', { retryAfterMs: 1000 }, `cannot ${doing}: ${messageOf(error)}`, { cause: error })
}

/** What a file system over the network says while its server is gone. */
const ofFileServers: readonly string[] = ['EHOSTDOWN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTCONN', 'ESTALE', 'ETIMEDOUT']
