import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { pino } from 'pino'
import type { Fields, Log } from '../base/log.ts'

/** JSON lines to a file (or stderr with '-'). Field names that look like secrets are censored. */
export function fileLog(path: string, level: string): Log {
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
    path === '-' ? pino.destination(2) : createDestination(path),
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

/**
 * A full disk must not stop what only wants to say something: lines wait for room, up to a mebibyte of them, then they
 * are counted. (pino's own destination throws from a timer there, and spins for ever when the process then ends.) Each
 * line is written at once: there are few, and after a crash none is missing.
 */
function createDestination(path: string): pino.DestinationStream {
  let file: number | undefined
  let waiting = Buffer.alloc(0)
  let dropped = 0
  let again: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(again)
    again = undefined
    try {
      if (file === undefined) {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
        file = openSync(path, 'a', 0o600)
      }
      while (waiting.length > 0) waiting = waiting.subarray(writeSync(file, waiting))
      if (dropped === 0) return
      const time = new Date().toISOString()
      waiting = Buffer.from(`${JSON.stringify({ level: 40, time, dropped, msg: 'no room for these lines' })}\n`)
      dropped = 0
      flush()
    } catch {
      again = setTimeout(flush, retryMs).unref()
    }
  }

  process.once('exit', () => {
    flush()
    if (file !== undefined) closeSync(file)
  })
  return {
    write(line) {
      if (waiting.length + line.length > waitingMax) dropped += 1
      else waiting = Buffer.concat([waiting, Buffer.from(line)])
      if (again === undefined) flush()
    },
  }
}

const waitingMax = 1 << 20
const retryMs = 1000
