import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../base/log.ts'
import { seededRandom } from '../base/random.ts'
import { realClock } from '../runtime/clock.ts'
import { type Bench, crashChild, isRunning, node, openBench, terminatedOf } from './fixture.ts'
import { readExit } from './local/exit.ts'
import { podFolder } from './local/folders.ts'
import { createLocalRunner } from './local/runner.ts'
import { endStrays } from './local/strays.ts'

let bench: Bench
beforeEach(async () => {
  bench = await openBench()
})
afterEach(() => bench.close())

const sh = (script: string): string[] => ['/bin/sh', '-c', script]
const running = (name: string): Promise<number> =>
  bench.until(async () => {
    const [pod, report] = await Promise.all([bench.pod(name), bench.report(name)])
    return pod?.status?.phase === 'Running' ? report?.status?.pid : undefined
  })

describe('an agent that comes back', () => {
  it('finds its pod, starts it no second time, and sees it end', async () => {
    const { metadata } = await bench.run(
      sh(`echo started >>${bench.dir}/starts; while [ ! -e ${bench.dir}/go ]; do sleep 0.02; done; exit 5`),
    )
    const pid = await running(metadata.name)
    await bench.agent.stop('leave')
    expect(isRunning(pid)).toBe(true)
    await bench.newAgent()
    expect((await bench.report(metadata.name))?.status?.pid).toBe(pid)
    mkdirSync(join(bench.dir, 'go'))
    const pod = await bench.ended(metadata.name)
    expect(terminatedOf(pod)).toMatchObject({ exitCode: 5 })
    expect(readFileSync(join(bench.dir, 'starts'), 'utf8')).toBe('started\n')
  })

  it('sees an adopted pod killed, with its shim or without', async () => {
    const both = [await bench.run(['sleep', '600']), await bench.run(['sleep', '600'])]
    const pids = await Promise.all(both.map((pod) => running(pod.metadata.name)))
    await bench.agent.stop('leave')
    await bench.newAgent()
    process.kill(pids[0] ?? 0, 'SIGKILL')
    const claim = readFileSync(podFolder(join(bench.dir, 'agent'), both[1]?.metadata.uid ?? '').claim, 'utf8')
    process.kill(-Number(claim.split('\t')[2]?.split(' ')[0]), 'SIGKILL')
    const [alone, together] = await Promise.all(both.map((pod) => bench.ended(pod.metadata.name)))
    expect(terminatedOf(alone)).toMatchObject({ exitCode: 137, signal: 9, reason: 'Error' })
    expect(terminatedOf(together)).toMatchObject({ exitCode: 137 })
  })

  it('learns the exit that happened while it was away, at the time when it happened', async () => {
    const { metadata } = await bench.run(sh(`while [ ! -e ${bench.dir}/go ]; do sleep 0.02; done; exit 9`))
    await running(metadata.name)
    await bench.agent.stop('leave')
    const folder = podFolder(join(bench.dir, 'agent'), metadata.uid ?? '')
    mkdirSync(join(bench.dir, 'go'))
    await bench.until(async () => readExit(folder)?.status === 9)
    await bench.newAgent()
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 9 })
    expect((await bench.report(metadata.name))?.status?.ended?.atMs).toBe(Math.round(statSync(folder.exit).mtimeMs))
  })

  it('takes what it finds in the progress file for what was told before', async () => {
    const lines = [1, 2, 3, 4].map((step) => JSON.stringify({ step, regroupSeconds: 2 })).join('\n')
    const last = `while [ ! -e ${bench.dir}/go ]; do sleep 0.02; done; echo '{"step":5,"regroupSeconds":1}' >>$MILLWRIGHT_PROGRESS`
    const { metadata } = await bench.run(sh(`echo '${lines}' >>$MILLWRIGHT_PROGRESS; ${last}; sleep 600`))
    const at = async (step: number) => {
      const status = (await bench.report(metadata.name))?.status
      return status?.step === step ? status : undefined
    }
    const before = await bench.until(() => at(4))
    await bench.agent.stop('leave')
    await bench.newAgent()
    mkdirSync(join(bench.dir, 'go'))
    const now = await bench.until(() => at(5))
    expect([before.regroupSeconds, now.regroupSeconds]).toEqual([8, 9])
  })

  it.each([
    ['killed', 'sleep 600', 'the machine was restarted while it ran'],
    ['ended well', 'exit 0', 'the machine was restarted before what it left was shipped'],
  ])('ships nothing of a pod that the power took, %s: it may be torn', async (_, rest, message) => {
    const script = `while [ ! -e ${bench.dir}/go ]; do sleep 0.02; done; cd checkpoints; mkdir step-5; true >step-5/part`
    const work = { checkpoints: 'checkpoints/default/j', output: 'models/default/m' }
    const { metadata } = await bench.run(sh(`${script}; ${rest}`), { work })
    await running(metadata.name)
    await bench.agent.stop('leave')
    mkdirSync(join(bench.dir, 'go'))
    const folder = podFolder(join(bench.dir, 'agent'), metadata.uid ?? '')
    await bench.until(async () => existsSync(join(folder.checkpoints, 'step-5/part')))
    if (rest === 'exit 0') await bench.until(async () => readExit(folder)?.status === 0)
    const claim = readFileSync(folder.claim, 'utf8')
    if (rest !== 'exit 0') process.kill(-Number(claim.split('\t')[2]?.split(' ')[0]), 'SIGKILL')
    writeFileSync(folder.claim, claim.replace(/^[^\t]+/, 'another-boot'))
    await bench.newAgent()
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({
      reason: 'Lost',
      message: `nobody saw it end: ${message}`,
    })
    await realClock.sleep(300)
    expect((await bench.report(metadata.name))?.status).toMatchObject({ checkpoints: [] })
    expect(existsSync(join(bench.dir, 'blobs/checkpoints'))).toBe(false)
  })

  it('a pod deleted while nobody looked is killed', async () => {
    const { metadata } = await bench.run(['sleep', '600'])
    const pid = await running(metadata.name)
    await bench.agent.stop('leave')
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })
    await bench.newAgent()
    await bench.until(async () => !isRunning(pid))
  })

  it('a pod said to run whose files are gone is lost, not started again', async () => {
    const { metadata } = await bench.run(['sleep', '600'], { name: 'lost' })
    await running(metadata.name)
    await bench.agent.stop('leave')
    const runner = createLocalRunner({
      dir: join(bench.dir, 'agent'),
      node: node.name,
      clock: realClock,
      log: silentLog,
    })
    await runner.remove(metadata.uid ?? '')
    await bench.newAgent()
    expect(terminatedOf(await bench.ended('lost'))).toMatchObject({ reason: 'Lost' })
  })

  it('stopping with kill leaves no process, and says why', async () => {
    const { metadata } = await bench.run(sh('trap "" TERM; sleep 600'))
    const pid = await running(metadata.name)
    await bench.agent.stop('kill', 0.2)
    await bench.until(async () => !isRunning(pid))
    expect((await bench.pod(metadata.name))?.status).toMatchObject({ phase: 'Failed', reason: 'NodeShutdown' })
    const ready = (await bench.store.get('Node', { name: 'n0' }))?.status?.conditions?.find(
      (each) => each.type === 'Ready',
    )
    expect(ready?.status).toBe('False')
  })
})

