import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '../../base/log.ts'
import { createFileBlobs } from '../../blob/file/blobs.ts'
import { realClock } from '../../runtime/clock.ts'
import { placeWith } from '../place.fixture.ts'
import { localFiles } from './files.ts'
import { podFolder } from './folders.ts'

test('of words that a pod is told one right after another the last one stays', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'told-'))
  try {
    const tools = { blobs: createFileBlobs({ dir: join(dir, 'blobs') }), clock: realClock, log: silentLog }
    const beside = localFiles({ dir }).beside(placeWith({}), tools)
    await beside.prepare()
    const many = Array.from({ length: 20_000 }, (_, rank) => ({
      rank,
      pod: `p${rank}`,
      address: '10.0.0.1',
      ports: [],
    }))
    for (let step = 1; step <= 10; step++) {
      await Promise.all([beside.tell({ members: many }), beside.tell({ request: { step, stop: false } })])
      expect(JSON.parse(readFileSync(podFolder(dir, 'u').control, 'utf8'))).toEqual({ checkpoint: { step } })
    }
    beside.close()
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
