import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { blobsContract } from '../contract-suite.ts'
import { collectGarbage } from '../manifest.ts'
import { createFileBlobs } from './blobs.ts'
import { shipFolder } from './folder.ts'

const contentPath = (dir: string, sha256: string): string => join(dir, 'sha256', sha256.slice(0, 2), sha256)

blobsContract('file', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'blobs-'))
  return {
    blobs: createFileBlobs({ dir }),
    async damage(sha256) {
      const bytes = await readFile(contentPath(dir, sha256))
      bytes[0] = (bytes[0] ?? 0) ^ 1
      await writeFile(contentPath(dir, sha256), bytes)
    },
    close: () => rm(dir, { recursive: true, force: true }),
  }
})

it('a symbolic link inside the folder leads nowhere', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'blobs-'))
  const outside = await mkdtemp(join(tmpdir(), 'outside-'))
  await writeFile(join(outside, 'secret'), 'secret')
  await mkdir(join(dir, 'a'))
  await symlink(outside, join(dir, 'a', 'link'))
  const blobs = createFileBlobs({ dir })
  await expect(blobs.get('a/link/secret')).rejects.toMatchObject({ code: 'invalid' })
  await expect(blobs.put('a/link/new', new Uint8Array(1))).rejects.toMatchObject({ code: 'invalid' })
  expect(await blobs.list('a')).toEqual([])
  expect(await readdir(outside)).toEqual(['secret'])
  await rm(dir, { recursive: true })
  await rm(outside, { recursive: true })
})

it.each<[string, (dir: string) => Promise<void>, string]>([
  ['a link to a folder', (dir) => symlink('..', join(dir, 'a', 'odd')), 'symbolic link'],
  ['a link to a file', (dir) => symlink('f', join(dir, 'a', 'odd')), 'symbolic link'],
  ['a link to nothing', (dir) => symlink('nothing', join(dir, 'a', 'odd')), 'symbolic link'],
  ['a name with a backslash', (dir) => writeFile(join(dir, 'a', 'odd\\'), 'x'), 'backslash'],
])('a folder with %s is not shipped without it', async (_, make, why) => {
  const dir = await mkdtemp(join(tmpdir(), 'ship-'))
  await mkdir(join(dir, 'a'))
  await writeFile(join(dir, 'a', 'f'), 'x')
  await make(dir)
  const blobs = createFileBlobs({ dir: join(dir, 'b') })
  await expect(shipFolder(blobs, join(dir, 'a'), 'models/m/v1/manifest.json')).rejects.toMatchObject({
    code: 'invalid',
    policy: 'give-up',
    message: expect.stringMatching(`/a/odd.* ${why}`),
  })
  expect(await blobs.has('models/m/v1/manifest.json')).toBe(false)
  await rm(dir, { recursive: true })
})

it('unused content goes once it is old enough, and young content stays', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'blobs-'))
  await writeFile(join(dir, 'f'), 'x')
  const young = createFileBlobs({ dir: join(dir, 'b') })
  const { sha256 } = await young.putFile(join(dir, 'f'))
  await collectGarbage(young, Date.now())
  expect(await young.has(`sha256/${sha256}`)).toBe(true)
  const old = createFileBlobs({ dir: join(dir, 'b'), contentGraceMs: -1000 })
  await collectGarbage(old, Date.now())
  expect(await old.has(`sha256/${sha256}`)).toBe(false)
  await rm(dir, { recursive: true })
})

it('content whose manifest came after the look stays, however late its deletion', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'blobs-'))
  const nowMs = Date.now()
  // Each was put just before the look, but by the time of its deletion that is an hour ago.
  const lookedAtMs = nowMs - 3_600_000
  const blobs = createFileBlobs({ dir: join(dir, 'b') })
  const put = async (text: string, atMs: number) => {
    await writeFile(join(dir, 'f'), text)
    const { sha256 } = await blobs.putFile(join(dir, 'f'))
    await utimes(join(dir, 'b', 'sha256', sha256.slice(0, 2), sha256), atMs / 1000, atMs / 1000)
    return `sha256/${sha256}`
  }
  const shipped = await put('its manifest is on its way', lookedAtMs - 60_000)
  const since = await put('put since', lookedAtMs + 60_000)
  const unused = await put('unused', lookedAtMs - 3_600_000)
  await collectGarbage(blobs, lookedAtMs)
  expect(await Promise.all([shipped, since, unused].map((key) => blobs.has(key)))).toEqual([true, true, false])
  await rm(dir, { recursive: true })
})

it('what a killed writer left behind is swept at the next start, also by one that has its pid', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'blobs-'))
  await mkdir(join(dir, '.tmp'))
  for (const pid of [999_999_999, process.pid]) await writeFile(join(dir, '.tmp', `${pid}-x`), 'half')
  await createFileBlobs({ dir }).put('a', new Uint8Array(1))
  expect(await readdir(join(dir, '.tmp'))).toEqual([])
  await rm(dir, { recursive: true })
})
