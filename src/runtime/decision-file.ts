import { closeSync, fstatSync, openSync, readSync, renameSync, writeSync } from 'node:fs'
import type { DecisionSink } from '../control/scheduling/decisions.ts'

/** Of one file; the one before it stays, and older ones go. */
const bytesMax = 64 * 1024 * 1024

/**
 * What the scheduler was told and what it said, in a file of lines that its owner alone may read: it outlives the process,
 * also one that is killed. Not synced, since nothing depends on it.
 */
export function openDecisionFile(path: string): DecisionSink & { close(): void } {
  let file = openSync(path, 'a+', 0o600)
  let bytes = fstatSync(file).size
  if (bytes > 0 && lastByte(file, bytes) !== newline) bytes += writeSync(file, '\n')
  let beginsAnew = false
  return {
    write(line) {
      bytes += writeSync(file, `${line}\n`)
      if (bytes <= bytesMax || beginsAnew) return
      closeSync(file)
      renameSync(path, `${path}.1`)
      file = openSync(path, 'a', 0o600)
      bytes = 0
      beginsAnew = true
    },
    beginsAnew() {
      const begins = beginsAnew
      beginsAnew = false
      return begins
    },
    close: () => closeSync(file),
  }
}

/** A process that was killed may have left half a line. */
function lastByte(file: number, bytes: number): number | undefined {
  const last = Buffer.alloc(1)
  readSync(file, last, 0, 1, bytes - 1)
  return last[0]
}

const newline = 0x0a
