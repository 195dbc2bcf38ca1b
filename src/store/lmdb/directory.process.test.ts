import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../base/log.ts'
import { createManualClock } from '../../base/manual-clock.ts'
import { seededRandom } from '../../base/random.ts'
import { found, jobNamed, podNamed, ref } from '../contract-suite.ts'
import { backupStore, restoreStore } from './backup.ts'
import { bundleChild } from './crash/bundle.ts'
import type { ChildOrder } from './crash/child.ts'
import { inspectFile } from './inspect.ts'
import { createLmdbStore } from './store.ts'

const root = mkdtempSync(join(tmpdir(), 'millwright-directory-'))
const fixture = fileURLToPath(new URL('fixtures/format-1', import.meta.url))
let dir: string
let child: string
let count = 0

beforeAll(async () => {
  chmodSync(root, 0o755)
  child = await bundleChild()
})
afterAll(() => {
  rmSync(root, { recursive: true, force: true })
  rmSync(child, { force: true })
})
beforeEach(() => {
  dir = join(root, String(count++))
})

const openStore = (at = dir) =>
  createLmdbStore({ dir: at, clock: createManualClock(), random: seededRandom(count), log: silentLog })

async function filled(jobs = 300): Promise<void> {
  const store = await openStore()
  await Promise.all(Array.from({ length: jobs }, (_, i) => store.create('TrainingJob', jobNamed(`job-${i}`))))
  const big = { ...jobNamed('big'), spec: { ...jobNamed('big').spec, command: 'x'.repeat(50_000) } }
  await store.create('TrainingJob', big)
  await store.close()
}

/** Every file with its content, locks aside. */
function contents(of = dir): Record<string, string> {
  const names = readdirSync(of, { recursive: true, encoding: 'utf8' }).filter((name) => /(mdb|FORMAT)$/.test(name))
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(of, name), 'latin1')]))
}

function ask(order: ChildOrder, options: object = {}) {
  return spawnSync(process.execPath, [child, JSON.stringify(order)], { encoding: 'utf8', ...options })
}

async function firstLine(process: ChildProcess): Promise<string> {
  if (process.stdout === null) throw new Error('no stdout')
  const [chunk] = await once(process.stdout, 'data')
  return String(chunk)
}

