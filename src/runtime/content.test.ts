import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFileBlobs } from '../blob/file/blobs.ts'
import { readContent } from './content.ts'

let dir = ''
let sha256 = ''
const bytes = randomBytes(2_500_000) // several chunks
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millwright-content-'))
  writeFileSync(join(dir, 'file'), bytes)
  sha256 = (await createFileBlobs({ dir: join(dir, 'blobs') }).putFile(join(dir, 'file'))).sha256
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const read = (sha: string, size: number) => readContent(join(dir, 'blobs'), sha, size)

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const kept: Uint8Array[] = []
  for await (const chunk of chunks) kept.push(chunk)
  return Buffer.concat(kept)
}

describe('content of the blob folder', () => {
  it('is read as the blob store put it there', async () => {
    expect((await all(read(sha256, bytes.length))).equals(bytes)).toBe(true)
  })

  it('is read to its end though it is deleted meanwhile', async () => {
    const once = randomBytes(1_500_000)
    writeFileSync(join(dir, 'once'), once)
    const blobs = createFileBlobs({ dir: join(dir, 'blobs'), contentGraceMs: 0 })
    const put = await blobs.putFile(join(dir, 'once'))
    const kept: Uint8Array[] = []
    for await (const chunk of read(put.sha256, put.size)) {
      if (kept.length === 0) await blobs.delete(`sha256/${put.sha256}`)
      kept.push(chunk)
    }
    expect(Buffer.concat(kept).equals(once)).toBe(true)
    await expect(all(read(put.sha256, put.size))).rejects.toMatchObject({ code: 'not-found' })
  })

  it('of another length, or under what is no checksum, is refused before its first byte', async () => {
    await expect(read(sha256, bytes.length + 1).next()).rejects.toThrow('has 2500000 bytes of 2500001')
    const none = createHash('sha256').update('none').digest('hex')
    await expect(read(none, 4).next()).rejects.toThrow('is not in the blob store any more')
    for (const name of ['../../token', sha256.toUpperCase(), ''])
      await expect(read(name, 1).next()).rejects.toMatchObject({ code: 'invalid' })
  })
})
