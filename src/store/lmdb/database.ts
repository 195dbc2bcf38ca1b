import { open, type RootDatabase } from 'lmdb'

/**
 * The one place that opens LMDB.
 *
 * `overlappingSync` is off: with it, LMDB shows a commit before it is on the disk, which a power cut would reveal.
 * Whatever is put in one turn of the event loop becomes one transaction, whole or not at all.
 */
export type Database = RootDatabase<Buffer, string>

export function openDatabase(file: string): Database {
  return open<Buffer, string>({
    path: file,
    encoding: 'binary',
    overlappingSync: false,
    noSubdir: true,
    maxReaders: 16,
  })
}

/** Resolves when the writes of this turn are durable; rejects with LMDB's own reason when they are not. */
export async function written(promise: Promise<unknown>): Promise<void> {
  try {
    await promise
  } catch (error) {
    throw await reasonOf(error)
  }
}

/** lmdb-js rejects with a wrapper whose `commitError` rejects in turn with the reason. */
async function reasonOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error
  try {
    await error.commitError
  } catch (reason) {
    return reason
  }
  return error
}
