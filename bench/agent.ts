import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunningPod } from '../src/agent/contract.ts'
import { createLocalRunner } from '../src/agent/local/runner.ts'
import { silentLog } from '../src/base/log.ts'
import { seededRandom } from '../src/base/random.ts'
import { createFileBlobs } from '../src/blob/file/blobs.ts'
import { crashBlobs } from '../src/blob/file/crash-fixture.ts'
import { shipFolder } from '../src/blob/file/folder.ts'
import { realClock } from '../src/runtime/clock.ts'
import type { Row } from './row.ts'

export async function rows(options: { kills?: number; megabytes?: number } = {}): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'bench-agent-'))
  try {
    return [
      await shipping(dir, options.megabytes ?? 256),
      await deaths(join(dir, 'own'), 'own child', 50, 100),
      await deaths(join(dir, 'adopted'), 'adopted', 300, 100),
      ...(options.kills === undefined ? [] : [await crashes(options.kills)]),
    ]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A checkpoint of four files shipped, against copying the same bytes with sha256 and fsync, in turns. */
async function shipping(dir: string, megabytes: number): Promise<Row> {
  const blobs = createFileBlobs({ dir: join(dir, 'blobs') })
  const shipped: number[] = []
  const copied: number[] = []
  for (let round = 0; round < 5; round++) {
    const source = join(dir, `step-${round}`)
    writeCheckpoint(source, megabytes, round)
    const order = round % 2 === 0 ? ['ship', 'copy'] : ['copy', 'ship']
    for (const kind of order) {
      const startedAt = performance.now()
      if (kind === 'ship')
        await shipFolder(blobs, source, `checkpoints/b/step-${round}/rank-0/manifest.json`, { step: round })
      else plainCopy(source, join(dir, `copy-${round}`))
      ;(kind === 'ship' ? shipped : copied).push(performance.now() - startedAt)
    }
    for (const folder of [source, join(dir, `copy-${round}`)]) rmSync(folder, { recursive: true })
  }
  const ratio = (100 * median(copied)) / median(shipped)
  const rate = (ms: number): string => `${((megabytes * 1000) / ms).toFixed(0)} MB/s`
  return {
    row: 'checkpoint shipping, of a plain copy',
    value: round1(ratio),
    unit: '%',
    bar: '>= 80 % of a plain copy',
    ok: ratio >= 80,
    peer: `plain copy with fsync and sha256 ${rate(median(copied))}, shipping ${rate(median(shipped))}`,
  }
}

const files = ['model.bin', 'optimizer-1.bin', 'optimizer-2.bin', 'state.bin']

function writeCheckpoint(folder: string, megabytes: number, seed: number): void {
  mkdirSync(folder, { recursive: true })
  const random = seededRandom(seed)
  for (const name of files) {
    const block = Buffer.alloc(1 << 20)
    const file = openSync(join(folder, name), 'w')
    for (let mb = 0; mb < megabytes / files.length; mb++) {
      for (let at = 0; at < block.length; at += 4096) block.writeDoubleLE(random.float(), at)
      writeSync(file, block)
    }
    fsyncSync(file)
    closeSync(file)
  }
}

/** The peer: read, hash, write, fsync, one file after the other, in large blocks, with nothing in between. */
function plainCopy(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  const block = Buffer.allocUnsafe(1 << 20)
  for (const name of files) {
    const [source, target] = [openSync(join(from, name), 'r'), openSync(join(to, name), 'w')]
    const hash = createHash('sha256')
    for (let count = readSync(source, block); count > 0; count = readSync(source, block)) {
      const part = block.subarray(0, count)
      hash.update(part)
      writeSync(target, part)
    }
    hash.digest()
    fsyncSync(target)
    closeSync(target)
    closeSync(source)
  }
}

/** SIGKILL of a pod's process until the agent's runner has seen its end. */
async function deaths(dir: string, kind: 'own child' | 'adopted', bar: number, times: number): Promise<Row> {
  const took: number[] = []
  const first = runnerIn(dir)
  for (let round = 0; round < times; round++) {
    const uid = `pod-${round}`
    const started = await first.start({
      uid,
      namespace: 'default',
      name: uid,
      node: 'n',
      env: {},
      volumes: [],
      command: ['sleep', '600'],
    })
    if ('refused' in started) throw new Error(started.message)
    const second = runnerIn(dir)
    const pod: RunningPod | undefined = kind === 'adopted' ? await second.find(uid) : started
    if (pod?.pid === undefined) throw new Error('the pod has no pid')
    await realClock.sleep(20)
    const killedAt = performance.now()
    process.kill(pod.pid, 'SIGKILL')
    await pod.ended
    took.push(performance.now() - killedAt)
    second.close()
  }
  took.sort((a, b) => a - b)
  const p99 = took[Math.ceil(times * 0.99) - 1] ?? 0
  return {
    row: `SIGKILL of a rank seen (${kind}), p99 of ${times}`,
    value: round1(p99),
    unit: 'ms',
    bar: `<= ${bar} ms`,
    ok: p99 <= bar,
  }
}

function runnerIn(dir: string) {
  mkdirSync(dir, { recursive: true })
  return createLocalRunner({ dir, node: 'n', clock: realClock, log: silentLog })
}

async function crashes(kills: number): Promise<Row> {
  const result = await crashBlobs(kills, seededRandom(kills))
  return {
    row: 'kills of a checkpoint shipper without a loss',
    value: result.kills,
    unit: `kills, ${result.verified} checkpoints verified`,
    bar: `>= ${kills}`,
    ok: result.kills >= kills,
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
function round1(value: number): number {
  return Math.round(value * 10) / 10
}
