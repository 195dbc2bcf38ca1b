import type { kindNames } from '../../model/registry.ts'
import type { Batch, Journal, Loaded } from '../core.ts'
import { type Database, written } from './database.ts'
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

/** One batch, one transaction, with its revision in it. */
export function createJournal(database: Database, dir: string, onPoint?: (point: 'in-commit') => void): Journal {
  return {
    soon: (run) => void setImmediate(run),
    commit: async (batch) => {
      try {
        const durable = putBatch(database, batch)
        onPoint?.('in-commit')
        await written(durable)
      } catch (error) {
        throw explained(dir, error)
      }
    },
  }
}

function putBatch(database: Database, batch: Batch): Promise<unknown> {
  for (const { kind, key, object } of batch.changes) {
    const at = recordKey(kind, key)
    if (object === undefined) ignored(database.remove(at))
    else ignored(database.put(at, sealed(at, JSON.stringify(object))))
  }
  return database.put(revisionKey, sealed(revisionKey, String(batch.revision)))
}

/** The last write of the transaction tells for all of them. */
function ignored(promise: Promise<unknown>): void {
  promise.catch(() => {})
}

export async function initialise(database: Database, revision: number): Promise<void> {
  ignored(database.put(formatKey, sealed(formatKey, String(formatNow))))
  await written(database.put(revisionKey, sealed(revisionKey, String(revision))))
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
  const objects: { kind: (typeof kindNames)[number]; key: string; object: Loaded['objects'][number]['object'] }[] = []
  for (const { key: at, value } of database.getRange({ start: recordPrefix, end: `${recordPrefix}\uffff` })) {
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
