import { pino } from 'pino'
import type { Fields, Log } from '../base/log.ts'

/** JSON lines to a file (or stderr with '-'). Field names that look like secrets are censored. */
export function fileLog(path: string, level: string): Log {
  const destination = pino.destination({
    dest: path === '-' ? 2 : path,
    append: true,
    sync: false,
    mkdir: true,
    mode: 0o600,
  })
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: ['token', 'authorization', 'password', 'secret', '*.token', '*.authorization'],
        censor: '[redacted]',
      },
    },
    destination,
  )
  return wrap(logger)
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    with: (fields: Fields) => wrap(logger.child(fields)),
  }
}
