import { existsSync, mkdirSync, rmSync } from 'node:fs'
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
