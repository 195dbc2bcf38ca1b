import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface Found {
  /** Below the root; empty when the root is the file itself. */
  path: string
  size: number
  mtimeMs: number
}

/** The files that a job finds at a path: links are followed, but never in a circle. */
export interface Walk {
  isFolder: boolean
  /** In byte order of their paths. */
  files: Found[]
  /** When the youngest file or folder was last written; of a folder that is when something came or went. */
  changedAtMs: number
}

export type WalkProblem = { problem: 'Missing' | 'Unreadable' | 'TooManyFiles'; message: string }

export async function walk(root: string, filesMax: number): Promise<Walk | WalkProblem> {
  const info = await stat(root).catch(codeOf)
  if (typeof info === 'string') return problemOf(root, info)
  if (!info.isDirectory()) {
    if (!info.isFile()) return { problem: 'Unreadable', message: `${root} is neither a file nor a folder` }
    return {
      isFolder: false,
      files: [{ path: '', size: info.size, mtimeMs: info.mtimeMs }],
      changedAtMs: info.ctimeMs, // no folder's time would tell of an older file in its place
    }
  }
  const files: Found[] = []
  let changedAtMs = 0
  const folders: { path: string; above: readonly string[] }[] = [{ path: '', above: [] }]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const at = join(root, folder.path)
    const entries = await readdir(at, { withFileTypes: true }).catch(codeOf)
    if (typeof entries === 'string') {
      if (entries === 'ENOENT' && folder.path !== '') continue // it went while we looked: the next look sees that
      return problemOf(at, entries)
    }
    changedAtMs = Math.max(changedAtMs, (await stat(at).catch(() => undefined))?.mtimeMs ?? 0)
    const above = [...folder.above, await realpath(at).catch(() => at)]
    for (const found of await looked(at, folder.path, entries)) {
      if (found.kind === 'problem') return problemOf(join(root, found.path), found.code)
      if (found.kind === 'folder') {
        const isCircle = found.isLink && above.includes(await realpath(join(root, found.path)).catch(() => ''))
        if (!isCircle) folders.push({ path: found.path, above })
        continue
      }
      files.push(found.file)
      changedAtMs = Math.max(changedAtMs, found.file.mtimeMs)
    }
    if (files.length > filesMax)
      return { problem: 'TooManyFiles', message: `${root} has more than ${filesMax} files; pack them into larger ones` }
  }
  return { isFolder: true, files: inByteOrder(files), changedAtMs }
}

type Looked =
  | { kind: 'file'; file: Found }
  | { kind: 'folder'; path: string; isLink: boolean }
  | { kind: 'problem'; path: string; code: string }

/** A batch at a time, as each waits for the disk. What is neither file nor folder, or leads nowhere, is left out. */
async function looked(at: string, below: string, entries: readonly Dirent[]): Promise<Looked[]> {
  const found: Looked[] = []
  for (let from = 0; from < entries.length; from += batch) {
    const some = entries.slice(from, from + batch).map(async (entry): Promise<Looked[]> => {
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      if (entry.isDirectory()) return [{ kind: 'folder', path, isLink: false }]
      if (!entry.isFile() && !entry.isSymbolicLink()) return []
      const info = await stat(join(at, entry.name)).catch(codeOf)
      if (typeof info === 'string') return nowhere.includes(info) ? [] : [{ kind: 'problem', path, code: info }]
      if (info.isDirectory()) return [{ kind: 'folder', path, isLink: true }]
      return info.isFile() ? [{ kind: 'file', file: { path, size: info.size, mtimeMs: info.mtimeMs } }] : []
    })
    found.push(...(await Promise.all(some)).flat())
  }
  return found
}

const batch = 64
const nowhere: readonly string[] = ['ENOENT', 'ELOOP']

function inByteOrder(files: readonly Found[]): Found[] {
  return files
    .map((file) => ({ file, bytes: Buffer.from(file.path) }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ file }) => file)
}

function problemOf(path: string, code: string): WalkProblem {
  if (code === 'ENOENT' || code === 'ENOTDIR') return { problem: 'Missing', message: `${path} is not there` }
  if (code === 'EACCES' || code === 'EPERM')
    return { problem: 'Unreadable', message: `${path} may not be read by the user that the factory runs as` }
  return { problem: 'Unreadable', message: `${path} cannot be read: ${code}` }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error)
}
