import { closeSync, openSync, readSync } from 'node:fs'

const headBytes = 24
const countMax = 10_000_000n

/**
 * Refuses a file whose first bytes are not a GGUF header. node-llama-cpp's own reader trusts the counts in it, and
 * counts for minutes when they are noise.
 */
export function checkGgufHead(path: string): void {
  const head = Buffer.alloc(headBytes)
  const file = openSync(path, 'r')
  try {
    const bytes = readSync(file, head, 0, headBytes, 0)
    if (bytes < headBytes) throw broken(path, `it has only ${bytes} bytes`)
  } finally {
    closeSync(file)
  }
  const magic = head.toString('latin1', 0, 4)
  if (magic !== 'GGUF') throw broken(path, `it begins with ${JSON.stringify(magic)} instead of "GGUF"`)
  const version = head.readUInt32LE(4)
  if (version !== 2 && version !== 3) throw broken(path, `its version is ${version}; 2 and 3 are readable`)
  if (head.readBigUInt64LE(8) > countMax || head.readBigUInt64LE(16) > countMax)
    throw broken(path, 'its counts are absurd')
}

function broken(path: string, why: string): Error {
  return new Error(`${path} is not a GGUF model: ${why}. Copy or export the model again.`)
}
