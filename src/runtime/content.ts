import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatingError } from '../base/errors.ts'

/**
 * Content of the blob folder, as it lies there: `sha256/AB/ABCD…`, once it is whole, is never written again. A file
 * that is deleted while it is read is read to its end.
 */
export async function* readContent(dir: string, sha256: string, size: number): AsyncGenerator<Uint8Array> {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new OperatingError('invalid', 'give-up', 'that is no sha256 checksum')
  const file = await opened(join(dir, 'sha256', sha256.slice(0, 2), sha256), sha256)
  try {
    const { size: present } = await file.stat()
    if (present !== size)
      throw new OperatingError(
        'damaged',
        'give-up',
        `the content ${sha256} is damaged in the blob store: it has ${present} bytes of ${size}`,
      )
    // A buffer of its own for each chunk: the one before may still wait to be sent.
    for (let at = 0; at < size; ) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(chunkBytes, size - at)))
      if (bytesRead === 0)
        throw new OperatingError('damaged', 'give-up', `the content ${sha256} was cut while it was read`)
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

const chunkBytes = 1 << 20

async function opened(path: string, sha256: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new OperatingError('not-found', 'give-up', `the content ${sha256} is not in the blob store any more`, {
      cause: error,
    })
  }
}
