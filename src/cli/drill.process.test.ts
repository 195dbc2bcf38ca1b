import { appendFileSync, mkdirSync, readdirSync, readFileSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type SmallDisk, smallDisk, smallDiskProblem } from '../../test/small-disk.fixture.ts'
import { isRunning } from '../agent/fixture.ts'
import { faultKinds } from '../model/faults.ts'
import type { Drill } from '../model/kinds/drill.ts'
import { TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
const examples = join(import.meta.dirname, '../../examples/drills')
beforeAll(async () => {
  await factory.up('--nodes', '2', '--slots', '4')
  expect(factory.millwright('apply', '-f', join(examples, 'job.yaml')).status).toBe(0)
  await until(() => (status()?.checkpoint?.step ?? 0) > 0)
})
afterAll(() => factory.remove())

interface JobStatus {
  phase?: string
  attempt?: number
  restarts?: number
  step?: number
  checkpoint?: { step: number }
}

function status(): JobStatus | undefined {
  return ringOf(factory)
}

function ringOf(of: TestFactory): JobStatus | undefined {
  return JSON.parse(of.millwright('get', 'job', 'ring', '-o', 'json').stdout || '{}').status
}

function pidOf(rank: number): number {
  const name = `pod.ring-worker-${rank}-${status()?.attempt}`
  return JSON.parse(factory.millwright('get', 'report', name, '-o', 'json').stdout).status.pid
}

async function until(holds: () => boolean): Promise<void> {
  await vi.waitUntil(holds, { timeout: 60_000, interval: 100 })
}

function file(name: string, spec: string): string {
  const path = join(factory.dir, `${name}.yaml`)
  writeFileSync(path, `apiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: ${name}}\nspec: {${spec}}\n`)
  return path
}

/** Of rank 1, for so long. */
const hang = (lasts: string) => `fault: {kind: hang, lasts: ${lasts}}, target: {job: ring, rank: 1}`

function drillNamed(name: string): Drill {
  return JSON.parse(factory.millwright('get', 'drill', name, '-o', 'json').stdout)
}

it('a rank is really killed, its gang goes on, and what that cost is told', () => {
  const [killed, other] = [pidOf(1), pidOf(0)]
  const said = factory.millwright('drill', 'run', join(examples, 'kill-a-rank.yaml'))
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(said.stdout).toMatch(/^drill kill-a-rank: process-crash of rank 1 of job ring\n/)
  expect(said.stdout).toMatch(/ strikes ring-worker-1-1 on \S+-\d\n/)
  expect(said.stdout).toMatch(/\ndetected after +\S+ \(Killed\) +within 5s\n/)
  expect(said.stdout).toMatch(/\nlost +\d+\.\d +\d+\.\d\n/)
  expect(said.stdout).toMatch(/\npassed: it came as expected\n$/)
  expect([killed, other].filter(isRunning)).toEqual([])
  expect(status()).toMatchObject({ phase: 'Running', attempt: 2 })
  const { outcome } = drillNamed('kill-a-rank').status ?? {}
  expect(outcome).toMatchObject({ attempts: 1, reason: 'Killed' })
  expect(outcome?.lostSeconds).toBeGreaterThan(0)
})

it('a rank that stands still is noticed, and what was expected otherwise fails with its sentence', () => {
  const frozen = pidOf(0)
  const path = file('freeze', 'fault: {kind: hang}, target: {job: ring}, expect: {attemptsAtMost: 0}')
  const said = factory.millwright('drill', 'run', path, '-o', 'json')
  expect(said.status).toBe(1)
  expect(JSON.parse(said.stdout).status).toMatchObject({
    phase: 'Failed',
    message: '1 attempt, expected at most 0',
    outcome: { reason: 'Hung', attempts: 1 },
  })
  expect(isRunning(frozen)).toBe(false)
})

it('a rank that stood still for a moment goes on where it was', async () => {
  const pid = pidOf(1)
  const said = factory.millwright('drill', 'run', file('pause', hang('1s')))
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(pidOf(1)).toBe(pid)
  expect(drillNamed('pause').status).toMatchObject({ phase: 'Passed', outcome: { attempts: 0, lostSeconds: 0 } })
})

it.each(['SIGINT', 'SIGHUP'] as const)('%s undoes what lasts and leaves no drill behind', async (signal) => {
  const pid = pidOf(1)
  const drill = factory.begin('drill', 'run', file('stopped', hang('1h')))
  await until(() => drill.stdout.includes('strikes'))
  drill.signal(signal)
  expect(await drill.ended).toBe(130)
  expect(drill.stderr).toBe('millwright: drill stopped was interrupted and is deleted; what it had done is undone\n')
  expect(factory.millwright('get', 'drill', 'stopped').status).toBe(3)
  const { step = 0, attempt } = status() ?? {}
  await until(() => (status()?.step ?? 0) > step + 5)
  expect(status()?.attempt === attempt ? pidOf(1) : pid).toBe(pid)
})

function nodeOf(rank: number): string {
  const name = `ring-worker-${rank}-${status()?.attempt}`
  return JSON.parse(factory.millwright('get', 'pod', name, '-o', 'json').stdout).spec.nodeName
}

it('a node is drained: its job writes a checkpoint, leaves and goes on elsewhere, with no restart counted', async () => {
  const [node, before] = [nodeOf(0), status()]
  expect(factory.millwright('drain', node)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(new RegExp(`^node ${node} takes no new work.*\\nnode ${node} is empty\\n$`)),
    stderr: expect.stringContaining('waits for ring-worker-'),
  })
  await until(() => status()?.phase === 'Running' && (status()?.attempt ?? 0) > (before?.attempt ?? 0))
  expect(status()).toMatchObject({ attempt: (before?.attempt ?? 0) + 1, restarts: before?.restarts })
  expect(status()?.checkpoint?.step).toBeGreaterThan(before?.checkpoint?.step ?? 0)
  expect([nodeOf(0), nodeOf(1)]).not.toContain(node)
  expect(factory.millwright('uncordon', node).status).toBe(0)
})