describe('a process in a session of its own, as torchrun starts its workers', () => {
  const pidIn = (name: string): Promise<number> =>
    bench.until(async () => {
      const path = join(bench.dir, name)
      return existsSync(path) && Number(readFileSync(path, 'utf8'))
    })
  const worker = (prefix = '') => sh(`${prefix} setsid sleep 600 & echo $! >${bench.dir}/worker; wait`)

  it.each([
    ['that ends at once', '', 0],
    ['that ends at once, whatever its worker knows of it', 'env -u MILLWRIGHT_PROGRESS', 0],
    ['that has some grace', '', 1],
  ])('ends with a pod %s', async (_, prefix, gracePeriodSeconds) => {
    const { metadata } = await bench.run(worker(prefix))
    const pid = await pidIn('worker')
    await running(metadata.name)
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds })
    await bench.until(async () => !isRunning(pid))
  })

  it('ends with a pod whose command was killed, also when another agent sees that', async () => {
    const { metadata } = await bench.run(worker())
    const pid = await pidIn('worker')
    const command = await running(metadata.name)
    await bench.agent.stop('leave')
    process.kill(command, 'SIGKILL')
    await bench.newAgent()
    await bench.ended(metadata.name)
    await bench.until(async () => !isRunning(pid))
  })

  it('ends with a pod that no agent looks for', async () => {
    const { metadata } = await bench.run(worker())
    const pid = await pidIn('worker')
    process.kill(await running(metadata.name), 'SIGSTOP')
    await bench.agent.stop('leave')
    expect(await endStrays(join(bench.dir, 'agent'), ['another'], new Set())).toBe(1)
    await bench.until(async () => !isRunning(pid))
  })
})

