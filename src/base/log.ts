/** Structured log: a message for a person and fields for a machine. Secrets never go in. */
export interface Log {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  /** A log whose lines all carry `fields`. */
  with(fields: Fields): Log
}

export type Fields = Record<string, unknown>

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silentLog }