it('what leaves a node that says that it will be lost loses nothing', () => {
  const fault = 'fault: {kind: node-loss, lasts: 2s, notice: 20s}'
  const expected = 'expect: {attemptsAtMost: 1, lostSecondsAtMost: 0}'
  const said = factory.millwright('drill', 'run', file('told', `${fault}, target: {job: ring}, ${expected}`))
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(said.stdout).toMatch(/^drill told: node-loss of .* for 2s, and says so 20s before\n/)
})

it('a node is gone with what runs on it, and comes back', () => {
  const said = factory.millwright(
    'drill',
    'run',
    file('lose', 'fault: {kind: node-loss, lasts: 2s}, target: {job: ring}'),
  )
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(said.stdout).toMatch(/\n +\S+ +the fault is over, after [23](\.\d)?s\n/)
  expect(drillNamed('lose').status?.outcome?.attempts).toBe(1)
})

it('the leader dies, the next one leads, and work does not notice', () => {
  const { attempt } = status() ?? {}
  const said = factory.millwright('drill', 'run', join(examples, 'crash-the-leader.yaml'))
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(status()?.attempt).toBe(attempt)
})

it('a factory that was killed in a drill lets go on what stood still, when it is back and the time is over', async () => {
  const pid = pidOf(1)
  file('killed', 'fault: {kind: hang, lasts: 4s}, target: {job: ring, rank: 1}, expect: {attemptsAtMost: 1}')
  const drill = factory.begin('drill', 'run', join(factory.dir, 'killed.yaml'))
  await until(() => drill.stdout.includes('strikes'))
  await factory.crash()
  await factory.up('--nodes', '2', '--slots', '4')
  expect(await drill.ended).toBe(0)
  expect(drillNamed('killed').status?.mendedAt).toBeDefined()
  expect(isRunning(pid) || (status()?.attempt ?? 0) > 1).toBe(true)
})

it('a factory that is gone is waited for until the deadline, and then the next step is said', async () => {
  const drill = factory.begin('drill', 'run', file('gone', `${hang('1h')}, deadline: 3s`))
  await until(() => drill.stdout.includes('strikes'))
  await factory.crash()
  expect(await drill.ended).toBe(4)
  expect(drill.stderr).toMatch(
    /\nmillwright: drill gone: its deadline of 3s is over, and the factory does not answer. Start it with `millwright up`; /,
  )
  await factory.up('--nodes', '2', '--slots', '4')
  await until(() => drillNamed('gone').status?.phase === 'Failed')
  expect(factory.millwright('delete', 'drill', 'gone').status).toBe(0)
})

it('a disk that holds more than the folders of pods is not filled', () => {
  const said = factory.millwright(
    'drill',
    'run',
    file('shared', 'fault: {kind: disk-full, lasts: 3s}, target: {job: ring}'),
  )
  expect(said.status).toBe(1)
  expect(said.stdout).toMatch(/agent lies on the same disk as \S+, and a full one would harm others/)
  expect(drillNamed('shared').status?.struckAt).toBeUndefined()
})

