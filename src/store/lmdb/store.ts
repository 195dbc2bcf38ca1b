import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { Store } from '../contract.ts'
import { type CorePoint, createCore } from '../core.ts'
import { writeBackup } from './backup.ts'
import { openDirectory } from './directory.ts'
import { createJournal } from './journal.ts'

export interface LmdbStoreOptions {
  /** The directory is the store's own; made when missing. */
  dir: string
  clock: Clock
  random: Random
  log: Log
  /** Changes kept for watchers; 10,000 when left out. They are not kept across a restart. */
  history?: number
  /** false: writes under a lease are not checked. */
  fencing?: boolean
  /** Events kept, and for how long. */
  events?: { max: number; ageMsMax: number }
  /** For tests that stop the process between two steps of a commit. */
  onPoint?: (point: LmdbPoint) => void
}
export type LmdbPoint = CorePoint | 'in-commit'

export interface LmdbStore extends Store {
  /** Resolves when what was written is durable and the directory is free for the next process. */
  close(): Promise<void>
  /** Writes everything, as of one revision, into a new directory that `restoreStore` or a second factory can open. */
  backup(toDir: string): Promise<{ revision: number; resources: number }>
}

/**
 * Opens the data directory, alone. Rejects with one sentence when it is locked, damaged, of a newer format, full or
 * read-only, and then has changed nothing in it.
 */
export async function createLmdbStore(options: LmdbStoreOptions): Promise<LmdbStore> {
  const { dir, clock, random, log, history, fencing, events, onPoint } = options
  const { database, loaded, unlock } = await openDirectory(dir, log)
  const journal = createJournal(database, dir, onPoint)
  const core = createCore({ clock, random, history, fencing, events, journal, onPoint }, loaded)
  log.debug('opened the store', { dir, revision: loaded.revision, resources: loaded.objects.length })
  let closing: Promise<void> | undefined
  return {
    get: core.get,
    list: core.list,
    create: core.create,
    update: core.update,
    updateStatus: core.updateStatus,
    patch: core.patch,
    delete: core.delete,
    bind: core.bind,
    evict: core.evict,
    watch: core.watch,
    backup: (toDir) => writeBackup(core.snapshot(), toDir),
    close: () => {
      closing ??= core
        .close()
        .then(() => database.close())
        .then(unlock)
      return closing
    },
  }
}
