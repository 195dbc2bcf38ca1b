import { describe, expect, it } from 'vitest'
import { createProgress, progressLine } from './progress.ts'

const MiB = 1024 * 1024

function drawn(screen: { isTTY?: boolean; columns?: number }, size: number): string[] {
  const written: string[] = []
  let nowMs = 0
  const progress = createProgress('model.gguf', size, { ...screen, write: (text) => written.push(text) }, () => nowMs)
  for (let bytes = 0; bytes < size; bytes += size / 100) {
    progress.heard(bytes)
    nowMs += 50
  }
  progress.end()
  return written
}

describe('progress', () => {
  it('is one line of a terminal, drawn now and then, and taken away at the end', () => {
    const written = drawn({ isTTY: true, columns: 60 }, 100 * MiB)
    expect(written).toHaveLength(26)
    expect(written.at(0)).toBe('\r0 %  0 of 100 MiB  model.gguf\u001b[K')
    expect(written.at(-2)).toBe('\r96 %  96 of 100 MiB  20 MiB/s  0s left  model.gguf\u001b[K')
    expect(written.at(-1)).toBe('\r\u001b[K')
    expect(drawn({ isTTY: true, columns: 20 }, 100 * MiB).at(0)).toBe('\r0 %  0 of 100 MiB  \u001b[K')
    expect(drawn({ isTTY: true, columns: 0 }, 100 * MiB).at(0)).toBe(written.at(0))
  })

  it('is nothing for small files, in a pipe and in a file', () => {
    expect(drawn({ isTTY: true }, MiB)).toEqual([])
    expect(drawn({ isTTY: false }, 100 * MiB)).toEqual([])
    expect(drawn({}, 100 * MiB)).toEqual([])
  })

  it('says what is left once there is a speed', () => {
    expect(progressLine('m', 10 * MiB, 100 * MiB, 500)).toBe('10 %  10 of 100 MiB  m')
    expect(progressLine('m', 10 * MiB, 100 * MiB, 2000)).toBe('10 %  10 of 100 MiB  5 MiB/s  18s left  m')
  })
})
