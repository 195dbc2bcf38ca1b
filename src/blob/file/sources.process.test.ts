import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Look, Sources } from '../sources.ts'
import { createFileSources } from './sources.ts'

let dir: string
let sources: Sources
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sources-'))
  sources = createFileSources({ dir: join(dir, 'remembered') })
})
afterEach(async () => {
  await sources.close()
  await rm(dir, { recursive: true, force: true })
})

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const uriOf = (path: string): string => pathToFileURL(path).href
const longAgo = new Date('2026-01-01')
async function put(path: string, text: string, time = longAgo): Promise<void> {
  await mkdir(join(dir, path, '..'), { recursive: true })
  await writeFile(join(dir, path), text)
  await utimes(join(dir, path), time, time)
}
const read = async (path: string, from = sources): Promise<Extract<Look, { kind: 'read' }>> =>
  await vi.waitFor(
    async () => {
      const look = await from.look(uriOf(join(dir, path)))
      if (look.kind !== 'read') throw new Error(JSON.stringify(look))
      return look
    },
    { timeout: 10_000, interval: 5 },
  )

const hasNoSha256sum = spawnSync('sh', ['-c', 'command -v sha256sum']).status !== 0

describe('a look at data', () => {
  it('of a file tells its own sha256, once it has been read', async () => {
    await put('book.txt', 'once upon a time')
    expect(await sources.look(uriOf(join(dir, 'book.txt')))).toEqual({
      kind: 'reading',
      bytes: 16,
      files: 1,
      bytesRead: 0,
    })
    expect(await read('book.txt')).toEqual({
      kind: 'read',
      digest: sha256('once upon a time'),
      bytes: 16,
      files: 1,
      changedAtMs: (await stat(join(dir, 'book.txt'))).ctimeMs,
    })
  })

  it.skipIf(hasNoSha256sum)('of a folder tells what sha256sum says of its files, wherever they lie in it', async () => {
    const names = ['b.txt', 'a/z.txt', 'a.txt', 'a/y', 'ä', '\u{1f600}', '\uffee', 'a b', 'empty']
    for (const name of names) await put(`set/${name}`, name === 'empty' ? '' : `of ${name}`)
    const { digest, bytes, files } = await read('set')
    const script = "find -L . -type f | sed 's|^./||' | LC_ALL=C sort | tr '\\n' '\\0' | xargs -0 sha256sum | sha256sum"
    const other = execFileSync('sh', ['-c', script], { cwd: join(dir, 'set'), encoding: 'utf8' })
    expect(digest).toBe(other.split(' ')[0])
    expect([bytes, files]).toEqual([Buffer.byteLength(names.filter((n) => n !== 'empty').join('')) + 8 * 3, 9])
  })

  it('follows links, and never in a circle', async () => {
    await put('elsewhere/deep/c', 'linked')
    await mkdir(join(dir, 'set'))
    await symlink(join(dir, 'elsewhere'), join(dir, 'set/link'))
    await symlink(join(dir, 'elsewhere/deep/c'), join(dir, 'set/file'))
    await symlink('..', join(dir, 'elsewhere/deep/up'))
    await symlink('/no/such/thing', join(dir, 'set/nowhere'))
    await symlink('itself', join(dir, 'set/itself'))
    const { files, digest } = await read('set')
    expect(files).toBe(2)
    expect(digest).toBe(sha256(`${sha256('linked')}  file\n${sha256('linked')}  link/deep/c\n`))
  })

  it('says what is wrong in a sentence', async () => {
    const says = async (uri: string) => {
      const look = await sources.look(uri)
      return look.kind === 'unusable' ? `${look.reason}: ${look.message}` : look.kind
    }
    expect(await says(uriOf(join(dir, 'none')))).toBe(`Missing: ${join(dir, 'none')} is not there`)
    expect(await says('s3://bucket/data')).toMatch(/^SchemeNotRead: s3:\/\/bucket\/data is not read on this machine/)
    expect(await says('file://host/data')).toMatch(/^Invalid/)
    expect(await says('file:///dev/null')).toMatch(/neither a file nor a folder/)
    for (const name of ['a', 'b', 'c']) await put(`many/${name}`, name)
    const few = createFileSources({ dir: join(dir, 'remembered'), filesMax: 2 })
    expect(await few.look(uriOf(join(dir, 'many')))).toMatchObject({ kind: 'unusable', reason: 'TooManyFiles' })
  })

  it.skipIf(process.getuid?.() === 0)('a file that may not be read is named, and read once it may', async () => {
    await put('set/secret', 'x')
    await chmod(join(dir, 'set/secret'), 0)
    await vi.waitFor(async () =>
      expect(await sources.look(uriOf(join(dir, 'set')))).toMatchObject({ reason: 'Unreadable' }),
    )
    await chmod(join(dir, 'set/secret'), 0o600)
    await read('set')
  })
})

