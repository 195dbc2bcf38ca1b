import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Cancel, Clock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import type { Blobs } from '../blob/contract.ts'
import { readManifest } from '../blob/manifest.ts'
import type { PodWork } from '../model/work.ts'
import type {
  Copies,
  Notice,
  PodBeside,
  PodFiles,
  PodPlace,
  PodRun,
  PodRunner,
  PodSink,
  Prepared,
  ProgressLine,
  RunningPod,
  ShippedCheckpoint,
} from './contract.ts'
import { placeWith } from './place.fixture.ts'

/** One machine, what an agent has of it, and a hand on what is around it. */
export interface AgentBench {
  clock: Clock
  /** Object storage as agents reach it. */
  blobs: Blobs
  /** What the next agent of this machine has, of node `n`. */
  agent(): AgentParts
  /** A pod that does what `job` says, and ends by SIGTERM. */
  run(uid: string, env: Record<string, string>): PodRun
  job(uid: string): JobHand
  /** A checkpoint that so many ranks wrote, as control would name it. */
  commit(ranks: number): Promise<Restore>
  /** Each call fails: it does not answer, or takes nothing more. */
  failStorage(how: StorageFault): Cancel
  /** What is asked of storage, and what of a pod takes time, stays under way until it is cancelled. */
  holdStorage(): { isAsked(): boolean; cancel: Cancel }
  fillDisk(): Cancel
  /** The power goes, and the machine is started anew. */
  startAnew(): Promise<void>
  /** What is left of a pod. */
  remains(uid: string): string[]
  /** Lets time go on until this is there. */
  wait<T>(look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T>
  close(): Promise<void>
}

export interface AgentParts {
  runner: PodRunner
  files: PodFiles
}

/** What a pod does, by the hand of a test. */
export interface JobHand {
  tell(line: ProgressLine): void
  save(step: number): void
  exit(code: number): void
  /** By itself. */
  die(signal: 'SIGSEGV'): void
  /** SIGTERM no longer ends it. */
  beDeaf(): void
  /** It leaves something as its output. */
  leaveOutput(): void
  /** All of that is done. */
  readonly hasObeyed: boolean
  readonly starts: number
  readonly state: 'gone' | 'running' | 'stopped'
  /** What it was told last. */
  readonly asked: { step: number; stop: boolean } | undefined
  /** Keys of the manifests whose parts it found restored. */
  readonly restored: string[]
}

export type StorageFault = 'does not answer' | 'is full'
export type Restore = NonNullable<PodWork['restore']>

/** What an agent relies on, of whatever runs its pods. `diskProblem`: why no disk can be filled here. */
export function agentContract(
  name: string,
  open: () => Promise<AgentBench>,
  { diskProblem }: { diskProblem?: string | undefined } = {},
): void {
  describe(`the agent's contract, ${name}`, () => {
    let bench: AgentBench
    let opened: (AgentParts | PodBeside)[]
    beforeEach(async () => {
      opened = []
      bench = await open()
    })
    afterEach(async () => {
      for (const each of opened.toReversed()) ('runner' in each ? each.runner : each).close()
      await bench.close()
    })

    const uid = 'u-1'
    const checkpoints = 'checkpoints/default/j/attempt-1'

    function newAgent(): AgentParts {
      const agent = bench.agent()
      opened.push(agent)
      return agent
    }

    /** What came of it, however long that takes. */
    async function settled<T>(promise: Promise<T>): Promise<T> {
      let isSettled = false
      const settle = (): void => {
        isSettled = true
      }
      promise.then(settle, settle)
      await bench.wait(() => isSettled)
      return await promise
    }

    function besideOf(
      { files }: AgentParts,
      work: Partial<PodWork> = {},
      more: Partial<PodPlace> & { copies?: Copies } = {},
    ) {
      const { copies, ...place } = more
      const tools = { blobs: bench.blobs, copies, clock: bench.clock, log: silentLog }
      const beside = files.beside(placeWith(work, { uid, ...place }), tools)
      opened.push(beside)
      return beside
    }

    async function prepared(beside: PodBeside): Promise<Prepared> {
      const found = await settled(beside.prepare())
      if ('refused' in found) throw new Error(found.message)
      return found
    }

    async function started({ runner }: AgentParts, env: Record<string, string> = {}, of = uid): Promise<RunningPod> {
      const pod = await settled(runner.start(bench.run(of, env)))
      if ('refused' in pod) throw new Error(pod.message)
      await bench.wait(() => bench.job(of).starts > 0)
      return pod
    }

    async function found({ runner }: AgentParts): Promise<RunningPod> {
      const pod = await settled(runner.find(uid))
      if (pod === undefined) throw new Error('it is not found')
      return pod
    }

    const endOf = (pod: RunningPod) => settled(pod.ended)

    /** Follows and writes down what is told. */
    function followed(beside: PodBeside, known: readonly number[] | 'untrusted' = []) {
      const told = {
        found: [] as ProgressLine[],
        progress: [] as ProgressLine[],
        shipped: [] as ShippedCheckpoint[],
        notices: [] as Notice[],
      }
      const sink: PodSink = {
        found: (lines) => told.found.push(...lines),
        progress: (lines) => told.progress.push(...lines),
        shipped: (checkpoint) => told.shipped.push(checkpoint),
        notice: (notice) => told.notices.push(notice),
      }
      beside.follow(sink, known === 'untrusted' ? undefined : known)
      return told
    }

    async function begun(work: Partial<PodWork> = {}, more: Partial<PodPlace> = {}) {
      const agent = newAgent()
      const beside = besideOf(agent, work, more)
      const pod = await started(agent, (await prepared(beside)).env)
      return { agent, beside, pod, job: bench.job(uid), told: followed(beside) }
    }

    /** Lets go of all, as an agent that ends. */
    function leave({ agent, beside }: { agent: AgentParts; beside?: PodBeside }): void {
      beside?.close()
      agent.runner.close()
    }

    const stepsOf = (told: { step?: number }[]): (number | undefined)[] => told.map(({ step }) => step)

    describe('a pod', () => {
      test('is started once, by whoever asks and however often', async () => {
        const [one, other] = [newAgent(), newAgent()]
        const pods = await Promise.all([started(one), started(one), started(other)])
        expect(new Set(pods.map(({ pid }) => pid)).size).toBe(1)
        const again = await started(newAgent())
        expect([again.pid, bench.job(uid).starts]).toEqual([pods[0]?.pid, 1])
        again.signal('SIGKILL')
        for (const pod of pods) expect((await endOf(pod)).exitCode).toBe(137)
        expect(bench.job(uid).starts).toBe(1)
      })

      test('that was never started is not found, nor known', async () => {
        const { runner } = newAgent()
        expect(await settled(runner.find(uid))).toBeUndefined()
        expect(await settled(runner.known())).toEqual([])
      })

      test('that is only prepared is not found, nor known', async () => {
        const agent = newAgent()
        await prepared(besideOf(agent))
        expect(await settled(agent.runner.find(uid))).toBeUndefined()
        expect(await settled(agent.runner.known())).toEqual([])
      })

      test('is known from its start until it is removed, its end in between', async () => {
        const agent = newAgent()
        await started(agent, {}, 'u-1')
        const other = await started(agent, {}, 'u-2')
        bench.job('u-2').exit(0)
        await endOf(other)
        expect((await settled(newAgent().runner.known())).toSorted()).toEqual(['u-1', 'u-2'])
        await settled(agent.runner.remove('u-2'))
        expect(await settled(agent.runner.known())).toEqual(['u-1'])
      })

      test('is no adopted one to the agent that started it, and is one to the next', async () => {
        const agent = newAgent()
        const pod = await started(agent)
        expect([pod.adopted, (await found(agent)).adopted]).toEqual([false, false])
        agent.runner.close()
        const next = newAgent()
        expect([(await found(next)).adopted, (await started(next)).adopted]).toEqual([true, true])
      })

      test('outlives its agent, is found by the next, and its end is seen there', async () => {
        const agent = newAgent()
        const { pid } = await started(agent)
        agent.runner.close()
        const pod = await found(newAgent())
        expect([pod.pid, bench.job(uid).state]).toEqual([pid, 'running'])
        bench.job(uid).exit(5)
        expect(await endOf(pod)).toEqual({ atMs: expect.any(Number), exitCode: 5 })
        expect(bench.job(uid).starts).toBe(1)
      })

      test.each([0, 1, 97, 98])('that exits with %i has ended so', async (code) => {
        const pod = await started(newAgent())
        bench.job(uid).exit(code)
        expect(await endOf(pod)).toEqual({ atMs: expect.any(Number), exitCode: code })
      })

      test('that dies by a signal has ended by that', async () => {
        const pod = await started(newAgent())
        bench.job(uid).die('SIGSEGV')
        expect(await endOf(pod)).toMatchObject({ exitCode: 139, signal: 'SIGSEGV' })
      })

      test('that has ended is the same to every agent that looks, and is not started again', async () => {
        const agent = newAgent()
        const pod = await started(agent)
        bench.job(uid).exit(3)
        const end = await endOf(pod)
        agent.runner.close()
        for (const next of [newAgent(), newAgent()]) {
          expect(await endOf(await found(next))).toEqual(end)
          expect(await endOf(await started(next))).toEqual(end)
        }
        expect(bench.job(uid).starts).toBe(1)
      })

      test('that ends while no agent is there ended when it did', async () => {
        const agent = newAgent()
        await started(agent)
        agent.runner.close()
        bench.job(uid).exit(9)
        await bench.wait(() => bench.job(uid).state === 'gone')
        const end = await endOf(await found(newAgent()))
        expect(end).toEqual({ atMs: expect.any(Number), exitCode: 9 })
        expect(end.atMs).toBeLessThanOrEqual(bench.clock.now())
      })
    })

    describe('a signal', () => {
      describe.each(['that started it', 'that found it'])('of the agent %s', (which) => {
        async function signalled(): Promise<RunningPod> {
          const agent = newAgent()
          const pod = await started(agent)
          if (which === 'that started it') return pod
          agent.runner.close()
          return await found(newAgent())
        }

        test('SIGTERM reaches the pod', async () => {
          const pod = await signalled()
          pod.signal('SIGTERM')
          expect(await endOf(pod)).toEqual({ atMs: expect.any(Number), exitCode: 143, signal: 'SIGTERM' })
          expect(bench.job(uid).state).toBe('gone')
        })

        test('SIGKILL ends what is deaf to others, and that end was seen', async () => {
          const pod = await signalled()
          bench.job(uid).beDeaf()
          await bench.wait(() => bench.job(uid).hasObeyed)
          pod.signal('SIGTERM')
          pod.signal('SIGKILL')
          expect(await endOf(pod)).toEqual({ atMs: expect.any(Number), exitCode: 137, signal: 'SIGKILL' })
          await bench.wait(() => bench.job(uid).state === 'gone')
        })

        test('SIGSTOP lets the pod stand still until SIGCONT', async () => {
          const pod = await signalled()
          pod.signal('SIGSTOP')
          await bench.wait(() => bench.job(uid).state === 'stopped')
          pod.signal('SIGCONT')
          await bench.wait(() => bench.job(uid).state === 'running')
          bench.job(uid).exit(4)
          expect((await endOf(pod)).exitCode).toBe(4)
        })

        test('SIGKILL ends one that stands still', async () => {
          const pod = await signalled()
          pod.signal('SIGSTOP')
          pod.signal('SIGKILL')
          expect(await endOf(pod)).toMatchObject({ exitCode: 137, signal: 'SIGKILL' })
        })
      })

      test('after the end changes nothing', async () => {
        const pod = await started(newAgent())
        bench.job(uid).exit(0)
        await endOf(pod)
        for (const signal of ['SIGTERM', 'SIGKILL'] as const) pod.signal(signal)
        expect((await endOf(await found(newAgent()))).exitCode).toBe(0)
      })
    })

    describe('a removal', () => {
      test.each(['that started it', 'that found it'])(
        'by the agent %s ends what runs and leaves nothing',
        async (who) => {
          const { agent, beside, pod, job } = await begun({ checkpoints })
          job.save(1)
          leave({ agent, beside })
          const remover = who === 'that started it' ? agent : newAgent()
          const ending = who === 'that started it' ? pod : await found(remover)
          await settled(remover.runner.remove(uid))
          expect((await endOf(ending)).exitCode).toBe(137)
          await bench.wait(() => job.state === 'gone')
          expect(bench.remains(uid)).toEqual([])
          expect(await settled(remover.runner.find(uid))).toBeUndefined()
          expect(await settled(newAgent().runner.known())).toEqual([])
        },
      )

      test('of what was only prepared leaves nothing, and of what never was is none', async () => {
        const agent = newAgent()
        const beside = besideOf(agent, { restore: await bench.commit(1) })
        await prepared(beside)
        beside.close()
        await settled(agent.runner.remove(uid))
        await settled(agent.runner.remove('u-9'))
        expect(bench.remains(uid)).toEqual([])
      })

      test('leaves the others alone', async () => {
        const agent = newAgent()
        await started(agent, {}, 'u-1')
        await started(agent, {}, 'u-2')
        await settled(agent.runner.remove('u-2'))
        expect(bench.job('u-1').state).toBe('running')
      })
    })

    describe('what is to be restored', () => {
      const refusal = { refused: true, reason: 'CheckpointDamaged', damaged: { attempt: 1, step: 20 } }

      test('is there before the start, as it was committed, each rank its own part', async () => {
        const restore = await bench.commit(2)
        const beside = besideOf(newAgent(), { restore }, { rank: 1, worldSize: 2 })
        expect(await prepared(beside)).toMatchObject({ restoredStep: 20, restoredFrom: 'storage' })
        expect(bench.job(uid).restored).toEqual(restore.manifests.slice(1))
      })

      test('is all there is where there are more or fewer ranks than wrote it, and the one part where one did', async () => {
        const restore = await bench.commit(2)
        await prepared(besideOf(newAgent(), { restore }, { rank: 2, worldSize: 3 }))
        expect(bench.job(uid).restored).toEqual(restore.manifests)
        const { manifests, digests = [] } = restore
        const first = { ...restore, manifests: manifests.slice(0, 1), digests: digests.slice(0, 1) }
        await prepared(besideOf(newAgent(), { restore: first }, { uid: 'u-2', rank: 1, worldSize: 2 }))
        expect(bench.job('u-2').restored).toEqual(first.manifests)
      })

      test('is restored once: what an agent before has restored nobody reads again', async () => {
        const restore = await bench.commit(1)
        const agent = newAgent()
        const beside = besideOf(agent, { restore })
        await prepared(beside)
        beside.close()
        bench.failStorage('does not answer')
        const again = await prepared(besideOf(newAgent(), { restore }))
        expect([again.restoredStep, again.restoredFrom]).toEqual([20, undefined])
        expect(bench.job(uid).restored).toEqual(restore.manifests)
      })

      test.each([
        ['is torn', (blobs: Blobs, { manifests: [, key = ''] }: Restore) => blobs.put(key, bytes('{"version":1,"fil'))],
        ['is gone', (blobs: Blobs, { manifests: [, key = ''] }: Restore) => blobs.delete(key)],
        [
          'is not what was committed',
          async (blobs: Blobs, { manifests: [other = '', key = ''] }: Restore) =>
            await blobs.put(key, (await blobs.get(other)) ?? bytes('')),
        ],
      ])('that %s is refused as damaged and named, by the rank whose part it is', async (_, damage) => {
        const restore = await bench.commit(2)
        await damage(bench.blobs, restore)
        const refused = await settled(besideOf(newAgent(), { restore }, { rank: 1, worldSize: 2 }).prepare())
        expect(refused).toMatchObject(refusal)
        const message = 'message' in refused ? refused.message : ''
        expect(message).toContain(`the checkpoint of step 20 (attempt 1) is damaged: ${restore.manifests[1]}`)
        expect(bench.job(uid).restored).toEqual([])
        expect(await settled(besideOf(newAgent(), { restore }, { rank: 1, worldSize: 2 }).prepare())).toEqual(refused)
        const other = besideOf(newAgent(), { restore }, { uid: 'u-2', rank: 0, worldSize: 2 })
        expect(await prepared(other)).toMatchObject({ restoredStep: 20 })
      })

      test('is not damaged where storage does not answer: that is said as what it is, and passes', async () => {
        const restore = await bench.commit(1)
        const beside = besideOf(newAgent(), { restore })
        const cancel = bench.failStorage('does not answer')
        await expect(settled(beside.prepare())).rejects.toMatchObject({ code: 'storage-unreachable' })
        cancel()
        expect(await prepared(beside)).toMatchObject({ restoredStep: 20, restoredFrom: 'storage' })
      })

      test('comes from storage where a copy in memory does not answer', async () => {
        const restore = { ...(await bench.commit(1)), copies: ['n'] }
        const silent = async (): Promise<never> => {
          throw new Error('no answer')
        }
        const kept = { ...bench.blobs, get: silent, getFile: silent }
        const copies = { of: () => kept, isEmpty: () => false }
        const beside = besideOf(newAgent(), { restore }, { copies })
        expect(await prepared(beside)).toMatchObject({ restoredStep: 20, restoredFrom: 'storage' })
      })

      test.each(['a checkpoint', 'a model'])('and is closed while %s is on its way is never there', async (what) => {
        const restore = await bench.commit(1)
        const agent = newAgent()
        const beside = besideOf(agent, what === 'a model' ? { model: restore.manifests[0] } : { restore })
        const held = bench.holdStorage()
        const preparing = beside.prepare()
        preparing.catch(() => {})
        await bench.wait(() => held.isAsked())
        beside.close()
        await settled(agent.runner.remove(uid))
        held.cancel()
        await expect(settled(preparing)).rejects.toThrow()
        expect([bench.remains(uid), bench.job(uid).restored]).toEqual([[], []])
      })
    })

    describe('progress', () => {
      test('is told in order, to the last line before the end', async () => {
        const { beside, pod, job, told } = await begun()
        for (const step of [1, 2, 3]) job.tell({ step, loss: 0.5 })
        job.exit(1)
        await endOf(pod)
        await settled(beside.finish({ good: false, output: false }))
        expect([...told.found, ...told.progress]).toEqual([1, 2, 3].map((step) => ({ step, loss: 0.5 })))
      })

      test('that nobody read is found by the next agent', async () => {
        const { agent, beside, pod, job } = await begun()
        leave({ agent, beside })
        job.tell({ step: 7 })
        job.exit(0)
        const next = newAgent()
        const again = await found(next)
        expect((await endOf(again)).exitCode).toBe(0)
        expect(pod.pid).toBe(again.pid)
        const told = followed(besideOf(next))
        expect([stepsOf(told.found), told.progress]).toEqual([[7], []])
      })

      test('goes to who follows now, though one before lets go only then', async () => {
        const { beside, job, told } = await begun()
        const now = followed(besideOf(newAgent()))
        beside.close()
        job.tell({ step: 1 })
        await bench.wait(() => now.progress.length > 0)
        expect(told.progress).toEqual([])
      })
    })

    describe('a checkpoint', () => {
      const shippedSteps = ({ shipped }: { shipped: ShippedCheckpoint[] }) => stepsOf(shipped)

      test('is stored whole before it is told, by what names it', async () => {
        const { job, told } = await begun({ checkpoints, checkpointRanks: 'all' }, { rank: 1, worldSize: 2 })
        job.save(5)
        const [shipped] = await bench.wait(() => told.shipped.length > 0 && told.shipped)
        const manifest = `${checkpoints}/step-5/rank-1/manifest.json`
        expect(shipped).toMatchObject({ step: 5, rank: 1, manifest, digest: expect.any(String) })
        expect(shipped?.writtenAtMs).toBeLessThanOrEqual(bench.clock.now())
        expect(await readManifest(bench.blobs, manifest)).toMatchObject({
          kind: 'ok',
          digest: shipped?.digest,
          manifest: { step: 5, attempt: 1, rank: 1, worldSize: 2 },
        })
      })

      test('that is complete at a good end is told before that is finished', async () => {
        const { beside, pod, job, told } = await begun({ checkpoints })
        job.save(9)
        job.exit(0)
        await endOf(pod)
        await settled(beside.finish({ good: true, output: false }))
        expect(shippedSteps(told)).toEqual([9])
      })

      test('of a rank that is to write none is not shipped', async () => {
        const { beside, pod, job, told } = await begun({ checkpoints }, { rank: 1, worldSize: 2 })
        job.save(9)
        job.exit(0)
        await endOf(pod)
        await settled(beside.finish({ good: true, output: false }))
        expect([told.shipped, await bench.blobs.list('checkpoints/')]).toEqual([[], []])
      })

      test('that no agent shipped is shipped by the next, and one that was told is not again', async () => {
        const { agent, beside, job, told } = await begun({ checkpoints })
        job.save(1)
        await bench.wait(() => told.shipped.length > 0)
        leave({ agent, beside })
        job.save(2)
        const next = newAgent()
        const pod = await found(next)
        const after = besideOf(next, { checkpoints })
        const now = followed(after, [1])
        job.exit(0)
        await endOf(pod)
        await settled(after.finish({ good: true, output: false }))
        expect(shippedSteps(now)).toEqual([2])
      })

      /** Two steps while storage fails, the first of which may be asked for; and it is well again when the pod has ended. */
      async function savedTwice(how: StorageFault, request?: { step: number; stop: boolean }) {
        const { beside, pod, job, told } = await begun({ checkpoints })
        const cancel = bench.failStorage(how)
        if (request !== undefined) await settled(beside.tell({ request }))
        job.save(1)
        await bench.wait(() => told.notices.length > 0)
        job.save(2)
        job.exit(0)
        await endOf(pod)
        const finished = beside.finish({ good: true, output: false })
        cancel()
        await settled(finished)
        return told
      }

      test.each(['does not answer', 'is full'] as const)(
        'waits while storage %s, which is told once, and then the newest goes',
        async (how) => {
          const told = await savedTwice(how)
          expect(shippedSteps(told).at(-1)).toBe(2)
          const ofFirst = told.notices.filter(({ message }) => message.includes('step 1 '))
          expect(ofFirst).toMatchObject([{ type: 'Warning', reason: 'CheckpointNotShipped' }])
        },
      )

      test('that was asked for is not passed over for a newer one', async () => {
        const told = await savedTwice('does not answer', { step: 1, stop: false })
        expect(shippedSteps(told)).toEqual([1, 2])
      })
    })

    describe('output', () => {
      const output = 'outputs/j/manifest.json'

      test('is stored under its key by the time that it is told', async () => {
        const { beside, pod, job } = await begun({ output })
        job.leaveOutput()
        job.exit(0)
        await endOf(pod)
        const told = await settled(beside.finish({ good: true, output: true }))
        expect(told?.manifest).toBe(output)
        expect(await readManifest(bench.blobs, output)).toMatchObject({ kind: 'ok', digest: told?.digest })
      })

      test('of a pod that owes none is not stored', async () => {
        const { beside, pod, job } = await begun({ output })
        job.leaveOutput()
        job.exit(0)
        await endOf(pod)
        expect(await settled(beside.finish({ good: true, output: false }))).toBeUndefined()
        expect(await bench.blobs.has(output)).toBe(false)
      })

      test('waits for storage that does not answer, which is told, unless the wait is ended', async () => {
        const { beside, pod, job, told } = await begun({ output })
        job.leaveOutput()
        job.exit(0)
        await endOf(pod)
        bench.failStorage('does not answer')
        const finished = beside.finish({ good: true, output: true })
        finished.catch(() => {})
        await bench.wait(() => told.notices.some(({ reason }) => reason === 'OutputNotShipped'))
        beside.close()
        await expect(settled(finished)).rejects.toMatchObject({ code: 'stopped' })
      })
    })

    describe('what a pod is told', () => {
      const request = { step: 7, stop: true }
      const asked = (what: typeof request | undefined) => bench.wait(() => same(bench.job(uid).asked, what))

      test('before it starts is there when it does', async () => {
        const agent = newAgent()
        const beside = besideOf(agent, { checkpoints })
        await settled(beside.tell({ request }))
        await started(agent, (await prepared(beside)).env)
        followed(beside)
        await asked(request)
      })

      test('last is what counts, and what is told no more is not so any more', async () => {
        const { beside } = await begun({ checkpoints })
        await settled(beside.tell({ request }))
        await asked(request)
        await settled(beside.tell({ request: { step: 9, stop: false } }))
        await asked({ step: 9, stop: false })
        await settled(beside.tell({}))
        await asked(undefined)
      })

      test('by the next agent reaches it as well', async () => {
        const { agent, beside } = await begun({ checkpoints })
        leave({ agent, beside })
        const next = newAgent()
        await found(next)
        const after = besideOf(next, { checkpoints })
        followed(after)
        await settled(after.tell({ request }))
        await asked(request)
      })
    })

    describe.skipIf(diskProblem !== undefined)(
      `a full disk${diskProblem === undefined ? '' : ` (${diskProblem})`}`,
      () => {
        test('is told as such by a start, nothing has begun, and the next start is the first', async () => {
          const agent = newAgent()
          const { env } = await prepared(besideOf(agent))
          const cancel = bench.fillDisk()
          await expect(settled(agent.runner.start(bench.run(uid, env)))).rejects.toMatchObject({ code: 'disk-full' })
          expect(await settled(agent.runner.known())).toEqual([])
          expect(bench.job(uid).starts).toBe(0)
          cancel()
          const pod = await started(agent, env)
          expect([pod.adopted, bench.job(uid).starts]).toEqual([false, 1])
        })

        test('is told as such by what is to be restored there, which is whole once there is room', async () => {
          const restore = await bench.commit(1)
          const beside = besideOf(newAgent(), { restore })
          const cancel = bench.fillDisk()
          await expect(settled(beside.prepare())).rejects.toMatchObject({ code: 'disk-full' })
          cancel()
          expect(await prepared(beside)).toMatchObject({ restoredStep: 20, restoredFrom: 'storage' })
          expect(bench.job(uid).restored).toEqual(restore.manifests)
        })

        test('takes nothing from a pod that runs, and is named with a bad end alone', async () => {
          const agent = newAgent()
          const [bad, good] = [await started(agent, {}, 'u-1'), await started(agent, {}, 'u-2')]
          bench.fillDisk()
          bench.job('u-1').exit(6)
          bench.job('u-2').exit(0)
          expect(await endOf(bad)).toMatchObject({ exitCode: 6, diskFull: expect.any(String) })
          expect(await endOf(good)).toEqual({ atMs: expect.any(Number), exitCode: 0 })
        })
      },
    )

    describe('a machine that is started anew', () => {
      test('has lost what ran, and says that what it left may be torn', async () => {
        const agent = newAgent()
        await started(agent)
        agent.runner.close()
        await bench.startAnew()
        const pod = await found(newAgent())
        expect(pod).toMatchObject({ adopted: true, isTorn: true })
        const end = await endOf(pod)
        expect(end).toEqual({ atMs: expect.any(Number), lost: expect.stringContaining('machine') })
        expect([bench.job(uid).state, bench.job(uid).starts]).toEqual(['gone', 1])
      })

      test('knows how others ended before, and that what they left may be torn all the same', async () => {
        const agent = newAgent()
        const pod = await started(agent)
        bench.job(uid).exit(0)
        await endOf(pod)
        expect((await found(agent)).isTorn ?? false).toBe(false)
        agent.runner.close()
        await bench.startAnew()
        const after = await found(newAgent())
        expect([after.isTorn, (await endOf(after)).exitCode]).toEqual([true, 0])
      })

      test('ships nothing where what is there cannot be trusted', async () => {
        const { agent, beside, job } = await begun({ checkpoints })
        leave({ agent, beside })
        job.save(1)
        job.exit(0)
        await bench.wait(() => job.state === 'gone')
        await bench.startAnew()
        const next = newAgent()
        const pod = await found(next)
        const after = besideOf(next, { checkpoints })
        const told = followed(after, 'untrusted')
        await endOf(pod)
        await settled(after.finish({ good: true, output: false }))
        expect([told.shipped, await bench.blobs.list('checkpoints/')]).toEqual([[], []])
      })
    })
  })
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)