describe('a logical node that is no more', () => {
  it('leaves no pod behind, and the others keep theirs', async () => {
    const { metadata } = await bench.run(['sleep', '600'])
    const pid = await running(metadata.name)
    expect(await endStrays(join(bench.dir, 'agent'), [node.name], new Set())).toBe(0)
    expect(isRunning(pid)).toBe(true)
    await bench.agent.stop('leave')
    expect(await endStrays(join(bench.dir, 'agent'), ['another'], new Set())).toBe(1)
    await bench.until(async () => !isRunning(pid))
  })
})

describe('a start', () => {
  it('removes what one that was cut short left half made, and nothing of a pod that is still to begin', async () => {
    const dir = join(bench.dir, 'agent')
    const halves = ['cache/.digest-1', 'pods/.gone-1', 'pods/gone', 'pods/known', 'cache/digest']
    for (const half of halves) mkdirSync(join(dir, half, 'job'), { recursive: true })
    expect(await endStrays(dir, [node.name], new Set(['known']))).toBe(0)
    expect(halves.filter((half) => existsSync(join(dir, half)))).toEqual(['pods/known', 'cache/digest'])
  })

  it('finds what a removal that was cut short left', async () => {
    const dir = join(bench.dir, 'agent')
    const { metadata } = await bench.run(['true'])
    await bench.ended(metadata.name)
    const { job, root } = podFolder(dir, metadata.uid ?? '')
    // As long as it takes, it is under another name.
    for (let i = 0; i < 2000; i++) writeFileSync(join(job, `part-${i}`), '')
    const names: string[] = []
    const seen = watch(dirname(root), (_, name) => names.push(name ?? ''))
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })
    await bench.until(async () => names.some((name) => name.startsWith('.')))
    seen.close()
    await bench.until(async () => readdirSync(dirname(root)).length === 0)
  })
})

describe('kill -9 of the process that an agent lives in', () => {
  let program: string
  beforeAll(async () => {
    program = await crashChild()
  })

  it('leaves the pod running, and the next one loses nothing and starts nothing twice', async () => {
    const random = seededRandom(7)
    const dir = join(bench.dir, 'crash')
    const children: ChildProcess[] = []
    const uids = Array.from({ length: 5 }, (_, index) => `pod-${index}`)
    const runner = createLocalRunner({ dir, node: 'n', clock: realClock, log: silentLog })
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, [program, dir, ...uids], { stdio: ['ignore', 'pipe', 'inherit'] })
      children.push(child)
      await new Promise<void>((done) => child.stdout.once('data', () => done()))
      await realClock.sleep(random.int(0, 12))
      child.kill('SIGKILL')
      await new Promise((done) => child.once('exit', done))
    }
    for (const uid of uids) {
      const pod = await runner.find(uid)
      const starts = () => readFileSync(join(dir, `${uid}.starts`), 'utf8')
      if (pod === undefined) continue // no round got as far as this one
      await bench.until(async () => starts() === 'x\n')
      expect(isRunning(pod.pid ?? 0)).toBe(true)
      pod.signal('SIGKILL')
      expect(await pod.ended).toEqual({ atMs: expect.any(Number), exitCode: 137, signal: 'SIGKILL' })
      expect(starts()).toBe('x\n')
    }
    runner.close()
  })
})
