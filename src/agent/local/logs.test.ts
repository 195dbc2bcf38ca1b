import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { podFolder } from './folders.ts'
import { createTimes, readLog } from './logs.ts'

it('each line gets the time of the look that first saw it, also in the file before', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'logs-'))
  const folder = podFolder(dir, 'uid')
  mkdirSync(folder.root, { recursive: true })
  const write = (log: string, text: string, stamps: string, times: string) => {
    writeFileSync(log, text)
    writeFileSync(stamps, times)
  }
  write(folder.olderLog, 'a\nb\nc\n', `${folder.stamps}.1`, '2 1000\n6 2000\n')
  write(folder.log, 'd\ne\nf\n', folder.stamps, '4 3000\n6 4000\n')
  writeFileSync(folder.exit, '  0\n')
  let text = ''
  for await (const bytes of readLog(folder, { timestamps: true })) text += Buffer.from(bytes).toString()
  const at = (seconds: number) => `1970-01-01T00:00:0${seconds}.000Z`
  expect(text).toBe(`${at(1)} a\n${at(2)} b\n${at(2)} c\n${at(3)} d\n${at(3)} e\n${at(4)} f\n`)
  rmSync(dir, { recursive: true })
})

it('the times of many lines are found in one go through the stamps; a file that begins anew is gone through again', () => {
  let looks = 0
  const stamps = Array.from({ length: 500 }, (_, index) => ({
    atMs: index,
    get upTo() {
      looks++
      return (index + 1) * 20
    },
  }))
  const timeAt = createTimes(stamps)
  for (let offset = 0; offset < 10_000; offset += 10) expect(timeAt(offset)).toBe(Math.floor(offset / 20))
  expect(looks).toBeLessThan(2000)
  expect([timeAt(10_000), timeAt(0)]).toEqual([undefined, 0])
})
