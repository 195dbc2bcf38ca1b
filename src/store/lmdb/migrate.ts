import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../base/log.ts'
import type { Database } from './database.ts'
import { damaged, newerFormat } from './errors.ts'
import {
  formatKey,
  formatNow,
  parseRecord,
  recordKey,
  revisionKey,
  splitKey,
  storeFile,
  syncFile,
  syncFolder,
} from './format.ts'
import { formatOf, initialise, numberWrite, recordWrite } from './journal.ts'
import type { Write } from './reserve.ts'

/**
 * Brings the file to the present format. The copy that is made first stays, in `before-format-N`; the change itself is
 * one transaction with the new format's number in it, so that a crash leaves the old format or the new one.
 */
export async function migrate(database: Database, dir: string, log: Log): Promise<void> {
  const file = join(dir, storeFile)
  const format = formatOf(database, file)
  if (format === undefined) await initialise(database, 0)
  else if (format > formatNow) throw newerFormat(dir, format, formatNow)
  else if (format === 1) {
    const copy = copyAside(dir)
    await fromFormat1(database, file)
    log.info('migrated the data directory to a newer format', { dir, from: 1, to: formatNow, copy })
  }
}

/** The lock keeps everyone else out and nothing is being written, so that a plain copy is consistent. */
function copyAside(dir: string): string {
  let copy = join(dir, `before-format-${formatNow}`)
  for (let i = 2; existsSync(copy); i++) copy = join(dir, `before-format-${formatNow}-${i}`)
  const draft = `${copy}.draft`
  mkdirSync(draft, { recursive: true })
  copyFileSync(join(dir, storeFile), join(draft, storeFile))
  syncFile(join(draft, storeFile))
  syncFolder(draft)
  renameSync(draft, copy)
  syncFolder(dir)
  return copy
}

async function fromFormat1(database: Database, file: string): Promise<void> {
  const revision = database.get('revision')?.toString()
  if (revision === undefined || !/^[0-9]{1,15}$/.test(revision)) throw damaged(file, 'its revision is missing')
  const writes: Write[] = []
  for (const { key, value } of database.entries()) {
    if (key === 'revision') continue
    const place = splitKey(key)
    if (place === undefined) throw damaged(file, `record ${key} is of no known kind`)
    const object = parseRecord(file, key, value.toString())
    writes.push({ key, value: undefined }, recordWrite(recordKey(place.kind, place.key), object))
  }
  writes.push({ key: 'revision', value: undefined })
  writes.push(numberWrite(formatKey, formatNow), numberWrite(revisionKey, Number(revision)))
  await database.transact(writes)
}
