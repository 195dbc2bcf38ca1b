import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { realClock } from '../../runtime/clock.ts'
import { type Bench, isRunning, node, openBench, terminatedOf } from '../fixture.ts'
import { cellVerdict, findCellParent, isInCell, makeCell } from './cell.ts'
import { podFolder } from './folders.ts'
import { createMemoryLimits } from './memory.ts'
import { hasProc } from './process.ts'
import { createProcessRunner } from './processes.ts'
import { parsePs, processTable, treeOf } from './resident.ts'

let bench: Bench
beforeEach(async () => {
  bench = await openBench()
})
afterEach(() => bench.close())

const sh = (script: string): string[] => ['/bin/sh', '-c', script]
/** Takes so many mebibytes, says so and stays. */
const taker = (mebibytes: number): string =>
  `const held = Array.from({ length: ${mebibytes} }, () => Buffer.alloc(1 << 20, 1)); console.log('holds', process.pid, held.length); setInterval(() => {}, 1000)`
const limited = (memory: string) => ({ container: { resources: { limits: { memory } } } })
const folderOf = (uid = '') => podFolder(join(bench.dir, 'agent'), uid)
const logOf = (uid = ''): string => readFileSync(folderOf(uid).log, 'utf8')
const isKernels = findCellParent() !== undefined

describe('a pod over its memory limit', () => {
  it('is killed with all that it started, and its end names the limit', async () => {
    const script = `setsid ${process.execPath} -e "$TAKER" & wait`
    const { metadata } = await bench.run(sh(script), {
      container: { ...limited('128Mi').container, env: [{ name: 'TAKER', value: taker(300) }] },
    })
    const pod = await bench.ended(metadata.name)
    expect(terminatedOf(pod)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
    expect(terminatedOf(pod)?.message).toMatch(
      isKernels ? /it reached its memory limit of 128Mi/ : /it held 3\d\dMi, more than its memory limit of 128Mi/,
    )
    expect((await bench.report(metadata.name))?.status?.ended).toMatchObject({ reason: 'OOMKilled', byAgent: false })
    const pid = Number(/holds (\d+)/.exec(logOf(metadata.uid))?.[1] ?? 0)
    if (pid > 0) await bench.until(async () => !isRunning(pid))
  })

  it('is killed by the next agent, too', async () => {
    const script = `while [ ! -e go ]; do sleep 0.05; done; exec ${process.execPath} -e "$TAKER"`
    const { metadata } = await bench.run(sh(script), {
      container: { ...limited('128Mi').container, env: [{ name: 'TAKER', value: taker(300) }] },
    })
    await bench.until(async () => (await bench.pod(metadata.name))?.status?.phase === 'Running')
    await bench.agent.stop('leave')
    await bench.newAgent()
    writeFileSync(join(folderOf(metadata.uid).job, 'go'), '')
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
  })

  it('whose agent died before it could tell is known to the next one', async () => {
    const runner = (): ReturnType<typeof createProcessRunner> =>
      createProcessRunner({ dir: join(bench.dir, 'agent'), node: node.name, clock: realClock, log: silentLog })
    const first = runner()
    const pod = await first.start({
      uid: 'u-1',
      namespace: 'default',
      name: 'p',
      node: node.name,
      env: {},
      volumes: [],
      command: [process.execPath, '-e', taker(300)],
      limits: { memoryBytes: 128 << 20 },
    })
    if ('refused' in pod) throw new Error(pod.message)
    await pod.ended
    first.close()
    const second = runner()
    const end = await (await second.find('u-1'))?.ended
    expect(end).toMatchObject({ exitCode: 137, outOfMemory: { limitBytes: 128 << 20 } })
    expect(end?.lost).toBeUndefined()
    second.close()
  })
})

describe('a pod under its memory limit', () => {
  it.skipIf(!hasProc)('may have workers that share what it holds: a page counts once', async () => {
    const script = [
      'x=$(head -c 20000000 /dev/zero | tr "\\0" a)',
      'for i in 1 2 3 4 5 6; do (trap : TERM; while :; do sleep 0.1; done) & done',
      'echo up; while [ ! -e go ]; do sleep 0.1; done; kill -KILL 0 2>/dev/null',
    ].join('\n')
    const { metadata } = await bench.run(sh(script), limited('80Mi'))
    await bench.until(async () => logOf(metadata.uid) === 'up\n')
    const shim = Number(readFileSync(folderOf(metadata.uid).claim, 'utf8').split('\t')[2]?.split(' ')[0])
    const resident = treeOf(shim, await processTable()).reduce((sum, row) => sum + row.residentBytes, 0)
    expect(resident).toBeGreaterThan(80 << 20)
    await realClock.sleep(2500) // two looks at it
    expect((await bench.pod(metadata.name))?.status?.phase).toBe('Running')
    await bench.store.delete('Pod', metadata, { gracePeriodSeconds: 0 })
  })

  it('that is killed by somebody else is not out of memory', async () => {
    const { metadata } = await bench.run(sh('kill -KILL $$'), limited('128Mi'))
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 137, reason: 'Error' })
  })
})

