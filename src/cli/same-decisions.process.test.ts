import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { jobFile } from '../../examples/demo/files.ts'
import { recoveryOf } from '../control/recovery/record.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { seatsNow } from '../model/seats.ts'
import { pathsIn } from '../runtime/paths.ts'
import { setupOfText } from '../twin/play/play.fixture.ts'
import { playScenario } from '../twin/play/play.ts'
import { bin, TestFactory } from './factory.fixture.ts'

const factory = new TestFactory()
afterAll(() => factory.remove())

/** The job of the demo, as it is run from the built tree, with what the twin cannot know of a command: how long it takes. */
const job = jobFile({ workers: 2, steps: 5000, seconds: 12, often: true })
  .replaceAll(/\S*\/tiny-llama\/train\.js/g, join(bin, '../../examples/tiny-llama/train.js'))
  .replace('keep: 2\n', 'keep: 2\n    interval: 2s\n  expectedSeconds: 20\n')

it('of the demo and a killed rank this machine and the twin decide the same, for the same causes', async () => {
  await factory.up('--slots', '4', '--nodes', '1')
  const gangs = factory.begin('get', 'gangs', '-w', '-o', 'json')
  writeFileSync(join(factory.dir, 'train.yaml'), job)
  factory.millwright('apply', '-f', 'train.yaml')
  const read = <Kind>(...words: string[]): Kind => JSON.parse(factory.millwright('get', ...words, '-o', 'json').stdout)
  const statusOf = () => read<TrainingJob>('job', 'tiny-llama').status
  let steppedMs = Number.POSITIVE_INFINITY
  // Well after the first checkpoint that is asked for, and before the next is durable.
  const isToBeKilled = ({ step = 0, checkpoint }: NonNullable<TrainingJob['status']>) => {
    if (step > 0) steppedMs = Math.min(steppedMs, Date.now())
    return checkpoint !== undefined && step > checkpoint.step && Date.now() - steppedMs > 5_000
  }
  await vi.waitUntil(() => isToBeKilled(statusOf() ?? ({} as never)), { timeout: 60_000, interval: 200 })
  const { items } = read<{ items: { status?: { rank?: number; pid?: number } }[] }>('reports')
  process.kill(items.find(({ status }) => status?.rank === 1)?.status?.pid ?? Number.NaN, 'SIGKILL')
  const killedMs = Date.now()
  await vi.waitUntil(() => statusOf()?.model !== undefined, { timeout: 120_000, interval: 500 })
  gangs.signal('SIGINT')
  await gangs.ended
  await factory.down()
  const here = gangs.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Gang)

  const { stepSeconds = 0, restartSeconds = 0 } = here.at(-1)?.status ?? {}
  const seated = here.find((gang) => seatsNow(gang) !== undefined)
  const afterSeconds = (killedMs - Date.parse(seated?.status?.seats?.at ?? '')) / 1000
  const there = await gangsOfTwin(afterSeconds * 1000, stepSeconds * 1000, restartSeconds * 1000)
  expect(storyOf(here)).toEqual(storyOf(there))
  expect(storyOf(here).join('\n')).toContain('Killed: tiny-llama-worker-1-1 (rank 1 on vm-0)')
  expect(factory.run(['replay', pathsIn(factory.home).decisions]).stdout).toContain('the same, in every word')
}, 240_000)

/** The same file, with that rank killed as long after it sat, and steps that take as long. */
async function gangsOfTwin(...times: readonly [afterMs: number, stepMs: number, startMs: number]): Promise<Gang[]> {
  const [after, step, start] = times.map((ms) => `${Math.round(ms)}ms`)
  const scenario = `apiVersion: millwright.dev/v1alpha1
kind: Scenario
metadata: { name: demo }
spec:
  horizon: 30m
  fleet: [{ name: vm, count: 1, accelerators: "cpu:4" }]
  resources: [train.yaml]
  performance: { stepTime: ${step}, init: ${start}, prepare: 0s, restore: 0s, stall: 0s, persist: 50ms }
`
  const drill = `---
apiVersion: millwright.dev/v1alpha1
kind: Drill
metadata: { name: kill }
spec: { fault: { kind: process-crash }, target: { job: tiny-llama, rank: 1 }, after: ${after} }
`
  const found: Gang[] = []
  const played = await playScenario(setupOfText(scenario, job + drill), 1, {
    events: {
      hear: (event) => {
        if (event.kind === 'write' && event.entry.kind === 'Gang') found.push(event.entry.object as Gang)
      },
    },
  })
  expect(played.kind).toBe('played')
  return found
}

/** What was decided about a gang, each once, in order; which step it goes on from is a matter of milliseconds. */
function storyOf(gangs: readonly Gang[]): string[] {
  // What a gang is before anything was decided may have passed before anybody watched.
  const decided = gangs.filter(({ status }) => status?.conditions?.some(({ type }) => type === 'Scheduled') === true)
  const lines = decided.map((gang) => {
    const { attempt, suspend } = gang.spec
    const scheduled = gang.status?.conditions?.find(({ type }) => type === 'Scheduled')
    const seats = seatsNow(gang)?.members.map(({ rank, node }) => `${rank} on ${node}`) ?? []
    const { last } = recoveryOf(gang)
    const why = last === undefined ? '' : `, after ${last.reason}: ${last.message.replace(/step [1-9]\d*/, 'step N')}`
    return `attempt ${attempt}${suspend ? ', over' : ''}: ${scheduled?.reason ?? 'new'}: ${scheduled?.message ?? ''}: ${seats.join(', ')}${why}`
  })
  return lines.filter((line, index) => line !== lines[index - 1])
}
