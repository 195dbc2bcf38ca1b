import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SmallDisk, smallDisk, smallDiskProblem } from '../../test/small-disk.fixture.ts'
import type { Clock } from '../base/clock.ts'
import { diskFull } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { label } from '../model/names.ts'
import { realClock } from '../runtime/clock.ts'
import { type Bench, createGang, isRunning, openBench, terminatedOf } from './fixture.ts'
import { readExit } from './local/exit.ts'
import { podFolder } from './local/folders.ts'
import { bootId } from './local/process.ts'
import { placeWith } from './place.fixture.ts'
import { createFolderShipper } from './pod/ship.ts'

const title = `an agent whose disk is full${smallDiskProblem === undefined ? '' : ` (${smallDiskProblem})`}`

describe.skipIf(smallDiskProblem !== undefined)(title, () => {
  let disk: SmallDisk
  let bench: Bench
  /** On another disk: what the jobs of these tests use themselves. */
  let aside: string
  beforeEach(async () => {
    disk = smallDisk(4 << 20)
    aside = mkdtempSync(join(tmpdir(), 'aside-'))
    bench = await openBench(process.env, disk.dir)
  })
  afterEach(async () => {
    disk.free()
    await bench.close()
    disk.close()
    rmSync(aside, { recursive: true, force: true })
  })

  const sh = (script: string): string[] => ['/bin/sh', '-c', script]
  const folderOf = (uid = '') => podFolder(join(bench.dir, 'agent'), uid)
  const waitingOf = async (name: string) =>
    (await bench.pod(name))?.status?.containerStatuses?.[0]?.state?.waiting?.message ?? ''
  const waits = (name: string) => bench.until(async () => (await waitingOf(name)).includes('full'))
  const eventsOf = async (name: string, reason: string) =>
    (await bench.store.list('Event')).items.filter(
      (event) => event.involvedObject.name === name && event.reason === reason,
    )
  const once = 'echo x >>$ASIDE/starts'
  const run = (script: string, options: Parameters<Bench['run']>[1] = {}) =>
    bench.run(sh(script), { ...options, container: { env: [{ name: 'ASIDE', value: aside }], ...options.container } })
  const starts = (): number => readOr(join(aside, 'starts')).length / 'x\n'.length
  const put = (name: string): void => writeFileSync(join(aside, name), '')
  const untilThere = (name: string): string => `while [ ! -e $ASIDE/${name} ]; do sleep 0.02; done`

  it('keeps a new pod waiting, says where there is no room, and starts it once there is some', async () => {
    disk.fill()
    const { metadata } = await run(`${once}; echo started`)
    await waits(metadata.name)
    expect(await waitingOf(metadata.name)).toBe(
      `the disk that holds ${join(bench.dir, 'agent')} is full; free some space there`,
    )
    await realClock.sleep(1500) // it tries again and finds none
    expect((await bench.pod(metadata.name))?.status?.phase).toBe('Pending')
    expect(starts()).toBe(0)
    expect(await eventsOf(metadata.name, 'DiskFull')).toHaveLength(1)
    disk.free()
    const pod = await bench.ended(metadata.name)
    expect(pod.status?.phase).toBe('Succeeded')
    expect(starts()).toBe(1)
  })

  it('lets a waiting pod go when it is deleted', async () => {
    disk.fill()
    const { metadata } = await run(once)
    await waits(metadata.name)
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 1 })
    await bench.until(async () => (await bench.pod(metadata.name)) === undefined)
    disk.free()
    expect(starts()).toBe(0)
  })

  it('starts a waiting pod once, also when another agent takes over', async () => {
    disk.fill()
    const { metadata } = await run(`${once}; exit 3`)
    await waits(metadata.name)
    await bench.agent.stop('leave')
    await bench.newAgent()
    await realClock.sleep(300)
    disk.free()
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 3 })
    expect(starts()).toBe(1)
  })

  it.each([
    ['before it could write its claim', '', 60],
    ['before its command began', `${bootId}\tn0\t99999999 0\n`, 0],
    ['in an earlier boot, before its command began', 'another-boot\tn0\t1 0\n', 0],
  ])('starts a pod whose start got stuck %s, and not twice', async (_when, claim, ageSeconds) => {
    await bench.agent.stop('leave')
    const { metadata } = await run(`${once}; exit 3`)
    const folder = folderOf(metadata.uid)
    mkdirSync(folder.root, { recursive: true })
    writeFileSync(folder.claim, claim)
    const atSeconds = Date.now() / 1000 - ageSeconds
    utimesSync(folder.claim, atSeconds, atSeconds)
    await bench.newAgent()
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 3 })
    expect(starts()).toBe(1)
  })

  it('a claim that was just made and is not written yet is not taken for a stuck one', async () => {
    await bench.agent.stop('leave')
    const { metadata } = await run(once)
    mkdirSync(folderOf(metadata.uid).root, { recursive: true })
    writeFileSync(folderOf(metadata.uid).claim, '')
    await bench.newAgent()
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ reason: 'Lost' })
    expect(starts()).toBe(0)
  })

  it('knows how a pod ended there, even one that ended while nobody looked', async () => {
    const { metadata } = await run(`${untilThere('go')}; exit 5`)
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.phase === 'Running')
    const pid = (await bench.report(metadata.name))?.status?.pid ?? 0
    await bench.agent.stop('leave')
    disk.fill()
    put('go')
    await bench.until(async () => !isRunning(pid) && readExit(folderOf(metadata.uid)) !== undefined)
    await bench.newAgent()
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 5, reason: 'Error' })
  })

  it('names the disk in the message of a pod that failed on it, and not of one that did not', async () => {
    const writes = 'head -c 1000000 /dev/zero >$MILLWRIGHT_OUTPUT_DIR/weights || exit 6'
    const { metadata } = await run(`${untilThere('go')}; ${writes}`)
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.phase === 'Running')
    disk.fill()
    put('go')
    expect(terminatedOf(await bench.ended(metadata.name))?.message).toBe(
      `exit code 6; the disk that holds ${join(bench.dir, 'agent')} was full then: free some space there`,
    )
    disk.free()
    const other = await run('exit 6')
    expect(terminatedOf(await bench.ended(other.metadata.name))?.message).toBe('exit code 6')
  })

  it('survives a pod whose output fills it', async () => {
    const { metadata } = await run(`while [ ! -e $ASIDE/go ]; do head -c 100000 /dev/zero 2>/dev/null; done; exit 0`)
    await bench.until(async () => statfsSync(disk.dir).bfree === 0)
    put('go')
    expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })
    await bench.until(async () => !existsSync(folderOf(metadata.uid).root))
    const next = await run('echo out')
    expect((await bench.ended(next.metadata.name)).status?.phase).toBe('Succeeded')
  })

  it('ships a checkpoint once there is room, says so before, and reads progress meanwhile', async () => {
    const script = [
      'mkdir $MILLWRIGHT_CHECKPOINT_DIR/step-1.tmp; head -c 1000000 /dev/zero >$MILLWRIGHT_CHECKPOINT_DIR/step-1.tmp/weights',
      `echo '{"step":1}' >>$MILLWRIGHT_PROGRESS; ${untilThere('save')}; mv $MILLWRIGHT_CHECKPOINT_DIR/step-1.tmp $MILLWRIGHT_CHECKPOINT_DIR/step-1`,
      untilThere('go'),
    ].join('\n')
    const { metadata } = await run(script, { work: { checkpoints: 'checkpoints/default/j/attempt-1' } })
    const report = async () => (await bench.report(metadata.name))?.status
    await bench.until(async () => (await report())?.step === 1)
    disk.fill(300_000)
    put('save')
    const [event] = await bench.until(async () => {
      const found = await eventsOf(metadata.name, 'CheckpointNotShipped')
      return found.length > 0 && found
    })
    expect(event?.message).toContain(`the disk that holds ${join(bench.dir, 'blobs')} is full; free some space there`)
    expect((await report())?.checkpoints).toEqual([])
    expect(readdirSync(join(bench.dir, 'blobs', '.tmp'))).toEqual([])
    disk.free()
    await bench.until(async () => (await report())?.checkpoints[0]?.step === 1)
    put('go')
    expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
  })

  it('keeps a job that is done waiting with its output, unless it is deleted', async () => {
    const job = `head -c 1000000 /dev/zero >$MILLWRIGHT_OUTPUT_DIR/weights; ${untilThere('go')}`
    const both = [
      await run(job, { work: { output: 'outputs/a/manifest.json' } }),
      await run(job, { work: { output: 'outputs/b/manifest.json' } }),
    ]
    const [kept, deleted] = both.map((pod) => pod.metadata.name) as [string, string]
    for (const name of [kept, deleted])
      await bench.until(async () => (await bench.pod(name))?.status?.phase === 'Running')
    for (const { metadata } of both)
      await bench.until(async () => sizeOf(join(folderOf(metadata.uid).output, 'weights')) === 1_000_000)
    disk.fill(300_000)
    put('go')
    for (const name of [kept, deleted])
      await bench.until(async () => (await eventsOf(name, 'OutputNotShipped')).length === 1)
    const [event] = await eventsOf(kept, 'OutputNotShipped')
    expect(event?.message).toContain(`the disk that holds ${join(bench.dir, 'blobs')} is full`)
    await bench.store.delete('Pod', { name: deleted, namespace: 'default' }, { gracePeriodSeconds: 1 })
    await bench.until(async () => (await bench.pod(deleted)) === undefined)
    expect((await bench.pod(kept))?.status?.phase).toBe('Running')
    disk.free()
    expect((await bench.ended(kept)).status?.phase).toBe('Succeeded')
    expect((await bench.report(kept))?.status?.output?.files).toBe(1)
  })

  it('asks for a checkpoint once there is room, and for the newest alone', async () => {
    const script = 'while [ ! -e $MILLWRIGHT_CONTROL ]; do sleep 0.02; done; cat $MILLWRIGHT_CONTROL >$ASIDE/asked'
    await createGang(bench.store)
    const { metadata } = await run(script, { labels: { [label.gang]: 'g' } })
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.phase === 'Running')
    disk.fill()
    for (const step of [7, 9]) {
      const spec = { checkpointRequest: { step, stop: true } }
      await bench.store.patch('Gang', { name: 'g', namespace: 'default' }, { spec })
      await realClock.sleep(300)
    }
    expect(readdirSync(folderOf(metadata.uid).job).filter((name) => name.startsWith('control'))).toEqual([])
    disk.free()
    await bench.ended(metadata.name)
    expect(readOr(join(aside, 'asked'))).toContain('"stop":{"step":9}')
  })

  it('keeps a pod waiting whose data finds no room, and leaves no half of it', async () => {
    const source = join(aside, 'weights')
    writeFileSync(source, Buffer.alloc(1_500_000, 1))
    const { sha256, size } = await bench.blobs.putFile(source)
    const manifest = { version: 1, files: [{ path: 'weights', size, sha256 }] }
    await bench.blobs.put('models/m/manifest.json', Buffer.from(JSON.stringify(manifest)))
    disk.fill(500_000)
    const { metadata } = await run('test -s $MILLWRIGHT_MODEL_DIR/weights', {
      work: { model: 'models/m/manifest.json' },
    })
    await waits(metadata.name)
    expect(await waitingOf(metadata.name)).toContain('is full; free some space there')
    const cache = join(bench.dir, 'agent', 'cache')
    await bench.until(async () => !existsSync(cache) || readdirSync(cache).length === 0)
    disk.free()
    expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
  })
})

