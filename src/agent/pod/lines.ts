import { closeSync, openSync, readSync, statSync } from 'node:fs'

/** Follows a file that lines are appended to: each call gives the whole lines that are new. */
export interface LineReader {
  read(): string[]
}

/** `fromEnd`: at first, only the last so many bytes; what came before is history. */
export function createLineReader(path: string, fromEnd = Number.POSITIVE_INFINITY): LineReader {
  let offset: number | undefined
  let rest = ''
  let skipPartial = false
  const buffer = Buffer.allocUnsafe(256 * 1024)

  return {
    read() {
      const size = statSync(path, { throwIfNoEntry: false })?.size
      if (size === undefined) return []
      if (offset === undefined) {
        offset = Math.max(0, size - fromEnd)
        skipPartial = offset > 0
      }
      if (size < offset) {
        offset = 0 // truncated: rotated, or begun anew
        rest = ''
      }
      if (size === offset) return []
      const file = openSync(path, 'r')
      try {
        const count = readSync(file, buffer, 0, buffer.length, offset)
        offset += count
        const lines = (rest + buffer.toString('utf8', 0, count)).split('\n')
        rest = (lines.pop() ?? '').slice(0, lineMax)
        if (skipPartial && lines.length > 0) {
          lines.shift()
          skipPartial = false
        }
        return lines
      } finally {
        closeSync(file)
      }
    },
  }
}

const lineMax = 64 * 1024
