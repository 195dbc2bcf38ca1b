import { fstatSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Write } from './database.ts'

/**
 * Room at the end of the file, taken from the disk before LMDB needs it. A disk that fills up is met here, by a write
 * of zeros that may fail, and not by LMDB: lmdb-js 3.5.6 overruns a buffer when it words the error of a page write
 * (`sprintf` into `malloc(100)` in `mdb_page_flush`) and can take the process with it. LMDB looks only at pages that
 * its meta page counts, so what lies behind them does not matter.
 */
export interface Reserve {
  /** Resolves once a transaction of these writes surely fits. */
  ensure(writes: readonly Write[]): Promise<void>
  close(): Promise<void>
}

const stepBytes = 1 << 20

export async function openReserve(file: string, pageBytes: number, usedBytes: () => number): Promise<Reserve> {
  const handle = await open(file, 'r+')
  let leftBytes = 0

  async function leftAfterGrowth(needBytes: number): Promise<number> {
    const used = usedBytes()
    const size = fstatSync(handle.fd).size
    if (size - used >= needBytes) return size - used
    const wanted = used + needBytes + stepBytes
    await grow(handle, Math.max(size, used), wanted)
    return wanted - used
  }

  return {
    ensure: async (writes) => {
      const needBytes = transactionBytesMax(writes, pageBytes)
      if (needBytes > leftBytes) leftBytes = await leftAfterGrowth(needBytes)
      leftBytes -= needBytes
    },
    close: () => handle.close(),
  }
}

/**
 * A record may move to a new page with the branch above it, and either may split; what is common to all of them, the
 * list of free pages included, is small. A long value has pages of its own.
 */
function transactionBytesMax(writes: readonly Write[], pageBytes: number): number {
  let bytes = (3 * writes.length + 32) * pageBytes
  for (const { value } of writes) bytes += 2 * (value?.length ?? 0)
  return bytes
}

/** Takes the room, or gives back what it got of it. */
async function grow(handle: FileHandle, fromBytes: number, toBytes: number): Promise<void> {
  try {
    const zeros = Buffer.alloc(Math.min(stepBytes, toBytes - fromBytes))
    for (let at = fromBytes; at < toBytes; ) {
      const { bytesWritten } = await handle.write(zeros, 0, Math.min(zeros.length, toBytes - at), at)
      at += bytesWritten
    }
    await handle.datasync()
  } catch (error) {
    await handle.truncate(fromBytes).catch(() => {}) // the disk stays as full as it was, which is no worse
    throw error
  }
}
