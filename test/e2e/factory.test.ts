import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

/** The built command line against a factory of its own, as a user runs them. */
const bin = join(import.meta.dirname, '../../dist/bin/millwright.js')
let dir = ''
let factory: ChildProcess | undefined

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millwright-e2e-'))
})
afterEach(async () => {
  await stop('SIGINT')
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('a factory on this machine', () => {
  it('runs a command as a job and exits with its code', async () => {
    await up()
    const good = millwright('run', '--', 'echo', 'hello')
    expect([good.status, good.stdout]).toEqual([0, 'hello\n'])
    expect(millwright('run', '--', 'sh', '-c', 'exit 7').status).toBe(7)
    const missing = millwright('run', '--', 'no-such-command')
    expect(missing.status).toBe(127)
    expect(missing.stderr).toContain('command not found: no-such-command')
  })

  it('finds its workers again after kill -9, starts none twice and loses none', async () => {
    await up()
    const script = join(dir, 'count.sh')
    writeFileSync(
      script,
      `echo started >> ${dir}/starts\nwhile [ ! -e ${dir}/finish ]; do sleep 0.05; done\necho over\n`,
    )
    expect(millwright('run', '--detach', '--name', 'survivor', '--workers', '2', '--', 'sh', script).status).toBe(0)
    const starts = () => read(join(dir, 'starts')).split('\n').filter(Boolean).length
    await until(() => starts() === 2 && phase('survivor') === 'Running')
    await stop('SIGKILL')
    expect(millwright('get', 'jobs').status).toBe(4)
    await up()
    await until(() => phase('survivor') === 'Running')
    writeFileSync(join(dir, 'finish'), '')
    await until(() => phase('survivor') === 'Succeeded')
    expect(starts()).toBe(2)
    expect(job('survivor').status?.restarts ?? 0).toBe(0)
  })

  it('suspends on Ctrl-C, leaves no process, and resumes with the next up, no restart counted', async () => {
    await up()
    const pids = join(dir, 'pids')
    expect(
      millwright('run', '--detach', '--name', 'sleeper', '--', 'sh', '-c', `echo $$ >> ${pids}; exec sleep 600`).status,
    ).toBe(0)
    const seen = () => read(pids).split('\n').filter(Boolean).map(Number)
    await until(() => seen().length === 1 && phase('sleeper') === 'Running')
    await stop('SIGINT')
    expect(alive(seen()[0] ?? 0)).toBe(false)
    await up()
    await until(() => seen().length === 2 && phase('sleeper') === 'Running')
    expect(job('sleeper').status?.restarts ?? 0).toBe(0)
    expect(millwright('delete', 'job', 'sleeper').status).toBe(0)
    await until(() => !alive(seen()[1] ?? 0))
  })

  it('refuses a second up, a typo in a file and a busy port with one sentence each, and changes nothing', async () => {
    await up()
    const second = millwright('up', '--port', '0', '--gateway-port', '0')
    expect(second.status).toBe(1)
    expect(second.stderr).toMatch(/^millwright: .*(lock|use|runs|open)/i)
    const file = join(dir, 'typo.yaml')
    writeFileSync(
      file,
      'apiVersion: millwright.dev/v1alpha1\nkind: TrainingJob\nmetadata:\n  name: typo\nspec:\n  worker: 2\n  command: [echo]\n',
    )
    const typo = millwright('apply', '-f', file)
    expect(typo.status).toBe(2)
    expect(typo.stderr).toContain('typo.yaml:6:3')
    expect(typo.stderr).toContain('workers')
    expect(millwright('get', 'job', 'typo').status).toBe(3)
    const { url } = JSON.parse(read(join(dir, 'factory.json'))) as { url: string }
    const busy = spawnSync(
      process.execPath,
      [bin, '--dir', join(dir, 'other'), 'up', '--port', new URL(url).port, '--gateway-port', '0'],
      { encoding: 'utf8' },
    )
    expect([busy.status, busy.stderr]).toEqual([1, expect.stringContaining('in use')])
  })

  it('applies nothing of files when one change in them would be refused, and says what to do first', async () => {
    await up()
    const file = join(dir, 'changing.yaml')
    const write = (seconds: number, more = '') =>
      writeFileSync(
        file,
        `apiVersion: millwright.dev/v1alpha1\nkind: TrainingJob\nmetadata: {name: changing}\nspec: {command: [sleep, "${seconds}"]}\n${more}`,
      )
    write(1000)
    expect(millwright('apply', '-f', file).status).toBe(0)
    await until(() => phase('changing') === 'Running')
    write(2000, '---\napiVersion: millwright.dev/v1alpha1\nkind: Queue\nmetadata: {name: another}\nspec: {}\n')
    const refused = millwright('apply', '--yes', '-f', file)
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('millwright suspend changing')])
    expect(millwright('get', 'queue', 'another').status).toBe(3)
    expect(millwright('delete', 'job', 'changing').status).toBe(0)
  })

  it('foretells the end of a job from its steps, and by it the start of who waits for it', async () => {
    await up()
    const script = join(dir, 'steps.sh')
    writeFileSync(
      script,
      'i=0\nwhile [ $i -lt 5000 ]; do i=$((i+1)); echo "{\\"step\\":$i,\\"steps\\":5000}" >> $MILLWRIGHT_PROGRESS; sleep 0.1; done\n',
    )
    expect(
      millwright('run', '--detach', '--name', 'paced', '--workers', String(slotCount()), '--', 'sh', script).status,
    ).toBe(0)
    await until(() => phase('paced') === 'Running')
    expect(millwright('run', '--detach', '--name', 'next', '--', 'echo', 'hello').status).toBe(0)
    await until(() => phase('next') === 'Waiting')
    await until(() => gang('paced').status?.expectedEnd !== undefined)
    const waits = JSON.parse(millwright('why', 'next', '-o', 'json').stdout)
    expect(waits.expectedStart).toMatchObject({ basis: 'by the pace of job/paced' })
    const { earliest, latest } = waits.expectedStart
    const left = [earliest, latest].map((time: string) => (Date.parse(time) - Date.now()) / 1000)
    expect(left[0]).toBeGreaterThan(300)
    expect(left[1]).toBeLessThan(3000)
    expect(millwright('why', 'next').stdout).toMatch(/start {2}in \d+m.*, by the pace of job\/paced/)
    expect(millwright('why', 'paced').stdout).toMatch(/ends {3}in \d+m.*, by its steps and its pace/)
    for (const name of ['next', 'paced']) expect(millwright('delete', 'job', name).status).toBe(0)
  })

  it('says what to do when no factory runs', () => {
    const answer = millwright('get', 'jobs')
    expect([answer.status, answer.stderr]).toEqual([4, expect.stringContaining('millwright up')])
  })
})