describe('a data directory', () => {
  test('holds after a restart what was written, and goes on from its revision', async () => {
    const store = await openStore()
    const job = found(await store.create('TrainingJob', jobNamed('a')))
    const pod = found(await store.create('Pod', podNamed('p', 'other')))
    await store.create('Pod', podNamed('gone'))
    await store.delete('Pod', ref('gone'))
    const { resourceVersion } = await store.list('Pod')
    await store.close()
    const again = await openStore()
    expect(await again.get('TrainingJob', ref('a'))).toEqual(job)
    expect((await again.list('Pod')).items).toEqual([pod])
    expect((await again.list('Pod')).resourceVersion).toBe(resourceVersion)
    expect(() => Object.assign(found(pod).spec, { x: 1 })).toThrow()
    const ended = new Promise((resolve) => again.watch('Pod', { from: '1' }, { event() {}, ended: resolve }))
    expect(await ended).toBe('expired')
    const next = found(await again.create('Pod', podNamed('next')))
    expect(Number(next.metadata.resourceVersion)).toBeGreaterThan(Number(resourceVersion))
    await again.close()
  })

  test('is for one process, whose number the other is told', async () => {
    const holder = spawn(process.execPath, [child, JSON.stringify({ mode: 'hold', dir })], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    expect(await firstLine(holder)).toMatch(/^open /)
    await expect(openStore()).rejects.toMatchObject({
      code: 'store-locked',
      message: `${dir} is in use by process ${holder.pid}: stop it first, or choose another directory with --dir`,
    })
    holder.kill('SIGKILL')
    await once(holder, 'close')
    const store = await openStore()
    await expect(openStore()).rejects.toThrow(`in use by this process (${process.pid})`)
    await store.close()
    await (await openStore()).close()
  })

  test('of many that want it at once, after a crash, exactly one gets it', async () => {
    await filled(1)
    const dead = ask({ mode: 'crash', dir, seed: 1, from: 1, dieAt: { point: 'before-commit', nth: 1 } })
    expect(dead.signal).toBe('SIGKILL')
    const contenders = Array.from({ length: 6 }, () =>
      spawn(process.execPath, [child, JSON.stringify({ mode: 'hold', dir })], { stdio: ['ignore', 'pipe', 'inherit'] }),
    )
    const lines = await Promise.all(contenders.map(firstLine))
    expect(lines.filter((line) => line.startsWith('open '))).toHaveLength(1)
    expect(lines.filter((line) => line.includes('store-locked'))).toHaveLength(5)
    for (const contender of contenders) contender.kill('SIGKILL')
  })

  test('of an older format is copied, then migrated', async () => {
    cpSync(fixture, dir, { recursive: true })
    const before = contents()
    const store = await openStore()
    expect((await store.list('Secret')).items[0]?.data?.['big']).toHaveLength(6000)
    expect((await store.get('Queue', { name: 'default' }))?.metadata.uid).toBe('f1000000-0000-4000-8000-000000000002')
    expect((await store.list('Queue')).resourceVersion).toBe('42')
    await store.close()
    expect(readFileSync(join(dir, 'FORMAT'), 'utf8')).toBe('millwright data format 2\n')
    expect(readFileSync(join(dir, 'before-format-2/store.mdb'), 'latin1')).toBe(before['store.mdb'])
    await (await openStore()).close()
    expect(readdirSync(dir).filter((name) => name.startsWith('before'))).toHaveLength(1)
  })

  test('of a newer format is left alone', async () => {
    await filled(1)
    writeFileSync(join(dir, 'FORMAT'), 'millwright data format 3\n')
    const before = contents()
    await expect(openStore()).rejects.toMatchObject({ code: 'store-newer', message: /data format 3, this one knows 2/ })
    expect(contents()).toEqual(before)
  })

  test('that is damaged is left alone, and what is wrong is said', async () => {
    await filled()
    const file = join(dir, 'store.mdb')
    const sound = readFileSync(file)
    const damages: [string, RegExp, (bytes: Buffer) => Buffer][] = [
      ['cut short', /cut off/, (bytes) => bytes.subarray(0, 20 * 4096)],
      ['cut in the header', /does not start/, (bytes) => bytes.subarray(0, 100)],
      ['empty', /empty/, () => Buffer.alloc(0)],
      ['zeroes at the start', /does not start/, (bytes) => bytes.fill(0, 0, 4096)],
      ['zeroes in all pages', /holds something else/, (bytes) => bytes.fill(0, 2 * 4096)],
      ['a bit in each value', /checksum/, (bytes) => flipAll(bytes, 'maxRestarts')],
      ['a bit in a long value', /checksum/, (bytes) => flipAll(bytes, 'xxxxxxxxxxxxxxxxxxxx')],
      ['a bit in each key', /should not be there/, (bytes) => flipAll(bytes, 'r/TrainingJob')],
      ['something else entirely', /does not start/, () => Buffer.from('hello\n'.repeat(10_000))],
    ]
    for (const [name, sentence, damage] of damages) {
      writeFileSync(file, damage(Buffer.from(sound)))
      const before = contents()
      const answer = ask({ mode: 'open', dir }) // in a process of its own: LMDB may end the process instead
      expect([name, answer.signal, answer.status, answer.stdout]).toEqual([
        name,
        null,
        0,
        expect.stringMatching(/store-damaged/),
      ])
      expect(answer.stdout).toMatch(sentence)
      expect(answer.stdout).toContain('millwright restore')
      expect(contents()).toEqual(before)
    }
    writeFileSync(file, sound)
    rmSync(join(dir, 'store.mdb-lock'), { force: true })
    await (await openStore()).close()
    rmSync(file)
    await expect(openStore()).rejects.toThrow(/it is missing/)
    writeFileSync(file, sound)
    writeFileSync(join(dir, 'FORMAT'), 'what?')
    await expect(openStore()).rejects.toMatchObject({ code: 'store-damaged' })
  })

  test('with any damage anywhere either opens whole or says so, and never ends the process', {
    timeout: 120_000,
  }, async () => {
    await filled(60)
    const file = join(dir, 'store.mdb')
    const sound = readFileSync(file)
    const used = sound.findLastIndex((byte) => byte !== 0)
    const random = seededRandom(5)
    for (let i = 0; i < 25; i++) {
      const damaged = Buffer.from(sound)
      const at = random.int(0, used)
      for (let j = 0; j < random.int(1, 500); j++) damaged[at + j] = random.int(0, 255)
      writeFileSync(file, damaged)
      rmSync(join(dir, 'store.mdb-lock'), { force: true })
      const answer = ask({ mode: 'open', dir })
      expect([at, answer.signal, answer.status]).toEqual([at, null, 0])
      expect(answer.stdout).toMatch(/^open \{"revision":62,"jobs":61,|store-damaged/)
    }
  })

  test('whose making was interrupted is made anew', async () => {
    mkdirSync(dir)
    writeFileSync(join(dir, 'store.mdb'), '')
    await (await openStore()).close()
    expect(existsSync(join(dir, 'FORMAT'))).toBe(true)
  })

  test('that may not be written to is refused with a sentence', async (context) => {
    await filled(1)
    if (process.getuid?.() === 0) {
      // Root may write anywhere: somebody else asks.
      const readable = join(root, `read-only-${count}`)
      cpSync(dir, readable, { recursive: true })
      const shared = join(root, 'child.mjs')
      copyFileSync(child, shared)
      chmodSync(readable, 0o755)
      const answer = ask({ mode: 'open', dir: readable }, { uid: 65_534, gid: 65_534 })
      if (answer.error !== undefined || answer.stdout === '') context.skip('no other user can run Node here')
      expect(answer.stdout).toMatch(/store-read-only.*check its owner and permissions/)
      for (const name of readdirSync(readable)) chownSync(join(readable, name), 0, 0)
      return
    }
    chmodSync(dir, 0o500)
    await expect(openStore()).rejects.toMatchObject({ code: 'store-read-only' })
    chmodSync(dir, 0o700)
  })

  test('that may not grow refuses writes with a sentence and keeps what it acknowledged', async () => {
    const answer = spawnSync(
      'sh',
      ['-c', `ulimit -f 6000; exec "$0" "$@"`, process.execPath, child, JSON.stringify({ mode: 'fill', dir })],
      { encoding: 'utf8' },
    )
    expect(answer.signal).toBeNull()
    await expectKept(answer.stdout)
  })

  test('on a full disk refuses writes with a sentence, keeps what it acknowledged, and goes on when there is room', async (context) => {
    const disk = join(root, `disk-${count}`)
    mkdirSync(disk)
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]).status !== 0) {
      context.skip('no small disk can be mounted here')
    }
    try {
      dir = join(disk, 'store')
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(1_500_000))
      const answer = ask({ mode: 'fill', dir, ballast: join(disk, 'ballast') })
      expect(answer.stdout).toMatch(/ack lane\/after/)
      await expectKept(answer.stdout)
    } finally {
      spawnSync('umount', [disk])
    }
  })

  async function expectKept(output: string): Promise<void> {
    const acknowledged = [...output.matchAll(/^ack (\S+)/gm)].map((match) => match[1])
    const refusal = /^error (.*)$/m.exec(output)?.[1] ?? '{}'
    expect(JSON.parse(refusal)).toEqual({
      code: 'store-full',
      message: `the disk that holds ${dir} is full, so nothing can be written; what was acknowledged is safe. Free some space`,
    })
    expect(acknowledged.length).toBeGreaterThan(20)
    const store = await openStore()
    const kept = (await store.list('Secret')).items.map(
      (secret) => `${secret.metadata.namespace}/${secret.metadata.name}`,
    )
    await store.close()
    expect(kept.sort()).toEqual([...acknowledged].sort())
  }
})

