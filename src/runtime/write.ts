import { linkSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { diskFull, isDiskFull } from '../base/errors.ts'

/**
 * Puts a small private file in place whole, or not at all: a full disk leaves no empty one behind. 'keep': one that holds
 * something already stays, so that of two who write at once both go on with the same.
 */
export function writePrivate(path: string, text: string, existing: 'replace' | 'keep' = 'replace'): void {
  const draft = `${path}.${process.pid}.tmp`
  try {
    writeFileSync(draft, text, { mode: 0o600 })
    if (existing === 'replace' || statSync(path, { throwIfNoEntry: false })?.size === 0) renameSync(draft, path)
    else linkSync(draft, path)
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EEXIST') return
    throw isDiskFull(error) ? diskFull(dirname(path), error) : error
  } finally {
    rmSync(draft, { force: true })
  }
}