describe('a change', () => {
  it('of bytes gives another digest, at once unknown and then the new one', async () => {
    await put('set/a', 'one')
    await put('set/b', 'two')
    const before = await read('set')
    await put('set/b', 'TWO', new Date('2026-01-02'))
    expect(await sources.look(uriOf(join(dir, 'set')))).toMatchObject({ kind: 'reading', bytes: 6, bytesRead: 3 })
    const after = await read('set')
    expect(after.digest).not.toBe(before.digest)
    expect(after.changedAtMs).toBeGreaterThanOrEqual(new Date('2026-01-02').getTime())
  })

  it('of what is there shows at once: nothing needs to be read', async () => {
    await put('set/a', 'one')
    await put('set/b', 'two')
    const before = await read('set')
    await unlink(join(dir, 'set/b'))
    const after = await sources.look(uriOf(join(dir, 'set')))
    expect(after).toMatchObject({ kind: 'read', digest: sha256(`${sha256('one')}  a\n`), files: 1 })
    await put('set/b', 'two')
    expect((await read('set')).digest).toBe(before.digest)
  })

  it('a file whose size and time are as before is not read again, also by the next process', async () => {
    await put('set/a', 'one')
    const { digest } = await read('set')
    // Behind its back: same size, same time.
    await put('set/a', 'ONE')
    expect(await sources.look(uriOf(join(dir, 'set')))).toMatchObject({ kind: 'read', digest })
    await sources.close()
    expect(await readdir(join(dir, 'remembered'))).toHaveLength(1)
    const next = createFileSources({ dir: join(dir, 'remembered') })
    expect(await next.look(uriOf(join(dir, 'set')))).toMatchObject({ kind: 'read', digest })
    await writeFile(join(dir, 'remembered', (await readdir(join(dir, 'remembered')))[0] ?? ''), '{"version":1,"pa')
    const other = createFileSources({ dir: join(dir, 'remembered') })
    expect((await read('set', other)).digest).toBe(sha256(`${sha256('ONE')}  a\n`)) // what is torn is read again
    other.close()
  })

  it('while it is read is not taken for what was found', async () => {
    await put('big', 'x'.repeat(3_000_000))
    const first = await sources.look(uriOf(join(dir, 'big')))
    expect(first.kind).toBe('reading')
    await vi.waitFor(
      async () => {
        const look = await sources.look(uriOf(join(dir, 'big')))
        if (look.kind !== 'reading' || look.bytesRead === 0) throw new Error('not begun')
      },
      { timeout: 5000, interval: 0 },
    )
    await truncate(join(dir, 'big'), 10)
    await utimes(join(dir, 'big'), longAgo, longAgo)
    expect(await read('big')).toMatchObject({ digest: sha256('x'.repeat(10)), bytes: 10 })
  })

  it('a file that was written just now is left alone for a second', async () => {
    await put('fresh', 'x', new Date())
    const startedMs = Date.now()
    await read('fresh')
    expect(Date.now() - startedMs).toBeGreaterThan(800)
  })
})

it('of many that are asked for, one is read at a time, and the others wait', async () => {
  for (const name of ['a', 'b', 'c']) await put(name, name.repeat(2_000_000))
  for (const name of ['a', 'b', 'c']) await sources.look(uriOf(join(dir, name)))
  let most = 0
  for (;;) {
    const looks = await Promise.all(['a', 'b', 'c'].map((name) => sources.look(uriOf(join(dir, name)))))
    if (looks.every((look) => look.kind === 'read')) break
    most = Math.max(most, looks.filter((look) => look.kind === 'reading' && look.bytesRead > 0).length)
  }
  expect(most).toBe(1)
})
