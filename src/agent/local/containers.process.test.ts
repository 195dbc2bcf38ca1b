import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../base/log.ts'
import { seededRandom } from '../../base/random.ts'
import { realClock } from '../../runtime/clock.ts'
import { type Bench, crashChild, node, openBench, terminatedOf } from '../fixture.ts'
import { writeControl } from '../pod/control.ts'
import { canLimitMemory, containerProblem, docker, image, removeImages, userImage } from './containers.fixture.ts'
import { podFolder } from './folders.ts'
import { createLocalRunner } from './runner.ts'
import { endStrays } from './strays.ts'

const problem = containerProblem()

describe.skipIf(problem !== undefined)(`containers${problem === undefined ? '' : ` (${problem})`}`, () => {
  let bench: Bench
  beforeEach(async () => {
    bench = await openBench()
  })
  afterEach(async () => {
    await bench.close()
    await bench.until(async () => {
      const ids = left(`label=${agentLabel()}`) // of a test that failed, or about to go
      if (ids.length > 0) execFileSync('docker', ['rm', '--force', ...ids], { stdio: 'ignore' })
      return true
    })
  })
  afterAll(removeImages)

  const sh = (script: string): string[] => ['/bin/sh', '-c', script]
  const folderOf = (uid = '') => podFolder(join(bench.dir, 'agent'), uid)
  const logOf = (uid = ''): string => readFileSync(folderOf(uid).log, 'utf8')
  /** Of this test's own agents; ids. */
  const left = (filter = 'label=millwright.dev/node=n0'): string[] =>
    docker('ps', '--all', '--quiet', '--no-trunc', '--filter', filter, '--filter', `label=${agentLabel()}`)
      .split('\n')
      .filter(Boolean)
  const agentLabel = (dir = join(bench.dir, 'agent')): string => `millwright.dev/agent=${dir}`
  const state = (what: string): string => docker('inspect', '--format', `{{.State.${what}}}`, left()[0] ?? 'none')
  const seesRunning = () => bench.until(async () => left().length === 1 && state('Running') === 'true')
  const remove = (name: string, gracePeriodSeconds: number) =>
    bench.store.delete('Pod', { name, namespace: 'default' }, { gracePeriodSeconds })

  it('run the image, with environment and folders, and tell their exit code', async () => {
    const { metadata } = await bench.run(
      sh('echo in $WHO; echo m >$MILLWRIGHT_OUTPUT_DIR/x; test -e /etc/passwd || exit 4'),
      { container: { image, env: [{ name: 'WHO', value: 'a\nbox' }] } },
    )
    const pod = await bench.ended(metadata.name)
    expect(logOf(metadata.uid)).toBe('in a box\n')
    expect(terminatedOf(pod)).toMatchObject({ exitCode: 4, reason: 'Error' })
    expect(readFileSync(join(folderOf(metadata.uid).output, 'x'), 'utf8')).toBe('m\n')
    expect(left()).toEqual([])
  })

  it('get the pod’s PATH and HOME, which do not lead the client astray', async () => {
    const env = [
      { name: 'PATH', value: '/bin:/no/docker/here' },
      { name: 'HOME', value: '/no/such/home' },
    ]
    const { metadata } = await bench.run(sh('echo $PATH $HOME'), { container: { image, env } })
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 0 })
    expect(logOf(metadata.uid)).toBe('/bin:/no/docker/here /no/such/home\n')
  })

  it('a variable that Docker itself would read is refused by name', async () => {
    const env = [{ name: 'DOCKER_HOST', value: 'tcp://elsewhere:1' }]
    const { metadata } = await bench.run(['true'], { container: { image, env } })
    expect(terminatedOf(await bench.ended(metadata.name))?.message).toContain('DOCKER_HOST')
  })

  it('see local datasets and models behind their links', async () => {
    const data = join(bench.dir, 'data')
    mkdirSync(data)
    writeFileSync(join(data, 'book'), 'once upon\n')
    writeFileSync(join(bench.dir, 'weights'), 'a time\n')
    const uri = (path: string): string => pathToFileURL(path).href
    const { metadata } = await bench.run(sh('cat $MILLWRIGHT_DATA_DIR/book $MILLWRIGHT_MODEL_DIR/weights'), {
      container: { image },
      work: { data: uri(data), model: uri(join(bench.dir, 'weights')) },
    })
    await bench.ended(metadata.name)
    expect(logOf(metadata.uid)).toBe('once upon\na time\n')
  })

  it.skipIf(process.getuid?.() !== 0)('let an image with a user of its own read and write its folders', async () => {
    const script = [
      'set -e; id -u; echo 1 >$MILLWRIGHT_CHECKPOINT_DIR/a; echo 1 >$MILLWRIGHT_OUTPUT_DIR/b; echo 1 >here',
      'while test ! -e $MILLWRIGHT_CONTROL; do sleep 0.05; done; cat $MILLWRIGHT_CONTROL',
    ]
    const { metadata } = await bench.run(sh(script.join('\n')), { container: { image: userImage } })
    await seesRunning()
    await writeControl(folderOf(metadata.uid).control, { request: { step: 7, stop: false } })
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 0 })
    expect(logOf(metadata.uid)).toBe('1234\n{"checkpoint":{"step":7}}\n')
  })

  const isUnlimited = problem === undefined && !canLimitMemory()
  it.skipIf(isUnlimited)(
    `a memory limit is enforced and named${isUnlimited ? ' (the kernel has none)' : ''}`,
    async () => {
      const { metadata } = await bench.run(sh('x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; while :; do x=$x$x; done'), {
        container: { image, resources: { limits: { memory: '16Mi' } } },
      })
      const ended = terminatedOf(await bench.ended(metadata.name))
      expect(ended).toMatchObject({ exitCode: 137, reason: 'OOMKilled', message: expect.stringContaining('16Mi') })
      // An agent that comes only now finds no container any more, and still knows.
      const runner = createLocalRunner({
        dir: join(bench.dir, 'agent'),
        node: 'n0',
        clock: realClock,
        log: silentLog,
      })
      const found = await runner.find(metadata.uid ?? '')
      expect(await found?.ended).toMatchObject({ outOfMemory: { limitBytes: 16 << 20 } })
      runner.close()
    },
  )

  it('a liveness probe by command looks inside the container, and ends it', async () => {
    const script = 'echo >/alive; while test ! -e go; do sleep 0.05; done; rm /alive; sleep 600'
    const { metadata } = await bench.run(sh(script), {
      container: {
        image,
        readinessProbe: { exec: { command: ['/bin/test', '-e', '/alive'] }, periodSeconds: 0.1, timeoutSeconds: 20 },
        livenessProbe: {
          exec: { command: ['/bin/test', '-e', '/alive'] },
          periodSeconds: 0.1,
          timeoutSeconds: 20,
          failureThreshold: 1,
          initialDelaySeconds: 1,
        },
      },
      spec: { terminationGracePeriodSeconds: 0 },
    })
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.containerStatuses?.[0]?.ready === true)
    writeFileSync(join(folderOf(metadata.uid).job, 'go'), '')
    const pod = await bench.ended(metadata.name)
    expect(pod.status).toMatchObject({ phase: 'Failed', reason: 'Unhealthy' })
    expect(left()).toEqual([])
  })

  it('a probe by command that takes too long is ended inside, too', async () => {
    const command = sh('echo x >>/begun; sleep 61')
    const readinessProbe = { exec: { command }, periodSeconds: 0.1, timeoutSeconds: 1, failureThreshold: 100 }
    const { metadata } = await bench.run(sh('sleep 600'), { container: { image, readinessProbe } })
    await seesRunning()
    const inside = (script: string): string => docker('exec', `millwright-${metadata.uid}`, ...sh(script))
    await bench.until(async () => inside('test ! -e /begun || cat /begun').split('\n').length >= 5)
    const sleeps = () =>
      inside('for p in /proc/[0-9]*; do cat $p/cmdline 2>/dev/null; echo; done').match(/^sleep.61/gm) ?? []
    await bench.until(async () => sleeps().length < 3) // one runs, one may just be ending
    const ready = (await bench.pod(metadata.name))?.status?.conditions?.find(({ type }) => type === 'Ready')
    expect(ready?.message).toBe('/bin/sh: took too long')
    await remove(metadata.name, 0)
  })

  it('are not probed while their image is still being fetched', async () => {
    const bin = join(bench.dir, 'bin')
    mkdirSync(bin)
    const real = execFileSync('/bin/sh', ['-c', 'command -v docker'], { encoding: 'utf8' }).trim()
    writeFileSync(join(bin, 'docker'), `#!/bin/sh\n[ "$1" != run ] || sleep 1\nexec ${real} "$@"\n`)
    chmodSync(join(bin, 'docker'), 0o755)
    const slow = await openBench({ ...process.env, PATH: `${bin}:${process.env['PATH']}` })
    const { metadata } = await slow.run(sh('sleep 2; exit 3'), {
      container: {
        image,
        livenessProbe: {
          exec: { command: ['/bin/test', '1'] },
          periodSeconds: 0.05,
          timeoutSeconds: 20,
          failureThreshold: 1,
        },
      },
    })
    expect(terminatedOf(await slow.ended(metadata.name))).toMatchObject({ exitCode: 3, reason: 'Error' })
    await slow.close()
  })

  it('SIGTERM reaches the command, which may end well', async () => {
    const { metadata } = await bench.run(sh('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done'), {
      container: { image },
    })
    await bench.until(async () => logOf(metadata.uid) === 'up\n')
    const ended = bench.until(async () => {
      const report = await bench.report(metadata.name)
      return report?.status?.ended
    })
    await remove(metadata.name, 20)
    expect(await ended).toMatchObject({ exitCode: 0 })
    await bench.until(async () => (await bench.pod(metadata.name)) === undefined)
    expect(left()).toEqual([])
  })

  it('a command that ignores SIGTERM is killed after its grace', async () => {
    const { metadata } = await bench.run(sh('trap "echo heard" TERM; echo up; while :; do sleep 0.05; done'), {
      container: { image },
    })
    await bench.until(async () => logOf(metadata.uid) === 'up\n')
    const log = folderOf(metadata.uid).log
    let heard = ''
    await remove(metadata.name, 1)
    await bench.until(async () => {
      heard = readOr(log, heard)
      return (await bench.pod(metadata.name)) === undefined
    })
    expect(heard).toBe('up\nheard\n')
    await bench.until(async () => left().length === 0)
  })

  it('freeze and thaw, and can be killed while frozen', async () => {
    const { metadata } = await bench.run(['sleep', '600'], { container: { image } })
    // Its container may run a moment before its agent knows it.
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.phase === 'Running')
    await seesRunning()
    bench.agent.signalAll('SIGSTOP')
    await bench.until(async () => state('Paused') === 'true')
    bench.agent.signalAll('SIGCONT')
    await bench.until(async () => state('Paused') === 'false')
    bench.agent.signalAll('SIGSTOP')
    await bench.until(async () => state('Paused') === 'true')
    bench.agent.signalAll('SIGKILL')
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 137 })
    expect(left()).toEqual([])
  })

  it('outlive their agent, are found again, and leave nothing when deleted', async () => {
    const { metadata } = await bench.run(['sleep', '600'], { container: { image } })
    await seesRunning()
    const before = left()
    await bench.agent.stop('leave')
    await bench.newAgent()
    expect(left()).toEqual(before)
    await remove(metadata.name, 0)
    await bench.until(async () => left().length === 0)
  })

  it('an image that is not there fails with the daemon’s words in the log', async () => {
    const { metadata } = await bench.run(['true'], { container: { image: 'localhost:1/no/such:image' } })
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({
      exitCode: 125,
      message: expect.stringContaining('Docker'),
    })
    expect((await bench.report(metadata.name))?.status?.logTail).toContain('docker')
  })

  it('of a logical node that is no more are ended', async () => {
    await bench.run(['sleep', '600'], { container: { image } })
    await seesRunning()
    await bench.agent.stop('leave')
    expect(await endStrays(join(bench.dir, 'agent'), ['another'], new Set())).toBe(1)
    await bench.until(async () => left().length === 0) // this process' first agent removes it at the same time
  })

  it('whose folder is lost are ended by the next agent, and those of another factory are not', async () => {
    const { metadata } = await bench.run(['sleep', '600'], { container: { image } })
    await seesRunning()
    const other = await openBench()
    await other.run(['true']) // both stores give out the same uids
    await other.run(['sleep', '600'], { container: { image } })
    const others = () => docker('ps', '--quiet', '--filter', `label=${agentLabel(join(other.dir, 'agent'))}`)
    await bench.until(async () => others() !== '')
    await bench.agent.stop('leave')
    rmSync(folderOf(metadata.uid).root, { recursive: true })
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })
    await bench.newAgent()
    expect(left()).toEqual([])
    expect(others()).not.toBe('')
    await other.close()
  })

  describe('kill -9 of the process that their agent lives in', () => {
    it('leaves them running, and the next one finds them and starts none twice', async () => {
      const program = await crashChild()
      const random = seededRandom(11)
      const dir = join(bench.dir, 'agent')
      const uids = ['0', '1', '2'].map((name) => `${basename(bench.dir)}-${name}`)
      const runner = createLocalRunner({ dir, node: node.name, clock: realClock, log: silentLog })
      const starts = (uid: string): string => readOr(join(folderOf(uid).job, 'starts'), '')
      for (let round = 0; round < 5; round++) {
        const env = { ...process.env, POD_IMAGE: image }
        const child = spawn(process.execPath, [program, dir, ...uids], { stdio: ['ignore', 'pipe', 'inherit'], env })
        await said(child, 'up')
        await realClock.sleep(random.int(0, 250))
        await killed(child)
      }
      const last = spawn(process.execPath, [program, dir, ...uids], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, POD_IMAGE: image },
      })
      await said(last, 'all')
      await bench.until(async () => uids.every((uid) => starts(uid) === 'x\n'))
      const before = left('label=millwright.dev/node=n')
      expect(before).toHaveLength(uids.length)
      await killed(last)
      for (const uid of uids) {
        const pod = await runner.find(uid)
        expect(pod?.adopted).toBe(true)
        expect(docker('inspect', '--format', '{{.State.Running}}', `millwright-${uid}`)).toBe('true')
        pod?.signal('SIGKILL')
        expect((await pod?.ended)?.exitCode).toBe(137)
        expect(starts(uid)).toBe('x\n')
      }
      expect(left('label=millwright.dev/node=n')).toEqual([])
      runner.close()
    })
  })
})

async function said(child: ChildProcess, word: string): Promise<void> {
  let text = ''
  await new Promise<void>((done) => {
    child.stdout?.on('data', (chunk) => {
      text += chunk
      if (text.includes(`${word}\n`)) done()
    })
  })
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once('exit', done))
  child.kill('SIGKILL')
  await ended
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}
