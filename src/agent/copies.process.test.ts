import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { shipFolder } from '../blob/file/folder.ts'
import { annotation } from '../model/names.ts'
import type { PodWork } from '../model/work.ts'
import { type Bench, openBench } from './fixture.ts'
import { localCopies } from './local/copies.ts'
import { podFolder } from './local/folders.ts'

let bench: Bench
beforeEach(async () => {
  bench = await openBench()
})
afterEach(() => bench.close())

const prefix = 'checkpoints/default/j/attempt-1'
const key = `${prefix}/step-7/rank-0/manifest.json`
const save =
  'd=$MILLWRIGHT_CHECKPOINT_DIR/step-7; mkdir $d.tmp; echo weights >$d.tmp/model.bin; echo c >$d.tmp/config; mv $d.tmp $d'

/** What a job wrote, committed with copies on both nodes, as control would name it. */
async function written(copies = 2): Promise<NonNullable<PodWork['restore']>> {
  const { metadata } = await bench.run(['/bin/sh', '-c', save], {
    work: { checkpoints: prefix, copies },
    annotations: { [annotation.peerNode]: 'n1' },
  })
  await bench.ended(metadata.name)
  const [shipped] = (await bench.report(metadata.name))?.status?.checkpoints ?? []
  expect(shipped?.manifest).toBe(key)
  const { digest = '', copies: holders = [] } = shipped ?? {}
  return { step: 7, attempt: 1, manifests: [key], digests: [digest], copies: [holders.join()] }
}

async function restored(restore: PodWork['restore']) {
  const reads = 'cat $MILLWRIGHT_CHECKPOINT_DIR/step-7/* >$MILLWRIGHT_OUTPUT_DIR/seen'
  const { metadata } = await bench.run(['/bin/sh', '-c', reads], { work: { restore } })
  await bench.ended(metadata.name)
  const { output } = podFolder(join(bench.dir, 'agent'), metadata.uid ?? '')
  const { items } = await bench.store.list('Event')
  const events = items.filter(({ involvedObject }) => involvedObject.uid === metadata.uid)
  const { restoredFrom, damaged } = (await bench.report(metadata.name))?.status ?? {}
  return {
    seen: await readFile(join(output, 'seen'), 'utf8').catch(() => undefined),
    restoredFrom,
    damaged: damaged?.message,
    events: events.map(({ message }) => message),
  }
}

const whole = 'c\nweights\n'

/** Where a node, or object storage, has the weights. */
async function weightsAt(place: string): Promise<string> {
  const { files } = JSON.parse(readFileSync(join(bench.dir, place, key), 'utf8'))
  const sha256: string = files.find(({ path }: { path: string }) => path === 'model.bin').sha256
  return join(bench.dir, place, 'sha256', sha256.slice(0, 2), sha256)
}

it('a checkpoint is in the memory of two nodes by the time that it is told, and is read there though storage has lost it', async () => {
  const restore = await written()
  expect(restore.copies).toEqual(['n0,n1'])
  await rm(join(bench.dir, 'blobs'), { recursive: true })
  expect(await restored(restore)).toEqual({ seen: whole, restoredFrom: 'node', damaged: undefined, events: [] })
  await bench.copies.lose('n0')
  expect(await restored(restore)).toMatchObject({ seen: whole, restoredFrom: 'peer' })
  await bench.copies.lose('n1')
  expect(await restored(restore)).toMatchObject({ seen: undefined, damaged: expect.stringContaining('is missing') })
})

it('one copy is on its own node alone; of a job that asks for none there is none', async () => {
  expect((await written(1)).copies).toEqual(['n0'])
  const folder = join(bench.dir, 'copies')
  expect(readdirSync(folder)).toEqual(['n0'])
  await rm(folder, { recursive: true })
  await written(0)
  expect(() => readdirSync(folder)).toThrow('ENOENT')
})

it('a copy whose bytes are others is told and not used: the next node has it, and then storage', async () => {
  const restore = await written()
  await writeFile(await weightsAt('copies/n0'), 'WEIGHTS\n')
  const first = await restored(restore)
  expect(first).toMatchObject({ seen: whole, restoredFrom: 'peer', damaged: undefined })
  expect(first.events).toEqual(['node n0 had another copy of model.bin of rank 0 than was committed; it was not used'])
  await writeFile(await weightsAt('copies/n1'), 'WEIGHTS\n')
  expect(await restored(restore)).toMatchObject({ seen: whole, restoredFrom: 'storage', damaged: undefined })
})

it('a copy of another checkpoint, whole in itself, is not used', async () => {
  const restore = await written()
  const folder = join(bench.dir, 'other')
  await mkdir(folder)
  await writeFile(join(folder, 'model.bin'), 'other weights\n')
  for (const node of ['n0', 'n1']) {
    const kept = bench.copies.of(node)
    if (kept !== undefined) await shipFolder(kept, folder, key, { step: 7 })
  }
  const found = await restored(restore)
  expect(found).toMatchObject({ seen: whole, restoredFrom: 'storage' })
  expect(found.events).toHaveLength(1)
})

it('a checkpoint whose digest nobody recorded is read from storage alone', async () => {
  const { digests: _, ...restore } = await written()
  expect(await restored(restore)).toMatchObject({ seen: whole, restoredFrom: 'storage', events: [] })
})

it('what is damaged in storage is damage only where no copy of it is whole', async () => {
  const restore = await written()
  await writeFile(await weightsAt('blobs'), 'WEIGHTS\n')
  expect(await restored(restore)).toMatchObject({ seen: whole, restoredFrom: 'node', damaged: undefined })
  const { copies: _, ...stored } = restore
  expect(await restored(stored)).toMatchObject({ seen: undefined, damaged: expect.stringContaining('model.bin') })
})

it('a node that cannot be reached costs the copy, and the checkpoint is committed without it', async () => {
  await bench.copies.lose('n1')
  expect((await written()).copies).toEqual(['n0'])
  const reasons = (await bench.store.list('Event')).items.map(({ reason }) => reason)
  expect(reasons).toContain('CheckpointNotCopied')
})

it('a machine that presents itself as fewer nodes keeps nothing for the others, and nobody reads a stranger’s', async () => {
  await written()
  const dir = join(bench.dir, 'copies')
  const fewer = localCopies({ dir, nodes: ['n0'] })
  expect(readdirSync(dir)).toEqual(['n0'])
  expect([fewer.isEmpty('n0'), fewer.isEmpty('n1')]).toEqual([false, true])
  expect([fewer.of('n1'), fewer.of('../blobs'), fewer.of('')]).toEqual([undefined, undefined, undefined])
})
