import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SmallDisk, smallDisk, smallDiskProblem } from '../../test/small-disk.fixture.ts'
import { fileLog } from './log.ts'

const title = `the log on a full disk${smallDiskProblem === undefined ? '' : ` (${smallDiskProblem})`}`

describe.skipIf(smallDiskProblem !== undefined)(title, () => {
  let disk: SmallDisk
  beforeEach(() => {
    disk = smallDisk(256 << 10)
  })
  afterEach(() => disk.close())
  const lines = (): { msg: string; dropped?: number }[] =>
    readFileSync(join(disk.dir, 'log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))

  it('goes on where it stopped once there is room, each line whole and in order', async () => {
    const log = fileLog(join(disk.dir, 'log'), 'info')
    log.info('before')
    disk.fill()
    for (let index = 0; index < 100; index++) log.info(`line ${index}`, { filler: 'x'.repeat(100) })
    disk.free()
    await expect.poll(() => lines().length, { timeout: 10_000 }).toBe(101)
    expect(lines().map((line) => line.msg)).toEqual([
      'before',
      ...Array.from({ length: 100 }, (_, index) => `line ${index}`),
    ])
  })

  it('counts what it cannot keep', async () => {
    disk.close()
    disk = smallDisk(2 << 20)
    const log = fileLog(join(disk.dir, 'log'), 'info')
    disk.fill()
    for (let index = 0; index < 30; index++) log.info('long', { filler: 'x'.repeat(50_000) })
    disk.free()
    await expect.poll(() => lines().at(-1)?.dropped, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(lines().length - 1 + (lines().at(-1)?.dropped ?? 0)).toBe(30)
  })

  it('does not keep its process from ending', async () => {
    const outfile = resolve('node_modules/.cache/millwright', `log-child-${process.pid}.mjs`)
    const contents = `import { fileLog } from './log.ts'
      const log = fileLog(process.argv[2], 'info')
      for (let index = 0; index < 100; index++) log.info('a line', { index })
      console.log('over')`
    await build({
      stdin: { contents, resolveDir: import.meta.dirname, loader: 'ts' },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'error',
    })
    disk.fill()
    const child = spawnSync(process.execPath, [outfile, join(disk.dir, 'log')], { encoding: 'utf8', timeout: 20_000 })
    expect([child.status, child.signal, child.stdout, child.stderr]).toEqual([0, null, 'over\n', ''])
  })
})
