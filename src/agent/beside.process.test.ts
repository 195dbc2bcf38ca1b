import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shipFolder } from '../blob/file/folder.ts'
import { annotation, label } from '../model/names.ts'
import { type Bench, createGang, openBench, terminatedOf } from './fixture.ts'
import { podFolder } from './local/folders.ts'

let bench: Bench
beforeAll(async () => {
  bench = await openBench()
})
afterAll(() => bench.close())

const sh = (script: string): string[] => ['/bin/sh', '-c', script]
/** Shell functions of a job that takes steps and writes checkpoints as a trainer would. */
const job = `
step() { echo '{"step":'$1',"loss":0.5,"samples":4,"tokens":100,"seconds":0.01}' >>$MILLWRIGHT_PROGRESS; }
save() { mkdir $MILLWRIGHT_CHECKPOINT_DIR/step-$1.tmp; echo weights-$1 >$MILLWRIGHT_CHECKPOINT_DIR/step-$1.tmp/model.bin
  echo same >$MILLWRIGHT_CHECKPOINT_DIR/step-$1.tmp/config; mv $MILLWRIGHT_CHECKPOINT_DIR/step-$1.tmp $MILLWRIGHT_CHECKPOINT_DIR/step-$1
  echo '{"step":'$1',"checkpoint":true,"stallSeconds":0.2}' >>$MILLWRIGHT_PROGRESS; }
`
const until = (name: string) => ({
  report: <T>(
    look: (status: NonNullable<NonNullable<Awaited<ReturnType<Bench['report']>>>['status']>) => T | undefined | false,
  ) =>
    bench.until(async () => {
      const status = (await bench.report(name))?.status
      return status === undefined ? undefined : look(status)
    }),
})
const textOf = async (key: string): Promise<string> => Buffer.from((await bench.blobs.get(key)) ?? []).toString()
const end = (pod: { metadata: { name: string; namespace?: string | undefined } }) =>
  bench.store.delete('Pod', { name: pod.metadata.name, namespace: 'default' }, { gracePeriodSeconds: 0 })

describe('progress', () => {
  it('becomes step, loss and rates in the report', async () => {
    const { metadata } = await bench.run(sh(`${job} for i in 1 2 3 4 5 6 7 8; do step $i; sleep 0.02; done`))
    await bench.ended(metadata.name)
    const status = (await bench.report(metadata.name))?.status
    expect(status).toMatchObject({ step: 8, loss: 0.5, stepSeconds: 0.01 })
    expect(status?.firstStepAtMs).toBeGreaterThan(0)
    expect(status?.tokensPerSecond).toBeGreaterThan(0)
  })

  it('is read from the log by the job’s own pattern', async () => {
    const work = { progressPattern: 'iter (?<step>\\d+): loss (?<loss>[\\d.]+)' }
    const { metadata } = await bench.run(sh('echo hello; echo "iter 12: loss 3.25, time 8ms"'), { work })
    await bench.ended(metadata.name)
    expect((await bench.report(metadata.name))?.status).toMatchObject({ step: 12, loss: 3.25 })
  })

  it('a pattern that backtracks for ever is given up with a word, and holds nobody up', async () => {
    const { metadata } = await bench.run(sh(`echo ${'a'.repeat(60)}b`), {
      work: { progressPattern: '(?<step>(a+)+)$' },
    })
    await bench.ended(metadata.name)
    const events = await bench.until(async () => {
      const { items } = await bench.store.list('Event')
      return items.find((event) => event.involvedObject.name === metadata.name && event.reason === 'ProgressPattern')
    })
    expect(events.message).toContain('takes too long')
  })

  it('a frozen pod is reported as hung, with its last lines, and no longer once it goes on', async () => {
    const pod = await bench.run(sh(`${job} echo last words; i=0; while :; do i=$((i+1)); step $i; sleep 0.05; done`))
    const { report } = until(pod.metadata.name)
    await report((status) => (status.step ?? 0) > 5)
    bench.agent.signalAll('SIGSTOP')
    const stoppedAtMs = Date.now()
    const hung = await report((status) => (status.hungSinceMs === undefined ? undefined : status))
    expect(Date.now() - stoppedAtMs).toBeLessThan(10_000) // the bar, 3.5 s, is the bench's
    expect(Math.abs((hung.hungSinceMs ?? 0) - stoppedAtMs)).toBeLessThan(2000)
    expect(hung.logTail).toContain('last words')
    bench.agent.signalAll('SIGCONT')
    await report((status) => status.hungSinceMs === undefined)
    await end(pod)
  })
})

