import { existsSync, mkdtempSync, rmSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SmallDisk, smallDisk, smallDiskProblem } from '../../../test/small-disk.fixture.ts'
import { localDisk } from './disk.ts'

it('a disk that holds anything else is not to be filled', () => {
  const dir = mkdtempSync(join(tmpdir(), 'shared-'))
  expect(localDisk(join(dir, 'agent'), []).problem()).toMatch(
    /^\S+\/agent lies on the same disk as \S+, and a full one would harm others; mount a small one of its own there$/,
  )
  rmSync(dir, { recursive: true })
})

describe.skipIf(smallDiskProblem !== undefined)(`a disk of its own (${smallDiskProblem ?? 'tmpfs'})`, () => {
  let disk: SmallDisk
  beforeEach(() => {
    disk = smallDisk(4 << 20)
  })
  afterEach(() => disk.close())

  const room = () => statfsSync(disk.dir).bavail
  const put = (name: string, bytes: number) => writeFileSync(join(disk.dir, name), new Uint8Array(bytes))

  it('is full to the last page, also of what others give up, and as it was when it is freed', async () => {
    put('theirs', 64 << 10)
    const before = room()
    const filled = localDisk(disk.dir, [])
    expect(filled.problem()).toBeUndefined()
    await filled.fill()
    expect(room()).toBe(0)
    expect(() => put('one-more', 4096)).toThrow(/ENOSPC/)
    unlinkSync(join(disk.dir, 'one-more'))
    unlinkSync(join(disk.dir, 'theirs'))
    expect(room()).toBeGreaterThan(0)
    await filled.fill()
    expect(room()).toBe(0)
    await filled.free()
    expect(room()).toBeGreaterThan(before)
    expect(existsSync(join(disk.dir, 'theirs'))).toBe(false)
  })

  it('that is freed while it is being filled stays free', async () => {
    const before = room()
    const filled = localDisk(disk.dir, [])
    const filling = filled.fill()
    await filled.free()
    await filling
    expect(room()).toBe(before)
  })

  it('is freed by whoever comes after one that died', async () => {
    const before = room()
    await localDisk(disk.dir, []).fill()
    await localDisk(disk.dir, []).free()
    expect(room()).toBe(before)
  })

  it('on which others lie is not to be filled', () => {
    expect(localDisk(disk.dir, [join(disk.dir, 'store')]).problem()).toBe(
      `${disk.dir} lies on the same disk as ${disk.dir}/store, and a full one would harm others; mount a small one of its own there`,
    )
  })

  it('that is large is not to be filled', () => {
    const large = smallDisk(2 ** 30 + 2 ** 24)
    expect(localDisk(large.dir, []).problem()).toBe(
      `the disk of ${large.dir} has 1040 MiB of room, and no more than 1024 MiB are filled; mount a smaller one there`,
    )
    large.close()
  })
})
