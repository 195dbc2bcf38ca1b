import type { KindName } from '../../model/registry.ts'
import type { Entry } from '../../store/history.ts'
import type { Stored } from '../../store/stored.ts'

/** A write as the rules see it; of the object only what they read has to be there. */
export function entryOf(kind: KindName, object: object, type: Entry['type'] = 'MODIFIED', revision = 1): Entry {
  const stored = object as Stored
  const key = stored.metadata.name
  return { kind, key, revision, type, object: stored, previous: undefined, event: { type, object: stored } }
}
