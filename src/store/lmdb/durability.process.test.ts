import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bundleChild } from './crash/bundle.ts'

const hasStrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0

test.skipIf(!hasStrace)(
  'nobody reads, watches or is acknowledged a write before it is on the disk (needs strace)',
  async () => {
    const root = mkdtempSync(join(tmpdir(), 'millwright-trace-'))
    const child = await bundleChild()
    try {
      const log = join(root, 'trace')
      const calls = 'openat,pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync,msync'
      const order = JSON.stringify({ mode: 'trace', dir: join(root, 'store'), writes: 40 })
      const args = ['-f', '-e', `trace=${calls}`, '-o', log, process.execPath, child, order]
      const traced = spawnSync('strace', args, { encoding: 'utf8' })
      expect(traced.stderr).toBe('')
      const checked = checkTrace(readFileSync(log, 'utf8').split('\n'))
      expect(checked.problems).toEqual([])
      expect(checked.marks).toBe(120)
    } finally {
      rmSync(root, { recursive: true, force: true })
      rmSync(child, { force: true })
    }
  },
)

/**
 * LMDB writes pages, syncs them, then writes the meta page that makes them count through a descriptor that syncs by
 * itself (O_DSYNC). All three must have ended, in this order, between the begin of a write and any sign of it.
 */
function checkTrace(lines: readonly string[]): { marks: number; problems: string[] } {
  const files = new Map<string, 'pages' | 'meta'>()
  const problems: string[] = []
  let marks = 0
  let unsynced = false
  let stage: 'begun' | 'written' | 'synced' | 'committed' = 'begun'
  for (const call of endedCalls(lines)) {
    const descriptor = /^\((\d+)/.exec(call.args)?.[1] ?? ''
    if (call.name === 'openat' && call.args.includes('store.mdb"')) {
      files.set(/= (\d+)$/.exec(call.args)?.[1] ?? '', call.args.includes('O_DSYNC') ? 'meta' : 'pages')
    } else if (call.name.includes('writ') && files.get(descriptor) === 'pages') {
      unsynced = true
      stage = 'written'
    } else if (/sync$/.test(call.name) && files.get(descriptor) === 'pages') {
      unsynced = false
      if (stage === 'written') stage = 'synced'
    } else if (call.name.includes('writ') && files.get(descriptor) === 'meta') {
      if (stage === 'synced') stage = 'committed'
    } else if (call.name === 'write' && call.args.includes('mark begin')) {
      stage = 'begun'
    } else if (call.name === 'write' && call.args.includes('mark ') && !call.args.includes('mark end')) {
      marks++
      if (stage !== 'committed' || unsynced) problems.push(`${call.args} came when the write was only ${stage}`)
    }
  }
  return { marks, problems }
}

/** The calls in the order in which they ended; for a mark, that in which it began. */
function* endedCalls(lines: readonly string[]): Generator<{ name: string; args: string }> {
  const begun = new Map<string, string>()
  for (const line of lines) {
    const whole = /^(\d+)\s+(\w+)(\(.*)$/.exec(line)
    const resumed = /^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$/.exec(line)
    if (whole?.[1] !== undefined && whole[2] !== undefined && whole[3] !== undefined) {
      if (whole[3].endsWith('<unfinished ...>') && whole[2] !== 'write') begun.set(whole[1], whole[3])
      else yield { name: whole[2], args: whole[3] }
    } else if (resumed?.[1] !== undefined && resumed[2] !== undefined && resumed[2] !== 'write') {
      yield { name: resumed[2], args: `${begun.get(resumed[1]) ?? ''}${resumed[3] ?? ''}` }
    }
  }
}
