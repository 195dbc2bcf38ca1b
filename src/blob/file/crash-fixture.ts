import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { build } from 'esbuild'
import { assert } from '../../base/errors.ts'
import type { Random } from '../../base/random.ts'
import { createFileBlobs } from './blobs.ts'
import { fetchManifest } from './folder.ts'

export interface CrashResult {
  kills: number
  /** Checkpoints acknowledged before a kill and verified after it. */
  verified: number
  /** Checkpoints visible although the kill came before their acknowledgement: whole, as well. */
  unacknowledged: number
}

/** Ships checkpoints in a child, kills it `kills` times at random moments, and verifies after each kill all that is committed. */
export async function crashBlobs(kills: number, random: Random): Promise<CrashResult> {
  const dir = await mkdtemp(join(tmpdir(), 'blob-crash-'))
  const program = resolve('node_modules/.cache/millwright/blob-crash-child.mjs')
  await build({
    entryPoints: [resolve('src/blob/file/crash-child.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  })
  const result: CrashResult = { kills: 0, verified: 0, unacknowledged: 0 }
  const acknowledged = new Map<number, string>()
  let next = 0
  try {
    while (result.kills < kills) {
      // Three writes make a checkpoint (two files, the manifest): these points lie in the first and the second.
      const point = points[result.kills % (points.length * 2)]
      await killOne(program, dir, next, point, random, acknowledged)
      result.kills += 1
      next = await verify(dir, acknowledged, next, result)
    }
    return result
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const points = [1, 2, 3, 4, 5, 6].flatMap((write) => [`before-${write}`, `after-${write}`])

async function killOne(
  program: string,
  dir: string,
  first: number,
  point: string | undefined,
  random: Random,
  acknowledged: Map<number, string>,
): Promise<void> {
  const child = spawn(process.execPath, [program, dir, String(first), point ?? ''], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const isUp = new Promise<void>((done) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.startsWith('up\n')) done()
    })
  })
  const closed = new Promise((done) => child.once('close', done))
  await isUp
  if (point === undefined) {
    await pause(random.float() * 25)
    child.kill('SIGKILL')
  }
  await closed
  for (const line of output.split('\n').slice(1, -1)) {
    const [step = '', digest = ''] = line.split(' ')
    acknowledged.set(Number(step), digest)
  }
}

/** Everything that this round committed is there and whole; nothing is there in part. Returns the next free step. */
async function verify(
  dir: string,
  acknowledged: Map<number, string>,
  from: number,
  result: CrashResult,
): Promise<number> {
  const blobs = createFileBlobs({ dir: join(dir, 'blobs') })
  const listed = await blobs.list('checkpoints/')
  const steps = listed.map(({ key }) => Number(/step-(\d+)/.exec(key)?.[1])).filter((step) => step >= from)
  for (const step of acknowledged.keys())
    assert(step < from || steps.includes(step), `the checkpoint of step ${step} was acknowledged and is gone`)
  for (const step of steps) {
    const target = join(dir, 'check', String(step))
    const fetched = await fetchManifest(blobs, `checkpoints/j/step-${step}/rank-0/manifest.json`, target)
    assert(fetched.kind === 'ok', `the checkpoint of step ${step} is visible but ${fetched.kind}`)
    const digest = acknowledged.get(step)
    if (digest === undefined) result.unacknowledged += 1
    else {
      assert(fetched.digest === digest, `the checkpoint of step ${step} is not what was acknowledged`)
      result.verified += 1
    }
    await rm(target, { recursive: true, force: true })
  }
  return Math.max(from, ...steps.map((step) => step + 1))
}
