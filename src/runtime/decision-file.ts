import { closeSync, fstatSync, openSync, readSync, renameSync, writeSync } from 'node:fs'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { DecisionSink } from '../control/scheduling/decisions.ts'

/** Of one file; the one before it stays, and older ones go. */
const bytesMax = 64 * 1024 * 1024

/**
 * What the scheduler was told and what it said, in a file of lines that its owner alone may read: it outlives the process,
 * also one that is killed. Not synced, since nothing depends on it: where it cannot be written (a full disk), the factory
 * goes on without, and the record begins anew once it can.
 */
export function openDecisionFile(path: string, log: Log): DecisionSink & { close(): void } {
  let file: number | undefined
  let bytes = 0
  let beginsAnew = false
  let isTold = false

  function fail(error: unknown): void {
    beginsAnew = true
    if (!isTold) log.warn('decisions are not recorded', { file: path, error: messageOf(error) })
    isTold = true
  }

  function open(): number {
    const opened = openSync(path, 'a+', 0o600)
    bytes = fstatSync(opened).size
    return opened
  }

  function write(line: string): void {
    file ??= open()
    // A process that was killed, or a disk that was full, may have left half a line.
    const text = Buffer.from(bytes > 0 && lastByte(file, bytes) !== newline ? `\n${line}\n` : `${line}\n`)
    const written = writeSync(file, text)
    bytes += written
    if (written < text.length) throw new Error('it was written in part')
    isTold = false
    if (bytes <= bytesMax) return
    closeSync(file)
    file = undefined
    renameSync(path, `${path}.1`)
    beginsAnew = true
  }

  return {
    write(line) {
      if (beginsAnew) return // what it says goes on from something that is missing
      try {
        write(line)
      } catch (error) {
        fail(error)
      }
    },
    beginsAnew() {
      const begins = beginsAnew
      beginsAnew = false
      return begins
    },
    close: () => {
      if (file !== undefined) closeSync(file)
      file = undefined
    },
  }
}

function lastByte(file: number, bytes: number): number | undefined {
  const last = Buffer.alloc(1)
  readSync(file, last, 0, 1, bytes - 1)
  return last[0]
}

const newline = 0x0a
