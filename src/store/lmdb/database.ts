import { open } from 'lmdb'
import { openReserve, type Write } from './reserve.ts'

/** Keys and bytes in one file, written by transactions. */
export interface Database {
  get(key: string): Buffer | undefined
  /** All, in order of keys. */
  entries(): Iterable<{ key: string; value: Buffer }>
  /**
   * One transaction. Resolves when all of it is durable; rejects with the system's reason when nothing of it is.
   * `submitted` is called when it is on its way. Only one at a time.
   */
  transact(writes: readonly Write[], submitted?: () => void): Promise<void>
  close(): Promise<void>
}

/**
 * The one place that knows lmdb-js and its warts.
 *
 * `overlappingSync` is off: with it, LMDB shows a commit before it is on the disk, which a power cut would reveal.
 * `eventTurnBatching` is off: with it, a commit that fails leaves a rejected promise that nobody can catch.
 */
export function openDatabase(file: string): Database {
  const database = open<Buffer, string>({
    path: file,
    encoding: 'binary',
    noSubdir: true,
    maxReaders: 16,
    overlappingSync: false,
    ...{ eventTurnBatching: false }, // missing in its types
  })
  const pagesOf = (): { pageSize?: number; lastPageNumber?: number } => database.getStats()
  const pageBytes = pagesOf().pageSize ?? 4096
  const usedBytes = () => ((pagesOf().lastPageNumber ?? 1) + 1) * pageBytes
  const reserve = openReserve(file, pageBytes, usedBytes)

  async function transact(writes: readonly Write[], submitted?: () => void): Promise<void> {
    reserve.ensure(writes)
    const durable = database.batch(() => {
      for (const { key, value } of writes) void (value === undefined ? database.remove(key) : database.put(key, value))
    })
    durable.catch(() => {}) // seen below, but not before `submitted` is through
    submitted?.()
    try {
      await durable
    } catch (error) {
      throw await reasonOf(error)
    }
  }

  return {
    get: (key) => database.get(key),
    entries: () => database.getRange(),
    transact,
    close: async () => {
      await database.close()
      reserve.close()
    },
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
