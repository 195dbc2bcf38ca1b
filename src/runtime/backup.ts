import { backup, restore } from '../store/lmdb/backup.ts'

/** See `store/lmdb/backup`: a consistent copy made from one snapshot, also while the factory runs. */
export const backupStore = backup
export const restoreStore = restore