describe('checkpoints', () => {
  it('are shipped, manifest last, and reported; older ones go, the newest two stay', async () => {
    const work = { checkpoints: 'checkpoints/default/j/attempt-1' }
    const script = `${job} for i in 1 2 3; do step $i; save $i; while [ ! -e ${bench.dir}/go-$i ]; do sleep 0.02; done; done; exit 0`
    const { metadata } = await bench.run(sh(script), { work })
    const { report } = until(metadata.name)
    for (const step of [1, 2, 3]) {
      const found = await report((status) =>
        status.checkpoints.find((each) => each.step === step && each.stallSeconds !== undefined),
      )
      expect(found).toMatchObject({
        rank: 0,
        manifest: `checkpoints/default/j/attempt-1/step-${step}/rank-0/manifest.json`,
        stallSeconds: 0.2,
      })
      const manifest = JSON.parse(await textOf(found.manifest))
      expect(manifest).toMatchObject({ step, attempt: 1, rank: 0 })
      expect(await textOf(`sha256/${manifest.files[1].sha256}`)).toBe(`weights-${step}\n`)
      await mkdir(join(bench.dir, `go-${step}`))
    }
    await bench.ended(metadata.name)
    const folder = podFolder(join(bench.dir, 'agent'), metadata.uid ?? '')
    await bench.until(async () => readdirSync(folder.checkpoints).toSorted().join() === 'step-2,step-3')
  })

  it('what was complete at a good end is shipped before the end is told', async () => {
    const { metadata } = await bench.run(sh(`${job} step 9; save 9`), {
      work: { checkpoints: 'checkpoints/default/end/attempt-1' },
    })
    await bench.ended(metadata.name)
    expect((await bench.report(metadata.name))?.status?.checkpoints.map((each) => each.step)).toEqual([9])
  })

  it('where any rank may write them, whichever does ships it', async () => {
    const options = {
      work: { checkpoints: 'checkpoints/default/any/attempt-1', checkpointRanks: 'any' as const },
      annotations: { [annotation.rank]: '3' },
    }
    const { metadata } = await bench.run(sh(`${job} step 1; save 1`), options)
    await bench.ended(metadata.name)
    expect((await bench.report(metadata.name))?.status?.checkpoints).toMatchObject([{ step: 1, rank: 3 }])
  })

  describe('restoring', () => {
    /** A committed checkpoint of two ranks, as control would name it. */
    const committed = async (name: string) => {
      const parts = await Promise.all(
        [0, 1].map(async (rank) => {
          const folder = join(bench.dir, `${name}-${rank}`)
          await mkdir(folder)
          await writeFile(join(folder, 'model.bin'), `${name} of rank ${rank}`)
          const key = `checkpoints/default/${name}/attempt-1/step-20/rank-${rank}/manifest.json`
          return { key, shipped: await shipFolder(bench.blobs, folder, key, { step: 20, rank }) }
        }),
      )
      const restore = {
        step: 20,
        attempt: 1,
        manifests: parts.map(({ key }) => key),
        digests: parts.map(({ shipped }) => shipped.digest),
      }
      const contentOf = (rank: number) => {
        const sha256 = parts[rank]?.shipped.manifest.files[0]?.sha256 ?? ''
        return join(bench.dir, 'blobs/sha256', sha256.slice(0, 2), sha256)
      }
      return { restore, contentOf }
    }
    const script = 'cat $MILLWRIGHT_CHECKPOINT_DIR/step-*/model.bin >$MILLWRIGHT_OUTPUT_DIR/seen'
    const startRank = async (
      rank: number,
      restore: Awaited<ReturnType<typeof committed>>['restore'],
      worldSize = restore.manifests.length,
      reads = script,
    ) => {
      const { metadata } = await bench.run(sh(reads), {
        annotations: { [annotation.rank]: String(rank), [annotation.worldSize]: String(worldSize) },
        work: { restore },
      })
      const pod = await bench.ended(metadata.name)
      const { output } = podFolder(join(bench.dir, 'agent'), metadata.uid ?? '')
      const seen = await readFile(join(output, 'seen'), 'utf8').catch(() => undefined)
      return { pod, seen, report: (await bench.report(metadata.name))?.status }
    }

    it('gives each rank its own part, checked', async () => {
      const { restore } = await committed('whole')
      const one = await startRank(1, restore)
      expect(one.seen).toBe('whole of rank 1')
      expect(one.report).toMatchObject({ restoredStep: 20 })
      expect(one.report?.damaged).toBeUndefined()
      const only = { ...restore, manifests: restore.manifests.slice(0, 1), digests: restore.digests.slice(0, 1) }
      expect((await startRank(1, only)).seen).toBe('whole of rank 0') // of ranks: first there is one part for all
    })

    it('gives each rank all parts when there are more or fewer ranks than wrote it', async () => {
      const { restore } = await committed('resized')
      const reads =
        'cd $MILLWRIGHT_CHECKPOINT_DIR/step-20; for f in $(find . -type f | sort); do echo $f: $(cat $f); done >$MILLWRIGHT_OUTPUT_DIR/seen'
      const both = './rank-0/model.bin: resized of rank 0\n./rank-1/model.bin: resized of rank 1\n'
      expect((await startRank(2, restore, 3, reads)).seen).toBe(both)
      expect((await startRank(0, restore, 1, reads)).seen).toBe(both)
      const parts = await Promise.all(
        [0, 1].map(async (rank) => {
          const folder = join(bench.dir, `shards-${rank}`)
          await mkdir(folder)
          await writeFile(join(folder, `shard-${rank}.bin`), `shard ${rank}`)
          const key = `checkpoints/default/shards/attempt-1/step-20/rank-${rank}/manifest.json`
          return { key, shipped: await shipFolder(bench.blobs, folder, key, { step: 20, rank }) }
        }),
      )
      const manifests = parts.map(({ key }) => key)
      const sharded = { ...restore, manifests, digests: parts.map(({ shipped }) => shipped.digest) }
      const shards = './shard-0.bin: shard 0\n./shard-1.bin: shard 1\n'
      expect((await startRank(3, sharded, 4, reads)).seen).toBe(shards)
    })

    it('a rank whose bytes are torn says so and does not start, whatever the others found', async () => {
      const { restore, contentOf } = await committed('torn')
      await writeFile(contentOf(1), 'torn of RANK 1')
      expect((await startRank(0, restore)).seen).toBe('torn of rank 0')
      const torn = await startRank(1, restore)
      expect(torn.seen).toBeUndefined()
      const message = expect.stringMatching(/step 20 \(attempt 1\) is damaged: rank 1: model.bin does not have/)
      expect(torn.report).toMatchObject({
        damaged: { attempt: 1, step: 20, message },
        ended: { reason: 'CheckpointDamaged', byAgent: false },
      })
      expect(torn.report?.restoredStep).toBeUndefined()
      expect(terminatedOf(torn.pod)).toMatchObject({ exitCode: 128, reason: 'CheckpointDamaged' })
      expect((await startRank(1, restore)).report?.damaged?.message).toContain('is missing from the blob store')
    })

    it('an agent that dies before it wrote the end down finds the same again', async () => {
      const { restore, contentOf } = await committed('again')
      await writeFile(contentOf(0), 'AGAIN of rank 0')
      const { pod } = await startRank(0, restore)
      await bench.agent.stop('leave')
      // As if it had died between the Report and the phase.
      const status = { phase: 'Pending', reason: null, message: null, containerStatuses: null }
      const ref = { name: pod.metadata.name, namespace: 'default' }
      await bench.store.patch('Pod', ref, { status }, { status: true })
      bench.agent = await bench.newAgent()
      expect(terminatedOf(await bench.ended(pod.metadata.name))).toMatchObject({ reason: 'CheckpointDamaged' })
      expect((await bench.report(pod.metadata.name))?.status?.damaged).toMatchObject({ attempt: 1, step: 20 })
    })
  })

  it('a request of the gang reaches the job of that attempt, and only that', async () => {
    await createGang(bench.store)
    const script = `${job} while [ ! -e $MILLWRIGHT_CONTROL ]; do sleep 0.02; done; save 7; echo '{"stopped":7}' >>$MILLWRIGHT_PROGRESS; cat $MILLWRIGHT_CONTROL`
    const work = { checkpoints: 'checkpoints/default/g/attempt-1', output: 'outputs/g/manifest.json' }
    const labels = { [label.gang]: 'g' }
    const pod = await bench.run(sh(script), { work, labels })
    const old = await bench.run(sh('while :; do [ -e $MILLWRIGHT_CONTROL ] && exit 1; sleep 0.02; done'), {
      labels: { ...labels, [label.attempt]: '0' },
    })
    await until(pod.metadata.name).report((status) => status.pid !== undefined)
    await bench.store.patch(
      'Gang',
      { name: 'g', namespace: 'default' },
      { spec: { checkpointRequest: { step: 7, stop: true } } },
    )
    await bench.ended(pod.metadata.name)
    const status = (await bench.report(pod.metadata.name))?.status
    expect(status).toMatchObject({ stopped: true, checkpoints: [{ step: 7 }] })
    expect(status?.output).toBeUndefined() // it stopped, it is not complete
    const log = await readFile(podFolder(join(bench.dir, 'agent'), pod.metadata.uid ?? '').log, 'utf8')
    expect(JSON.parse(log)).toEqual({ checkpoint: { step: 7 }, stop: { step: 7 } })
    expect((await bench.pod(old.metadata.name))?.status?.phase).toBe('Running')
    await end(old)
  })

  it('whose members come and go is told who they are, before it starts and whenever that changes', async () => {
    const ref = { name: 'changing', namespace: 'default' }
    await createGang(bench.store, ref.name, { rejoins: true })
    const members = (...pods: [string, number][]) =>
      pods.map(([pod, rank]) => ({ rank, pod, address: `10.0.0.${rank}`, ports: [20_000 + rank] }))
    const sit = (...pods: [string, number][]) => {
      const seated = members(...pods).map((one) => ({ ...one, group: 'worker', localRank: 0, node: 'n0', devices: [] }))
      const at = '2026-01-01T00:00:00Z'
      const seats = { attempt: 1, epoch: 1, at, masterAddr: '10.0.0.0', masterPort: 20_000, members: seated }
      return bench.store.patch('Gang', ref, { status: { seats } }, { status: true })
    }
    await sit(['a', 0], ['b', 2])
    const labels = { [label.gang]: ref.name }
    const known = await bench.run(sh('while [ ! -e $MILLWRIGHT_CONTROL ]; do sleep 0.02; done'), { labels })
    await bench.ended(known.metadata.name) // the agent knows the gang by now
    const waitFor = (word: string) => `cat $CONTROL; while ! grep -q '"${word}"' $CONTROL; do sleep 0.02; done`
    const script = `CONTROL=$MILLWRIGHT_CONTROL; ${waitFor('c')}; ${waitFor('checkpoint')}; cat $CONTROL`
    const pod = await bench.run(sh(script), { labels })
    const { log } = podFolder(join(bench.dir, 'agent'), pod.metadata.uid ?? '')
    const saw = async () =>
      (await readFile(log, 'utf8').catch(() => '')).split('\n').flatMap((line) => (line === '' ? [] : JSON.parse(line)))
    await bench.until(async () => (await saw()).length === 1)
    await bench.store.patch('Gang', ref, { spec: { left: ['a'] } })
    await sit(['a', 0], ['c', 1], ['b', 2])
    await bench.until(async () => (await saw()).length === 2)
    await bench.store.patch('Gang', ref, { spec: { checkpointRequest: { step: 7, stop: false } } })
    expect(terminatedOf(await bench.ended(pod.metadata.name))).toMatchObject({ exitCode: 0 })
    const now = members(['c', 1], ['b', 2])
    expect(await saw()).toEqual([
      { members: members(['a', 0], ['b', 2]) },
      { members: now },
      { checkpoint: { step: 7 }, members: now },
    ])
  })
})

