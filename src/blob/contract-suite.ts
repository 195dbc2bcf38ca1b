import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Blobs } from './contract.ts'
import { fetchManifest, shipFolder } from './file/folder.ts'
import { collectGarbage } from './manifest.ts'

/** What every object storage promises. `open` gives an empty one; `damage` flips a byte of stored content. */
export function blobsContract(
  name: string,
  open: () => Promise<{ blobs: Blobs; damage(sha256: string): Promise<void>; close(): Promise<void> }>,
): void {
  describe(`${name}: the blob contract`, () => {
    let blobs: Blobs
    let damage: (sha256: string) => Promise<void>
    let close: () => Promise<void>
    let scratch: string
    beforeEach(async () => {
      ;({ blobs, damage, close } = await open())
      scratch = await mkdtemp(join(tmpdir(), 'blobs-scratch-'))
    })
    afterEach(async () => {
      await close()
      await rm(scratch, { recursive: true, force: true })
    })
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(scratch, name), text)
      return join(scratch, name)
    }

    it('what was put is there, whole, and the newest wins', async () => {
      await blobs.put('a/b.json', bytes('one'))
      await blobs.put('a/b.json', bytes('two'))
      expect(Buffer.from((await blobs.get('a/b.json')) ?? []).toString()).toBe('two')
      expect(await blobs.has('a/b.json')).toBe(true)
    })

    it('what was never put is absent, without an error', async () => {
      expect(await blobs.get('no/such')).toBeUndefined()
      expect(await blobs.has('no/such')).toBe(false)
      await blobs.delete('no/such')
    })

    it('a listing is sorted, of the prefix, with sizes', async () => {
      for (const key of ['c/2', 'c/10', 'd/1', 'c/1/x']) await blobs.put(key, bytes(key))
      expect(await blobs.list('c/')).toEqual([
        { key: 'c/1/x', size: 5 },
        { key: 'c/10', size: 4 },
        { key: 'c/2', size: 3 },
      ])
      expect((await blobs.list('c/1')).map((found) => found.key)).toEqual(['c/1/x', 'c/10'])
      expect(await blobs.list('nothing/here')).toEqual([])
    })

    it('a deleted object is gone', async () => {
      await blobs.put('x/y', bytes('1'))
      await blobs.delete('x/y')
      expect(await blobs.get('x/y')).toBeUndefined()
      expect(await blobs.list('x/')).toEqual([])
    })

    it.each([
      '../x',
      '/etc/passwd',
      'a/../../x',
      'a//b',
      '',
      '.tmp/x',
      'a/./b',
      'a\\..\\b',
      'a/\0',
      `${'long/'.repeat(205)}x`,
      'a/..',
    ])('key %.20j is refused', async (key) => {
      await expect(blobs.put(key, bytes('x'))).rejects.toMatchObject({ code: 'invalid' })
      await expect(blobs.get(key)).rejects.toMatchObject({ code: 'invalid' })
      await expect(blobs.delete(key)).rejects.toMatchObject({ code: 'invalid' })
    })

    it('a file is stored by its content, once', async () => {
      const first = await blobs.putFile(await file('one', 'same'))
      const second = await blobs.putFile(await file('two', 'same'))
      expect(first).toEqual({ sha256: createHash('sha256').update('same').digest('hex'), size: 4 })
      expect(second).toEqual(first)
      expect(await blobs.list('sha256/')).toEqual([{ key: `sha256/${first.sha256}`, size: 4 }])
      expect(Buffer.from((await blobs.get(`sha256/${first.sha256}`)) ?? []).toString()).toBe('same')
    })

    it('content under a digest that is not its own is refused', async () => {
      await expect(blobs.put(`sha256/${'0'.repeat(64)}`, bytes('x'))).rejects.toMatchObject({ code: 'invalid' })
    })

    it('content comes back verified; damaged content leaves no file, and putting it again heals it', async () => {
      const { sha256 } = await blobs.putFile(await file('one', 'precious'))
      const out = join(scratch, 'deep', 'out')
      expect(await blobs.getFile(sha256, out)).toBe('ok')
      expect(await readFile(out, 'utf8')).toBe('precious')
      await damage(sha256)
      const again = join(scratch, 'again')
      expect(await blobs.getFile(sha256, again)).toBe('damaged')
      await expect(stat(again)).rejects.toMatchObject({ code: 'ENOENT' })
      await blobs.putFile(join(scratch, 'one'))
      expect(await blobs.getFile(sha256, again)).toBe('ok')
      expect(await blobs.getFile('f'.repeat(64), again)).toBe('missing')
    })

    it('a folder is shipped and fetched whole; one damaged file is named and leaves nothing', async () => {
      await file('model.bin', 'weights')
      await file('optimizer.bin', 'moments')
      const shipped = await shipFolder(blobs, scratch, 'checkpoints/j/step-5/rank-0/manifest.json', {
        step: 5,
        rank: 0,
      })
      expect(shipped.bytes).toBe(14)
      const target = await mkdtemp(join(tmpdir(), 'blobs-fetch-'))
      const fetched = await fetchManifest(blobs, 'checkpoints/j/step-5/rank-0/manifest.json', join(target, 'step-5'))
      expect(fetched).toMatchObject({ kind: 'ok', digest: shipped.digest, manifest: { step: 5, rank: 0 } })
      expect(await readFile(join(target, 'step-5', 'optimizer.bin'), 'utf8')).toBe('moments')
      const victim = shipped.manifest.files.find((entry) => entry.path === 'model.bin')
      await damage(victim?.sha256 ?? '')
      const torn = await fetchManifest(blobs, 'checkpoints/j/step-5/rank-0/manifest.json', join(target, 'torn'))
      expect(torn).toMatchObject({ kind: 'damaged', file: 'model.bin' })
      await expect(stat(join(target, 'torn'))).rejects.toMatchObject({ code: 'ENOENT' })
      expect(await fetchManifest(blobs, 'no/manifest.json', join(target, 'none'))).toMatchObject({ kind: 'missing' })
      await rm(target, { recursive: true, force: true })
    })

    it('a manifest that leads outside its folder is damaged, not followed', async () => {
      const { sha256 } = await blobs.putFile(await file('one', 'x'))
      for (const path of ['../escape', '/etc/passwd', 'a/../../b', 'a\\b']) {
        await blobs.put('m.json', bytes(JSON.stringify({ version: 1, files: [{ path, size: 1, sha256 }] })))
        expect(await fetchManifest(blobs, 'm.json', join(scratch, 'out'))).toMatchObject({
          kind: 'damaged',
          file: 'm.json',
        })
      }
      await blobs.put('m.json', bytes('{"version":1,"fil'))
      expect(await fetchManifest(blobs, 'm.json', join(scratch, 'out'))).toMatchObject({ kind: 'damaged' })
    })

    it('garbage collection keeps what a manifest names', async () => {
      const kept = await blobs.putFile(await file('kept', 'kept'))
      await blobs.putFile(await file('unused', 'unused'))
      await blobs.put('any/key', bytes(JSON.stringify({ version: 1, files: [{ path: 'kept', ...kept }] })))
      await collectGarbage(blobs, Date.now())
      expect(await blobs.has(`sha256/${kept.sha256}`)).toBe(true)
    })
  })
}
