/** What the caller of a failed operation may do about it. */
export type Policy = 'give-up' | { retryAfterMs: number }

/**
 * An operating failure: something outside went wrong, `policy` says whether trying again can help, and the message is
 * a sentence that tells a person what to do. Expected outcomes are returned instead; broken invariants assert.
 */
export class OperatingError extends Error {
  readonly code: string
  readonly policy: Policy

  constructor(code: string, policy: Policy, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'OperatingError'
    this.code = code
    this.policy = policy
  }
}

/** No room on the disk that holds `dir`. It passes when somebody makes some: who can wait, waits. */
export function diskFull(dir: string, cause: unknown): OperatingError {
  return new OperatingError(
    'disk-full',
    { retryAfterMs: 2000 },
    `the disk that holds ${dir} is full; free some space there`,
    { cause },
  )
}

export function isDiskFull(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false
  return error.code === 'ENOSPC' || error.code === 'EDQUOT' || error.code === 'disk-full'
}

/** Object storage does not answer, or refuses for a reason of its own. It passes: who can wait, waits. */
export function storageUnreachable(why: string, cause?: unknown): OperatingError {
  return new OperatingError('storage-unreachable', { retryAfterMs: 2000 }, `object storage cannot be reached: ${why}`, {
    cause,
  })
}

/** Nobody knows whether what was asked of the store was done. */
export function storeUnreachable(): OperatingError {
  return new OperatingError('store-unreachable', { retryAfterMs: 1_000 }, 'the store could not be reached')
}

/** Nothing that a new attempt, or another node, would do better: it is waited for, however long. */
export function isWaitedFor(error: unknown): boolean {
  return isDiskFull(error) || (error instanceof OperatingError && unreachable.includes(error.code))
}

const unreachable: readonly string[] = ['storage-unreachable', 'store-unreachable']

/** A broken invariant: a bug of ours. Stays on in production. */
export class InvariantError extends Error {
  override name = 'InvariantError'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