describe('backup and restore', () => {
  test('a backup of a store in use is whole as of one revision', async () => {
    const store = await openStore()
    for (let i = 0; i < 50; i++) await store.create('TrainingJob', jobNamed(`job-${i}`))
    const writing = Promise.all(
      Array.from({ length: 50 }, (_, i) => store.create('TrainingJob', jobNamed(`later-${i}`))),
    )
    const backup = await store.backup(`${dir}.backup`)
    await writing
    await store.close()
    const copy = await openStore(`${dir}.backup`)
    expect((await copy.list('TrainingJob')).resourceVersion).toBe(String(backup.revision))
    expect((await copy.list('TrainingJob')).items).toHaveLength(50)
    await copy.close()
    await expect(backupStore({ dir, toDir: `${dir}.backup`, log: silentLog })).rejects.toMatchObject({
      code: 'backup-exists',
    })
  })

  test('restore puts it back, keeps what it replaced, and gives no revision twice', async () => {
    await filled(20)
    const backup = await backupStore({ dir, toDir: `${dir}.backup`, log: silentLog })
    const store = await openStore()
    await store.delete('TrainingJob', ref('job-1'))
    const late = found(await store.create('TrainingJob', jobNamed('late')))
    await store.close()
    truncateSync(join(dir, 'store.mdb'), 9_000) // and then the disk went bad
    expect(inspectFile(join(dir, 'store.mdb')).sound).toBe(false)
    const restored = await restoreStore({ fromDir: `${dir}.backup`, dir, log: silentLog })
    expect(restored.resources).toBe(backup.resources)
    expect(existsSync(join(restored.replaced ?? '', 'store.mdb'))).toBe(true)
    const again = await openStore()
    expect(await again.get('TrainingJob', ref('job-1'))).toBeDefined()
    expect(await again.get('TrainingJob', ref('late'))).toBeUndefined()
    const next = found(await again.create('TrainingJob', jobNamed('next')))
    expect(Number(next.metadata.resourceVersion)).toBeGreaterThan(Number(late.metadata.resourceVersion))
    await expect(restoreStore({ fromDir: `${dir}.backup`, dir, log: silentLog })).rejects.toMatchObject({
      code: 'store-locked',
    })
    await again.close()
  })

  test('an old backup is migrated on the way; a damaged one replaces nothing', async () => {
    await filled(1)
    await restoreStore({ fromDir: fixture, dir, log: silentLog })
    const store = await openStore()
    expect((await store.list('Secret')).items).toHaveLength(1)
    await store.close()
    cpSync(fixture, `${dir}.bad`, { recursive: true })
    truncateSync(join(`${dir}.bad`, 'store.mdb'), 9_000)
    const before = contents()['store.mdb']
    await expect(restoreStore({ fromDir: `${dir}.bad`, dir, log: silentLog })).rejects.toMatchObject({
      code: 'store-damaged',
    })
    expect(contents()['store.mdb']).toBe(before)
    await expect(restoreStore({ fromDir: join(root, 'nowhere'), dir, log: silentLog })).rejects.toMatchObject({
      code: 'no-store',
    })
  })
})

/** Flips a bit of each `text`: old pages that LMDB no longer uses may hold it as well. */
function flipAll(bytes: Buffer, text: string): Buffer {
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length))
    bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes
}
