import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync } from 'node:fs'
import { writePrivate } from './write.ts'

/** The factory's token, made at the first start; readable by its owner alone. */
export function ensureToken(path: string): string {
  const known = read(path)
  if (known !== '') {
    chmodSync(path, 0o600)
    return known
  }
  writePrivate(path, `${randomBytes(32).toString('base64url')}\n`, 'keep')
  return read(path)
}

/** An empty file, left by a full disk, is no token: everybody knows it. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return ''
    throw error
  }
}