describe('data, models and output', () => {
  it('a dataset is linked, a model is fetched once for all its replicas', async () => {
    await writeFile(join(bench.dir, 'book.txt'), 'once upon a time')
    const folder = join(bench.dir, 'model-made')
    await mkdir(folder)
    await writeFile(join(folder, 'model.gguf'), 'GGUF')
    await shipFolder(bench.blobs, folder, 'models/m/v1/manifest.json')
    const work = { data: `file://${bench.dir}/book.txt`, model: 'models/m/v1/manifest.json' }
    const script = 'cat $MILLWRIGHT_DATA_DIR/book.txt $MILLWRIGHT_MODEL_DIR/model.gguf'
    const pods = [await bench.run(sh(script), { work }), await bench.run(sh(script), { work })]
    const inodes = new Set<number>()
    for (const { metadata } of pods) {
      expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
      const files = podFolder(join(bench.dir, 'agent'), metadata.uid ?? '')
      expect(readFileSync(files.log, 'utf8')).toBe('once upon a timeGGUF')
      inodes.add(statSync(join(files.model, 'model.gguf')).ino)
    }
    expect(inodes.size).toBe(1)
  })

  it('a damaged model is not served', async () => {
    const folder = join(bench.dir, 'model-bad')
    await mkdir(folder)
    await writeFile(join(folder, 'model.gguf'), 'GGUF-bad')
    const { manifest } = await shipFolder(bench.blobs, folder, 'models/bad/v1/manifest.json')
    const sha256 = manifest.files[0]?.sha256 ?? ''
    await writeFile(join(bench.dir, 'blobs/sha256', sha256.slice(0, 2), sha256), 'GGUF-BAD')
    const { metadata } = await bench.run(['true'], { work: { model: 'models/bad/v1/manifest.json' } })
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({
      reason: 'FetchFailed',
      message: expect.stringContaining('model is damaged'),
    })
  })

  it('a dataset that is not there is named', async () => {
    const { metadata } = await bench.run(['true'], { work: { data: 'file:///no/such/book.txt' } })
    expect(terminatedOf(await bench.ended(metadata.name))?.message).toContain('/no/such/book.txt is not there')
  })

  describe('the data that a model is made from', () => {
    const set = async (name: string) => {
      const folder = join(bench.dir, name)
      await mkdir(folder)
      await writeFile(join(folder, 'a.txt'), 'once')
      await writeFile(join(folder, 'b.txt'), 'upon')
      for (const path of ['a.txt', 'b.txt', '.']) await utimes(join(folder, path), longAgo, longAgo)
      return { folder, data: `file://${folder}`, output: `outputs/${name}/manifest.json` }
    }
    const longAgo = new Date('2026-01-01')
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
    const make = (more = '') => sh(`${more} cat $MILLWRIGHT_DATA_DIR/* >$MILLWRIGHT_OUTPUT_DIR/model`)
    const dataOf = async (name: string) => (await bench.report(name))?.status?.output?.data
    const wait = 'while [ ! -e $GO ]; do sleep 0.02; done;'

    it('is reported with its digest, as a folder and as a file', async () => {
      const { data, output } = await set('data-whole')
      const { metadata } = await bench.run(make(), { work: { data, output } })
      await bench.ended(metadata.name)
      const digest = sha256(`${sha256('once')}  a.txt\n${sha256('upon')}  b.txt\n`)
      expect(await dataOf(metadata.name)).toEqual({ uri: data, digest, bytes: 8, files: 2 })
      const one = await bench.run(make(), { work: { data: `${data}/a.txt`, output } })
      await bench.ended(one.metadata.name)
      expect(await dataOf(one.metadata.name)).toMatchObject({ digest: sha256('once'), bytes: 4, files: 1 })
    })

    it('has no digest when it changed while the job ran, and that is said', async () => {
      const { folder, data, output } = await set('data-changed')
      const go = join(bench.dir, 'go-changed')
      const { metadata } = await bench.run(make(wait.replace('$GO', go)), { work: { data, output } })
      await until(metadata.name).report((status) => status.pid !== undefined)
      await writeFile(join(folder, 'b.txt'), 'UPON')
      await writeFile(go, '')
      expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
      expect((await bench.report(metadata.name))?.status?.output).toMatchObject({ manifest: output })
      expect(await dataOf(metadata.name)).toBeUndefined()
      const said = await bench.until(async () =>
        (await bench.store.list('Event')).items.find(
          ({ involvedObject, reason }) => involvedObject.uid === metadata.uid && reason === 'DatasetDigestUnknown',
        ),
      )
      expect(said.message).toContain('changed while the job ran')
    })

    it('has none either when a file went, or an older one was put in its place', async () => {
      const { folder, data, output } = await set('data-moved')
      await writeFile(join(bench.dir, 'older'), 'ONCE')
      await utimes(join(bench.dir, 'older'), longAgo, longAgo)
      const go = join(bench.dir, 'go-moved')
      const pods = await Promise.all(
        [data, `${data}/a.txt`].map((from) =>
          bench.run(make(wait.replace('$GO', go)), { work: { data: from, output } }),
        ),
      )
      for (const { metadata } of pods) await until(metadata.name).report((status) => status.pid !== undefined)
      await rm(join(folder, 'b.txt'))
      await rename(join(bench.dir, 'older'), join(folder, 'a.txt'))
      await writeFile(go, '')
      for (const { metadata } of pods) {
        expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
        expect(await dataOf(metadata.name)).toBeUndefined()
      }
    })

    it('is known to an agent that came back while the job ran', async () => {
      const { data, output } = await set('data-back')
      const go = join(bench.dir, 'go-back')
      const { metadata } = await bench.run(make(wait.replace('$GO', go)), { work: { data, output } })
      await until(metadata.name).report((status) => status.pid !== undefined)
      await bench.agent.stop('leave')
      bench.agent = await bench.newAgent()
      await writeFile(go, '')
      await bench.ended(metadata.name)
      expect(await dataOf(metadata.name)).toMatchObject({ bytes: 8, files: 2 })
    })
  })

  it('data that this machine cannot fetch is refused by name', async () => {
    const { metadata } = await bench.run(['true'], { work: { data: 's3://bucket/book' } })
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({
      reason: 'FetchFailed',
      message: expect.stringContaining('s3://bucket/book cannot be fetched on this machine'),
    })
  })

  it('output is shipped before the pod counts as succeeded, with its metrics', async () => {
    const work = { output: 'outputs/j/attempt-1/manifest.json' }
    const { metadata } = await bench.run(
      sh(`echo m >$MILLWRIGHT_OUTPUT_DIR/model.gguf; echo '{"loss":1.5}' >$MILLWRIGHT_OUTPUT_DIR/metrics.json`),
      { work },
    )
    expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
    expect((await bench.report(metadata.name))?.status?.output).toMatchObject({
      manifest: work.output,
      files: 2,
      metrics: { loss: 1.5 },
    })
    expect(JSON.parse(await textOf(work.output)).files).toHaveLength(2)
  })

  it('where ranks come and go any may leave the output, under its own name; who leaves none has not failed', async () => {
    const work = { output: 'outputs/any/attempt-1/manifest.json', checkpointRanks: 'any' as const }
    const options = { work, annotations: { [annotation.rank]: '2' } }
    const leaves = await bench.run(sh('echo m >$MILLWRIGHT_OUTPUT_DIR/model.gguf'), options)
    const other = await bench.run(['true'], options)
    for (const { metadata } of [leaves, other])
      expect((await bench.ended(metadata.name)).status?.phase).toBe('Succeeded')
    const { name } = leaves.metadata
    const manifest = `outputs/any/attempt-1/${name}/manifest.json`
    expect((await bench.report(name))?.status?.output).toMatchObject({ manifest, files: 1 })
    expect((await bench.report(other.metadata.name))?.status?.output).toBeUndefined()
  })

  it('a job that owes an output and writes none has failed', async () => {
    const { metadata } = await bench.run(['true'], { work: { output: 'outputs/none/manifest.json' } })
    const pod = await bench.ended(metadata.name)
    expect(pod.status?.phase).toBe('Failed')
    expect(terminatedOf(pod)).toMatchObject({
      exitCode: 0,
      reason: 'OutputFailed',
      message: expect.stringContaining('MILLWRIGHT_OUTPUT_DIR'),
    })
  })
})
