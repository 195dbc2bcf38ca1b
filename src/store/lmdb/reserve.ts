import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs'

export interface Write {
  key: string
  /** Undefined removes. */
  value: Buffer | undefined
}

/**
 * Room at the end of the file, taken from the disk before LMDB needs it. A disk that fills up is met here, by a write
 * of zeros that may fail, and not by LMDB: lmdb-js 3.5.6 overruns a buffer when it words the error of a page write
 * (`sprintf` into `malloc(100)` in `mdb_page_flush`) and can take the process with it. LMDB looks only at pages that
 * its meta page counts, so what lies behind them does not matter; nor need the zeros be on the disk, only their room.
 */
export interface Reserve {
  /** Throws, having changed nothing, unless a transaction of these writes surely fits. */
  ensure(writes: readonly Write[]): void
  close(): void
}

/** Enough for hundreds of small writes: on a full disk work can still end, be told of, and be deleted. */
const stepBytes = 1 << 20
const zeros = Buffer.alloc(stepBytes)

export function openReserve(file: string, pageBytes: number, usedBytes: () => number): Reserve {
  const handle = openSync(file, 'r+')
  let leftBytes = 0

  function leftAfterGrowth(needBytes: number): number {
    const used = usedBytes()
    const size = fstatSync(handle).size
    if (size - used >= needBytes) return size - used
    const begin = Math.max(size, used)
    const wanted = used + needBytes
    try {
      grow(handle, begin, wanted + stepBytes)
      return needBytes + stepBytes
    } catch {
      grow(handle, begin, wanted)
      return needBytes
    }
  }

  return {
    ensure: (writes) => {
      const needBytes = transactionBytesMax(writes, pageBytes)
      if (needBytes > leftBytes) leftBytes = leftAfterGrowth(needBytes)
      leftBytes -= needBytes
    },
    close: () => closeSync(handle),
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
function grow(handle: number, fromBytes: number, toBytes: number): void {
  try {
    for (let at = fromBytes; at < toBytes; ) at += writeSync(handle, zeros, 0, Math.min(zeros.length, toBytes - at), at)
  } catch (error) {
    ftruncateSync(handle, fromBytes)
    throw error
  }
}