describe('a checkpoint that finds no room', () => {
  const place = placeWith({ checkpoints: 'c' })
  /** Time flies. */
  const clock: Clock = { ...realClock, sleep: (_ms, signal) => realClock.sleep(1, signal) }

  it('is tried for as long as it takes; one that the job wrote since goes first', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ship-'))
    const save = (step: number): void => {
      mkdirSync(join(folder, `step-${step}`))
      writeFileSync(join(folder, `step-${step}`, 'weights'), String(step))
    }
    const shipped: number[] = []
    let refused = 0
    let hasRoom = false
    const blobs = {
      async putFile() {
        refused += 1
        if (!hasRoom) throw diskFull('/blobs', undefined)
        return { sha256: 'a'.repeat(64), size: 1 }
      },
      put: async () => {},
      has: async () => true,
      get: async () => undefined,
      list: async () => [],
      delete: async () => {},
      getFile: async () => 'missing' as const,
    }
    const sink = { found() {}, progress() {}, notice() {}, shipped: ({ step }: { step: number }) => shipped.push(step) }
    const shipper = createFolderShipper(folder, place, { blobs, clock, log: silentLog }, sink, [])
    save(1)
    const drained = shipper.drain()
    await expect.poll(() => refused).toBeGreaterThan(50)
    save(2)
    refused = 0
    await expect.poll(() => refused).toBeGreaterThan(50)
    hasRoom = true
    await drained
    expect(shipped).toEqual([2])
    shipper.close()
    rmSync(folder, { recursive: true })
  })
})

function readOr(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
