import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Log } from '../../base/log.ts'
import type { Loaded } from '../core.ts'
import { type Database, openDatabase } from './database.ts'
import { damaged, explained, newerFormat } from './errors.ts'
import { formatNow, readFormat, storeFile, syncFolder, writeFormat } from './format.ts'
import { inspectFile } from './inspect.ts'
import { loadAll } from './journal.ts'
import { takeLock } from './lock.ts'
import { migrate } from './migrate.ts'

export interface OpenDirectory {
  database: Database
  loaded: Loaded
  unlock: () => void
}

/** Locks, checks, migrates and reads a data directory. What it refuses, it leaves as it was. */
export async function openDirectory(dir: string, log: Log): Promise<OpenDirectory> {
  const unlock = lockDirectory(dir)
  let database: Database | undefined
  try {
    checkFormat(dir)
    checkFile(dir)
    ensureRoom(dir)
    database = openDatabase(join(dir, storeFile))
    await migrate(database, dir, log)
    if (readFormat(dir) !== formatNow) writeFormat(dir)
    return { database, loaded: loadAll(database, join(dir, storeFile)), unlock }
  } catch (error) {
    await database?.close()
    unlock()
    throw explained(dir, error)
  }
}

export function lockDirectory(dir: string): () => void {
  try {
    const made = mkdirSync(dir, { recursive: true, mode: 0o700 })
    if (made !== undefined) syncFolder(dirname(made))
  } catch (error) {
    throw explained(dir, error)
  }
  return takeLock(dir)
}

/**
 * LMDB begins its file and writes its lock through a memory map: where a page of either finds no room, the process dies
 * of a signal (lmdb-js 3.5.6). What is there already has its pages.
 */
function ensureRoom(dir: string): void {
  if ([storeFile, `${storeFile}-lock`].every((name) => hasItsPages(join(dir, name)))) return
  const file = join(dir, 'room')
  try {
    writeFileSync(file, Buffer.alloc(64 << 10))
  } finally {
    rmSync(file, { force: true })
  }
}

function hasItsPages(file: string): boolean {
  const info = statSync(file, { throwIfNoEntry: false })
  return info !== undefined && info.size > 0 && info.blocks * 512 >= info.size
}

function checkFormat(dir: string): void {
  const format = readFormat(dir)
  if (format !== undefined && format > formatNow) throw newerFormat(dir, format, formatNow)
}

/** FORMAT is written once the file is complete: without it, a blank file is one whose making was interrupted. */
function checkFile(dir: string): void {
  const file = join(dir, storeFile)
  const isMade = readFormat(dir) !== undefined
  if (!existsSync(file)) {
    if (isMade) throw damaged(file, 'it is missing')
    return
  }
  const inspection = inspectFile(file)
  if (inspection.sound) return
  if (isMade || !inspection.isBlank) throw damaged(file, inspection.why)
  rmSync(file)
}
