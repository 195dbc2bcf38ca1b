import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { OperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Loaded } from '../core.ts'
import { openDatabase } from './database.ts'
import { lockDirectory, openDirectory } from './directory.ts'
import { explained } from './errors.ts'
import { formatFile, recordKey, revisionKey, storeFile, syncFile, syncFolder, writeFormat } from './format.ts'
import { initialise, numberWrite, recordWrite } from './journal.ts'

/** How far a restored store's revisions jump, so that none that was given out after the backup is given again. */
const revisionJump = 1_000_000_000
const recordsPerTransaction = 500

export interface Backup {
  revision: number
  resources: number
}

/** Backs up a directory that no process has open (an open store has its own `backup`). */
export async function backupStore({ dir, toDir, log }: { dir: string; toDir: string; log: Log }): Promise<Backup> {
  requireStore(dir)
  const { database, loaded, unlock } = await openDirectory(dir, log)
  try {
    return await writeBackup(loaded, toDir)
  } finally {
    await database.close()
    unlock()
  }
}

/**
 * Writes a snapshot into a new data directory. It gets its name only when it is complete. (LMDB's own copying backup
 * has an open corruption report, so records are read and written afresh.)
 */
export async function writeBackup(snapshot: Loaded, toDir: string): Promise<Backup> {
  if (existsSync(toDir) && readdirSync(toDir).length > 0) {
    throw new OperatingError('backup-exists', 'give-up', `${toDir} is not empty: choose a new directory for the backup`)
  }
  const draft = `${toDir.replace(/\/+$/, '')}.draft`
  try {
    rmSync(draft, { recursive: true, force: true })
    mkdirSync(draft, { recursive: true, mode: 0o700 })
    await writeRecords(snapshot, draft)
    writeFormat(draft)
    renameSync(draft, toDir)
    syncFolder(dirname(toDir))
  } catch (error) {
    throw explained(toDir, error)
  }
  return { revision: snapshot.revision, resources: snapshot.objects.length }
}

async function writeRecords({ revision, objects }: Loaded, dir: string): Promise<void> {
  const database = openDatabase(join(dir, storeFile))
  try {
    for (let from = 0; from < objects.length; from += recordsPerTransaction) {
      const part = objects.slice(from, from + recordsPerTransaction)
      await database.transact(part.map(({ kind, key, object }) => recordWrite(recordKey(kind, key), object)))
    }
    await initialise(database, revision)
  } finally {
    await database.close()
  }
}

/**
 * Puts a backup in the place of what is in `dir`, damaged or not, which is kept in `dir/replaced-N`. A crash on the way
 * leaves the old state or the new one. Revisions go on far above the backup's.
 */
export async function restoreStore(options: {
  fromDir: string
  dir: string
  log: Log
}): Promise<Backup & { replaced: string | undefined }> {
  const { fromDir, dir, log } = options
  requireStore(fromDir)
  const unlock = lockDirectory(dir)
  try {
    const draft = join(dir, 'restore.draft')
    const backup = await copyBackup(fromDir, draft, log)
    const replaced = keepOld(dir)
    renameSync(join(draft, storeFile), join(dir, storeFile))
    writeFormat(dir)
    rmSync(draft, { recursive: true, force: true })
    rmSync(join(dir, `${storeFile}-lock`), { force: true }) // it belonged to the file that was replaced
    return { ...backup, replaced }
  } catch (error) {
    throw explained(dir, error)
  } finally {
    unlock()
  }
}

/** A copy of the backup, checked record by record, migrated if it is old, its revision raised. */
async function copyBackup(fromDir: string, draft: string, log: Log): Promise<Backup> {
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { recursive: true, mode: 0o700 })
  for (const name of [storeFile, formatFile]) copyFileSync(join(fromDir, name), join(draft, name))
  const { database, loaded, unlock } = await openDirectory(draft, log)
  const revision = loaded.revision + revisionJump
  try {
    await database.transact([numberWrite(revisionKey, revision)])
  } finally {
    await database.close()
    unlock()
  }
  syncFile(join(draft, storeFile))
  return { revision, resources: loaded.objects.length }
}

/** A second name for the old file, so that it survives being replaced. */
function keepOld(dir: string): string | undefined {
  if (!existsSync(join(dir, storeFile))) return undefined
  let number = 1
  while (existsSync(join(dir, `replaced-${number}`))) number++
  const kept = join(dir, `replaced-${number}`)
  mkdirSync(kept)
  linkSync(join(dir, storeFile), join(kept, storeFile))
  syncFolder(kept)
  return kept
}

function requireStore(dir: string): void {
  if (existsSync(join(dir, storeFile))) return
  throw new OperatingError('no-store', 'give-up', `${dir} holds no ${storeFile}: is it the right directory?`)
}
