import type { KindName } from '../../model/registry.ts'
import type { Journal, Loaded } from '../core.ts'
import type { Stored } from '../stored.ts'
import type { Database } from './database.ts'
import { damaged, explained } from './errors.ts'
import {
  formatKey,
  formatNow,
  parseRecord,
  recordKey,
  recordPrefix,
  revisionKey,
  sealed,
  splitKey,
  unsealed,
} from './format.ts'
import type { Write } from './reserve.ts'

/** One batch, one transaction, with its revision in it. */
export function createJournal(database: Database, dir: string, onPoint?: (point: 'in-commit') => void): Journal<Write> {
  return {
    prepare: ({ kind, key, object }) => recordWrite(recordKey(kind, key), object),
    soon: (run) => void setImmediate(run),
    commit: async ({ revision, changes }) => {
      try {
        await database.transact([...changes, numberWrite(revisionKey, revision)], () => onPoint?.('in-commit'))
      } catch (error) {
        throw explained(dir, error)
      }
    },
  }
}

export function recordWrite(key: string, object: Stored | undefined): Write {
  return { key, value: object === undefined ? undefined : sealed(key, JSON.stringify(object)) }
}

export function numberWrite(key: string, number: number): Write {
  return { key, value: sealed(key, String(number)) }
}

export function initialise(database: Database, revision: number): Promise<void> {
  return database.transact([numberWrite(formatKey, formatNow), numberWrite(revisionKey, revision)])
}

/** 1 is known by having no format of its own; undefined is a file that was never initialised. */
export function formatOf(database: Database, file: string): number | undefined {
  const own = database.get(formatKey)
  if (own !== undefined) return numberIn(own, formatKey, file)
  return database.get('revision') === undefined ? undefined : 1
}

/** Everything that is kept, every checksum checked, in order of the last write. */
export function loadAll(database: Database, file: string): Loaded {
  const kept = database.get(revisionKey)
  if (kept === undefined) throw damaged(file, 'its revision is missing')
  const revision = numberIn(kept, revisionKey, file)
  const objects: { kind: KindName; key: string; object: Stored }[] = []
  for (const { key: at, value } of database.entries()) {
    if (at === formatKey || at === revisionKey) continue
    if (!at.startsWith(recordPrefix)) throw damaged(file, `record ${at} should not be there`)
    const path = at.slice(recordPrefix.length)
    const place = splitKey(path)
    const text = unsealed(at, value)
    if (text === undefined) throw damaged(file, `the checksum of record ${path} is wrong`)
    if (place === undefined) throw damaged(file, `record ${path} is of no known kind`)
    const object = parseRecord(file, path, text)
    if (Number(object.metadata.resourceVersion) > revision) throw damaged(file, `record ${path} is from the future`)
    objects.push({ ...place, object })
  }
  objects.sort((a, b) => Number(a.object.metadata.resourceVersion) - Number(b.object.metadata.resourceVersion))
  return { revision, objects }
}

function numberIn(bytes: Buffer, key: string, file: string): number {
  const text = unsealed(key, bytes)
  if (text === undefined || !/^[0-9]{1,15}$/.test(text)) throw damaged(file, `the checksum of ${key} is wrong`)
  return Number(text)
}
