import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A disk of its own that a test can fill. */
export interface SmallDisk {
  dir: string
  /** Takes all room but so many bytes. */
  fill(leaveBytes?: number): void
  free(): void
  close(): void
}

/** Why there can be no small disks here; undefined: there can. */
export const smallDiskProblem: string | undefined = findProblem()

function findProblem(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux to mount a small tmpfs'
  try {
    smallDisk(1 << 20).close()
    return undefined
  } catch {
    return 'needs the right to mount a small tmpfs'
  }
}

export function smallDisk(bytes: number): SmallDisk {
  const dir = mkdtempSync(join(tmpdir(), 'small-disk-'))
  const filler = join(dir, '.filler')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=700`, 'tmpfs', dir], { stdio: 'ignore' })
  } catch (error) {
    rmdirSync(dir)
    throw error
  }
  return {
    dir,
    fill(leaveBytes = 0) {
      const file = openSync(filler, 'a')
      let written = 0
      for (const size of [64 << 10, 4 << 10, 1]) {
        try {
          for (const zeros = Buffer.alloc(size); ; ) written += writeSync(file, zeros)
        } catch (error) {
          if ((error as { code?: unknown }).code !== 'ENOSPC') throw error
        }
      }
      closeSync(file)
      if (leaveBytes > 0) truncateSync(filler, Math.max(0, written - leaveBytes))
    },
    free: () => rmSync(filler, { force: true }),
    close() {
      // What a killed process still holds open must not keep the folder.
      execFileSync('umount', ['--lazy', dir], { stdio: 'ignore' })
      rmdirSync(dir)
    },
  }
}
