/** Exit codes that scripts can trust. Documented in `millwright --help`. */
export const exit = {
  ok: 0,
  /** The operation was refused or failed. */
  failed: 1,
  /** The command line or a file is wrong; nothing was changed. */
  usage: 2,
  /** What was named does not exist. */
  notFound: 3,
  /** No factory answers. */
  unreachable: 4,
  interrupted: 130,
} as const

/** Ends the command with `code` and a sentence on stderr. */
export class Exit extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}