describe('a PyTorch script', () => {
  const python = ['/usr/bin/python3', 'python3'].find((name) => spawnSync(name, ['-c', 'import torch']).status === 0)
  it.skipIf(python === undefined)('trains on two workers with the variables that torchrun sets', async () => {
    await up()
    const script = join(import.meta.dirname, '../../examples/pytorch/train.py')
    const answer = millwright('run', '--workers', '2', '--env', 'STEPS=20', '--', python ?? '', script)
    expect(answer.status, answer.stdout + answer.stderr).toBe(0)
    expect(answer.stdout).toContain('done: 2 workers on cpu, step 20')
    expect(answer.status).toBe(0)
  })
})

function millwright(...words: string[]) {
  return spawnSync(process.execPath, [bin, '--dir', dir, ...words], { encoding: 'utf8', timeout: 90_000, cwd: dir })
}

async function up(): Promise<void> {
  const child = spawn(process.execPath, [bin, '--dir', dir, 'up', '--port', '0', '--gateway-port', '0'])
  factory = child
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  await until(() => {
    if (child.exitCode !== null) throw new Error(output)
    return output.includes('Next:')
  })
}

async function stop(signal: NodeJS.Signals): Promise<void> {
  const child = factory
  factory = undefined
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((done) => child.once('exit', done))
  child.kill(signal)
  await ended
}

function job(name: string): { status?: { phase?: string; restarts?: number } } {
  const answer = millwright('get', 'job', name, '-o', 'json')
  return answer.status === 0 ? JSON.parse(answer.stdout) : {}
}
function gang(name: string): { status?: { expectedEnd?: string } } {
  const answer = millwright('get', 'gang', name, '-o', 'json')
  return answer.status === 0 ? JSON.parse(answer.stdout) : {}
}
/** Of the one node that there is. */
function slotCount(): number {
  const { items } = JSON.parse(millwright('get', 'nodes', '-o', 'json').stdout)
  return Number(items[0].status.allocatable['millwright.dev/cpu'])
}
const phase = (name: string) => job(name).status?.phase

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function until(done: () => boolean): Promise<void> {
  await expect.poll(done, { timeout: 60_000, interval: 50 }).toBe(true)
}
