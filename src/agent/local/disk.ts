import { existsSync, statfsSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isDiskFull } from '../../base/errors.ts'
import type { Disk } from '../hand.ts'

/** A disk with more room is not filled: it would take long, and hardly be one that is there for this alone. */
const fillBytesMax = 1 << 30
const chunkBytes = 1 << 20
/** The last of it goes in small pieces, as a file system gives it. */
const pieces = [chunkBytes, 64 << 10, 4 << 10, 1]

/**
 * The disk that holds `dir`, which a drill may fill where nobody else comes to harm: it is a small one of its own, on which lie
 * neither the machine's root, its temporary files or somebody's home, nor `others`, what else the factory keeps. All room goes
 * to one file at a known place, so that whoever comes after a crash gives it back.
 */
export function localDisk(dir: string, others: readonly string[]): Disk {
  const filler = join(dir, 'filled-by-a-drill')
  const shared = [...others, '/', tmpdir(), homedir()]
  let filling: Promise<void> = Promise.resolve()
  let isFreed = true

  function problem(): string | undefined {
    const disk = deviceOf(dir)
    const beside = shared.find((other) => deviceOf(other) === disk)
    if (beside !== undefined)
      return `${dir} lies on the same disk as ${beside}, and a full one would harm others; mount a small one of its own there`
    const free = freeBytes(dir) + sizeOf(filler)
    if (free > fillBytesMax)
      return `the disk of ${dir} has ${mebibytes(free)} of room, and no more than ${mebibytes(fillBytesMax)} are filled; mount a smaller one there`
    return undefined
  }

  async function take(): Promise<void> {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    if (isFreed) return
    const file = await open(filler, 'a', 0o600)
    try {
      await takeRoom(file, sizeOf(filler))
    } finally {
      await file.close()
    }
  }

  async function takeRoom(file: FileHandle, before: number): Promise<void> {
    let taken = before
    for (const bytes of pieces) {
      const zeros = new Uint8Array(bytes)
      while (!isFreed && taken <= fillBytesMax) {
        try {
          taken += (await file.write(zeros)).bytesWritten
        } catch (error) {
          if (!isDiskFull(error)) throw error
          break
        }
      }
    }
    if (taken > fillBytesMax) throw new RangeError(`the disk of ${dir} is larger than it was`)
  }

  return {
    problem,
    async fill() {
      isFreed = false
      filling = filling.catch(() => {}).then(take)
      await filling
    },
    async free() {
      isFreed = true
      await filling.catch(() => {})
      await rm(filler, { force: true })
    },
  }
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / chunkBytes)} MiB`
}

/** Of the nearest folder that is there. */
function deviceOf(path: string): number {
  return existsSync(path) || path === dirname(path) ? statSync(path).dev : deviceOf(dirname(path))
}

function freeBytes(dir: string): number {
  const { bavail, bsize } = statfsSync(existsSync(dir) ? dir : dirname(dir))
  return bavail * bsize
}

function sizeOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0
}