describe('the watch', () => {
  it('has no timer unless a pod with a limit runs', async () => {
    const beats: number[] = []
    const clock: Clock = {
      ...realClock,
      every(ms, run) {
        beats.push(ms)
        const cancel = realClock.every(ms, run)
        return () => {
          beats.splice(beats.indexOf(ms), 1)
          cancel()
        }
      },
    }
    const runner = createProcessRunner({ dir: join(bench.dir, 'beats'), node: 'n', clock, log: silentLog })
    const start = async (uid: string, memoryBytes?: number) => {
      const common = {
        uid,
        namespace: 'default',
        name: uid,
        node: 'n',
        env: {},
        volumes: [],
        command: ['sleep', '600'],
      }
      const pod = await runner.start({ ...common, limits: { memoryBytes } })
      if ('refused' in pod) throw new Error(pod.message)
      return pod
    }
    const free = await start('free')
    expect(beats).toEqual([])
    const bound = await start('bound', 1 << 30)
    const second = await start('second', 1 << 30)
    expect(beats).toEqual(isKernels ? [] : [1000])
    for (const pod of [free, bound, second]) pod.signal('SIGKILL')
    await Promise.all([free.ended, bound.ended, second.ended])
    expect(beats).toEqual([])
    runner.close()
  })
})

describe('the process table', () => {
  const table = [
    { pid: 10, parent: 1, group: 10, session: 10, residentBytes: 1 },
    { pid: 11, parent: 10, group: 10, session: 10, residentBytes: 1 },
    { pid: 12, parent: 11, group: 12, session: 12, residentBytes: 1 },
    { pid: 13, parent: 1, group: 13, session: 10, residentBytes: 1 },
    { pid: 14, parent: 12, group: 12, session: 12, residentBytes: 1 },
    { pid: 20, parent: 1, group: 20, session: 20, residentBytes: 1 },
    { pid: 21, parent: 22, group: 21, session: 21, residentBytes: 1 },
    { pid: 22, parent: 21, group: 22, session: 22, residentBytes: 1 },
  ]
  it('a tree is what descends from the shim and what is of its session, without it', () => {
    expect(treeOf(10, table).map((row) => row.pid)).toEqual([11, 12, 13, 14])
    expect(treeOf(99, table)).toEqual([])
  })

  it('is read from ps where there is no /proc', async () => {
    expect(parsePs('    1     0     1  11716\n  703     1   700 204800\n\n')).toEqual([
      { pid: 1, parent: 0, group: 1, session: 0, residentBytes: 11_997_184 },
      { pid: 703, parent: 1, group: 700, session: 0, residentBytes: 209_715_200 },
    ])
    const mine = parsePs(execFileSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,rss='], { encoding: 'utf8' })).find(
      (row) => row.pid === process.pid,
    )
    const known = (await processTable()).find((row) => row.pid === process.pid)
    expect(mine?.parent).toBe(known?.parent)
    expect((mine?.residentBytes ?? 0) / (known?.residentBytes ?? 1)).toBeCloseTo(1, 0)
  })
})

/** The files of cgroup v2 as plain ones: what is written and read, not what a kernel makes of it. */
describe('a cgroup', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'cgroup-'))
    mkdirSync(join(root, 'user.slice/app.slice/shell.scope'), { recursive: true })
    writeFileSync(join(root, 'cgroup.controllers'), 'cpu io memory pids\n')
    for (const [folder, controllers] of [
      ['', 'cpu memory'],
      ['user.slice', 'memory pids'],
      ['user.slice/app.slice', 'pids memory'],
      ['user.slice/app.slice/shell.scope', ''],
    ] as const)
      writeFileSync(join(root, folder, 'cgroup.subtree_control'), `${controllers}\n`)
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  it('is made beside our own, in the nearest one whose children are bounded', () => {
    expect(findCellParent(root, '/user.slice/app.slice/shell.scope')).toBe(join(root, 'user.slice/app.slice'))
    writeFileSync(join(root, 'user.slice/app.slice/cgroup.subtree_control'), 'pids\n')
    expect(findCellParent(root, '/user.slice/app.slice/shell.scope')).toBe(join(root, 'user.slice'))
    writeFileSync(join(root, 'cgroup.controllers'), 'cpu\n') // version 1 holds memory
    expect(findCellParent(root, '/user.slice/app.slice/shell.scope')).toBeUndefined()
  })

  it('holds the limit, all or nothing and without swap; what the kernel did there is the pod’s end', () => {
    const limits = createMemoryLimits(realClock, silentLog, () => root)
    const folder = folderOf('u-2')
    mkdirSync(folder.root, { recursive: true })
    const enter = limits.set(folder, 'u-2', 1 << 30)
    const cell = join(root, 'millwright-u-2')
    expect(enter).toBe(join(cell, 'cgroup.procs'))
    const read = (name: string): string => readFileSync(join(cell, name), 'utf8')
    expect([read('memory.max'), read('memory.oom.group'), read('memory.swap.max')]).toEqual(['1073741824', '1', '0'])
    writeFileSync(enter, '41\n42\n')
    expect([isInCell(cell, 42), isInCell(cell, 4)]).toEqual([true, false])
    writeFileSync(join(cell, 'memory.events'), 'low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\n')
    expect(limits.verdict(folder)).toBeUndefined()
    writeFileSync(join(cell, 'memory.events'), 'low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\n')
    expect(limits.verdict(folder)).toEqual({ limitBytes: 1 << 30 })
    rmSync(cell, { recursive: true })
    expect(limits.verdict(folder)).toEqual({ limitBytes: 1 << 30 })
  })

  it('is shared by two starts of one pod', () => {
    makeCell(join(root, 'cell'), 1 << 30)
    makeCell(join(root, 'cell'), 1 << 30)
    expect(cellVerdict(join(root, 'cell'), 1 << 30)).toBeUndefined()
  })
})
