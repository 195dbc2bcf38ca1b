import { silentLog } from '../base/log.ts'
import * as store from '../store/lmdb/backup.ts'

/** A consistent copy of a stopped factory's store in the new folder `toDir`. */
export async function backupStore(dir: string, toDir: string): Promise<{ resources: number; revision: number }> {
  return await store.backupStore({ dir, toDir, log: silentLog })
}

/** Puts a backup in the place of the store in `dir`; returns the folder in which the old one is kept. */
export async function restoreStore(fromDir: string, dir: string): Promise<string | undefined> {
  return (await store.restoreStore({ fromDir, dir, log: silentLog })).replaced
}
