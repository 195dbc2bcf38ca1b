import { messageOf, OperatingError } from '../../base/errors.ts'

/** The sentences for what can go wrong with a data directory. Each says that nothing is lost, and what to do. */

export function damaged(file: string, what: string): OperatingError {
  return new OperatingError(
    'store-damaged',
    'give-up',
    `${file} is damaged (${what}); nothing was changed. Put a backup in its place with "millwright restore DIR"`,
  )
}

export function newerFormat(dir: string, found: number, known: number): OperatingError {
  return new OperatingError(
    'store-newer',
    'give-up',
    `${dir} was written by a newer millwright (data format ${found}, this one knows ${known}); nothing was changed. Use that version or newer`,
  )
}

export function locked(dir: string, holder: string): OperatingError {
  return new OperatingError(
    'store-locked',
    'give-up',
    `${dir} is in use by ${holder}: stop it first, or choose another directory with --dir`,
  )
}

export function full(dir: string, cause: unknown): OperatingError {
  return new OperatingError(
    'store-full',
    { retryAfterMs: 5_000 },
    `the disk that holds ${dir} is full, so nothing can be written; what was acknowledged is safe. Free some space`,
    { cause },
  )
}

export function readOnly(dir: string, cause: unknown): OperatingError {
  return new OperatingError(
    'store-read-only',
    'give-up',
    `${dir} cannot be written to (${codeOf(cause) ?? messageOf(cause)}): check its owner and permissions, and that its disk is not mounted read-only`,
    { cause },
  )
}

export function failed(dir: string, cause: unknown): OperatingError {
  return new OperatingError(
    'store-failed',
    'give-up',
    `the disk that holds ${dir} failed (${messageOf(cause)}), so nothing more is written; what was acknowledged is safe. Check the disk, then start again`,
    { cause },
  )
}

/** The sentence for whatever the file system or LMDB says about `dir`. */
export function explained(dir: string, error: unknown): OperatingError {
  if (error instanceof OperatingError) return error
  const text = `${codeOf(error) ?? ''} ${messageOf(error)}`
  if (/ENOSPC|EDQUOT|EFBIG|No space left|quota exceeded|File too large|\b(28|122|27)\b/i.test(text))
    return full(dir, error)
  if (/EACCES|EPERM|EROFS|Permission denied|Read-only file system|not permitted/i.test(text))
    return readOnly(dir, error)
  return failed(dir, error)
}

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