describe.skipIf(smallDiskProblem !== undefined)(
  `a small disk for the folders of pods (${smallDiskProblem ?? 'tmpfs'})`,
  () => {
    const other = new TestFactory()
    let disk: SmallDisk
    beforeAll(async () => {
      disk = smallDisk(8 << 20)
      mkdirSync(other.home, { mode: 0o700 })
      symlinkSync(disk.dir, join(other.home, 'agent'))
      await other.up('--nodes', '2', '--slots', '4')
      other.millwright('apply', '-f', join(examples, 'job.yaml'))
      await until(() => ringOf(other)?.checkpoint !== undefined)
    })
    afterAll(async () => {
      await other.remove()
      disk.close()
    })

    const room = () => statfsSync(disk.dir).bavail
    const full = (name: string, lasts: string) => {
      const path = join(other.dir, `${name}.yaml`)
      const spec = `fault: {kind: disk-full, lasts: ${lasts}}, target: {job: ring}, expect: {attemptsAtMost: 2}`
      writeFileSync(
        path,
        `apiVersion: millwright.dev/v1alpha1\nkind: Drill\nmetadata: {name: ${name}}\nspec: {${spec}}\n`,
      )
      return path
    }

    it('is full while the drill lasts, and its job goes on after it', async () => {
      const before = ringOf(other)?.checkpoint?.step ?? 0
      const drill = other.begin('drill', 'run', full('filled', '12s'))
      await until(() => room() === 0)
      expect(await drill.ended).toBe(0)
      expect(drill.stdout).toMatch(/passed: it came as expected/)
      expect(room()).toBeGreaterThan(0)
      expect(readdirSync(disk.dir)).not.toContain('filled-by-a-drill')
      await until(() => (ringOf(other)?.checkpoint?.step ?? 0) > before)
    })

    it('has room again with the next life of a factory that was killed in the drill', async () => {
      const drill = other.begin('drill', 'run', full('killed', '30m'))
      await until(() => room() === 0)
      await other.crash()
      expect(room()).toBe(0)
      await other.up('--nodes', '2', '--slots', '4')
      expect(room()).toBeGreaterThan(0)
      expect(await drill.ended).toBe(1)
      expect(drill.stdout).toMatch(/failed: cut short: over after \S+, not 30m; the factory was stopped, or died\n$/)
    })
  },
)

it('what is wrong is told before anything is struck', () => {
  const wrong = file('wrong', 'fault: {kind: hng}, target: {job: ring}')
  expect(factory.millwright('drill', 'run', wrong)).toMatchObject({
    status: 2,
    stdout: '',
    stderr: `millwright: nothing was struck: 1 error\n${wrong}:4:22: spec.fault.kind: must be one of a few words, found "hng"; allowed: ${faultKinds.join(', ')}; did you mean "hang"?\n`,
  })
  const absent = file('absent', 'fault: {kind: hang}, target: {job: rng}')
  expect(factory.millwright('drill', 'run', absent)).toMatchObject({
    status: 3,
    stdout: '',
    stderr: `millwright: nothing was struck: 1 error\n${absent}:4:43: spec.target.job: names no job of namespace default, found "rng"; did you mean "ring"?\n`,
  })
  const second = file('second', 'fault: {kind: hang}, target: {job: ring, rank: 7}')
  const both = file('both', 'fault: {kind: process-crash}, target: {job: ring}')
  appendFileSync(both, `---\n${readFileSync(second, 'utf8')}`)
  expect(factory.millwright('drill', 'run', both)).toMatchObject({
    status: 3,
    stdout: '',
    stderr: `millwright: nothing was struck: 1 error\n${both}:9:55: spec.target.rank: names no rank of job ring, found 7; allowed: 0 to 1\n`,
  })
  expect(factory.millwright('drill', 'run', absent, second)).toMatchObject({
    status: 3,
    stderr: expect.stringMatching(/^millwright: nothing was struck: 2 errors\n.*absent.yaml:.*\n.*second.yaml:.*\n$/),
  })
  expect(factory.millwright('drill', 'run', join(examples, 'job.yaml')).stderr).toMatch(
    /job.yaml:3:7: kind: is not run here; `millwright apply` takes it, found "TrainingJob"; allowed: Drill\n$/,
  )
})

it('the catalogue says what can go wrong, where, and what may be said of it', () => {
  const rows = JSON.parse(factory.run(['drill', '-o', 'json']).stdout)
  expect(rows).toContainEqual({
    kind: 'node-loss',
    happens: 'a node is gone with all that runs on it, and comes back; with `notice` it says so before',
    strikes: 'node',
    fields: ['lasts', 'reach', 'notice'],
    lastsDefault: '24h',
    worlds: ['this machine', 'twin'],
  })
  expect(factory.run(['drill']).stdout).toMatch(/^KIND +STRIKES +TAKES +PLAYED ON +WHAT HAPPENS\n/)
})
